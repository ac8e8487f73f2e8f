"""What the diagnosis of one output sees of one failing case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract

__all__ = ["Evidence"]

Array = npt.NDArray[np.float64]

_CLOSE = 1.5
"""Units of slack: a wrong kernel has rounding errors of its own, no larger than an honest one's."""

_CLOSER = 0.6
"""Distance to the hypothesis over distance to the truth, at most."""


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

    def clarity(self) -> float:
        """The error in units of slack: more than 1, or the case would not be failing."""
        return self._distance(self.truth) / max(self.slack, 1e-300)

    def closeness(self, hypothesis: Array) -> float:
        """Distance of computed and hypothesis in units of slack, the slack grown with the
        hypothesis where that is larger than the truth."""
        largest = max(float(np.max(np.abs(self.truth), initial=0.0)), 1e-300)
        scale = max(1.0, float(np.max(np.abs(hypothesis), initial=0.0)) / largest)
        return self._distance(hypothesis) / max(self.slack * scale, 1e-300)

    def explained_by(self, hypothesis: Array) -> bool:
        """Whether the result is what the hypothesis gives, up to rounding, and clearly closer to it
        than to the truth."""
        closeness = self.closeness(hypothesis)
        return closeness <= _CLOSE and closeness <= _CLOSER * self.clarity()

    def _distance(self, other: Array) -> float:
        with np.errstate(invalid="ignore", over="ignore"):
            return float(np.max(np.abs(self.computed - other)))
