"""How near a result must be to what a hypothesis gives, to be explained by it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from loracle_reference.floating_point import FORMATS

from .planted import failing, times


def test_closeness_is_measured_in_slack() -> None:
    """One and a half units of rounding are allowed to a hypothesis, three are not."""
    (one, *_) = failing("lora-linear", "float32", 0, "output", times(lambda k: 2))
    for units, explained in ((0.0, True), (1.4, True), (3.0, False)):
        moved = replace(one, computed=2 * one.truth + 2 * units * one.slack)
        assert moved.explained_by(2 * one.truth) is explained
    assert one.clarity() > 100


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_exponential_has_larger_roundings(dtype: str) -> None:
    """By a factor of exp(60): its logarithm, of 60, is rounded to some units. No other mistake may
    be so far off, and this one no farther than that."""
    (one, *_) = failing("lora-linear", dtype, 0, "output", times(lambda k: 2))
    largest = float(np.abs(one.truth).max())
    huge = one.truth * math.exp(60)
    unit = FORMATS[dtype].unit_roundoff
    for units, explained in ((60, True), (16 * 70, False)):
        moved = replace(one, computed=huge + units * unit * largest * math.exp(60))
        assert moved.explained_by(huge, exponential=True) is explained
        assert not moved.explained_by(huge)
    assert not replace(one, computed=3 * huge).explained_by(huge, exponential=True)
    none = replace(one, truth=np.zeros_like(one.truth), computed=1.2 * huge)
    assert not none.explained_by(huge, exponential=True)
    # Where the truth has cancelled to almost nothing, the slack is that of the terms: a result that
    # is nearer to the hypothesis, but far from it in such units, is not explained.
    ones = np.ones_like(one.truth)
    cancelled = replace(one, truth=ones * 1e-20, computed=ones * 0.7, slack=1e-7)
    assert not cancelled.explained_by(ones)
    assert replace(cancelled, computed=ones * (1 - 1e-7)).explained_by(ones)
    assert not one.explained_by(one.truth)
