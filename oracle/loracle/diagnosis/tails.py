"""The end of an axis is missing from a sum, or from a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis import attention_forms, linear_forms
from loracle.diagnosis.attention_forms import Problem, Steps
from loracle.diagnosis.cuts import CUTS, SHORT_CUTS, WHOLE_BLOCKS, Cut
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.linear_forms import Layer

__all__ = ["ATTENTION_TAILS", "LINEAR_TAILS", "UNWRITTEN"]

Array = npt.NDArray[np.float64]

_NAME = "dropped-tail"


def _of_layer(axis: str, cut: Cut, change: Callable[[Layer, Cut], Layer | None]) -> Hypothesis:
    explanation = f"{{output}} is what remains if {cut.of(axis)} do not count"
    return linear_forms.changed(_NAME, explanation, "sum", lambda layer: change(layer, cut))


def _cut_rows(layer: Layer, mask: Array | None) -> Layer | None:
    """mask (n,): of the rows of x and of the upstream gradient."""
    if mask is None:
        return None
    return replace(layer, x=mask[:, None] * layer.x, upstream=mask[:, None] * layer.upstream)


def _rows(layer: Layer, cut: Cut) -> Layer | None:
    return _cut_rows(layer, cut.mask(len(layer.x)))


def _length(layer: Layer, cut: Cut) -> Layer | None:
    mask = cut.mask(layer.length)
    return None if mask is None else _cut_rows(layer, np.tile(mask, layer.batch))


def _batch(layer: Layer, cut: Cut) -> Layer | None:
    mask = cut.mask(layer.batch)
    return None if mask is None else _cut_rows(layer, np.repeat(mask, layer.length))


def _in(layer: Layer, cut: Cut) -> Layer | None:
    mask = cut.mask(layer.x.shape[1])
    if mask is None:
        return None
    return replace(layer, x=layer.x * mask, weight=layer.weight * mask, a=layer.a * mask)


def _out(layer: Layer, cut: Cut) -> Layer | None:
    mask = cut.mask(len(layer.b))
    if mask is None:
        return None
    weight, b = mask[:, None] * layer.weight, mask[:, None] * layer.b
    return replace(layer, weight=weight, b=b, upstream=layer.upstream * mask)


def _rank(layer: Layer, cut: Cut) -> Layer | None:
    mask = cut.mask(len(layer.a))
    return None if mask is None else replace(layer, a=mask[:, None] * layer.a, b=layer.b * mask)


LINEAR_TAILS: tuple[Hypothesis, ...] = (
    *(_of_layer("rows (batch * length)", cut, _rows) for cut in CUTS),
    *(_of_layer("rows of each sample", cut, _length) for cut in CUTS),
    *(_of_layer("samples", cut, _batch) for cut in CUTS[:1]),
    *(_of_layer("input features", cut, _in) for cut in CUTS),
    *(_of_layer("output features", cut, _out) for cut in CUTS),
    *(_of_layer("ranks", cut, _rank) for cut in SHORT_CUTS),
)


def _queries(cut: Cut) -> Hypothesis:
    """Their rows of c, and so of q and p, are zero."""

    def steps(problem: Problem) -> Steps | None:
        mask = cut.mask(len(problem.y))
        return None if mask is None else Steps(residual=lambda z, y: mask[:, None] * (z - y))

    explanation = f"{{output}} is what remains if {cut.of('queries')} do not count"
    return attention_forms.deviating(_NAME, explanation, "sum", steps)


def _keys(cut: Cut) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        kept = cut.kept(len(problem.x["k"]))
        if not 0 < kept < len(problem.x["k"]):
            return None
        return problem.having("x", k=problem.x["k"][:kept], v=problem.x["v"][:kept])

    explanation = f"{{output}} is what remains if {cut.of('keys')} do not count"
    return attention_forms.changed(_NAME, explanation, "normalization", change)


def _keys_in_backward(cut: Cut) -> Hypothesis:
    def steps(problem: Problem) -> Steps | None:
        mask = cut.mask(len(problem.x["k"]))
        if mask is None:
            return None

        def score_gradient(f: Array, q: Array, c: Array) -> Array:
            return np.asarray(mask * (f * q - f * (f * q).sum(axis=1, keepdims=True)))

        return Steps(score_gradient=score_gradient, for_values=lambda f: (f * mask).T)

    explanation = (
        f"{{output}} is what remains if {cut.of('keys')} do not count in the backward pass"
    )
    return attention_forms.deviating(_NAME, explanation, "p", steps)


def _score_features(cut: Cut, where: str) -> Hypothesis:
    """The columns of K, over which the scores are sums."""

    def change(problem: Problem) -> Problem | None:
        mask = cut.mask(problem.y.shape[1])
        return None if mask is None else attention_forms.key_features_weighted(problem, mask)

    place = {"forward": "in the scores", "weights": "in the scores and in K"}[where]
    explanation = f"{{output}} is what remains if {cut.of('features')} do not count {place}"
    return attention_forms.changed(_NAME, explanation, "scores", change, where=where)


def _value_features(cut: Cut) -> Hypothesis:
    def steps(problem: Problem) -> Steps | None:
        mask = cut.mask(problem.y.shape[1])
        return None if mask is None else Steps(residual=lambda z, y: (z - y) * mask)

    explanation = f"{{output}} is what remains if {cut.of('features')} of c do not count"
    return attention_forms.deviating(_NAME, explanation, "q", steps)


def _ranks(cut: Cut, where: str) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        mask = cut.mask(len(problem.a["q"]))
        if mask is None:
            return None
        a = {m: mask[:, None] * a for m, a in problem.a.items()}
        b = {m: b * mask for m, b in problem.b.items()}
        return replace(problem, a=a, b=b)

    place = {"everywhere": "", "weights": " in the weights W* + s B A"}[where]
    explanation = f"{{output}} is what remains if {cut.of('ranks')} do not count{place}"
    return attention_forms.changed(_NAME, explanation, "delta", change, where=where)


def _of_result(cut: Cut, axis: int) -> Hypothesis:
    def wrong_truth(evidence: Evidence) -> Array | None:
        mask = cut.mask(evidence.truth.shape[axis])
        if mask is None:
            return None
        return np.asarray(evidence.truth * (mask[:, None] if axis == 0 else mask))

    axis_name = ("rows", "columns")[axis]
    explanation = f"{{output}} has zeros in {cut.of(axis_name)}"
    return Hypothesis(_NAME, explanation, "adapter", wrong_truth)


ATTENTION_TAILS: tuple[Hypothesis, ...] = (
    *(_queries(cut) for cut in CUTS),
    *(_keys(cut) for cut in CUTS),
    *(_keys_in_backward(cut) for cut in CUTS),
    *(_score_features(cut, where) for cut in SHORT_CUTS for where in ("weights", "forward")),
    *(_value_features(cut) for cut in SHORT_CUTS),
    *(_ranks(cut, where) for cut in SHORT_CUTS for where in ("everywhere", "weights")),
    *(_of_result(cut, axis) for cut in SHORT_CUTS for axis in (0, 1)),
)


def _unwritten(cut: Cut, axis: str) -> Hypothesis:
    """axis: rows (all axes but the last), or columns."""

    def wrong_truth(evidence: Evidence) -> Array | None:
        columns = evidence.truth.shape[-1]
        wrong = evidence.truth.reshape(-1, columns).copy()
        mask = cut.mask(columns if axis == "columns" else len(wrong))
        if mask is None:
            return None
        if axis == "columns":
            wrong[:, mask == 0] = np.nan
        else:
            wrong[mask == 0] = np.nan
        return wrong.reshape(evidence.truth.shape)

    explanation = f"{{output}} is not finite in {cut.of(axis)} alone, as if never written there"
    return Hypothesis(_NAME, explanation, "whole", wrong_truth, non_finite=True)


UNWRITTEN: tuple[Hypothesis, ...] = tuple(
    _unwritten(cut, axis) for cut in (CUTS[0], *WHOLE_BLOCKS) for axis in ("rows", "columns")
)
