"""Problems to evaluate the specification on, and wrong formulas it must be told apart from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from loracle_reference import gradient
from loracle_reference.arithmetic import Arithmetic
from loracle_reference.attention import aloragc_loss, lora_attention_loss
from loracle_reference.lora_linear import lora_linear_gradient, lora_linear_pairing

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Specification:
    """A contract's closed form and its loss; the gradient in `a` is the output `grad_a`."""

    tensors: Mapping[str, tuple[str, str]]
    scalars: Mapping[str, float]
    gradient: Callable[..., dict[str, Any]]
    loss: Callable[..., Any]
    outputs: tuple[str, ...]


LORA_LINEAR = Specification(
    tensors={
        "x": ("L", "d"),
        "weight": ("M", "d"),
        "lora_a": ("r", "d"),
        "lora_b": ("M", "r"),
        "grad_output": ("L", "M"),
    },
    scalars={"scaling": 1.5},
    gradient=lora_linear_gradient,
    loss=lora_linear_pairing,
    outputs=("grad_x", "grad_lora_a", "grad_lora_b"),
)

ALORAGC = Specification(
    tensors={
        "c1": ("L", "d"),
        "c2": ("M", "d"),
        "c3": ("M", "d"),
        "w": ("d", "d"),
        "a": ("r", "d"),
        "b": ("d", "r"),
        "y": ("L", "d"),
    },
    scalars={},
    # Through the module, so that a wrong formula can be put in its place.
    gradient=lambda **arguments: gradient.aloragc_gradient(**arguments),
    loss=aloragc_loss,
    outputs=("grad_a", "grad_b"),
)

LORA_ATTENTION = Specification(
    tensors={
        "x_q": ("L", "d"),
        "x_k": ("M", "d"),
        "x_v": ("M", "d"),
        **{f"w_{m}": ("d", "d") for m in "qkv"},
        **{f"a_{m}": ("r", "d") for m in "qkv"},
        **{f"b_{m}": ("d", "r") for m in "qkv"},
        "y": ("L", "d"),
    },
    scalars={"scaling": 1.25, "beta": 0.375},
    gradient=lambda **arguments: gradient.lora_attention_gradient(**arguments),
    loss=lora_attention_loss,
    outputs=tuple(f"grad_{f}_{m}" for m in "qkv" for f in "ab"),
)

SPECIFICATIONS = {
    "lora-linear": LORA_LINEAR,
    "aloragc": ALORAGC,
    "lora-attention": LORA_ATTENTION,
}


@dataclass(frozen=True)
class Problem:
    """Float64 inputs of one specification."""

    specification: Specification
    tensors: dict[str, FloatArray]

    def gradient(self, arithmetic: Arithmetic[Any]) -> dict[str, Any]:
        """The closed form in an arithmetic."""
        matrices = {name: arithmetic.matrix(array) for name, array in self.tensors.items()}
        return self.specification.gradient(**matrices, **self.specification.scalars)


def make_problem(
    specification: Specification, sizes: Mapping[str, int], scale: float, seed: int
) -> Problem:
    """Gaussian inputs, weights normalised by the width, everything times `scale`."""
    generator = np.random.default_rng(seed)
    tensors = {}
    for name, (rows, columns) in specification.tensors.items():
        array = generator.standard_normal((sizes[rows], sizes[columns])) * scale
        weight = name.startswith(("w", "b", "lora_b"))
        tensors[name] = array / sizes["d"] ** 0.5 if weight else array
    return Problem(specification, tensors)


@st.composite
def problems(draw: st.DrawFn, specification: Specification) -> Problem:
    """Mostly small sizes, some up to L, M = 64 and d = 16; several scales of the norm."""
    small = st.integers(1, 9)
    length = st.one_of(small, small, small, st.integers(10, 64))
    width = draw(st.one_of(st.integers(1, 5), st.integers(1, 16)))
    sizes = {"L": draw(length), "M": draw(length), "d": width, "r": draw(st.integers(1, width))}
    scale = draw(st.sampled_from([2.0**-20, 0.25, 0.5, 1.0, 3.0]))
    return make_problem(specification, sizes, scale, draw(st.integers(0, 2**32 - 1)))


@contextmanager
def _score_gradient(deviation: Callable[..., Any]) -> Iterator[None]:
    with mock.patch.object(gradient, "score_gradient", deviation):
        yield


_true_score_gradient = gradient.score_gradient


def _deviating(deviation: Callable[..., Any]) -> Callable[[Problem, Arithmetic[Any]], Any]:
    """The closed form with another p."""

    def evaluate(problem: Problem, arithmetic: Arithmetic[Any]) -> dict[str, Any]:
        with _score_gradient(deviation):
            return problem.gradient(arithmetic)

    return evaluate


def _times(factor: Fraction) -> Callable[[Problem, Arithmetic[Any]], Any]:
    """The closed form times a constant."""

    def evaluate(problem: Problem, arithmetic: Arithmetic[Any]) -> dict[str, Any]:
        outputs = problem.gradient(arithmetic)
        return {name: output.scale(factor) for name, output in outputs.items()}

    return evaluate


def _without_target(problem: Problem, arithmetic: Arithmetic[Any]) -> dict[str, Any]:
    tensors = {**problem.tensors, "y": np.zeros_like(problem.tensors["y"])}
    return Problem(problem.specification, tensors).gradient(arithmetic)


_SCORES = ("aloragc", "lora-attention")
_NOT_V = {f"grad_{f}_v" for f in "ab"}

WRONG_FORMULAS: dict[str, tuple[Callable[[Problem, Arithmetic[Any]], Any], tuple[str, ...]]] = {
    "p2 dropped": (_deviating(lambda f, c, v: f * (c @ v.T)), _SCORES),
    "p transposed": (_deviating(lambda f, c, v: _true_score_gradient(f, c, v).T), _SCORES),
    "beta missing": (
        _deviating(lambda f, c, v: _true_score_gradient(f, c, v).scale(Fraction(8, 3))),
        ("lora-attention",),
    ),
    "s missing": (_times(Fraction(4, 5)), ("lora-attention",)),
    "s missing, linear": (_times(Fraction(2, 3)), ("lora-linear",)),
    "factor two": (_times(Fraction(2)), tuple(SPECIFICATIONS)),
    "y = 0": (_without_target, _SCORES),
}
"""Name, evaluation and the specifications to which it applies (sizes with L = M needed)."""

WRONG_CASES = [
    (wrong, contract) for wrong, (_, contracts) in WRONG_FORMULAS.items() for contract in contracts
]


def affected(wrong: str, contract: str) -> list[str]:
    """The outputs that the wrong formula changes: V's adapters have no p in them."""
    outputs = SPECIFICATIONS[contract].outputs
    through_p = wrong in {"p2 dropped", "p transposed", "beta missing"}
    return [name for name in outputs if not (through_p and name in _NOT_V)]
