"""The diagnoses that a file of expected failures may name."""

from __future__ import annotations

from loracle.report import BEYOND_PLAN, STRUCTURAL, Diagnosis

__all__ = ["UNEXPLAINED", "known_hypotheses", "names_of"]

UNEXPLAINED = "unexplained"
"""Stands for the diagnosis of a finding that has none."""


def known_hypotheses(contract: str | None = None) -> frozenset[str]:
    """All that a finding of the contract, or of any, can carry."""
    # Not before there is a file that names one.
    from loracle.diagnosis.hypotheses import NAMES

    tables = NAMES if contract is None else {contract: NAMES.get(contract, frozenset())}
    return frozenset({UNEXPLAINED, BEYOND_PLAN}).union(STRUCTURAL, *tables.values())


def names_of(diagnosis: tuple[Diagnosis, ...]) -> tuple[str, ...]:
    """What a finding with this diagnosis can be expected as."""
    return tuple(one.hypothesis for one in diagnosis) or (UNEXPLAINED,)
