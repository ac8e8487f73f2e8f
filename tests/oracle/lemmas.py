"""Lemmas 3.3 to 3.7 and F.5 to F.9 in numbers: what they say of f, c, q, p1 and p2, and the exact
matrices that they say it of.

A statement is refuted only if an error provably exceeds its bound: errors are distances from balls,
rounded down, and a kernel is allowed what its own roundings may add to the lemma's bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.evaluation import matrices
from loracle.kernels.almost_linear import LowRankIntermediates
from loracle.kernels.exact import Intermediates
from loracle.kernels.projection import project
from loracle_reference import error_bounds
from loracle_reference.arithmetic import Ball
from loracle_reference.arithmetic.protocol import Arithmetic
from loracle_reference.attention import adapted_weight, attention_probabilities, residual
from loracle_reference.enclosure import Enclosure
from loracle_reference.gradient import p1, p2, residual_value_products

Array = npt.NDArray[np.float64]
Bracket = tuple[str, str]

BRACKETS: tuple[Bracket, ...] = (("aloragc", "Q"), ("lora-attention", "Q"), ("lora-attention", "K"))
"""Contracts with the brackets of their scores: (X_Q W_Q)(X_K W_K)^T, Lemmas 3.3 to 3.7 and those of
F.5 to F.9 for Q, and ((X_Q W_Q) W_K^T) X_K^T, those for K (equation (B.1))."""

NAMES = ("f", "c", "q", "p1", "p2")

BALL = Ball(160)

UNIT = {torch.float64: 2.0**-53, torch.float32: 2.0**-24}
SMALLEST = {torch.float64: 2.0**-1022, torch.float32: 2.0**-126}

_SLACK = 1 + 1e-9
"""More than the float64 roundings of a bound, a sum of non-negative terms."""


def gamma(roundings: int, unit: float) -> float:
    """The relative error of a term that is rounded so often; no claim from 1/2 on."""
    return roundings * unit / (1 - roundings * unit) if roundings * unit < 0.5 else np.inf


@dataclass(frozen=True)
class Operands:
    """Q, y (L, d) and K, V (M, d), matrices of an arithmetic, arrays or tensors alike, and beta."""

    queries: Any
    keys: Any
    values: Any
    y: Any
    beta: float

    def embedded(self, arithmetic: Arithmetic[Any]) -> Operands:
        """Arrays as matrices of an arithmetic."""
        q, k, v, y = (arithmetic.matrix(x) for x in (self.queries, self.keys, self.values, self.y))
        return Operands(q, k, v, y, self.beta)

    def tensors(self, dtype: torch.dtype, device: str) -> dict[str, Any]:
        """Arrays as the arguments of the kernels' `intermediates`."""
        arrays = {"queries": self.queries, "keys": self.keys, "values": self.values, "y": self.y}
        tensors = {n: torch.tensor(x, dtype=dtype, device=device) for n, x in arrays.items()}
        return {**tensors, "beta": self.beta}


def specified(bracket: Bracket, inputs: Inputs, arithmetic: Arithmetic[Any]) -> Operands:
    """The operands of a contract's inputs by the specification."""
    contract, side = bracket
    m = matrices(CONTRACTS[contract], inputs, arithmetic)
    if contract == "aloragc":
        return Operands(
            m["c1"] @ adapted_weight(m["w"], m["b"], m["a"], 1), m["c2"], m["c3"], m["y"], 1
        )
    w = {n: adapted_weight(m[f"w_{n}"], m[f"b_{n}"], m[f"a_{n}"], m["scaling"]) for n in "qkv"}
    queries, keys = m["x_q"] @ w["q"], m["x_k"]
    if side == "Q":
        keys = keys @ w["k"]
    else:
        queries = queries @ w["k"].T
    return Operands(queries, keys, m["x_v"] @ w["v"], m["y"], m["beta"])


