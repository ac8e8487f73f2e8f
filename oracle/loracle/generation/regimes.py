"""The regimes: what kind of input a case has, which bugs only it reveals, and its sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from loracle.contracts import Contract
from loracle.generation import attention, attention_structures, linear, linear_structures, mha
from loracle.generation.sampling import Raw, Sizes, is_sharp

__all__ = ["REGIMES", "Regime", "regimes_of"]

_ATTENTION = ("aloragc", "lora-attention")


@dataclass(frozen=True)
class Regime:
    """One regime of the contracts it serves.

    reveals: which bugs need it. sizes: draws the sizes of case `index`; the inputs of a contract
    are drawn by makers[contract](generator, sizes, index), before rounding to the dtype. cases:
    how many a default run has, but for contracts with a number of their own in `cases_in`.
    on_request: a default run has none, since the contract does not promise it; it is named by
    whoever wants it.
    """

    name: str
    reveals: str
    makers: Mapping[str, Callable[[np.random.Generator, Sizes, int], Raw]]
    sizes: Mapping[str, Callable[[np.random.Generator, int], Sizes]]
    cases: int = 6
    on_request: bool = False
    cases_in: Mapping[str, int] = field(default_factory=dict)

    def cases_of(self, contract: str) -> int:
        """How many cases a default run of the contract has."""
        return self.cases_in.get(contract, self.cases)


def _choice(generator: np.random.Generator, options: Sequence[int]) -> int:
    return int(options[int(generator.integers(len(options)))])


def _attention_sizes(
    lengths: Sequence[int], dims: Sequence[int]
) -> Callable[[np.random.Generator, int], Sizes]:
    def draw(generator: np.random.Generator, index: int) -> Sizes:
        d = dims[index % len(dims)]
        # r = d every fourth case.
        rank = 1 + int(generator.integers(d)) if index % 4 else d
        queries = _choice(generator, lengths)
        # Every third case is self-attention's shape, L = M; the others tell L from M.
        keys = (
            queries if index % 3 == 2 else _choice(generator, [n for n in lengths if n != queries])
        )
        return {"L": queries, "M": keys, "d": d, "r": rank}

    return draw


def _linear_sizes(
    batches: Sequence[int], lengths: Sequence[int], widths: Sequence[int]
) -> Callable[[np.random.Generator, int], Sizes]:
    def draw(generator: np.random.Generator, index: int) -> Sizes:
        width = _choice(generator, widths)
        # Every second case is square: only there does a transposition pass the shape check.
        out = width if index % 2 == 0 else _choice(generator, widths)
        return {
            "batch": batches[index % len(batches)],
            "length": _choice(generator, lengths),
            "in": width,
            "out": out,
            "r": 1 + int(generator.integers(min(width, out))),
        }

    return draw


_MHA = "lora-mha"

_HEADS = ((6, 2), (2, 1), (4, 2), (2, 2), (3, 1), (3, 3))
"""Query heads and heads of keys. A group of three and two heads of keys tell h // 3 from h % 2."""

_ONE_HEAD = ("batch", "num_heads", "num_kv_heads", "head_dim", "r")


def _mha_sizes(
    lengths: Sequence[int],
    models: Sequence[int],
    head_dims: Sequence[int],
    *,
    heads: Sequence[tuple[int, int]] = _HEADS,
    batches: Sequence[int] = (1, 2),
) -> Callable[[np.random.Generator, int], Sizes]:
    """Every second case has two samples. num_heads * head_dim is left to differ from model."""

    def draw(generator: np.random.Generator, index: int) -> Sizes:
        queries, keys = heads[index % len(heads)]
        head_dim = head_dims[index % len(head_dims)]
        model = _choice(generator, models)
        return {
            "batch": batches[index % len(batches)],
            "length": _choice(generator, lengths),
            "model": model,
            "num_heads": queries,
            "num_kv_heads": keys,
            "head_dim": head_dim,
            "r": 1 + int(generator.integers(min(model, keys * head_dim))),
        }

    return draw


