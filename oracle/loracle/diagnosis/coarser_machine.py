"""The generic diagnosis of errors that look like those of roundings, only larger."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.formats import PRECISIONS, coarser_than, rounded
from loracle.report import Diagnosis

__all__ = ["coarser_machine"]

_TYPICAL = math.log2(0.15)
"""log2 of the largest error of an honest kernel over the slack, which is an envelope plus ten
standard deviations: the slack grows with the unit roundoff, and so does the error."""

_SLACK = 3.5
"""Bits by which an error may be larger than that of a machine whose numbers the results are."""

_GAINED = {"lora-linear": 1.8}
_GAINED_ELSEWHERE = 4.5
"""Bits that a machine which rounds the operands of products alone gains over one that rounds every
partial sum, from which the tolerance is made (measured; the softmax rounds most)."""

_OFF = 1.6
_MOST_DEVIATION = 1.8
"""Bits: of the mean over the cases from what is expected, and of the cases among one another."""

_FEWEST_CASES = 8
_FEWEST_SIZES = 4
_FEWEST_VALUES = 16
_LEAST_DIFFERENCE = 8
"""Bits between the dtype and a coarser format: with fewer, sizes of errors tell them not apart."""


def coarser_machine(failing: Sequence[Evidence]) -> tuple[Diagnosis, ...]:
    """low-precision, if every error has the size that a coarser format makes, and either the
    results are numbers of that format or there are enough cases of enough sizes. Finite evidence of
    one output is expected; empty where it is no such thing, or the dtype is itself coarse."""
    if not failing:
        return ()
    dtype, output = failing[0].dtype, failing[0].output
    for form in reversed(coarser_than(dtype)):
        if _are_numbers_of(failing, form) and all(_bits(e) < PRECISIONS[dtype] for e in failing):
            if not all(_bits(e) >= PRECISIONS[form] - _SLACK for e in failing):
                return ()
            text = f"every entry of {output} is a {form} number, and the errors are no larger"
            text += f" than those of a kernel that computes in {form}"
            return (Diagnosis("low-precision", f"{text} ({len(failing)} cases)"),)
    if len(failing) < _FEWEST_CASES or len({e.shapes for e in failing}) < _FEWEST_SIZES:
        return ()
    bits = [_bits(evidence) for evidence in failing]
    gained = _GAINED.get(failing[0].contract.name, _GAINED_ELSEWHERE)
    fitting = [
        form
        for form in coarser_than(dtype)
        if PRECISIONS[dtype] - PRECISIONS[form] >= _LEAST_DIFFERENCE
        and abs(float(np.mean(bits)) - gained - PRECISIONS[form]) <= _OFF
    ]
    if not fitting or float(np.std(bits)) > _MOST_DEVIATION or _leaning(failing):
        return ()
    text = (
        f"the errors of {output} have the size, in every case, of those of products whose operands"
        f" are rounded to {' or '.join(fitting)} ({len(failing)} cases)"
    )
    return (Diagnosis("low-precision", text),)


def _bits(evidence: Evidence) -> float:
    """Of the significand with which a kernel that rounds everything makes an error of this size."""
    clarity = math.log2(max(evidence.clarity(), 1e-300))
    return PRECISIONS[evidence.dtype] - clarity + _TYPICAL


def _are_numbers_of(failing: Sequence[Evidence], form: str) -> bool:
    """Enough different ones, where the true values are not."""
    computed = np.concatenate([e.computed.ravel() for e in failing])
    truth = np.concatenate([e.truth.ravel() for e in failing])
    telling = rounded(truth, form) != truth
    if len(np.unique(computed[telling])) < _FEWEST_VALUES:
        return False
    return bool((rounded(computed[telling], form) == computed[telling]).all())


def _leaning(failing: Sequence[Evidence]) -> bool:
    """Whether the errors go along the truth, as those of a wrong formula do and those of roundings
    do not."""
    along = []
    for e in failing:
        error, norm = e.computed - e.truth, float(np.linalg.norm(e.truth))
        size = float(np.linalg.norm(error))
        if norm > 0 and size > 0 and e.truth.size >= 2:
            along.append(float((error * e.truth).sum()) / (norm * size))
    if len(along) < _FEWEST_CASES:
        return True
    mean = float(np.mean(along))
    return abs(mean) > 4 * float(np.std(along)) / math.sqrt(len(along)) + 0.1
