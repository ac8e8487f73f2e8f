"""The end of an axis counts twice in a sum, or in a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis import attention_forms, linear_forms
from loracle.diagnosis.attention_forms import Problem, Steps
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.linear_forms import Layer
from loracle.diagnosis.repeats import REPEATS, SHORT_REPEATS, Repeat

__all__ = ["ATTENTION_DOUBLED_TAILS", "LINEAR_DOUBLED_TAILS"]

Array = npt.NDArray[np.float64]

_NAME = "doubled-tail"
_OUTPUT, _GRADIENTS = ("output",), ("grad_x", "grad_lora_a", "grad_lora_b")


def _in_layer(
    axis: str,
    size: Callable[[Layer], int],
    weighted: Callable[[Layer, Array], Layer],
    outputs: tuple[str, ...],
    place: str = "",
) -> Callable[[Repeat], Hypothesis]:
    """weighted: of a layer and the weights of an axis (size,), the layer in which they count."""

    def of(repeat: Repeat) -> Hypothesis:
        def change(layer: Layer) -> Layer | None:
            weights = repeat.weights(size(layer))
            return None if weights is None else weighted(layer, weights)

        found = linear_forms.changed(
            _NAME, repeat.explanation(axis, place), "sum", change, outputs=outputs
        )
        return replace(found, telling=lambda e: repeat.tells(size(linear_forms.layer_of(e))))

    return of


def _rows_weighted(
    rows: Callable[[Layer, Array], Array],
) -> tuple[Callable[[Layer, Array], Layer], Callable[[Layer, Array], Layer]]:
    """Of x, which y has, and of G, which the gradients have. rows: of the weights of samples or of
    the length those of all rows (n,)."""
    return (
        lambda layer, w: replace(layer, x=rows(layer, w)[:, None] * layer.x),
        lambda layer, w: replace(layer, upstream=rows(layer, w)[:, None] * layer.upstream),
    )


_OF_X, _OF_G = _rows_weighted(lambda layer, w: w)
_LENGTH_OF_X, _LENGTH_OF_G = _rows_weighted(lambda layer, w: np.tile(w, layer.batch))
_BATCH_OF_X, _BATCH_OF_G = _rows_weighted(lambda layer, w: np.repeat(w, layer.length))

_ROWS = (
    _in_layer("rows (batch * length)", lambda y: len(y.x), _OF_X, _OUTPUT),
    _in_layer("rows (batch * length)", lambda y: len(y.x), _OF_G, _GRADIENTS),
    _in_layer("rows of each sample", lambda y: y.length, _LENGTH_OF_X, _OUTPUT),
    _in_layer("rows of each sample", lambda y: y.length, _LENGTH_OF_G, _GRADIENTS),
)

_SAMPLES = (
    _in_layer("samples", lambda y: y.batch, _BATCH_OF_X, _OUTPUT),
    _in_layer("samples", lambda y: y.batch, _BATCH_OF_G, _GRADIENTS),
)

_FEATURES = (
    _in_layer(
        "input features",
        lambda y: y.x.shape[1],
        lambda y, w: replace(y, weight=y.weight * w, a=y.a * w),
        ("output", "grad_x", "grad_lora_b"),
    ),
    _in_layer(
        "input features",
        lambda y: y.x.shape[1],
        lambda y, w: replace(y, x=y.x * w),
        ("grad_lora_a",),
    ),
    _in_layer(
        "output features",
        lambda y: len(y.b),
        lambda y, w: replace(y, weight=w[:, None] * y.weight, b=w[:, None] * y.b),
        _OUTPUT,
    ),
    _in_layer(
        "output features",
        lambda y: len(y.b),
        lambda y, w: replace(y, upstream=y.upstream * w),
        _GRADIENTS,
    ),
)

_FEATURES_OF_ONE_PRODUCT = (
    _in_layer(
        "input features",
        lambda y: y.x.shape[1],
        lambda y, w: replace(y, a=y.a * w),
        ("output", "grad_x"),
        " in the product with A",
    ),
    _in_layer(
        "input features",
        lambda y: y.x.shape[1],
        lambda y, w: replace(y, weight=y.weight * w),
        ("output", "grad_x"),
        " in the product with W",
    ),
    _in_layer(
        "output features",
        lambda y: len(y.b),
        lambda y, w: replace(y, b=w[:, None] * y.b),
        ("output", "grad_x"),
        " in the product with B",
    ),
)

_RANKS = (
    _in_layer(
        "ranks",
        lambda y: len(y.a),
        lambda y, w: replace(y, a=w[:, None] * y.a),
        ("output", "grad_x", "grad_lora_b"),
    ),
    _in_layer("ranks", lambda y: len(y.a), lambda y, w: replace(y, b=y.b * w), ("grad_lora_a",)),
)

LINEAR_DOUBLED_TAILS: tuple[Hypothesis, ...] = (
    *(of(repeat) for of in (*_ROWS, *_FEATURES) for repeat in REPEATS),
    *(of(repeat) for of in (*_RANKS, *_FEATURES_OF_ONE_PRODUCT) for repeat in SHORT_REPEATS),
    *(of(REPEATS[0]) for of in _SAMPLES),
)


def _told(found: Hypothesis, repeat: Repeat, axis: Callable[[Problem], int]) -> Hypothesis:
    """What is told from a factor. axis: its length."""

    def tells(evidence: Evidence) -> bool:
        problem = attention_forms.problem_of(evidence.contract, evidence.inputs)
        return repeat.tells(axis(problem))

    return replace(found, telling=tells)


def _deviating(
    repeat: Repeat,
    axis: str,
    size: Callable[[Problem], int],
    term: str,
    steps: Callable[[Problem, Array], Steps],
    place: str = "",
) -> Hypothesis:
    """steps: with the weights of the axis (size,)."""

    def deviating(problem: Problem) -> Steps | None:
        weights = repeat.weights(size(problem))
        return None if weights is None else steps(problem, weights)

    found = attention_forms.deviating(_NAME, repeat.explanation(axis, place), term, deviating)
    return _told(found, repeat, size)


def _queries_of(problem: Problem) -> int:
    return len(problem.y)


def _keys_of(problem: Problem) -> int:
    return len(problem.x["k"])


def _features_of(problem: Problem) -> int:
    return int(problem.y.shape[1])


def _queries(repeat: Repeat) -> Hypothesis:
    """Their rows of c, and so of q and p, are twice themselves."""
    return _deviating(
        repeat,
        "queries",
        _queries_of,
        "sum",
        lambda problem, w: Steps(residual=lambda z, y: w[:, None] * (z - y)),
    )


def _softmax(scores: Array, weights: Array) -> Array:
    """exp(S) w over its row sums: a key that is there w times."""
    return attention_forms.softmax(scores + np.log(weights))


def _keys(repeat: Repeat) -> Hypothesis:
    return _deviating(
        repeat,
        "keys",
        _keys_of,
        "normalization",
        lambda problem, w: Steps(softmax=lambda scores: _softmax(scores, w)),
    )


def _keys_in_forward(repeat: Repeat) -> Hypothesis:
    def steps(problem: Problem, weights: Array) -> Steps:
        scores = problem.beta * (problem.projected("q") @ problem.projected("k").T)
        z = _softmax(scores, weights) @ problem.projected("v")
        return Steps(residual=lambda right, y: z - y)

    place = " in the forward pass alone"
    return _deviating(repeat, "keys", _keys_of, "normalization", steps, place)


def _keys_in_backward(repeat: Repeat) -> Hypothesis:
    def steps(problem: Problem, weights: Array) -> Steps:
        def score_gradient(f: Array, q: Array, c: Array) -> Array:
            return np.asarray(weights * (f * q - f * (f * q).sum(axis=1, keepdims=True)))

        return Steps(score_gradient=score_gradient, for_values=lambda f: (f * weights).T)

    return _deviating(repeat, "keys", _keys_of, "p", steps, " in the backward pass alone")


def _value_features(repeat: Repeat) -> Hypothesis:
    return _deviating(
        repeat,
        "features of c",
        _features_of,
        "q",
        lambda problem, w: Steps(residual=lambda z, y: (z - y) * w),
    )


def _score_features(repeat: Repeat, where: str) -> Hypothesis:
    """The columns of K, over which the scores are sums."""

    def change(problem: Problem) -> Problem | None:
        weights = repeat.weights(_features_of(problem))
        return None if weights is None else attention_forms.key_features_weighted(problem, weights)

    place = {"forward": " in the scores", "weights": " in the scores and in K"}[where]
    text = repeat.explanation("features", place)
    found = attention_forms.changed(_NAME, text, "scores", change, where=where)
    return _told(found, repeat, _features_of)


def _ranks(repeat: Repeat) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        weights = repeat.weights(len(problem.a["q"]))
        if weights is None:
            return None
        return replace(problem, b={m: b * weights for m, b in problem.b.items()})

    text = repeat.explanation("ranks", " in the weights W* + s B A")
    found = attention_forms.changed(_NAME, text, "delta", change, where="weights")
    return _told(found, repeat, lambda problem: len(problem.a["q"]))


def _of_result(repeat: Repeat, axis: int) -> Hypothesis:
    def wrong_truth(evidence: Evidence) -> Array | None:
        weights = repeat.weights(evidence.truth.shape[axis])
        if weights is None:
            return None
        return np.asarray(evidence.truth * (weights[:, None] if axis == 0 else weights))

    text = f"{{output}} is twice the true value in {repeat.of(('rows', 'columns')[axis])} alone"
    return Hypothesis(
        _NAME,
        text,
        "adapter",
        wrong_truth,
        telling=lambda evidence: repeat.tells(evidence.truth.shape[axis]),
    )


ATTENTION_DOUBLED_TAILS: tuple[Hypothesis, ...] = (
    *(_queries(repeat) for repeat in REPEATS),
    *(_keys(repeat) for repeat in REPEATS),
    *(_keys_in_backward(repeat) for repeat in REPEATS),
    *(_keys_in_forward(repeat) for repeat in REPEATS),
    *(
        _score_features(repeat, where)
        for repeat in SHORT_REPEATS
        for where in ("weights", "forward")
    ),
    *(_value_features(repeat) for repeat in SHORT_REPEATS),
    *(_ranks(repeat) for repeat in SHORT_REPEATS),
    *(_of_result(repeat, axis) for repeat in SHORT_REPEATS for axis in (0, 1)),
)
