"""Problems for the almost-linear kernel, some of which attain its certificate, and the truth about
them, in balls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from loracle.kernels.almost_linear import (
    Gradients,
    OutOfReach,
    aloragc_gradients,
    lora_attention_gradients,
)
from loracle_reference.arithmetic import Ball
from loracle_reference.attention import adapted_weight, attention_probabilities
from loracle_reference.enclosure import Enclosure
from loracle_reference.gradient import aloragc_gradient, lora_attention_gradient
from loracle_reference.natural_scale import aloragc_natural_scale, lora_attention_natural_scale

Array = npt.NDArray[np.float64]

CONTRACTS = ["aloragc", "lora-attention"]
ATTENTION_SHAPES = {
    "x_q": "Ld",
    "x_k": "Md",
    "x_v": "Md",
    **{f"{n}_{m}": s for m in "qkv" for n, s in (("w", "dd"), ("a", "rd"), ("b", "dr"))},
    "y": "Ld",
}
ALORAGC_SHAPES = {
    "c1": "Ld",
    "c2": "Md",
    "c3": "Md",
    "w": "dd",
    "a": "rd",
    "b": "dr",
    "y": "Ld",
}
QK_OUTPUTS = tuple(f"grad_{f}_{m}" for m in "qk" for f in "ab")
V_OUTPUTS = ("grad_a_v", "grad_b_v")


@dataclass(frozen=True)
class Truth:
    """outputs: enclosed gradients. natural: upper bounds of the largest entries of the closed form
    with absolute values. probabilities: f, enclosed."""

    outputs: dict[str, Enclosure]
    natural: dict[str, float]
    probabilities: Enclosure


@dataclass(frozen=True)
class Instance:
    """One head. tensors: of one dtype, as contract `lora-attention` or `aloragc` names them."""

    tensors: dict[str, Tensor]
    scalars: dict[str, float]

    @property
    def is_attention(self) -> bool:
        return "x_q" in self.tensors

    def to(self, dtype: torch.dtype) -> Instance:
        return Instance({n: t.to(dtype) for n, t in self.tensors.items()}, self.scalars)

    def changed(self, **tensors: Tensor) -> Instance:
        return Instance({**self.tensors, **tensors}, self.scalars)

    def solve(self, **options: Any) -> Gradients:
        solver: Callable[..., Gradients] = (
            lora_attention_gradients if self.is_attention else aloragc_gradients
        )
        return solver(**self.tensors, **self.scalars, **options)

    @cached_property
    def truth(self) -> Truth:
        """To about 200 bits: whatever cancels here cancels fewer."""
        ball = Ball(256)
        arrays = {n: t.double().numpy() for n, t in self.tensors.items()}
        exact = {n: ball.matrix(a) for n, a in arrays.items()}
        sizes = {n: ball.matrix(np.abs(a)) for n, a in arrays.items()}
        if self.is_attention:
            queries, keys = (
                exact[f"x_{m}"]
                @ adapted_weight(
                    exact[f"w_{m}"], exact[f"b_{m}"], exact[f"a_{m}"], self.scalars["scaling"]
                )
                for m in "qk"
            )
            f = attention_probabilities(queries, keys, self.scalars["beta"])
            outputs = lora_attention_gradient(**exact, **self.scalars)
            natural = lora_attention_natural_scale(f, **sizes, **self.scalars)
        else:
            weight = adapted_weight(exact["w"], exact["b"], exact["a"], 1)
            f = attention_probabilities(exact["c1"] @ weight, exact["c2"])
            outputs = aloragc_gradient(**exact)
            natural = aloragc_natural_scale(f, **sizes)
        return Truth(
            {n: ball.enclosure(m) for n, m in outputs.items()},
            {n: float(ball.enclosure(m).magnitude.max()) for n, m in natural.items()},
            ball.enclosure(f),
        )


def generated(contract: str, sizes: Mapping[str, int], seed: int, scores: float = 1.0) -> Instance:
    """Gaussian, with scores of about the given size; float64. sizes: of L, M, d and r."""
    generator = np.random.default_rng(seed)
    shapes = ATTENTION_SHAPES if contract == "lora-attention" else ALORAGC_SHAPES
    tensors = {}
    for name, shape in shapes.items():
        array = generator.standard_normal(tuple(sizes[symbol] for symbol in shape))
        if name in ("w", "w_q"):
            array *= scores / sizes["d"]
        elif name.startswith("w"):
            array /= math.sqrt(sizes["d"])
        elif name[0] in "ab":
            array *= 0.3 * min(scores, 1.0)
        tensors[name] = torch.from_numpy(array)
    scalars = {"scaling": 1.25, "beta": 0.75} if contract == "lora-attention" else {}
    return Instance(tensors, scalars)


def ratios(result: Gradients, truth: Truth, head: int | None = None) -> dict[str, float]:
    """By output: the smallest that the error can be, over what was certified; 0 for 0 / 0."""
    assert result.certificate is not None
    found = {}
    for name, exact in truth.outputs.items():
        output, certified = result.outputs[name], result.certificate.errors[name]
        if head is not None:
            output, certified = output[head], certified[head]
        error = float(exact.distance(output.double().numpy())[0].max())
        bound = float(certified)
        if not bound >= 0:
            found[name] = math.inf
        else:
            found[name] = 0.0 if error == 0 else error / bound if bound > 0 else math.inf
    return found


def complaints(
    result: Gradients, truth: Truth, epsilon: float, head: int | None = None
) -> list[str]:
    """What of a certificate's promises does not hold, one line each."""
    certificate = result.certificate
    assert certificate is not None
    said = [
        f"{name}: an error of {ratio:.4g} times what is certified"
        for name, ratio in ratios(result, truth, head).items()
        if not ratio <= 1
    ]
    for name, largest in truth.natural.items():
        at = ... if head is None else head
        error, natural = (
            float(field[name][at]) for field in (certificate.errors, certificate.natural_scale)
        )
        if not natural <= largest:
            said.append(f"{name}: natural scale {natural!r} above the true one, {largest!r}")
        if not error <= epsilon * natural * (1 + 2.0**-19):
            said.append(f"{name}: certified {error:.4g}, more than epsilon of {natural:.4g}")
    return said


