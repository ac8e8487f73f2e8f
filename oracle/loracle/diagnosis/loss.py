"""The residual c: the target is ignored or added, or another upstream gradient stands for c."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.attention_forms import Steps, changed, deviating
from loracle.diagnosis.hypothesis import Hypothesis

__all__ = ["RESIDUALS", "TARGETS"]

Array = npt.NDArray[np.float64]

TARGETS: tuple[Hypothesis, ...] = (
    changed(
        "target-ignored",
        "{output} is the gradient for y = 0: the target does not enter",
        "c",
        lambda problem: replace(problem, y=np.zeros_like(problem.y)) if problem.y.any() else None,
    ),
    changed(
        "wrong-sign",
        "{output} is the gradient for -y: the target is added",
        "c",
        lambda problem: replace(problem, y=-problem.y) if problem.y.any() else None,
    ),
)


def _replaced(what: str, by: Callable[[Array], Array]) -> Hypothesis:
    def residual(z: Array, y: Array) -> Array:
        return np.asarray(np.broadcast_to(by(np.asarray(z - y)), z.shape))

    return deviating(
        "upstream-replaced",
        f"{{output}} is what {what} in place of the residual c gives",
        "c",
        lambda problem: Steps(residual=residual),
    )


RESIDUALS: tuple[Hypothesis, ...] = (
    _replaced("ones", np.ones_like),
    _replaced("the mean of each row of c", lambda c: np.asarray(c.mean(axis=1, keepdims=True))),
    _replaced("the mean of c", lambda c: np.asarray(c.mean())),
)
