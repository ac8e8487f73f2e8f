"""One of the equal calls of one case, judged for one output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.cases import Case
from loracle.judgement.bounds import ProvenBound
from loracle.judgement.promises import Promise
from loracle.judgement.reference import CaseReference
from loracle.judgement.verdicts import Judgement, errors_of, judge
from loracle.observation import FurtherRun
from loracle.report import BEYOND_PLAN, Diagnosis, ErrorMap
from loracle_reference.enclosure import Enclosure

__all__ = ["JudgedRun", "judge_run"]

_RANK = {"pass": 0, "no_evidence": 1, "suspect": 2, "fail": 3}


@dataclass(frozen=True)
class JudgedRun:
    """One of the equal calls of one case, for one output. bound: what it was judged by, entrywise.
    promise: what replaced bound and tolerance. how: what tells it from the first call, empty for
    that. remarks: what is to be said of it beside the diagnosis."""

    case: Case
    computed: npt.NDArray[np.float64]
    truth: Enclosure
    bound: npt.NDArray[np.float64]
    promise: Promise | None
    judgement: Judgement
    how: str
    remarks: tuple[Diagnosis, ...]

    @property
    def badness(self) -> tuple[int, float]:
        """Greater for the worse of two."""
        return _RANK[self.judgement.verdict], _badness(self.judgement)

    @property
    def beyond_plan_alone(self) -> bool:
        """Whether it fails by the bound of its plan and would not without one."""
        return any(remark.hypothesis == BEYOND_PLAN for remark in self.remarks)

    @property
    def errors(self) -> ErrorMap:
        return ErrorMap(
            case=str(self.case),
            truth=self.truth.mid,
            computed=self.computed,
            error=errors_of(self.computed, self.truth),
            bound=self.bound,
            tolerance=self.judgement.tolerance,
            element=self.judgement.element,
        )


def judge_run(
    reference: CaseReference, run: FurtherRun, output: str, promise: Promise | None
) -> JudgedRun:
    """By bound and tolerance, or by what is promised in their place."""
    truth, proven = reference.truth[output], reference.proven[output]
    computed, tolerance = run.outputs[output], reference.null[output].tolerance
    limit = None if promise is None else promise.limit
    judgement = judge(computed, truth, proven, tolerance, limit)
    unplanned = None if promise else proven.unplanned
    remarks: tuple[Diagnosis, ...] = ()
    if judgement.non_finite:
        text = f"{output} is not finite where the true value is"
        remarks = (Diagnosis("non-finite", text),)
    elif judgement.verdict == "fail" and promise and promise.kind == "certificate":
        text = f"{output} is beyond its own certificate"
        if judge(computed, truth, proven, tolerance).verdict == "pass":
            text += "; by bound and tolerance it would pass"
        remarks = (Diagnosis("false-certificate", text),)
    elif judgement.verdict == "fail" and unplanned is not None:
        every = ProvenBound(unplanned, proven.overflow_free)
        otherwise = judge(computed, truth, every, tolerance).verdict
        if otherwise != "fail":
            text = (
                f"{output} is beyond the bound of the evaluation plan, but within"
                " that of every legal evaluation: it is wrong or does not follow the plan"
            )
            if otherwise == "suspect":
                text += ", and it is beyond the calibrated tolerance too"
            remarks = (Diagnosis("beyond-plan", text),)
    bound = proven.bound if limit is None else np.full(computed.shape, limit)
    return JudgedRun(reference.case, computed, truth, bound, promise, judgement, run.how, remarks)


def _badness(judgement: Judgement) -> float:
    return judgement.error_to_bound if judgement.verdict == "fail" else judgement.error_to_tolerance