def outlier(radius: float, keys: int, residual: float = 1e4) -> Instance:
    """Two queries, and one key that is far from all others, alone with a value: the certificates of
    Q and K are nearly attained for a polynomial that errs upwards at the end of its interval and
    downwards in the middle, as that of degree 1 does.

    The probability p of the outlier is small, and so p (1 - p) h^2 is Cov(k, v), half the mean
    deviation of (k - E k)(v - E v), and the product of both standard deviations. Only the first
    query has a residual to speak of.
    """
    tensors = _adapted(1e-6)
    tensors["x_q"] = _column(1.0, -1.0)
    tensors["x_k"], tensors["x_v"] = torch.zeros(2, keys, 1, dtype=torch.float64)
    # Less the mean of the keys, its score is the radius.
    tensors["x_k"][0] = radius * keys / (keys - 1)
    tensors["x_v"][0] = 1
    tensors["y"] = _column(residual, 0.0)
    return Instance(tensors, {"scaling": 1.0, "beta": 1.0})


def clusters(radius: float, keys: int, residual: float | None) -> Instance:
    """Two queries and two clusters of keys at scores of +-radius, with the values +-1: the
    certificates of V are nearly attained for a polynomial that errs upwards at one end and
    downwards at the other, as those of even degree do.

    residual: about -c of the first query; None for the y at which c is zero, nearly, for both.
    """
    tensors = _adapted(1e-6)
    tensors["x_q"] = _column(1.0, -1.0)
    signs = torch.ones(keys, 1, dtype=torch.float64)
    signs[keys // 2 :] = -1
    tensors["x_k"], tensors["x_v"] = radius * signs, signs
    instance = Instance(tensors, {"scaling": 1.0, "beta": 1.0})
    if residual is not None:
        return instance.changed(y=_column(residual, 0.0))
    weight = [float(tensors[f"w_{m}"] + tensors[f"b_{m}"] * tensors[f"a_{m}"]) for m in "qkv"]
    scores = (tensors["x_q"] * weight[0]) @ (tensors["x_k"] * weight[1]).T
    return instance.changed(y=torch.softmax(scores, -1) @ (tensors["x_v"] * weight[2]))


def _adapted(size: float) -> dict[str, Tensor]:
    """Weights of one and adapters of hardly anything, in one dimension."""
    return {f"w_{m}": _column(1.0) for m in "qkv"} | {
        f"{f}_{m}": _column(size) for m in "qkv" for f in "ab"
    }


def _column(*entries: float) -> Tensor:
    return torch.tensor(entries, dtype=torch.float64)[:, None]


def checked(instance: Instance, *, epsilon: float, **options: Any) -> bool:
    """Whether the accuracy is in reach; fails where a promise of the certificate does not hold."""
    try:
        result = instance.solve(epsilon=epsilon, **options)
    except OutOfReach:
        return False
    said = complaints(result, instance.truth, epsilon)
    assert said == [], said
    assert result.certificate is not None
    if options.get("promise", "probabilities") == "probabilities":
        assert result.certificate.probability_error <= epsilon
    return True


def heads_of(instances: list[Instance]) -> dict[str, Tensor]:
    return {
        name: torch.stack([i.tensors[name] for i in instances]) for name in instances[0].tensors
    }


@dataclass(frozen=True)
class Attained:
    """A problem of which the named outputs' certificates are attained but for a tenth."""

    instance: Instance
    epsilon: float
    outputs: tuple[str, ...]


ATTAINED = {
    "second moments": Attained(outlier(0.03125 * (1 - 2.0**-30), 1000), 0.03, QK_OUTPUTS),
    "residual": Attained(clusters(0.03125 * (1 - 2.0**-30), 10, None), 1e-5, QK_OUTPUTS),
    "values": Attained(clusters(0.03125 * (1 - 2.0**-30), 10, 1e4), 1e-5, V_OUTPUTS),
    "values, and a residual of nothing": Attained(
        clusters(0.03125 * (1 - 2.0**-30), 10, None), 1e-5, V_OUTPUTS
    ),
}
