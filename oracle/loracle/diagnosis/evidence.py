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

_MOST_GROWTH = 16.0
"""The slack grows with the hypothesis no further: a truth that is smaller still has cancelled, and
its slack is that of the terms that did. (For a zero truth anything would be close.)"""


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
        hypothesis (within limits) where that is larger than the truth."""
        largest = max(float(np.max(np.abs(self.truth), initial=0.0)), 1e-300)
        growth = float(np.max(np.abs(hypothesis), initial=0.0)) / largest
        scale = min(max(1.0, growth), _MOST_GROWTH)
        return self._distance(hypothesis) / max(self.slack * scale, 1e-300)

    def explained_by(self, hypothesis: Array) -> bool:
        """Whether the result is what the hypothesis gives, up to rounding, and clearly closer to it
        than to the truth."""
        near, far = self._distance(hypothesis), self._distance(self.truth)
        return self.closeness(hypothesis) <= _CLOSE and near <= _CLOSER * far

    def _distance(self, other: Array) -> float:
        with np.errstate(invalid="ignore", over="ignore"):
            return float(np.max(np.abs(self.computed - other)))