def projected(bracket: Bracket, inputs: Inputs, dtype: torch.dtype, device: str) -> Operands:
    """The operands as the kernels project them: tensors."""
    contract, side = bracket
    t = {n: torch.tensor(x, dtype=dtype, device=device) for n, x in inputs.tensors.items()}
    if contract == "aloragc":
        return Operands(
            project(t["c1"], t["w"], t["b"], t["a"], 1.0), t["c2"], t["c3"], t["y"], 1.0
        )
    s = inputs.scalars["scaling"]
    queries = project(t["x_q"], t["w_q"], t["b_q"], t["a_q"], s)
    keys = t["x_k"]
    if side == "Q":
        keys = project(keys, t["w_k"], t["b_k"], t["a_k"], s)
    else:
        queries = project(queries, t["w_k"].T, t["a_k"].T, t["b_k"].T, s)
    values = project(t["x_v"], t["w_v"], t["b_v"], t["a_v"], s)
    return Operands(queries, keys, values, t["y"], inputs.scalars["beta"])


def specification(operands: Operands) -> dict[str, Any]:
    """f, c, q, p1, p2 and r by the specification, r_j = <f_j, q_j>, in the operands' arithmetic."""
    f = attention_probabilities(operands.queries, operands.keys, operands.beta)
    c = residual(f, operands.values, operands.y)
    q = residual_value_products(c, operands.values)
    return {"f": f, "c": c, "q": q, "p1": p1(f, q), "p2": p2(f, q), "r": f.row_dot(q)}


@dataclass(frozen=True)
class Truth:
    """The exact matrices in balls, and the values and y, exact or nearest."""

    matrices: Mapping[str, Enclosure]
    values: Array
    y: Array

    @classmethod
    def of(cls, operands: Operands) -> Truth:
        """From operands in balls."""
        exact = {name: BALL.enclosure(m) for name, m in specification(operands).items()}
        values, y = (BALL.enclosure(m).mid for m in (operands.values, operands.y))
        return cls(exact, values, y)

    def sizes(self) -> dict[str, float]:
        """Max norms."""
        return {name: float(x.magnitude.max()) for name, x in self.matrices.items()}


@dataclass(frozen=True)
class Evaluated:
    """What a kernel has, as arrays, with what its own roundings may do.

    found: f, c, q, p1, p2 and r (L, 1). own: entrywise, of c against f V - Y for the f found, of q
    against c V^T, of r against <f, q>, of p1 against f o q and of p2 against diag(r) f. For f, own
    is what rounding adds to the approximation, and delta the relative error of exp: both are None
    for the exact kernel, whose f the lemmas take as it is.
    """

    found: dict[str, Array]
    own: dict[str, Array]
    own_f: Array | None = None
    delta: float | None = None


def arrays(passed: Intermediates) -> dict[str, Array]:
    """The matrices of a kernel as float64 arrays, and r = <f_j, q_j> as p2 has it."""
    found = {name: _array(getattr(passed, name)) for name in NAMES}
    return {**found, "r": _array(passed.p1.sum(dim=-1, keepdim=True))}


def evaluated_exactly(passed: Intermediates, operands: Operands) -> Evaluated:
    """The exact kernel's; operands are the arrays that it was given."""
    dtype = passed.f.dtype
    unit, lost = UNIT[dtype], 4 * len(operands.keys) * SMALLEST[dtype]
    found = arrays(passed)
    values, (keys, width) = np.abs(operands.values), operands.values.shape
    f, c, q, r = (np.abs(found[name]) for name in "fcqr")
    own = {
        "c": gamma(keys + 2, unit) * (f @ values + np.abs(operands.y)),
        "q": gamma(width + 1, unit) * (c @ values.T),
        "r": gamma(keys + 2, unit) * (f * q).sum(1, keepdims=True),
        "p1": gamma(2, unit) * f * q,
        "p2": gamma(2, unit) * r * f,
    }
    return Evaluated(found, {name: bound + lost for name, bound in own.items()})