def _pinned(
    draw: Callable[[np.random.Generator, int], Sizes], pins: Mapping[int, Mapping[str, int | str]]
) -> Callable[[np.random.Generator, int], Sizes]:
    """Some sizes of some of every six cases are not left to chance; a symbol stands for its
    size."""

    def pinned(generator: np.random.Generator, index: int) -> Sizes:
        sizes = draw(generator, index)
        changed = pins.get(index % 6, {})
        return {**sizes, **{s: sizes[n] if isinstance(n, str) else n for s, n in changed.items()}}

    return pinned


def _designed_sizes(
    draw: Callable[[np.random.Generator, int], Sizes], sharp: Sizes
) -> Callable[[np.random.Generator, int], Sizes]:
    """The smallest sizes where the bound is to be the narrowest."""
    return lambda generator, index: sharp if is_sharp(index) else draw(generator, index)


_TYPICAL = _attention_sizes((5, 8, 12, 16, 24), (4, 6, 8, 3))
_SMALL = _attention_sizes((3, 4), (2, 3, 4))


def _norm_regime(name: str, multiple: float, reveals: str) -> Regime:
    return Regime(
        name,
        reveals,
        {
            "aloragc": lambda g, s, i: attention.aloragc_at_norm(g, s, multiple),
            "lora-attention": lambda g, s, i: attention.lora_attention_at_norm(g, s, i, multiple),
        },
        dict.fromkeys(_ATTENTION, _TYPICAL),
    )


