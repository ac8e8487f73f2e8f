"""What is found of an output across all cases: that it is biased, and by which mistake."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from loracle.cases import Case
from loracle.contracts import Contract
from loracle.diagnosis import Evidence, diagnose_together
from loracle.generation import generate
from loracle.judgement.bias import BiasTest, FoundBias
from loracle.judgement.reference import CaseReference
from loracle.report import Diagnosis

__all__ = ["Bias", "Leaning"]

Array = npt.NDArray[np.float64]

_MOST_KEPT = 64
_MOST_ELEMENTS = 1 << 14
"""Of a case that is kept: the diagnosis needs many cases, not large ones."""


@dataclass(frozen=True)
class _Kept:
    """What cannot be made again of a case: see `Evidence`."""

    case: Case
    computed: Array
    truth: Array
    slack: float


@dataclass(frozen=True)
class Bias:
    """diagnosis: empty where neither a known mistake nor one factor fits. reason: how large the
    bias is, and how sure."""

    cases: int
    diagnosis: tuple[Diagnosis, ...]
    reason: str

    @property
    def is_explained(self) -> bool:
        """Whether a mistake is named, and not just its mean factor."""
        return any(one.hypothesis != "constant-factor" for one in self.diagnosis)


@dataclass
class Leaning:
    """The bias test of one output, and some of its cases for a diagnosis: every n-th, n doubled
    when there are too many."""

    contract: Contract
    output: str
    test: BiasTest = field(default_factory=BiasTest)
    _kept: list[_Kept] = field(default_factory=list)
    _counted: int = 0
    _every: int = 1

    def add(self, reference: CaseReference, computed: Array) -> None:
        """One case that counts for the bias."""
        truth, null = reference.truth[self.output].mid, reference.null[self.output]
        if not self.test.add(computed, truth, null) or truth.size > _MOST_ELEMENTS:
            return
        if self._counted % self._every == 0:
            slack = min(null.tolerance, float(reference.proven[self.output].bound.max()))
            self._kept.append(_Kept(reference.case, computed, truth, slack))
        self._counted += 1
        if len(self._kept) > _MOST_KEPT:
            del self._kept[1::2]
            self._every *= 2

    def found(self) -> Bias | None:
        """The bias with its diagnosis, if there is one beyond doubt."""
        found = self.test.result()
        if found is None:
            return None
        mean, is_one_factor = self.test.in_common()
        times = f"the true value times {_factor(mean)}"
        text = f"{self.output} is on average {times}, over {found.cases} cases"
        one = Diagnosis("constant-factor", text) if is_one_factor else None
        diagnosis = diagnose_together(self._evidence(), 1 + mean, one)
        return Bias(found.cases, diagnosis, _reason(found, "" if diagnosis else times))

    def _evidence(self) -> list[Evidence]:
        return [
            Evidence(
                self.contract,
                generate(kept.case),
                self.output,
                kept.computed,
                kept.truth,
                kept.slack,
                kept.case.dtype,
            )
            for kept in self._kept
        ]


def _factor(bias: float) -> str:
    """1 + bias, of which something remains to be seen."""
    if abs(bias) > 1e-5:
        return f"{1 + bias:.6g}"
    return f"1 {'-' if bias < 0 else '+'} {abs(bias):.2g}"


def _reason(found: FoundBias, unnamed: str) -> str:
    """unnamed: the mean factor in words, where no name says it."""
    size = (
        f"biased across cases: {found.z:.1f} standard deviations, honest evaluations stay below"
        f" {found.threshold:.1f}"
    )
    return f"{size}; on average {unnamed}, but not by one factor" if unnamed else size
