"""`lora-mha`: mistakes in the adapted projections, the upstream gradient and the order of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis, factor_hypothesis
from loracle.diagnosis.mha_forms import (
    EXACT,
    Layer,
    Problem,
    changed,
    deviating,
    problem_of,
    result,
    with_layers,
)
from loracle.diagnosis.scaling import WRONG_SCALINGS, WrongScaling

__all__ = [
    "MHA_PROJECTIONS",
    "MHA_RANK_AXES",
    "MHA_ROWS",
    "MHA_SCALINGS",
    "MHA_TERMS",
    "MHA_UPSTREAM",
]

Array = npt.NDArray[np.float64]

_GRADIENTS = "_q _k _v grad_x"
_PAIRS = tuple(permutations("qkv", 2))
_EXCHANGES = (("q", "k"), ("q", "v"), ("k", "v"))


def _as_factor(name: str, has: str, wrong: WrongScaling) -> Hypothesis:
    """Of the gradients of A and B, which are proportional to the scaling of their layer."""

    def factor(evidence: Evidence) -> float | None:
        if evidence.output in ("output", "grad_x"):
            return None
        layer = problem_of(evidence).layers[evidence.output[-1]]
        return wrong(layer.scaling, len(layer.a)) / layer.scaling

    return factor_hypothesis(name, f"{{output}} {has}", "scaling", factor)


def _of_layers(
    name: str, has: str, wrong: WrongScaling, which: str, where: str = "everywhere"
) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        def scaled(layer: Layer) -> Layer:
            return replace(layer, scaling=wrong(layer.scaling, len(layer.a)))

        if all(scaled(problem.layers[m]).scaling == problem.layers[m].scaling for m in which):
            return None
        return with_layers(problem, scaled, which)

    layers = "every layer" if which == "qkv" else f"the layer of {which.upper()}"
    place = {"everywhere": "", "chain": " of the backward pass", "forward": " of the forward pass"}
    return changed(
        name,
        f"{{output}} is what {layers}{place[where]} gives which {has}",
        "scaling",
        change,
        where=where,
    )


MHA_SCALINGS: tuple[Hypothesis, ...] = (
    *(_as_factor(*wrong) for wrong in WRONG_SCALINGS),
    *(_of_layers(*wrong, which) for wrong in WRONG_SCALINGS[:2] for which in ("qkv", *"qkv")),
    *(
        _of_layers(*wrong, which, where)
        for wrong in WRONG_SCALINGS[:2]
        for which in ("qkv", *"qkv")
        for where in ("chain", "forward")
    ),
    *(_of_layers(*wrong, "qkv") for wrong in WRONG_SCALINGS[2:]),
)


def _without_base(layer: Layer) -> Layer:
    return replace(layer, weight=0 * layer.weight)


def _without_lora(layer: Layer) -> Layer:
    return replace(layer, scaling=0.0)


def _doubled_lora(layer: Layer) -> Layer:
    return replace(layer, scaling=2 * layer.scaling)


def _negated_lora(layer: Layer) -> Layer:
    return replace(layer, scaling=-layer.scaling)


_TERMS: tuple[tuple[str, str, Callable[[Layer], Layer]], ...] = (
    ("missing-base-term", "without the frozen weight", _without_base),
    ("missing-lora-term", "without its adapter", _without_lora),
    ("doubled-term", "with its adapter added twice", _doubled_lora),
    ("wrong-sign", "with its adapter subtracted", _negated_lora),
)


def _term(
    name: str, words: str, change: Callable[[Layer], Layer], which: str, where: str
) -> Hypothesis:
    layers = "every layer" if which == "qkv" else f"the layer of {which.upper()}"
    place = {"everywhere": "", "chain": " in grad_x", "forward": " in the forward pass"}[where]
    return changed(
        name,
        f"{{output}} is what {layers} {words}{place} gives",
        "delta" if "adapter" in words else "weight",
        lambda problem: with_layers(problem, change, which),
        where=where,
        outputs="grad_x" if where == "chain" else "",
    )


def _absent(m: str) -> Hypothesis:
    parts = {one: float(one != m) for one in "qkv"}
    return deviating(
        "missing-projection",
        f"{{output}} lacks what comes back through {m.upper()}",
        "whole",
        lambda problem: replace(EXACT, parts=parts),
        outputs="grad_x",
    )


def _alone(m: str) -> Hypothesis:
    parts = {one: float(one == m) for one in "qkv"}
    return deviating(
        "missing-projection",
        f"{{output}} has what comes back through {m.upper()} alone",
        "whole",
        lambda problem: replace(EXACT, parts=parts),
        outputs="grad_x",
    )


def _twice(m: str) -> Hypothesis:
    parts = {one: 1.0 + (one == m) for one in "qkv"}
    return deviating(
        "doubled-term",
        f"{{output}} has what comes back through {m.upper()} twice",
        "whole",
        lambda problem: replace(EXACT, parts=parts),
        outputs="grad_x",
    )


MHA_TERMS: tuple[Hypothesis, ...] = (
    *(
        _term(*term, which, where)
        for term in _TERMS
        for which in ("qkv", *"qkv")
        for where in ("everywhere", "chain", "forward")
    ),
    *(_absent(m) for m in "qkv"),
    *(_alone(m) for m in "qkv"),
    *(_twice(m) for m in "qkv"),
)

_SWAPPED = "swapped-projections"
_WHAT = {"a": "A", "b": "B", "scaling": "the scaling", "weight": "the frozen weight"}


def _taken(names: tuple[str, ...], target: str, source: str) -> Callable[[Problem], Problem | None]:
    def change(problem: Problem) -> Problem | None:
        layers = dict(problem.layers)
        for name in names:
            given, right = getattr(layers[source], name), getattr(layers[target], name)
            if np.shape(given) != np.shape(right):
                return None
            layers[target] = replace(layers[target], **{name: given})
        return replace(problem, layers=layers)

    return change


def _exchanged(names: tuple[str, ...], one: str, other: str) -> Callable[[Problem], Problem | None]:
    def change(problem: Problem) -> Problem | None:
        there, back = _taken(names, one, other)(problem), _taken(names, other, one)(problem)
        if there is None or back is None:
            return None
        layers = {**problem.layers, one: there.layers[one], other: back.layers[other]}
        return replace(problem, layers=layers)

    return change


def _gradient_of(target: str, source: str) -> Hypothesis:
    def wrong_truth(evidence: Evidence) -> Array | None:
        output = evidence.output
        if not output.endswith(f"_{target}"):
            return None
        wrong = result(f"{output[:-1]}{source}", problem_of(evidence))
        return wrong if wrong.shape == evidence.truth.shape else None

    return Hypothesis(
        _SWAPPED,
        f"{{output}} is the gradient of the adapter of {source.upper()}",
        "adapter",
        wrong_truth,
    )


_TAKEN = (("a",), ("b",), ("a", "b"), ("scaling",), ("weight",))

MHA_PROJECTIONS: tuple[Hypothesis, ...] = (
    *(_gradient_of(*pair) for pair in _PAIRS),
    *(
        changed(
            _SWAPPED,
            f"{{output}} is what {' and '.join(_WHAT[n] for n in names)} of {s.upper()} in place of"
            f" that of {t.upper()} gives{'' if where == 'everywhere' else ' on the way back'}",
            "delta",
            _taken(names, t, s),
            where=where,
        )
        for where in ("everywhere", "chain")
        for names in _TAKEN
        for t, s in _PAIRS
    ),
    *(
        changed(
            _SWAPPED,
            f"{{output}} is what {' and '.join(_WHAT[n] for n in names)} of {one.upper()} and"
            f" {other.upper()} exchanged give",
            "delta",
            _exchanged(names, one, other),
        )
        for names in (*_TAKEN, ("weight", "a", "b", "scaling"))
        for one, other in _EXCHANGES
    ),
)

_ORDERS: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("reversed", lambda rows: rows[::-1]),
    ("moved by one", lambda rows: np.roll(rows, 1, axis=0)),
    ("moved back by one", lambda rows: np.roll(rows, -1, axis=0)),
)


def _reordered(words: str, order: Callable[[Array], Array], which: str) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        if len(problem.layers["q"].a) < 2:
            return None
        return with_layers(problem, lambda layer: replace(layer, a=order(layer.a)), which)

    layers = "every lora_a" if which == "qkv" else f"lora_a_{which}"
    return changed(
        "rank-axis-permuted",
        f"{{output}} is what {layers} with its rank axis {words}, and lora_b as it is, give",
        "delta",
        change,
    )


MHA_RANK_AXES: tuple[Hypothesis, ...] = tuple(
    _reordered(*order, which) for order in _ORDERS for which in ("qkv", *"qkv")
)


def _replaced(words: str, by: Callable[[Array], Array]) -> Hypothesis:
    def change(problem: Problem) -> Problem:
        upstream = np.broadcast_to(by(problem.upstream), problem.upstream.shape)
        return replace(problem, upstream=np.asarray(upstream))

    return changed(
        "upstream-replaced",
        f"{{output}} is what an upstream gradient replaced by {words} gives",
        "upstream",
        change,
        outputs=_GRADIENTS,
    )


MHA_UPSTREAM: tuple[Hypothesis, ...] = (
    _replaced("ones", np.ones_like),
    _replaced("its mean", lambda g: np.asarray(g.mean())),
    _replaced("its first entry", lambda g: g[:1, :1, :1, :1]),
)


def _sample(which: slice) -> Callable[[Problem], Problem | None]:
    def change(problem: Problem) -> Problem | None:
        if len(problem.x) == 1:
            return None
        return replace(problem, x=problem.x[which], upstream=problem.upstream[which])

    return change


def _heads_first(array: Array) -> Array:
    """(batch, length, heads, head_dim) whose memory is that of (batch, heads, length, head_dim)."""
    return np.asarray(array.transpose(0, 2, 1, 3).reshape(array.shape))


def _upstream_in_two_orders(problem: Problem) -> Problem | None:
    """grad_output read as if its heads stood before the length."""
    batch, length, heads, width = problem.upstream.shape
    if length == 1 or heads == 1:
        return None
    read = problem.upstream.reshape(batch, heads, length, width).transpose(0, 2, 1, 3)
    return replace(problem, upstream=np.ascontiguousarray(read))


def _output_in_two_orders(evidence: Evidence) -> Array | None:
    problem = problem_of(evidence)
    if evidence.output != "output" or problem.length == 1 or problem.heads == 1:
        return None
    heads = result("output", problem).reshape(problem.upstream.shape)
    return _heads_first(heads).reshape(evidence.truth.shape)


MHA_ROWS: tuple[Hypothesis, ...] = (
    *(
        changed(
            "first-sample-only",
            f"{{output}} is a sum over the {words} sample of the batch alone",
            "sum",
            _sample(which),
            outputs="_q _k _v",
        )
        for words, which in (("first", slice(0, 1)), ("last", slice(-1, None)))
    ),
    changed(
        "flattened-in-two-orders",
        "{output} is what grad_output gives if its heads are read before its length",
        "upstream",
        _upstream_in_two_orders,
        outputs=_GRADIENTS,
    ),
    Hypothesis(
        "flattened-in-two-orders",
        "{output} has its heads before its length, read as if they were behind it",
        "whole",
        _output_in_two_orders,
    ),
)
