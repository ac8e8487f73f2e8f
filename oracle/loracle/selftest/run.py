"""Runs claims, those that share their references in one process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby

from loracle.selftest.outcome import Outcome, judge
from loracle.selftest.plan import Claim
from loracle.spreading import OnProgress, spread

__all__ = ["run_claims"]


def run_claims(
    claims: Sequence[Claim], jobs: int, on_progress: OnProgress, device: str = "cpu"
) -> tuple[list[Outcome], bool]:
    """The outcomes in the order of the claims, and whether the run was interrupted before the end.

    Runs that share their references go to one process, which finds them in the cache.
    Raises UsageError if a process dies.
    """
    groups = [list(group) for _, group in groupby(claims, key=_references)]
    found: dict[Claim, Outcome] = {}
    interrupted = False
    try:
        for outcome in spread(
            partial(judge, device=device),
            groups,
            jobs,
            lambda: on_progress(len(found), len(claims), ""),
        ):
            found[outcome.claim] = outcome
            on_progress(len(found), len(claims), outcome.claim.entry.name)
    except KeyboardInterrupt:
        interrupted = True
    return [found[claim] for claim in claims if claim in found], interrupted


def _references(claim: Claim) -> tuple[str, str, tuple[int, ...]]:
    return claim.entry.contract, claim.dtype, claim.seeds
