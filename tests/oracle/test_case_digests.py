"""Cases are what they were: a case that is cited by seed and index, in a report, in an issue or in
the certified vectors, is the same one in a later version."""

from __future__ import annotations

import json

import pytest

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