def evaluated_in_low_rank(
    low: LowRankIntermediates, dense: Intermediates, truth: Truth, magnitude: Array
) -> Evaluated:
    """The almost-linear kernel's. dense: `low.dense()`, or a wrong one. magnitude: |X_V| |W_V|.

    Every term phi_mu w_mu psi_mu omega of a sum is off by at most gamma of its roundings, relative
    to B = |U1| |V1|^T; a row of f~ is divided by a sum that is off by gamma of its own roundings,
    relative to b, the sum of that row of B.
    """
    unit, double = UNIT[low.plan.dtype], UNIT[torch.float64]
    found = {name: _array(getattr(dense, name)) for name in NAMES} | {"r": _array(low.r)}
    keys, width, k = len(low.v1), low.c.shape[1], low.rank
    terms = np.abs(_array(low.u1)) @ np.abs(_array(low.v1)).T
    rows = terms.sum(1, keepdims=True)
    in_double = gamma(k + keys + 8 * width + 64, double)
    feature = gamma(2 * low.degree + 2, unit) + in_double
    summed = gamma(keys + k + 2 * low.degree + width + 16, unit) + in_double
    # What features lose near zero, relative to a row's sum: a_0 is about one, so that column 0 of
    # U1 is about the inverse of that sum. The plan allows no more.
    lost = unit * 2.0**-49 * np.abs(_array(low.u1)[:, :1])
    f, c, r = (np.abs(found[name]) for name in "fcr")
    of_row = summed * rows
    with np.errstate(divide="ignore"):
        own_f = feature * terms + of_row / np.maximum(1 - of_row, 0) * (f + feature * terms) + lost
    # Values less their mean, and the mean.
    sizes = 2 * magnitude.max(0, keepdims=True)
    own_c = 2 * (summed * rows + in_double) * 2 * sizes + own_f.sum(1, keepdims=True) * sizes
    own_c = own_c + in_double * np.abs(truth.y)
    products = c @ magnitude.T
    own_q = in_double * products
    attended = c + np.abs(truth.y) + sizes
    own_r = (c * (own_c + in_double * attended)).sum(1, keepdims=True)
    own_r = (
        own_r + (f * own_q).sum(1, keepdims=True) + in_double * (c * attended).sum(1, keepdims=True)
    )
    dense_sum = 4 * gamma(k * width + 16, double)
    own = {
        "c": own_c,
        "q": own_q,
        "r": own_r,
        "p1": dense_sum * terms * products + (f + terms * dense_sum) * own_q,
        "p2": dense_sum * r * terms,
    }
    return Evaluated(found, own, own_f, low.delta)


def refuted(evaluated: Evaluated, truth: Truth) -> set[str]:
    """The statements that do not hold: by lemma, "3.3 entrywise" also for F.5, and so on.

    certified: from delta alone. distance and norms: the lemma's step from the error found of what
    it starts from, by the distance of rows (whose sums are one, but for rounding), and by max norms
    alone as the corrected statements have it. row: the sum of a row's errors.
    """
    found, own = evaluated.found, evaluated.own
    low, high = {}, {}
    for name, exact in truth.matrices.items():
        low[name], high[name] = exact.distance(found[name])
    e = {name: float(error.max()) for name, error in high.items()}
    size = truth.sizes()
    row_errors = high["f"].sum(1, keepdims=True)
    drift = np.abs(found["f"].sum(1, keepdims=True) - 1) + 1e-15
    keys, width = truth.values.shape
    largest, row_sum = float(np.abs(truth.values).max()), np.abs(truth.values).sum(1).max()
    spread = truth.values.max(0, keepdims=True) - truth.values.min(0, keepdims=True)
    t = float(row_errors.max()) / 2
    # |f^| is at most one and its rows sum to one, but for that much.
    top = 1 + float(drift.max())

    claims: list[tuple[str, Array, Any]] = []
    steps = {
        "3.4 distance": (
            "c",
            error_bounds.residual_error_from_distance(distance=t, spread=spread) + drift * largest,
        ),
        "3.4 norms": (
            "c",
            error_bounds.residual_error(keys=keys, f_error=e["f"], values=largest),
        ),
        "3.5 norms": ("q", error_bounds.q_error(width=width, c_error=e["c"], values=largest)),
        "3.6 distance": (
            "p1",
            error_bounds.p1_error_from_distance(
                distance=t + float(drift.max()), q=size["q"], q_error=top * e["q"]
            ),
        ),
        "3.6 norms": (
            "p1",
            error_bounds.hadamard_error(
                left=size["f"], left_error=e["f"], right=size["q"], right_error=e["q"]
            ),
        ),
        "3.7 products": (
            "r",
            error_bounds.row_products_error(
                keys=keys, f=size["f"], f_error=e["f"], q=size["q"], q_error=e["q"]
            ),
        ),
        "3.7 distance": (
            "p2",
            error_bounds.p2_error_from_distance(
                distance=t + float(drift.max()), r=size["r"], r_error=top * e["r"]
            ),
        ),
        "3.7 norms": (
            "p2",
            error_bounds.hadamard_error(
                left=size["f"], left_error=e["f"], right=size["r"], right_error=e["r"]
            ),
        ),
    }
    claims += [(name, low[n], bound + own[n]) for name, (n, bound) in steps.items()]
    rows = {
        "3.6 row": (
            "p1",
            error_bounds.p1_row_error_from_distance(distance=t, q=size["q"], q_error=top * e["q"]),
        ),
        "3.7 row": (
            "p2",
            error_bounds.p2_row_error_from_distance(distance=t, r=size["r"], r_error=top * e["r"]),
        ),
    }
    claims += [(name, low[n].sum(1), bound + own[n].sum(1)) for name, (n, bound) in rows.items()]
    if evaluated.delta is not None and evaluated.own_f is not None:
        claims += _certified(evaluated.delta, evaluated.own_f, evaluated, truth, low, row_sum)
    return {name for name, error, bound in claims if (error > bound * _SLACK).any()}


