"""Which known mistakes a case reveals: the wrong truths of the diagnosis, held to its limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypotheses import table_of
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.evaluation import bind_sizes

__all__ = ["Revealed", "explanations", "revealed"]

Array = npt.NDArray[np.float64]

_CLEAR = 2.0**-40
"""Of a wrong truth's largest entry: its own error in float64, amply."""


@dataclass(frozen=True)
class Revealed:
    """proves: the classes of mistakes (docs/diagnosis.md) with a form that is beyond the proven
    bound, by more than the rounding errors of a kernel which makes it. suspects: those with one
    beyond the tolerance alone."""

    proves: tuple[str, ...]
    suspects: tuple[str, ...]


def revealed(
    contract: Contract,
    inputs: Inputs,
    output: str,
    dtype: str,
    truth: Array,
    *,
    bound: Array,
    tolerance: float,
    overflow_free: bool,
) -> Revealed:
    """Every mistake in the formulas of the contract, and every cause of results that are not
    finite, in the order of the contract's table."""
    slack = min(tolerance, float(bound.max()))
    # Zeros in place of a result: `zero-gradient` applies to nothing else, and no other looks at it.
    evidence = Evidence(
        contract, _with_batch(contract, inputs), output, 0 * truth, truth, slack, dtype
    )
    table = table_of(contract.name)
    proves: dict[str, None] = {}
    suspects: dict[str, None] = {}
    for hypothesis in table.mistakes:
        wrong = _wrong_truth(hypothesis, evidence)
        if wrong is None or not np.isfinite(wrong).all():
            continue
        own = _CLEAR * float(np.abs(wrong).max(initial=0.0))
        distance = np.abs(wrong - truth) - own
        if (distance > bound + slack).any():
            proves[hypothesis.name] = None
        elif distance.max() > 2 * tolerance:
            suspects[hypothesis.name] = None
    for hypothesis in table.non_finite if overflow_free else ():
        wrong = _wrong_truth(hypothesis, evidence) if hypothesis.non_finite else None
        if wrong is not None and not np.isfinite(wrong).all():
            proves[hypothesis.name] = None
    return Revealed(tuple(proves), tuple(name for name in suspects if name not in proves))


def explanations(contract: str, names: Iterable[str]) -> Mapping[str, str]:
    """What the diagnosis says of each class, in the words of its first form."""
    wanted, told = set(names), dict[str, str]()
    table = table_of(contract)
    for hypothesis in (*table.mistakes, *table.non_finite):
        if hypothesis.name in wanted:
            words = hypothesis.explanation.format(output="the result")
            told.setdefault(hypothesis.name, words)
    return told


def _wrong_truth(hypothesis: Hypothesis, evidence: Evidence) -> Array | None:
    with np.errstate(all="ignore"):
        wrong = hypothesis.wrong_truth(evidence)
    if wrong is None:
        return None
    return np.broadcast_to(np.asarray(wrong, dtype=np.float64), evidence.truth.shape)


def _with_batch(contract: Contract, inputs: Inputs) -> Inputs:
    """The diagnosis takes rows as (batch, length, width)."""
    sizes = bind_sizes(contract, inputs)
    tensors = {
        name: inputs.tensors[name].reshape([sizes[symbol] for symbol in symbols])
        for name, symbols in contract.tensors.items()
    }
    return replace(inputs, tensors=tensors)
