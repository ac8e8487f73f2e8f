"""The regimes: what kind of input a case has, which bugs only it reveals, and its sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loracle.contracts import Contract
from loracle.generation import attention, linear
from loracle.generation.sampling import Raw, Sizes, is_sharp

__all__ = ["REGIMES", "Regime", "regimes_of"]

_ATTENTION = ("aloragc", "lora-attention")


@dataclass(frozen=True)
class Regime:
    """One regime of the contracts it serves.

    reveals: which bugs need it. sizes: draws the sizes of case `index`; the inputs of a contract
    are drawn by makers[contract](generator, sizes, index), before rounding to the dtype. cases:
    how many a default run has.
    """

    name: str
    reveals: str
    makers: Mapping[str, Callable[[np.random.Generator, Sizes, int], Raw]]
    sizes: Mapping[str, Callable[[np.random.Generator, int], Sizes]]
    cases: int = 6


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
        },
        {
            "lora-linear": _designed_sizes(
                _linear_sizes((2, 1), (2, 3), (2, 3, 4)),
                {"batch": 1, "length": 2, "in": 2, "out": 2, "r": 1},
            ),
            **dict.fromkeys(_ATTENTION, _designed_sizes(_SMALL, {"L": 3, "M": 2, "d": 2, "r": 1})),
        },
    ),
    Regime(
        "typical",
        "Gaussian inputs at the sizes of a unit test, square and rectangular weights, batch of two"
        " and more.",
        {"lora-linear": linear.typical},
        {"lora-linear": _linear_sizes((2, 3, 2), (4, 7, 12), (6, 8, 12, 16))},
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
        " that divides by the product, or returns noise for zero, shows here.",
        {
            "lora-linear": linear.lora_init,
            "aloragc": attention.aloragc_lora_init,
            "lora-attention": attention.lora_attention_lora_init,
        },
        {
            "lora-linear": _linear_sizes((2, 3), (3, 5), (4, 6, 9)),
            **dict.fromkeys(_ATTENTION, _attention_sizes((4, 6, 9), (3, 4, 6))),
        },
    ),
    Regime(
        "saturated",
        "Scores of about +-100 and nearly tied pairs of keys: a softmax without subtraction of the"
        " maximum overflows, and one that rounds its scores picks the wrong key.",
        {
            "aloragc": attention.aloragc_saturated,
            "lora-attention": attention.lora_attention_saturated,
        },
        dict.fromkeys(_ATTENTION, _attention_sizes((4, 6, 10), (3, 4, 6))),
    ),
    Regime(
        "ragged",
        "Sizes that are multiples of nothing: dropped or doubled tails of L, M, d or r.",
        {
            "lora-linear": linear.typical,
            "aloragc": lambda g, s, i: attention.aloragc_at_norm(g, s, 0.5),
            "lora-attention": lambda g, s, i: attention.lora_attention_at_norm(g, s, i, 0.5),
        },
        {
            "lora-linear": _linear_sizes((3, 1, 5), (7, 11, 17), (5, 7, 11, 13, 19)),
            **dict.fromkeys(_ATTENTION, _attention_sizes((17, 19, 23, 37), (5, 7, 3, 11))),
        },
    ),
    Regime(
        "long",
        "More than one block of 64 or 128 in L, M and d, with a tail, and scalars beyond one:"
        " blocks that are skipped or combined wrongly, and scalars that are clamped.",
        {
            "lora-linear": linear.long,
            "aloragc": attention.aloragc_long,
            "lora-attention": attention.lora_attention_long,
        },
        {
            "lora-linear": _linear_sizes((2, 1), (65, 130), (66, 70)),
            **dict.fromkeys(_ATTENTION, _attention_sizes((65, 97, 130), (16, 66))),
        },
        cases=2,
    ),
    Regime(
        "averaging",
        "Many elements and sums of one sign, in which the roundings of an honest kernel average"
        " out: there to make a factor suspect that is closer to one than a single rounding is.",
        {
            "lora-linear": linear.averaging,
            "aloragc": attention.aloragc_averaging,
            "lora-attention": attention.lora_attention_averaging,
        },
        {
            "lora-linear": _linear_sizes((2, 3), (5, 6), (20, 24, 28)),
            **dict.fromkeys(_ATTENTION, _attention_sizes((12, 10), (8, 9))),
        },
        cases=12,
    ),
    Regime(
        "tiny",
        "Sizes from one up: a single query, key, row or rank.",
        {
            "lora-linear": linear.typical,
            "aloragc": lambda g, s, i: attention.aloragc_at_norm(g, s, 1.0),
            "lora-attention": lambda g, s, i: attention.lora_attention_at_norm(g, s, i, 1.0),
        },
        {
            "lora-linear": _linear_sizes((1, 2), (1, 2, 3), (1, 2, 3)),
            **dict.fromkeys(_ATTENTION, _attention_sizes((1, 2, 3), (1, 2, 3))),
        },
    ),
)

REGIMES: Mapping[str, Regime] = {regime.name: regime for regime in _ALL}
"""The regimes by name, in the order in which a run takes them."""


def regimes_of(contract: Contract) -> tuple[str, ...]:
    """The names of the regimes that serve the contract."""
    return tuple(name for name, regime in REGIMES.items() if contract.name in regime.makers)