def _certified(
    delta: float,
    own_f: Array,
    evaluated: Evaluated,
    truth: Truth,
    low: dict[str, Array],
    row_sum: float,
) -> list[tuple[str, Array, Any]]:
    """The statements that start from the relative error of exp."""
    own, size = evaluated.own, truth.sizes()
    eta = error_bounds.relative_error_of_probabilities(delta)
    t = error_bounds.distance_from_relative_error(delta)
    rounding = own_f.sum(1, keepdims=True)
    most = float(rounding.max())
    spread = truth.values.max(0, keepdims=True) - truth.values.min(0, keepdims=True)
    c_bound = (
        error_bounds.residual_error_from_distance(distance=t, spread=spread)
        + own_f @ np.abs(truth.values)
        + own["c"]
    )
    e_c = float(c_bound.max())
    e_q = e_c * row_sum + float(own["q"].max())
    # f~ + rounding in place of f~.
    q = {"distance": t + most, "q": size["q"], "q_error": (1 + most) * e_q}
    e_r = error_bounds.row_products_error_from_distance(**q) + float(own["r"].max())
    r = {"distance": t + most, "r": size["r"], "r_error": (1 + most) * e_r}
    p1_row = error_bounds.p1_row_error_from_distance(**q) + own["p1"].sum(1)
    p2_row = error_bounds.p2_row_error_from_distance(**r) + own["p2"].sum(1)
    return [
        ("3.3 entrywise", low["f"], eta * truth.matrices["f"].magnitude + own_f),
        ("3.3 norm", low["f"], t + own_f),
        ("3.3 distance", low["f"].sum(1, keepdims=True), 2 * t + rounding),
        ("3.3 rows", np.abs(evaluated.found["f"].sum(1, keepdims=True) - 1), rounding),
        ("3.4 certified", low["c"], c_bound),
        ("3.5 certified", low["q"], e_q),
        ("3.6 certified", low["p1"], error_bounds.p1_error_from_distance(**q) + own["p1"]),
        ("3.6 certified row", low["p1"].sum(1), p1_row),
        ("3.7 certified products", low["r"], e_r),
        ("3.7 certified", low["p2"], error_bounds.p2_error_from_distance(**r) + own["p2"]),
        ("3.7 certified row", low["p2"].sum(1), p2_row),
    ]


def _array(tensor: torch.Tensor) -> Array:
    return np.asarray(tensor.detach().double().cpu().numpy(), dtype=np.float64)
