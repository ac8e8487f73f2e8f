"""What the diagnosis of one output sees of one failing case."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle_reference.floating_point import FORMATS

__all__ = ["CLOSE", "Evidence"]

Array = npt.NDArray[np.float64]

CLOSE = 1.5
"""Units of slack: a wrong kernel has rounding errors of its own, no larger than an honest one's."""

_CLOSER = 0.6
"""Distance to the hypothesis over distance to the truth, at most."""

_MUCH_CLOSER = 1 / 32
_FEW_ROUNDINGS = 16
"""Distance over that to the truth, and over unit roundoff times the hypothesis (`_roundings_of`),
at most, where the hypothesis is so much larger than the truth that the slack says nothing of its
errors; of exponentials of which a rounding is larger than the truth, to be closer is enough."""

_MOST_GROWTH = 16.0
"""The slack grows with the hypothesis no further: a truth that is smaller still has cancelled, and
its slack is that of the terms that did. (For a zero truth anything would be close.)"""

_ECHO = 0.3
"""Distance to a pattern of rounding errors over distance to the truth, both in the Frobenius norm,
at most: a correlation of more than 0.95 with what is as good as random is no chance."""

_FEWEST_FOR_ECHO = 4
_MOST_ENTRIES = 8
_MOST_BITS = 16.0