_ALL: tuple[Regime, ...] = (
    Regime(
        "designed",
        "Every term has one sign, so that nothing cancels and the proven bound stays below"
        " twice the gradient: a wrong sign is proven wrong even in 16 bits, and by every sixth"
        " case, of the smallest sizes, a factor of 1.05 in lora-linear and of 1.4 in attention.",
        {
            "lora-linear": linear.designed,
            "aloragc": attention.aloragc_designed,
            "lora-attention": attention.lora_attention_designed,
            _MHA: mha.designed,
        },
        {
            "lora-linear": _designed_sizes(
                _linear_sizes((2, 1), (2, 3), (2, 3, 4)),
                {"batch": 1, "length": 2, "in": 2, "out": 2, "r": 1},
            ),
            **dict.fromkeys(_ATTENTION, _designed_sizes(_SMALL, {"L": 3, "M": 2, "d": 2, "r": 1})),
            _MHA: _designed_sizes(
                _mha_sizes((2, 3), (2, 4), (2, 1), heads=((3, 1), (2, 1), (2, 2)), batches=(1,)),
                dict.fromkeys(_ONE_HEAD, 1) | {"length": 2, "model": 2},
            ),
        },
    ),
    Regime(
        "typical",
        "Sizes of a unit test, multiples of 4 and 8 among them: fast paths that are taken for those"
        " alone.",
        {"lora-linear": linear.typical, _MHA: mha.typical},
        {
            "lora-linear": _pinned(
                _linear_sizes((2, 3, 2), (4, 7, 12), (6, 8, 12, 16)),
                {4: {"r": "in"}},
            ),
            _MHA: _mha_sizes((4, 6, 8), (6, 8, 10), (4, 3)),
        },
    ),
    _norm_regime(
        "sub-threshold",
        0.25,
        "Scores below the paper's threshold, where almost-linear algorithms must be accurate.",
    ),
    _norm_regime("threshold", 1.0, "Scores at the threshold, beta d Gamma^2 = log M."),
    _norm_regime(
        "super-threshold",
        4.0,
        "Scores above the threshold: approximations that hold only for small scores fail here.",
    ),
    Regime(
        "lora-init",
        "B = 0, as LoRA starts: the gradient of A is exactly zero and that of B is not; a kernel"
        " that divides by the product, or leaves out an adapter that does nothing yet, shows here.",
        {
            "lora-linear": linear.lora_init,
            "aloragc": attention.aloragc_lora_init,
            "lora-attention": attention.lora_attention_lora_init,
            _MHA: mha.lora_init,
        },
        {
            "lora-linear": _linear_sizes((2, 3), (3, 5), (4, 6, 9)),
            **dict.fromkeys(_ATTENTION, _attention_sizes((4, 6, 9), (3, 4, 6))),
            _MHA: _mha_sizes((3, 5), (5, 6), (3, 2)),
        },
        cases_in={_MHA: 2},
    ),
    Regime(
        "saturated",
        "Scores of about +-100 and nearly tied pairs of keys: a softmax that overflows, or that"
        " takes large scores for a choice of one key.",
        {
            "aloragc": attention.aloragc_saturated,
            "lora-attention": attention.lora_attention_saturated,
            _MHA: mha.saturated,
        },
        {
            **dict.fromkeys(_ATTENTION, _attention_sizes((4, 6, 10), (3, 4, 6))),
            _MHA: _mha_sizes((4, 6), (5, 7), (3, 4)),
        },
        cases_in={_MHA: 3},
    ),
    Regime(
        "ragged",
        "Sizes of a few tiles of 16 that are multiples of nothing: dropped or doubled tails of L,"
        " M, d or r.",
        {
            "lora-linear": linear.typical,
            "aloragc": lambda g, s, i: attention.aloragc_at_norm(g, s, 0.5),
            "lora-attention": lambda g, s, i: attention.lora_attention_at_norm(g, s, i, 0.5),
            _MHA: mha.typical,
        },
        {
            "lora-linear": _pinned(
                _linear_sizes((3, 1, 5), (7, 11, 17), (5, 7, 11, 13, 19)),
                {0: {"in": 19}, 1: {"r": 1}, 2: {"r": 3}},
            ),
            **dict.fromkeys(
                _ATTENTION,
                _pinned(
                    _attention_sizes((17, 19, 23, 37), (5, 7, 3, 11)),
                    {0: {"M": 37}, 1: {"r": 3}, 3: {"r": 1}},
                ),
            ),
            _MHA: _mha_sizes(
                (17, 19, 23), (7, 11, 13), (5, 3, 7), heads=((2, 1), (3, 1), (2, 2)), batches=(1,)
            ),
        },
        cases_in={_MHA: 3},
    ),
    Regime(
        "long",
        "More than one block of 64 or 128 in L, M and d, with a tail, and scalars beyond one:"
        " blocks that are skipped or combined wrongly, and scalars that are clamped.",
        {
            "lora-linear": linear.long,
            "aloragc": attention.aloragc_long,
            "lora-attention": attention.lora_attention_long,
            _MHA: mha.long,
        },
        {
            "lora-linear": _linear_sizes((2, 1), (65, 130), (66, 70)),
            # One query of 65 that is skipped is less than what bfloat16 rounds.
            **dict.fromkeys(
                _ATTENTION, _pinned(_attention_sizes((65, 97, 130), (16, 66)), {0: {"L": 130}})
            ),
            _MHA: _mha_sizes((65, 70), (20,), (9,), heads=((2, 1),), batches=(1,)),
        },
        cases=2,
        cases_in={_MHA: 1},
    ),
    Regime(
        "averaging",
        "Many elements and sums of one sign, in which the roundings of an honest kernel average"
        " out: there to make a factor suspect that is closer to one than a single rounding is.",
        {
            "lora-linear": linear.averaging,
            "aloragc": attention.aloragc_averaging,
            "lora-attention": attention.lora_attention_averaging,
            _MHA: mha.averaging,
        },
        {
            "lora-linear": _linear_sizes((2, 3), (11, 13), (13, 14, 15)),
            **dict.fromkeys(_ATTENTION, _attention_sizes((12, 10), (8, 9))),
            _MHA: _pinned(
                _mha_sizes((9, 10), (10, 12), (4, 5), heads=((2, 1),), batches=(1,)),
                {index: {"r": 4} for index in range(6)},
            ),
        },
        cases=12,
        cases_in={_MHA: 22},
    ),
    Regime(
        "tiny",
        "Sizes from one up: a single query, key, row or rank.",
        {
            "lora-linear": linear.typical,
            "aloragc": lambda g, s, i: attention.aloragc_at_norm(g, s, 1.0),
            "lora-attention": lambda g, s, i: attention.lora_attention_at_norm(g, s, i, 1.0),
            _MHA: mha.typical,
        },
        {
            "lora-linear": _pinned(
                _linear_sizes((1, 2), (1, 2, 3), (1, 2, 3)), {0: {"length": 1}, 1: {"r": 1}}
            ),
            **dict.fromkeys(
                _ATTENTION,
                _pinned(_attention_sizes((1, 2, 3), (1, 2, 3)), {0: {"L": 1}, 1: {"M": 1}}),
            ),
            _MHA: _pinned(
                _mha_sizes((1, 2, 3), (1, 2, 3), (1, 2), heads=((2, 1), (1, 1), (2, 2))),
                {0: {"length": 1}, 1: {"r": 1}},
            ),
        },
        cases_in={_MHA: 4},
    ),
    Regime(
        "structured",
        "Repeated tokens and duplicate keys, integers with ties and zero tokens, adapters of"
        " deficient rank: look-ups by value, zeros taken for padding, ranks pruned because a part"
        " of them is zero, and whatever holds for Gaussian inputs alone.",
        {
            "lora-linear": linear_structures.structured,
            **{name: attention_structures.structured(name) for name in _ATTENTION},
            _MHA: mha.structured,
        },
        {
            "lora-linear": _pinned(
                _linear_sizes((2, 3), (4, 6), (5, 6)), {2: {"r": 3}, 5: {"r": 3}}
            ),
            # Few keys where one of them is zero, lest its weight be less than what bfloat16 rounds.
            **dict.fromkeys(
                _ATTENTION,
                _pinned(
                    _attention_sizes((6, 8, 10), (4, 6)),
                    {1: {"M": 4}, 2: {"r": 3}, 4: {"M": 4}, 5: {"r": 3}},
                ),
            ),
            _MHA: _pinned(
                _mha_sizes((6,), (5, 6), (3, 4), heads=((6, 2), (2, 1), (4, 2)), batches=(1,)),
                {2: {"r": 3}, 5: {"r": 3}},
            ),
        },
        cases=3,
    ),
    Regime(
        "extreme",
        "One massive activation, which makes scores of 10^4, and subnormal tokens: maxima, scales"
        " and thresholds that are shared between tokens, values that are clipped, and reciprocals"
        " that overflow.",
        {
            "lora-linear": linear_structures.extreme,
            **{name: attention_structures.extreme(name) for name in _ATTENTION},
            _MHA: mha.extreme,
        },
        {
            "lora-linear": _linear_sizes((2, 3), (4, 6), (5, 6)),
            **dict.fromkeys(_ATTENTION, _attention_sizes((6, 8, 10), (4, 6))),
            _MHA: _mha_sizes((6, 8), (5, 6), (3, 4), heads=((2, 1), (3, 1)), batches=(1,)),
        },
        cases=2,
    ),
    Regime(
        "layouts",
        "An upstream gradient that is not contiguous, as that of a transposition, of a slice of Q,"
        " K and V, or of a sum (stride 0): kernels that read it as if it were, or cannot view it.",
        {"lora-linear": linear_structures.layouts, _MHA: mha.layouts},
        {
            "lora-linear": _linear_sizes((2, 3), (3, 5), (4, 6)),
            _MHA: _mha_sizes((3, 5), (4, 6), (3, 2), batches=(2,)),
        },
        cases=3,
    ),
    Regime(
        "two-dimensional",
        "x, the output and their gradients without the axis of the batch: sums over an axis that is"
        " counted from the front.",
        {"lora-linear": linear_structures.two_dimensional},
        {"lora-linear": _linear_sizes((1,), (5, 8, 13), (4, 6, 9))},
        on_request=True,
    ),
    Regime(
        "four-dimensional",
        "x, the output and their gradients with two axes of batches: sums that leave one of them"
        " out.",
        {"lora-linear": linear_structures.four_dimensional},
        {"lora-linear": _linear_sizes((4, 6), (3, 5), (4, 6, 9))},
        on_request=True,
    ),
)

REGIMES: Mapping[str, Regime] = {regime.name: regime for regime in _ALL}
"""The regimes by name, in the order in which a run takes them."""


def regimes_of(contract: Contract, *, on_request: bool = False) -> tuple[str, ...]:
    """The names of the regimes that serve the contract in a default run, and, if asked for, of
    those that it has on request."""
    return tuple(
        name
        for name, regime in REGIMES.items()
        if contract.name in regime.makers and (on_request or not regime.on_request)
    )
