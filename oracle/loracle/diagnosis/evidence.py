"""What the diagnosis of one output sees of one failing case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract

__all__ = ["Evidence"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """One output of one failing case.

    computed and truth: arrays of the output's shape, float64. slack: the largest absolute error
    that an honest kernel of this output may have here (the smaller of calibrated tolerance and
    proven bound); a hypothesis explains the case if it comes that close, allowance for its own
    scale made.
    """

    contract: Contract
    inputs: Inputs
    output: str
    computed: Array
    truth: Array
    slack: float

    def closeness(self, hypothesis: Array) -> float:
        """Distance of computed and hypothesis in units of slack, the slack grown with the
        hypothesis where that is larger than the truth."""
        size = float(np.max(np.abs(hypothesis), initial=0.0))
        scale = max(1.0, size / max(float(np.max(np.abs(self.truth), initial=0.0)), 1e-300))
        with np.errstate(invalid="ignore", over="ignore"):
            distance = float(np.max(np.abs(self.computed - hypothesis)))
        return distance / max(self.slack * scale, 1e-300)

    def tells_apart(self, hypothesis: Array) -> bool:
        """Whether the hypothesis is far enough from the truth here for a match to mean anything."""
        with np.errstate(invalid="ignore", over="ignore"):
            distance = float(np.max(np.abs(self.truth - hypothesis)))
        return distance > 4 * self.slack
