"""How far a further run of a case is from the first: equal calls, and calls under conditions that
no right kernel sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from loracle.judgement.promises import Promise
from loracle.judgement.reference import CaseReference
from loracle.judgement.verdicts import judge_spread
from loracle.observation import Condition, FurtherRun, Problem

__all__ = ["difference", "shows_nan"]

_MEANING: Mapping[Condition, str] = {
    "uninitialised-memory": "it depends on memory that the kernel has not written",
    "stale-cache": "the kernel keeps what belongs to the values before",
    "second-backward": "the first one changes what the graph has saved",
}
"""Of a result that is another one under the condition."""


def shows_nan(run: FurtherRun, output: str) -> bool:
    """Whether the NaN that fresh memory was filled with have come through, other than before."""
    if run.condition != "uninitialised-memory" or output not in run.outputs:
        return False
    return bool(np.isnan(run.outputs[output]).any())


def difference(
    run: FurtherRun,
    output: str,
    reference: CaseReference,
    promises: tuple[Promise | None, Promise | None],
) -> tuple[Literal["fail", "suspect"], Problem] | None:
    """What an output of the run shows, compared with that of the first; None if nothing.

    promises: those of the first run and of this one. Whatever algorithm was chosen, two results
    that differ by more than the sum of their bounds are not both right.
    """
    spread = run.spread.get(output, 0.0)
    first, second = promises
    limits = (first.limit if first else None, second.limit if second else None)
    null, proven = reference.null[output], reference.proven[output]
    verdict = judge_spread(spread, proven, null.tolerance, limits)
    if verdict == "pass":
        return None
    if run.condition is None:
        text = f"two runs on the same inputs differ by {spread:.3g} in {output}"
        if verdict == "fail" and (first or second):
            text += ", more than what was promised of both allows"
        return verdict, Problem("nondeterministic", output, text)
    finite = np.isfinite(run.outputs[output]).all()
    what = f"differs by {spread:.3g}" if finite else "is not finite"
    text = f"{output} {what} {run.how}: {_MEANING[run.condition]}"
    return verdict, Problem(run.condition, output, text)
