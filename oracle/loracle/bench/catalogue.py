"""What can be measured, and what has to be known of it before it runs. Never imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from loracle.errors import UsageError

__all__ = ["DTYPE_BYTES", "METHODS", "Method", "Promise", "estimated_bytes", "method_named"]

Promise = Literal["probabilities", "gradient"]
"""What a certified method promises: errors of at most epsilon times the natural scale ("gradient"),
or also that its outputs are the gradients for probabilities within epsilon of the exact ones."""

DTYPE_BYTES: Mapping[str, int] = {"float32": 4, "float64": 8}
"""The dtypes that a run can have, and the bytes of a number in them."""

_SCORE_MATRICES = 5
"""Matrices of L x L that autograd holds at once: scores, exponentials, probabilities, and the
gradients of two of them."""


@dataclass(frozen=True)
class Method:
    """One way to the six gradients; docs/bench.md says which.

    exact: but for rounding; its time goes with the square of the length. promise: of a certified
    method, else None.
    """

    name: str
    exact: bool
    promise: Promise | None = None


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("almost-linear", exact=False, promise="probabilities"),
        Method("almost-linear-gradient", exact=False, promise="gradient"),
        Method("streaming", exact=True),
        Method("sdpa", exact=True),
        Method("sdpa-bf16", exact=True),
        Method("eager", exact=True),
    )
}
"""The methods by name."""


def method_named(name: str) -> Method:
    """The method called `name`; raises UsageError, naming the closest ones, if there is none."""
    if name in METHODS:
        return METHODS[name]
    close = get_close_matches(name, METHODS, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(METHODS)}"
    raise UsageError(f"unknown method {name!r}; {hint}")


def estimated_bytes(method: str, *, length: int, heads: int, dtype: str, device: str) -> int | None:
    """What L x L matrices the method will hold, in bytes; None for methods that hold none.

    torch has no fused attention for float64 on CUDA, so `sdpa` forms the scores there.
    """
    unfused = method == "sdpa" and dtype == "float64" and device.startswith("cuda")
    if method == "eager" or unfused:
        return _SCORE_MATRICES * heads * length**2 * DTYPE_BYTES[dtype]
    return None
