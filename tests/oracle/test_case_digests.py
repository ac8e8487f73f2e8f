"""Cases are what they were: a case that is cited by seed and index, in a report, in an issue or in
the certified vectors, is the same one in a later version."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from loracle.generation.sampling import Array, gaussian, positive, signed_integers

from .case_digests import PAIRS, TABLE, digests


@pytest.mark.parametrize(("contract", "regime"), PAIRS)
def test_the_cases_of_a_regime_are_those_of_the_table(contract: str, regime: str) -> None:
    """Catches a draw that is added, left out or put elsewhere, which no promise of the regime
    forbids. A change on purpose: see `case_digests`."""
    assert (
        digests(contract, regime) == json.loads(TABLE.read_text())[f"{contract} {regime}"].split()
    )


def test_the_table_has_no_other_regimes() -> None:
    assert set(json.loads(TABLE.read_text())) == {f"{c} {r}" for c, r in PAIRS}


@pytest.mark.parametrize("draw", [gaussian, positive, signed_integers])
def test_a_draw_is_of_order_one_unless_it_is_scaled(draw: Callable[..., Array]) -> None:
    plain, one, half = (
        draw(np.random.default_rng(3), 4, 5, **options)
        for options in ({}, {"scale": 1.0}, {"scale": 0.5})
    )
    assert plain.shape == (4, 5)
    assert np.array_equal(plain, one)
    assert np.array_equal(plain, 2 * half)
    assert 0.9 < np.abs(plain).max() < 4