@dataclass(frozen=True)
class Evidence:
    """One output of one failing case.

    computed and truth: arrays of the output's shape, float64. slack: the largest absolute error
    that an honest kernel of this output may have here (the smaller of calibrated tolerance and
    proven bound); a hypothesis explains the case if it comes that close, allowance for its own
    scale made. dtype: the storage format the kernel was judged in. bound: what the result was
    judged by, entrywise, where that is known: a case may fail by small entries of which the slack,
    that of the largest, says nothing.
    """

    contract: Contract
    inputs: Inputs
    output: str
    computed: Array
    truth: Array
    slack: float
    dtype: str
    bound: Array | None = None

    @cached_property
    def finite(self) -> bool:
        """Whether every entry of the result is."""
        return bool(np.isfinite(self.computed).all())

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the inputs: what tells two sizes of a case apart."""
        return tuple(tensor.shape for tensor in self.inputs.tensors.values())

    def clarity(self) -> float:
        """The error in units of slack: more than 1, or the case would not be failing."""
        return self._error / max(self.slack, 1e-300)

    def closeness(self, hypothesis: Array, factor: float = 1.0) -> float:
        """Distance of computed and hypothesis in units of slack, the slack grown with the
        hypothesis (within limits) where that is larger than the truth.

        factor: what an honest result is multiplied by in the hypothesis, and its errors with it.
        Near zero the slack of the truth would let every small factor pass for every other.
        """
        scale = min(max(1.0, _largest(hypothesis) / self._largest_truth), _MOST_GROWTH)
        slack = self.slack * scale
        if abs(factor) < 1:
            slack = min(slack, slack * abs(factor) + self._lost_near_zero)
        return self._distance(hypothesis) / max(slack, 1e-300)

    def explained_by(
        self, hypothesis: Array, factor: float = 1.0, *, exponential: bool = False
    ) -> bool:
        """Whether the result is what the hypothesis gives, up to rounding, and clearly closer to it
        than to the truth. factor: see `closeness`. exponential: the hypothesis is large by an
        exponential that no sum divides.

        Up to rounding: by the slack, or, as the terms of a hypothesis may be much larger than those
        of the truth, by a few roundings of its largest entry, if it is that much closer.
        """
        near = self._distance(hypothesis)
        if not near <= _CLOSER * self._error:
            return False
        largest = _largest(hypothesis)
        exponential = exponential and bool(self.truth.any())
        dwarfs = exponential and largest * self._unit_roundoff > self._largest_truth
        much_closer = dwarfs or near <= _MUCH_CLOSER * self._error
        if much_closer and near <= self._roundings_of(largest, exponential=exponential):
            return True
        return self.closeness(hypothesis, factor) <= CLOSE

    def explained_where_beyond(self, hypothesis: Array, factor: float = 1.0) -> bool:
        """The same of the entries that are beyond their bounds, in units of these, where the
        largest error is within the slack: then the largest entries differ by their roundings, be
        it from the hypothesis or from the truth, and do not tell which of the two it is."""
        if self.bound is None or self.clarity() > 1 or not self._distance(hypothesis) <= self.slack:
            return False
        error, near = np.abs(self.computed - self.truth), np.abs(self.computed - hypothesis)
        beyond = error > self.bound
        allowed = CLOSE * min(abs(factor), 1.0) * self.bound
        closer = (near <= _CLOSER * error) & (near <= allowed)
        return bool(beyond.any() and closer[beyond].all())

    def allows(self, hypothesis: Array, factor: float = 1.0) -> bool:
        """Whether the result may be that of the hypothesis, up to rounding, whatever it is to the
        truth. factor: see `closeness`."""
        return self.closeness(hypothesis, factor) <= CLOSE

    def lean(self, hypothesis: Array) -> float:
        """The bits by which the result is nearer to the hypothesis than to the truth, in the
        Frobenius norm; negative where it is farther. Entries count as in `bits`."""
        near, far = self._norms(hypothesis)
        entries = min(self.truth.size, _MOST_ENTRIES)
        if near == far:
            return 0.0
        if near == 0 or far == 0 or not math.isfinite(near):
            return entries * _MOST_BITS * (1 if near == 0 else -1)
        return entries * min(max(math.log2(far / near), -_MOST_BITS), _MOST_BITS)

    def echoed_by(self, hypothesis: Array) -> bool:
        """Whether the error is, but for a few entries, the one that the hypothesis has: of
        intermediates rounded elsewhere, where a value near a tie may go the other way."""
        if self.truth.size < _FEWEST_FOR_ECHO or not np.isfinite(hypothesis).all():
            return False
        near, far = self._norms(hypothesis)
        return near <= _ECHO * far

    def _norms(self, hypothesis: Array) -> tuple[float, float]:
        """The distances to the hypothesis and to the truth, in the Frobenius norm."""
        with np.errstate(invalid="ignore", over="ignore"):
            near = float(np.linalg.norm(self.computed - hypothesis))
            return near, float(np.linalg.norm(self.computed - self.truth))

    def bits(self, hypothesis: Array) -> float:
        """How much a match says: per entry, the bits by which the error exceeds the slack and the
        distance to the hypothesis, or all there are if that is none. Few entries count, as those of
        a product of low rank are not independent. Nothing is said by a result that is so near to
        zero that anything small would do."""
        entries = min(self.truth.size, _MOST_ENTRIES)
        if np.array_equal(self.computed, hypothesis):
            return entries * _MOST_BITS
        near = self._distance(hypothesis)
        if self.finite and near > _CLOSER * _largest(self.computed):
            return 0.0
        ratio = self._error / max(self.slack, near, 1e-300)
        return entries * min(math.log2(ratio), _MOST_BITS) if ratio > 1 else 0.0

    def bits_of_echo(self, hypothesis: Array) -> float:
        """The same of an echo, whose few stray entries say nothing of the others: by the norms."""
        if not self.echoed_by(hypothesis):
            return 0.0
        near, far = self._norms(hypothesis)
        entries = min(self.truth.size, _MOST_ENTRIES)
        return entries * min(math.log2(far / near), _MOST_BITS) if near else entries * _MOST_BITS

    def most_bits(self) -> float:
        """What a match can say that is not the very result."""
        entries = min(self.truth.size, _MOST_ENTRIES)
        return entries * min(math.log2(max(self.clarity(), 1.0)), _MOST_BITS)

    def factor_of(self, hypothesis: Array) -> float | None:
        """The c with which c times the hypothesis is nearest to the result, in the Frobenius norm;
        None if the hypothesis is zero or not finite."""
        with np.errstate(invalid="ignore", over="ignore"):
            norm = float((hypothesis * hypothesis).sum())
            product = float((self.computed * hypothesis).sum())
        return product / norm if 0 < norm < math.inf and math.isfinite(product) else None

    def _roundings_of(self, largest: float, *, exponential: bool) -> float:
        """A few roundings of a number. exp(t) has t times the relative error of t, which is at
        least the logarithm of how much larger than the truth the number is."""
        growth = math.log(max(largest / self._largest_truth, 1.0)) if exponential else 0.0
        return _FEW_ROUNDINGS * self._unit_roundoff * (1 + growth) * largest

    @property
    def _unit_roundoff(self) -> float:
        return FORMATS[self.dtype].unit_roundoff

    @property
    def _lost_near_zero(self) -> float:
        storage = FORMATS[self.dtype]
        return _FEW_ROUNDINGS * storage.smallest_normal * storage.unit_roundoff

    @cached_property
    def _error(self) -> float:
        return self._distance(self.truth)

    @cached_property
    def _largest_truth(self) -> float:
        return max(_largest(self.truth), 1e-300)

    def _distance(self, other: Array) -> float:
        """In the max norm. Two entries of which neither is finite are equal, whatever they are."""
        with np.errstate(over="ignore", invalid="ignore"):
            distance = float(np.abs(self.computed - other).max(initial=0.0))
        if distance < math.inf:
            return distance
        here, there = np.isfinite(self.computed), np.isfinite(other)
        if (here != there).any():
            return math.inf
        with np.errstate(over="ignore"):
            return float(np.max(np.abs(self.computed - other), initial=0.0, where=here))


def _largest(values: Array) -> float:
    """The largest finite magnitude."""
    return float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values)))
