"""Q, K and V exchanged, or a term of one of their weights missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.attention_forms import (
    Problem,
    changed,
    gradient,
    problem_of,
    projection_of,
)
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis

__all__ = ["ALORAGC_PROJECTIONS", "ATTENTION_PROJECTIONS"]

Array = npt.NDArray[np.float64]
Change = Callable[[Problem], Problem | None]

_SWAPPED = "swapped-projections"

_PAIRS = tuple(permutations("qkv", 2))

_EXCHANGES = (("q", "k"), ("q", "v"), ("k", "v"))


def _taken(names: str, target: str, source: str) -> Change:
    """The arrays with these names of one projection taken from another, if they fit."""

    def change(problem: Problem) -> Problem | None:
        taken = problem
        for name in names:
            arrays = getattr(problem, name)
            if target not in arrays or arrays[source].shape != arrays[target].shape:
                return None
            taken = taken.having(name, **{target: arrays[source]})
        return taken

    return change


def _exchanged(names: str, one: str, other: str) -> Change:
    def change(problem: Problem) -> Problem | None:
        exchanged = problem
        for name in names:
            arrays = getattr(problem, name)
            if one not in arrays or arrays[one].shape != arrays[other].shape:
                return None
            exchanged = exchanged.having(name, **{one: arrays[other], other: arrays[one]})
        return exchanged

    return change


def _adapters(target: str, source: str) -> tuple[Hypothesis, ...]:
    t, s = target.upper(), source.upper()
    both = f"the adapter of {s} in place of that of {t}"
    return (
        changed(
            _SWAPPED, f"{{output}} is what {both} gives", "delta", _taken("ab", target, source)
        ),
        changed(
            _SWAPPED,
            f"{{output}} is what {both} in W_{t} gives, with the chain rule of the right one",
            "delta",
            _taken("ab", target, source),
            where="weights",
        ),
        changed(
            _SWAPPED,
            f"{{output}} is what B of {s} with A of {t} gives",
            "delta",
            _taken("b", target, source),
        ),
        changed(
            _SWAPPED,
            f"{{output}} is what A of {s} with B of {t} gives",
            "delta",
            _taken("a", target, source),
        ),
        changed(
            _SWAPPED,
            f"{{output}} is what {both} gives in the chain rule alone",
            "adapter",
            _taken("ab", target, source),
            where="chain",
            projections=target,
        ),
        changed(
            _SWAPPED,
            f"{{output}} is what the frozen weight of {s} in place of that of {t} gives",
            "weight",
            _taken("w", target, source),
        ),
    )


def _gradient_of(target: str, source: str) -> Hypothesis:
    """One returned for the other, by factor: A's for A's and B's for B's."""

    def wrong_truth(evidence: Evidence) -> Array | None:
        if projection_of(evidence) != target:
            return None
        problem = problem_of(evidence.contract, evidence.inputs)
        return gradient(evidence.output, source, problem)

    return Hypothesis(
        _SWAPPED,
        f"{{output}} is the gradient of the adapter of {source.upper()}",
        "adapter",
        wrong_truth,
    )


def _shared(target: str, source: str) -> Hypothesis:
    """One adapter used for two: its gradient is the sum of both."""
    use = _taken("ab", target, source)

    def wrong_truth(evidence: Evidence) -> Array | None:
        right = problem_of(evidence.contract, evidence.inputs)
        wrong = use(right) if projection_of(evidence) == source else None
        if wrong is None:
            return None
        return np.asarray(sum(gradient(evidence.output, m, wrong) for m in (source, target)))

    return Hypothesis(
        _SWAPPED,
        f"{{output}} is that of an adapter of {source.upper()} which serves {target.upper()} too",
        "delta",
        wrong_truth,
    )


def _inputs(target: str, source: str, names: tuple[str, str]) -> Hypothesis:
    explanation = f"{{output}} is what {names[1]} in place of {names[0]} gives"
    return changed(_SWAPPED, explanation, "operands", _taken("x", target, source))


def _exchange(one: str, other: str, names: str, what: str, term: str) -> Hypothesis:
    return changed(
        _SWAPPED, f"{{output}} is what {what} exchanged give", term, _exchanged(names, one, other)
    )


def _without(which: str, projections: str) -> Change:
    """No frozen weight (w), or no B A (b), in these projections; None if nothing changes."""

    def change(problem: Problem) -> Problem | None:
        arrays = getattr(problem, which)
        present = [m for m in projections if m in arrays and arrays[m].any()]
        if not present:
            return None
        return problem.having(which, **{m: np.zeros_like(arrays[m]) for m in present})

    return change


def _missing_terms(projections: str, suffix: str) -> tuple[Hypothesis, ...]:
    """suffix: of the names of the arrays in the explanation."""
    places = (
        ("weights", ""),
        ("backward", " in the backward pass"),
        ("forward", " in the forward pass"),
    )
    what = {"w": ("frozen-weight-ignored", "weight"), "b": ("missing-lora-term", "delta")}
    words = {"w": f"w{suffix} = 0", "b": f"b{suffix} a{suffix} = 0"}
    return tuple(
        changed(
            what[which][0],
            f"{{output}} is what {words[which]}{place} gives",
            what[which][1],
            _without(which, projections),
            where=where,
        )
        for which in "wb"
        for where, place in places
    )


def _doubled(projections: str, suffix: str) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        doubled = {m: 2 * problem.b[m] for m in projections}
        return problem.having("b", **doubled)

    explanation = f"{{output}} is what b{suffix} a{suffix} added twice gives"
    return changed("doubled-term", explanation, "delta", change, where="weights")


def _added_to_backward(problem: Problem) -> Problem:
    """The gradient in the scores multiplied by X in place of X W."""
    return replace(problem, w={})


_UNPROJECTED = changed(
    "frozen-weight-ignored",
    "{output} is what the inputs in place of Q, K and V give in the backward pass",
    "weight",
    _added_to_backward,
    where="backward",
)

ALORAGC_PROJECTIONS: tuple[Hypothesis, ...] = (
    *_missing_terms("q", ""),
    _doubled("q", ""),
    _inputs("k", "v", ("c2", "c3")),
    _inputs("v", "k", ("c3", "c2")),
    _inputs("q", "k", ("c1", "c2")),
    _inputs("k", "q", ("c2", "c1")),
    _inputs("v", "q", ("c3", "c1")),
    _inputs("q", "v", ("c1", "c3")),
    _exchange("k", "v", "x", "c2 and c3", "operands"),
    _exchange("q", "k", "x", "c1 and c2", "operands"),
    _exchange("q", "v", "x", "c1 and c3", "operands"),
)

ATTENTION_PROJECTIONS: tuple[Hypothesis, ...] = (
    *_missing_terms("qkv", "_*"),
    *(hypothesis for m in "qkv" for hypothesis in _missing_terms(m, f"_{m}")),
    _UNPROJECTED,
    _doubled("qkv", "_*"),
    *(_doubled(m, f"_{m}") for m in "qkv"),
    *(_gradient_of(*pair) for pair in _PAIRS),
    *(hypothesis for pair in _PAIRS for hypothesis in _adapters(*pair)),
    *(_shared(*pair) for pair in _PAIRS),
    *(_inputs(t, s, (f"x_{t}", f"x_{s}")) for t, s in _PAIRS),
    *(
        _exchange(one, other, names, f"{what} of {one.upper()} and {other.upper()}", term)
        for one, other in _EXCHANGES
        for names, what, term in (
            ("ab", "the adapters", "delta"),
            ("x", "the inputs", "operands"),
            ("w", "the frozen weights", "weight"),
            ("wab", "the weights and adapters", "weight"),
        )
    ),
)
