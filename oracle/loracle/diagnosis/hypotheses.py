"""The closed-form wrong truths, one table per contract: what each bug would return instead.

Every hypothesis maps the evidence to what a kernel with that bug (and no other) returns for the
output, or to None where it does not apply. Factors of the truth apply to every contract; the others
evaluate the specification with one thing changed, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.diagnosis.evidence import Evidence
from loracle.evaluation import bind_sizes, matrices, output_shapes
from loracle_reference.arithmetic.double import Double, DoubleMatrix
from loracle_reference.attention import adapted_weight, attention_probabilities, residual
from loracle_reference.gradient import adapter_gradient, score_gradient

__all__ = ["HYPOTHESES", "Hypothesis"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hypothesis:
    """name: the class of the diagnosis; explanation: one sentence, the output's name to be put in
    for {output}; wrong_truth: what the bug returns, None where it does not apply."""

    name: str
    explanation: str
    wrong_truth: Callable[[Evidence], Array | None]


def _factor(name: str, explanation: str, factor: float) -> Hypothesis:
    return Hypothesis(name, explanation, lambda evidence: np.asarray(evidence.truth * factor))


def _changed(
    name: str, explanation: str, change: Callable[[Evidence], Inputs | None]
) -> Hypothesis:
    """The specification evaluated on changed inputs."""

    def wrong_truth(evidence: Evidence) -> Array | None:
        changed = change(evidence)
        return None if changed is None else _evaluate(evidence, changed)

    return Hypothesis(name, explanation, wrong_truth)


def _evaluate(evidence: Evidence, inputs: Inputs) -> Array:
    double = Double()
    matrix = evidence.contract.gradient(**matrices(evidence.contract, inputs, double))
    return _shaped(evidence, double.array(matrix[evidence.output]))


def _shaped(evidence: Evidence, array: Array) -> Array:
    return array.reshape(output_shapes(evidence.contract, evidence.inputs)[evidence.output])


def _with(inputs: Inputs, tensors: Mapping[str, Array] | None = None, **scalars: float) -> Inputs:
    return Inputs({**inputs.tensors, **(tensors or {})}, {**inputs.scalars, **scalars})


def _wrong_scaling(name: str, explanation: str, wrong: Callable[[float], float]) -> Hypothesis:
    """The scaling replaced: a factor of the adapters' gradients, a change of the LoRA term
    elsewhere."""

    def wrong_truth(evidence: Evidence) -> Array | None:
        scaling = evidence.inputs.scalars["scaling"]
        if evidence.output in ("output", "grad_x"):
            return _evaluate(evidence, _with(evidence.inputs, scaling=wrong(scaling)))
        return np.asarray(evidence.truth * (wrong(scaling) / scaling))

    return Hypothesis(name, explanation, wrong_truth)


_SCALINGS = (
    _wrong_scaling(
        "missing-scaling",
        "{output} lacks the scaling alpha / r: it is what a scaling of 1 gives",
        lambda s: 1.0,
    ),
    _wrong_scaling("squared-scaling", "{output} has the scaling alpha / r twice", lambda s: s * s),
)


def _mean_instead_of_sum(symbols: tuple[str, ...]) -> Hypothesis:
    def factor(evidence: Evidence) -> Array | None:
        sizes = bind_sizes(evidence.contract, evidence.inputs)
        terms = math.prod(sizes[symbol] for symbol in symbols)
        return np.asarray(evidence.truth / terms) if terms > 1 else None

    explanation = f"{{output}} is the true value divided by {' * '.join(symbols)}: a mean, no sum"
    return Hypothesis("mean-instead-of-sum", explanation, factor)


_FACTORS = (
    Hypothesis(
        "zero-gradient",
        "{output} is exactly zero in every entry",
        lambda e: np.zeros_like(e.truth) if not e.computed.any() else None,
    ),
    _factor("wrong-sign", "{output} has the opposite sign", -1.0),
    _factor(
        "factor-two",
        "{output} is twice the true value, as without the 1/2 of the loss",
        2.0,
    ),
    _factor("factor-two", "{output} is half the true value", 0.5),
)


def _square_transposed(evidence: Evidence) -> Array | None:
    rows, columns = evidence.truth.shape[-2:]
    if evidence.truth.ndim != 2 or rows != columns or rows == 1:
        return None
    return evidence.truth.T


_TRANSPOSED_RESULT = Hypothesis(
    "transposed", "{output} is the transpose of the true value", _square_transposed
)


def _transposed_weights(names: tuple[str, ...]) -> tuple[Hypothesis, ...]:
    def change(name: str) -> Callable[[Evidence], Inputs | None]:
        def changed(evidence: Evidence) -> Inputs | None:
            weight = evidence.inputs.tensors[name]
            if weight.shape[0] != weight.shape[1] or weight.shape[0] == 1:
                return None
            return _with(evidence.inputs, {name: weight.T})

        return changed

    return tuple(
        _changed(
            "transposed", f"{{output}} is what the transpose of {name} would give", change(name)
        )
        for name in names
    )


def _transposed_deltas(triples: tuple[tuple[str, str, str], ...]) -> tuple[Hypothesis, ...]:
    """W + s (B A)^T in place of W + s B A, written as a change of the frozen weight."""

    def change(weight: str, down: str, up: str) -> Callable[[Evidence], Inputs | None]:
        def changed(evidence: Evidence) -> Inputs | None:
            tensors = evidence.inputs.tensors
            delta = evidence.inputs.scalars.get("scaling", 1.0) * (tensors[up] @ tensors[down])
            if delta.shape[0] != delta.shape[1] or delta.shape[0] == 1:
                return None
            return _with(evidence.inputs, {weight: tensors[weight] + delta.T - delta})

        return changed

    return tuple(
        _changed("transposed", f"{{output}} is what ({up} {down})^T would give", change(*triple))
        for triple in triples
        for _, down, up in (triple,)
    )


def _target_ignored(evidence: Evidence) -> Inputs:
    return _with(evidence.inputs, {"y": np.zeros_like(evidence.inputs.tensors["y"])})


_TARGET_IGNORED = _changed(
    "target-ignored",
    "{output} is the gradient for y = 0: the target does not enter",
    _target_ignored,
)


def _weight_gradient(evidence: Evidence, *, correction: bool) -> tuple[DoubleMatrix, str, float]:
    """dL/dW of the projection that the output belongs to, with or without p2; the projection's name
    ("" for aloragc's only one) and the scaling."""
    k: dict[str, Any] = matrices(evidence.contract, evidence.inputs, Double())
    if evidence.contract.name == "aloragc":
        queries, keys, values = (
            k["c1"] @ adapted_weight(k["w"], k["b"], k["a"], 1),
            k["c2"],
            k["c3"],
        )
        left, right, projection, scaling, beta = k["c1"], k["c2"], "", 1.0, 1.0
    else:
        projection, scaling, beta = evidence.output[-2:], k["scaling"], k["beta"]
        queries, keys, values = (
            k[f"x_{m}"] @ adapted_weight(k[f"w_{m}"], k[f"b_{m}"], k[f"a_{m}"], scaling)
            for m in "qkv"
        )
        left, right = (k["x_q"], keys) if projection == "_q" else (k["x_k"], queries)
    f = attention_probabilities(queries, keys, beta)
    c = residual(f, values, k["y"])
    if projection == "_v":
        return k["x_v"].T @ f.T @ c, projection, scaling
    p = score_gradient(f, c, values) if correction else f * (c @ values.T)
    p = p.scale(beta)
    return left.T @ (p.T if projection == "_k" else p) @ right, projection, scaling


def _from_weight_gradient(
    evidence: Evidence, grad_w: DoubleMatrix, projection: str, scaling: float
) -> Array:
    """The output that the adapters' rule makes of a given dL/dW."""
    double = Double()
    tensors = evidence.inputs.tensors
    a, b = (double.matrix(tensors[f"{name}{projection}"]) for name in ("a", "b"))
    results = adapter_gradient(projection.removeprefix("_"), grad_w.scale(scaling), a, b)
    name = evidence.output if projection else f"{evidence.output}_"
    return _shaped(evidence, double.array(results[name]))


def _without_correction(evidence: Evidence) -> Array | None:
    if evidence.output.endswith("_v"):
        return None
    return _from_weight_gradient(evidence, *_weight_gradient(evidence, correction=False))


def _transposed_weight_gradient(evidence: Evidence) -> Array | None:
    grad_w, projection, scaling = _weight_gradient(evidence, correction=True)
    if grad_w.shape[0] == 1:
        return None
    return _from_weight_gradient(evidence, grad_w.T, projection, scaling)


_TRANSPOSED_WEIGHT_GRADIENT = Hypothesis(
    "transposed",
    "{output} is what the transpose of the weight's gradient, dL/dW, gives",
    _transposed_weight_gradient,
)

_MISSING_CORRECTION = "{output} lacks p2, the correction <f_j, q_j> f_j of the softmax's backward"


def _wrong_betas(evidence: Evidence) -> Iterator[tuple[str, float]]:
    """The betas that kernels use instead, and what they are."""
    dim = evidence.inputs.tensors[next(iter(evidence.contract.tensors))].shape[-1]
    beta = evidence.inputs.scalars.get("beta", 1.0)
    yield "1", 1.0
    yield "1/sqrt(d)", 1 / math.sqrt(dim)
    yield "beta/sqrt(d)", beta / math.sqrt(dim)
    yield "beta^2", beta**2


def _wrong_softmax_scale(which: int, *, backward_only: bool) -> Hypothesis:
    name = ("1", "1/sqrt(d)", "beta/sqrt(d)", "beta^2")[which]

    def wrong_truth(evidence: Evidence) -> Array | None:
        wrong = list(_wrong_betas(evidence))[which][1]
        beta = evidence.inputs.scalars.get("beta", 1.0)
        if backward_only:
            # The V gradient has no factor beta; the others are proportional to it.
            return None if evidence.output.endswith("_v") else evidence.truth * (wrong / beta)
        if "beta" in evidence.inputs.scalars:
            return _evaluate(evidence, _with(evidence.inputs, beta=wrong))
        # aloragc has beta = 1: scaling the scores and the gradient in them is scaling C2.
        c2 = evidence.inputs.tensors["c2"] * wrong
        return _evaluate(evidence, _with(evidence.inputs, {"c2": c2}))

    where = "in the backward pass alone" if backward_only else "in forward and backward pass"
    return Hypothesis(
        "wrong-softmax-scale", f"{{output}} has {name} in place of beta, {where}", wrong_truth
    )


_SOFTMAX_SCALES = tuple(
    _wrong_softmax_scale(which, backward_only=backward_only)
    for backward_only in (False, True)
    for which in range(4)
)

HYPOTHESES: Mapping[str, tuple[Hypothesis, ...]] = {
    "lora-linear": (
        *_SCALINGS,
        *_FACTORS,
        *(_mean_instead_of_sum(n) for n in (("batch",), ("length",), ("batch", "length"))),
        *_transposed_weights(("weight",)),
        *_transposed_deltas((("weight", "lora_a", "lora_b"),)),
        _TRANSPOSED_RESULT,
    ),
    "aloragc": (
        *_FACTORS,
        *(_mean_instead_of_sum(n) for n in (("L",), ("L", "d"))),
        _TARGET_IGNORED,
        Hypothesis("missing-softmax-correction", _MISSING_CORRECTION, _without_correction),
        *_SOFTMAX_SCALES,
        *_transposed_weights(("w",)),
        *_transposed_deltas((("w", "a", "b"),)),
        _TRANSPOSED_WEIGHT_GRADIENT,
        _TRANSPOSED_RESULT,
    ),
    "lora-attention": (
        *_SCALINGS,
        *_FACTORS,
        *(_mean_instead_of_sum(n) for n in (("L",), ("L", "d"))),
        _TARGET_IGNORED,
        Hypothesis("missing-softmax-correction", _MISSING_CORRECTION, _without_correction),
        *_SOFTMAX_SCALES,
        *_transposed_weights(("w_q", "w_k", "w_v")),
        *_transposed_deltas(tuple((f"w_{m}", f"a_{m}", f"b_{m}") for m in "qkv")),
        _TRANSPOSED_WEIGHT_GRADIENT,
        _TRANSPOSED_RESULT,
    ),
}
"""Per contract, specific before generic."""
