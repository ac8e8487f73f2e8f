"""From the contract's scaling s to the alpha of packages that divide it by the rank themselves."""

from __future__ import annotations

import math

__all__ = ["alpha_for", "alpha_for_root"]


def alpha_for(scaling: float, rank: int) -> float:
    """The alpha with alpha / rank == scaling, bit for bit.

    Raises ValueError if no rounding of scaling * rank gives that: the package could then only be
    judged for another scaling than the one asked for. Scalings of few bits, which are what the
    oracle generates, always have one.
    """
    alpha = scaling * rank
    if alpha / rank != scaling:
        raise ValueError(f"no lora_alpha has lora_alpha / {rank} == {scaling!r} in floating point")
    return alpha


def alpha_for_root(scaling: float, rank: int) -> float:
    """The alpha whose alpha / sqrt(rank), which rank-stabilised LoRA takes, is nearest to scaling.

    That is scaling, bit for bit, or a neighbour of it: the one rounding of a float argument that a
    contract allows. Raises ValueError if it is farther, which no scaling of ordinary size is.
    """
    root = math.sqrt(rank)
    alpha = scaling * root
    near = (alpha, math.nextafter(alpha, -math.inf), math.nextafter(alpha, math.inf))
    best = min(near, key=lambda a: abs(a / root - scaling))
    if abs(best / root - scaling) > math.ulp(scaling):
        raise ValueError(f"no lora_alpha has lora_alpha / sqrt({rank}) next to {scaling!r}")
    return best
