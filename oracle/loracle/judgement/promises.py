"""What a kernel promises of its own accuracy, which replaces bound and tolerance."""

from __future__ import annotations

from dataclasses import dataclass

from loracle.report import PromiseKind

__all__ = ["Promise", "promise_in_force"]


@dataclass(frozen=True)
class Promise:
    """limit: of the largest absolute error of one output in one call; not negative, maybe
    infinite, which promises nothing."""

    kind: PromiseKind
    limit: float


def promise_in_force(certificate: float | None, epsilon: float | None) -> Promise | None:
    """The smaller of what the call certified and of the epsilon of the run, since both must be
    kept; None if there is neither."""
    given = []
    if certificate is not None:
        given.append(Promise("certificate", certificate))
    if epsilon is not None:
        given.append(Promise("epsilon", epsilon))
    return min(given, key=lambda promise: promise.limit, default=None)
