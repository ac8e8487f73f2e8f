"""From the contract's scaling s to the alpha of packages that divide it by the rank themselves."""

from __future__ import annotations

__all__ = ["alpha_for"]


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
