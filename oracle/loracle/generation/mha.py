"""Inputs of the contract lora-mha.

One x makes queries, keys and values, so that what the other attention contracts choose by input is
chosen here by the weights: those of Q and V read the first half of x's channels in a designed case,
those of K the second half.
"""

from __future__ import annotations

import numpy as np

from loracle.generation.sampling import (
    LARGE_SCALINGS,
    SMALLEST,
    Array,
    Raw,
    Sizes,
    different_rows,
    gaussian,
    is_sharp,
    positive,
    signed_integers,
)

__all__ = [
    "LONG_SCALE",
    "LONG_SCALINGS",
    "SCALES",
    "SCALINGS",
    "SQUARE_SCALES",
    "SQUARE_SCALINGS",
    "averaging",
    "designed",
    "extreme",
    "layouts",
    "long",
    "lora_init",
    "saturated",
    "structured",
    "typical",
]

SCALINGS = ((1.5, 1.25, -0.75), (-0.75, -1.25, 1.5), (1.25, 1.5, -0.75))
"""Of Q, K and V: exact in every dtype, distinct, and of one sign for Q and K, so that what they
give to grad_x does not cancel in a designed case."""

SQUARE_SCALINGS = ((2.25, 1.5625, -0.5625), (1.5625, 2.25, -0.5625), (-0.5625, -1.5625, 2.25))
SCALES = (0.625, 0.53125, 0.3125)
SQUARE_SCALES = (0.5625, 0.390625, 0.765625)
LONG_SCALINGS = (*LARGE_SCALINGS, LARGE_SCALINGS[0] + 0.5)
LONG_SCALE = 1.25
"""Of the softmax; see `BETAS` of the other attention contracts."""

_SCORES = (2.0, 0.5, 8.0)
"""The largest score of a typical case: probabilities that differ, that are nearly equal, and that
are nearly zero or one."""

_SATURATED_SCORE = 100.0
_LONG_SCORE = 0.5
_AVERAGING_SCORE = 0.3
_MASSIVE_SCORE = 2e3
_LARGEST_FACTOR = 256.0
_MOST_MASSIVE = 4096.0
"""Draws whose scores are tiny by chance stay below what they should have: float16 ends early."""

_DRAWS = 32
_CANCELLING = -15 / 16
_LAYOUTS = ("transposed", "sliced", "expanded")


