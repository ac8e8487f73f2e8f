"""Flags: why a case is there, in the words of the generator, and what else is to be known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from loracle.cases import Inputs
from loracle.generation import REGIMES
from loracle.vectors.certify import Certified
from loracle_reference.floating_point import FORMATS

__all__ = ["PROPERTIES", "flags_of", "why"]

_Test = Callable[[Inputs, Mapping[str, Certified], str], bool]


@dataclass(frozen=True)
class _Flag:
    why: str
    test: _Test


def _some_output_is_zero(inputs: Inputs, outputs: Mapping[str, Certified], dtype: str) -> bool:
    return any(not output.truth.any() for output in outputs.values())


def _zeros_would_pass(inputs: Inputs, outputs: Mapping[str, Certified], dtype: str) -> bool:
    return any(
        output.truth.any() and bool((np.abs(output.truth) <= output.limits.bound).all())
        for output in outputs.values()
    )


def _is_no_evidence(inputs: Inputs, outputs: Mapping[str, Certified], dtype: str) -> bool:
    for output in outputs.values():
        largest, limits = np.abs(output.truth).max(), output.limits
        tolerance = np.inf if limits.tolerance is None else limits.tolerance
        if limits.bound.max() < largest or tolerance < largest or not largest:
            return False
    return True


def _has_subnormal_inputs(inputs: Inputs, outputs: Mapping[str, Certified], dtype: str) -> bool:
    normal = FORMATS[dtype].smallest_normal
    return any(bool(((t != 0) & (np.abs(t) < normal)).any()) for t in inputs.tensors.values())


def _has_layouts(inputs: Inputs, outputs: Mapping[str, Certified], dtype: str) -> bool:
    return bool(inputs.layouts)


PROPERTIES: Mapping[str, _Flag] = {
    "zero-truth": _Flag(
        "An output is exactly zero. Any other value is an error, and one of the size of the other"
        " outputs is a term that should not be there.",
        _some_output_is_zero,
    ),
    "wide-bound": _Flag(
        "The proven bound of an output is nowhere below its truth, as it may be in 16 bits, where"
        " every partial sum may be rounded: zeros would not be proven wrong, and only the tolerance"
        " tells more.",
        _zeros_would_pass,
    ),
    "no-evidence": _Flag(
        "Of every output the largest truth is within bound and tolerance, so that zeros would pass:"
        " only a result that is far too large, or not finite, fails.",
        _is_no_evidence,
    ),
    "subnormal-input": _Flag(
        "Inputs below the smallest normal number of the dtype: a kernel that flushes them to zero,"
        " or takes their reciprocal, may be what fails.",
        _has_subnormal_inputs,
    ),
    "strided-input": _Flag(
        "The case is about an input that does not lie contiguously in memory, in the layout that"
        " `layouts` names; the file holds its values in C order.",
        _has_layouts,
    ),
}


def flags_of(
    regime: str, inputs: Inputs, outputs: Mapping[str, Certified], dtype: str
) -> list[str]:
    """The regime, then the properties that the case has."""
    return [
        regime,
        *(name for name, flag in PROPERTIES.items() if flag.test(inputs, outputs, dtype)),
    ]


def why(flag: str) -> str:
    """The sentence of the regime or of the property; KeyError if there is no such flag."""
    return REGIMES[flag].reveals if flag in REGIMES else PROPERTIES[flag].why