def typical(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Gaussian inputs, with scores that are small or large in turn."""
    raw = _gaussian(generator, sizes, index)
    return _with_largest_score(raw, _SCORES[index % len(_SCORES)])


def long(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Gaussian inputs, with scalars beyond what a kernel might clamp to."""
    raw = _gaussian(generator, sizes, index)
    scalings = {f"scaling_{m}": s for m, s in zip("qkv", LONG_SCALINGS, strict=True)}
    raw.scalars.update(scalings, softmax_scale=LONG_SCALE)
    return _with_largest_score(raw, _LONG_SCORE)


def lora_init(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """B = 0 in all three adapters: the state in which LoRA training starts."""
    raw = _gaussian(generator, sizes, index)
    for m in "qkv":
        raw.tensors[f"lora_b_{m}"][:] = 0
    return raw


def saturated(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """A largest score of 100, with every second token close to its neighbour so that the keys of
    the two share the weight."""
    raw = _gaussian(generator, sizes, index)
    odd = raw.tensors["x"][:, 1::2]
    even = raw.tensors["x"][:, : 2 * odd.shape[1] : 2]
    odd[:] = even + gaussian(generator, *odd.shape, scale=1 / _SATURATED_SCORE)
    return _with_largest_score(raw, _SATURATED_SCORE)


def designed(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """In some entries of every output no sum cancels; see `_coherent`, and for the narrowest bounds
    `_sharp`."""
    sharp = is_sharp(index)
    causal = index % 2 == 1 and not sharp
    scalars = _scalars(sizes, SCALINGS[index % 3], SCALES[index % 3], causal=causal)
    leading = 0 if causal else index % sizes["length"]
    raw = _coherent(generator, sizes, scalars, leading)
    return _sharp(raw, leading) if sharp else raw


def averaging(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """The same with the first half of the keys leading, and scalars whose root is exact."""
    scalings, scale = SQUARE_SCALINGS[index % 3], SQUARE_SCALES[index // 3 % 3]
    scalars = _scalars(sizes, scalings, scale, causal=index % 2 == 1)
    raw = _coherent(generator, sizes, scalars, slice(sizes["length"] // 2))
    return _with_largest_score(raw, _AVERAGING_SCORE)


def structured(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Repeated tokens, integers with empty tokens, adapters of deficient rank, in turn."""
    return (_repeated, _integers, _rank_deficient)[index % 3](generator, sizes, index)


def extreme(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """One massive query, and subnormal tokens, in turn."""
    return (_massive_query, _subnormal)[index % 2](generator, sizes, index)


def layouts(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Gaussian inputs, the upstream gradient not contiguous; where it is expanded, as the gradient
    of a sum is, it is one number."""
    raw = typical(generator, sizes, index)
    layout = _LAYOUTS[index % len(_LAYOUTS)]
    if layout == "expanded":
        raw.tensors["grad_output"][:] = positive(generator)
    return Raw(raw.tensors, raw.scalars, {"grad_output": layout})


def _scalars(
    sizes: Sizes, scalings: tuple[float, float, float], scale: float, *, causal: bool
) -> dict[str, float]:
    return {
        **{f"scaling_{m}": scaling for m, scaling in zip("qkv", scalings, strict=True)},
        "softmax_scale": scale,
        "num_heads": sizes["num_heads"],
        "num_kv_heads": sizes["num_kv_heads"],
        "causal": causal,
    }


def _widths(sizes: Sizes) -> dict[str, int]:
    return {
        m: sizes["head_dim"] * sizes["num_heads" if m == "q" else "num_kv_heads"] for m in "qkv"
    }


def _gaussian(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Weights scaled so that Q, K and V are of order one. Every second case is causal, so that each
    scaling and scale comes with a mask and without."""
    batch, length, model, rank = (sizes[n] for n in ("batch", "length", "model", "r"))
    widths = _widths(sizes)
    tensors = {
        "x": gaussian(generator, batch, length, model),
        "grad_output": gaussian(generator, batch, length, widths["q"]),
    }
    for m, width in widths.items():
        tensors[f"weight_{m}"] = gaussian(generator, width, model, scale=model**-0.5)
        tensors[f"lora_a_{m}"] = gaussian(generator, rank, model, scale=model**-0.5)
        tensors[f"lora_b_{m}"] = gaussian(generator, width, rank, scale=rank**-0.5)
    scalings, scale = SCALINGS[index % 3], SCALES[index // 3 % 3]
    return Raw(tensors, _scalars(sizes, scalings, scale, causal=index % 2 == 0))


def _coherent(
    generator: np.random.Generator,
    sizes: Sizes,
    scalars: dict[str, float],
    leading: int | slice,
) -> Raw:
    """Q and V are made of the first half of the channels, which are positive in every token, and V
    is large in leading ones; K of the second half, which has the sign of q_jl - <f_j, q_j>: that is
    positive for leading keys alone, so that p K does not cancel, nor p^T Q over the tokens in the
    second half of the channels, nor the others in the first. Weights have the sign of their
    scaling. Under a mask the first queries see leading keys alone, where q - <f, q> cancels: they
    count little."""
    batch, length, model, rank = (sizes[n] for n in ("batch", "length", "model", "r"))
    half = model // 2
    x = positive(generator, batch, length, model)
    x[:, :, half:] *= -1
    x[:, leading, half:] *= -1
    x[:, :, :half] /= 4
    x[:, leading, :half] *= 8
    upstream = positive(generator, batch, length, _widths(sizes)["q"])
    if scalars["causal"]:
        upstream[:, leading] /= 64
    tensors = {"x": x, "grad_output": upstream}
    for m, width in _widths(sizes).items():
        scale = 0.5 if m == "v" else 0.25
        sign = np.sign(scalars[f"scaling_{m}"])
        weight = sign * positive(generator, width, model, scale=scale / 4)
        a = positive(generator, rank, model, scale=scale)
        unread = slice(half) if m == "k" else slice(half, None)
        weight[:, unread] = 0
        a[:, unread] = 0
        tensors |= {f"weight_{m}": weight, f"lora_a_{m}": a}
        tensors[f"lora_b_{m}"] = positive(generator, width, rank, scale=scale)
    return Raw(tensors, scalars)


def _sharp(raw: Raw, leading: int) -> Raw:
    """Narrows the bound of a coherent case with two tokens: of the two the leading one has nearly
    all of the key, the other nearly all of the value, so that the p of the leading one is a product
    of exact things but for probabilities, which the scores, being small, hardly move; and this p is
    all that counts. See docs/resolving-power.md."""
    x, half = raw.tensors["x"], raw.tensors["x"].shape[2] // 2
    others = [token for token in range(x.shape[1]) if token != leading]
    x[:, leading, :half] /= 64
    x[:, others, :half] *= 8
    x[:, :, half:] *= -1
    x[:, others, half:] /= 256
    raw.tensors["grad_output"] *= 64
    return raw


def _projected(raw: Raw, projection: str) -> Array:
    """Q, K or V, (batch, length, heads, head_dim)."""
    t, heads = raw.tensors, int(raw.scalars["num_heads" if projection == "q" else "num_kv_heads"])
    delta = t[f"lora_b_{projection}"] @ t[f"lora_a_{projection}"]
    weight = t[f"weight_{projection}"] + raw.scalars[f"scaling_{projection}"] * delta
    flat = t["x"] @ weight.T
    return np.asarray(flat.reshape(*flat.shape[:2], heads, -1))


def _scores(raw: Raw) -> Array:
    """Without a mask, (batch, heads, queries, keys)."""
    queries, keys = _projected(raw, "q"), _projected(raw, "k")
    group = queries.shape[2] // keys.shape[2]
    repeated = np.repeat(keys, group, axis=2)
    return np.asarray(
        raw.scalars["softmax_scale"] * np.einsum("bihd,bjhd->bhij", queries, repeated)
    )


def _with_largest_score(raw: Raw, largest: float) -> Raw:
    """Q, by its weights, is multiplied by a factor with which the largest score is this one, or
    smaller where that takes too large a factor."""
    factor = largest / max(np.abs(_scores(raw)).max(), largest / _LARGEST_FACTOR)
    for name in ("weight_q", "lora_b_q"):
        raw.tensors[name] *= factor
    return raw


def _repeated(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Every token twice, the upstream gradients of the two nearly opposite. Without a mask what the
    two give to the gradients cancels to a sixteenth."""
    raw = _gaussian(generator, sizes, index)
    raw.scalars["causal"] = False
    x, upstream = raw.tensors["x"], raw.tensors["grad_output"]
    pairs = x.shape[1] // 2 * 2
    x[:, 1:pairs:2] = x[:, 0:pairs:2]
    upstream[:, 1:pairs:2] = _CANCELLING * upstream[:, 0:pairs:2]
    return raw


def _integers(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Small integers times powers of two: scores are exact, and many of them equal. One token is
    zero, as padding is, and the upstream gradient of another one."""
    raw = _gaussian(generator, sizes, index)
    scales = {"x": 0.5, "grad_output": 1.0}
    tensors = {
        name: signed_integers(generator, *tensor.shape, scale=scales.get(name, 0.125))
        for name, tensor in raw.tensors.items()
    }
    empty, ignored = different_rows(generator, sizes["batch"] * sizes["length"], 2)
    _tokens(tensors["x"])[empty] = 0
    _tokens(tensors["grad_output"])[ignored] = 0
    return Raw(tensors, raw.scalars)


def _rank_deficient(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Every A has a row of zeros and every B two proportional columns, so that both have rank r - 1
    at most."""
    raw = _gaussian(generator, sizes, index)
    for m in "qkv":
        raw.tensors[f"lora_a_{m}"][0] = 0
        b = raw.tensors[f"lora_b_{m}"]
        b[:, -1] = b[:, 1] * -0.5
    return raw


def _massive_query(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """One channel, which Q alone reads, is so large in one token that its largest score is
    thousands; those of the others are of order one.

    Of many draws it is the one in which, in every head, that score stands out most from the next,
    relative to its natural scale: no rounding, even in 16 bits, makes another key the largest. The
    token is the last, which sees all keys under a mask too.
    """
    best, found = -np.inf, None
    for _ in range(_DRAWS):
        raw = _gaussian(generator, sizes, index)
        for m in "kv":
            raw.tensors[f"weight_{m}"][:, 0] = 0
            raw.tensors[f"lora_a_{m}"][:, 0] = 0
        lone = np.zeros_like(raw.tensors["x"])
        lone[:, -1, 0] = 1
        queries = _projected(Raw({**raw.tensors, "x": lone}, raw.scalars), "q")[0, -1]
        keys = np.repeat(
            _projected(raw, "k")[0], int(sizes["num_heads"] // sizes["num_kv_heads"]), 1
        )
        scores = raw.scalars["softmax_scale"] * np.einsum("hd,jhd->hj", queries, keys)
        natural = np.abs(raw.scalars["softmax_scale"]) * np.einsum(
            "hd,jhd->hj", np.abs(queries), np.abs(keys)
        )
        ordered = np.sort(scores, axis=1)
        margin = float(((ordered[:, -1] - ordered[:, -2]) / natural.max(axis=1)).min())
        if margin > best:
            best, found = margin, (raw, min(_MASSIVE_SCORE / ordered[:, -1].max(), _MOST_MASSIVE))
    if found is None:
        raise ValueError("the channel that Q alone reads is the only one")
    raw, massive = found
    raw.tensors["x"][0, -1, 0] = massive
    return raw


def _subnormal(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """For each format some tokens whose activations, and others whose upstream gradients, are
    subnormal in it; they are zero in coarser formats."""
    raw = _gaussian(generator, sizes, index)
    x, upstream = _tokens(raw.tensors["x"]), _tokens(raw.tensors["grad_output"])
    rows = different_rows(generator, len(x), 2 * len(SMALLEST))
    for row, other, size in zip(rows[::2], rows[1::2], SMALLEST, strict=True):
        x[row] *= size
        upstream[other] *= size
    return raw


def _tokens(tensor: Array) -> Array:
    """(batch * length, ...); a view."""
    return tensor.reshape(-1, tensor.shape[-1])
