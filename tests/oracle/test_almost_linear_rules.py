"""What every rule of the almost-linear certificate is there for: left out, the certificate is
exceeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from loracle.kernels.almost_linear import polynomial, results, solve
from loracle.kernels.almost_linear.row_bounds import RowBounds
from loracle.kernels.almost_linear.statistics import KeyStatistics

from .almost_linear_problems import ATTAINED, Instance, complaints, generated, heads_of, outlier


def _change(patch: pytest.MonkeyPatch, owner: Any, name: str, change: Callable[[Any], Any]) -> None:
    """What `owner.name` returns is changed."""
    original = getattr(owner, name)

    def changed(*arguments: Any, **options: Any) -> Any:
        return change(original(*arguments, **options))

    patch.setattr(owner, name, staticmethod(changed) if isinstance(owner, type) else changed)


Mutation = Callable[[pytest.MonkeyPatch], None]


def mutation(owner: Any, name: str, change: Callable[[Any], Any]) -> Mutation:
    return lambda patch: _change(patch, owner, name, change)


def rows_with(change: Callable[[RowBounds], RowBounds]) -> Mutation:
    return mutation(RowBounds, "of", change)


def machine_with(**changes: float) -> Mutation:
    return mutation(solve, "make_plan", lambda p: replace(p, machine=replace(p.machine, **changes)))


def one_query(dtype: torch.dtype) -> Instance:
    """Nothing is approximated: all scores are weights of the keys."""
    return generated("lora-attention", {"L": 1, "M": 40, "d": 2, "r": 1}, 3, 0.5).to(dtype)


def cancelling_values() -> Instance:
    """W_V is a millionth of W*_V and of s B_V A_V, and W*_V has no digits to spare."""
    instance = generated("lora-attention", {"L": 1, "M": 5, "d": 2, "r": 1}, 3, 0.5)
    tensors = instance.tensors
    tensors["a_v"] *= 1e9
    tensors["w_v"].copy_(tensors["w_v"] - 1.25 * (tensors["b_v"] @ tensors["a_v"]))
    return instance


def large_scores() -> Instance:
    """One query, and scores of about 1e7 that differ by little: each is off by about 1e-9."""
    instance = generated("lora-attention", {"L": 1, "M": 6, "d": 2, "r": 1}, 3, 0.5)
    instance.tensors["x_k"][:, 0] = 1.0
    instance.tensors["w_k"][0] += 1e7
    return instance


def thin() -> Instance:
    """The second coordinate contributes little to the scores: its monomials are left out."""
    queries = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    keys = torch.tensor([[0.06, 0.0], [-0.06, 0.0], [0.0, 0.02], [0.0, -0.02]])
    values = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    eye, adapter = torch.eye(2), 1e-6 * torch.ones(1, 2)
    tensors = {"x_q": queries, "x_k": keys, "x_v": values, "y": 1e3 * values}
    tensors |= {f"w_{m}": eye for m in "qkv"}
    tensors |= {f"a_{m}": adapter for m in "qkv"} | {f"b_{m}": adapter.mT for m in "qkv"}
    return Instance({n: t.double() for n, t in tensors.items()}, {"scaling": 1.0, "beta": 1.0})


def shifted() -> Instance:
    """Queries around a point far from zero: the keys have different weights."""
    instance = generated("lora-attention", {"L": 5, "M": 6, "d": 2, "r": 1}, 3, 0.3)
    instance.tensors["x_q"] += 3.0
    return instance


@dataclass(frozen=True)
class Mutant:
    """Wrong code, a problem on which it is seen, and what is seen."""

    mutate: Mutation
    instance: Callable[[], Instance]
    options: dict[str, Any]
    seen: str = "times what is certified"


GRADIENT = {"promise": "gradient"}

MUTANTS: dict[str, Mutant] = {
    "the error of exp is underrated": Mutant(
        mutation(solve, "make_plan", lambda p: replace(p, delta=p.delta / 50)),
        lambda: ATTAINED["second moments"].instance,
        {"epsilon": 0.03},
    ),
    "2 sigma(<v, c>) is taken once": Mutant(
        rows_with(lambda rows: replace(rows, approximation=rows.approximation / 2)),
        lambda: ATTAINED["second moments"].instance,
        {"epsilon": 0.03},
    ),
    "P without lambda: the residual is taken for exact": Mutant(
        mutation(KeyStatistics, "of", lambda s: replace(s, variance=0 * s.variance)),
        lambda: ATTAINED["residual"].instance,
        {"epsilon": 1e-5},
    ),
    "second moments without their growth: the keys as if equally likely": Mutant(
        rows_with(lambda rows: replace(rows, growth=0 * rows.growth)),
        lambda: outlier(2.0 * (1 - 2.0**-30), 1000),
        {"epsilon": 0.5},
    ),
    "half the radius: the polynomial is used outside its interval": Mutant(
        mutation(solve, "centre", lambda c: replace(c, radius=c.radius / 2)),
        lambda: ATTAINED["second moments"].instance,
        {"epsilon": 0.03},
    ),
    "the weights that the shift of the queries leaves behind are forgotten": Mutant(
        mutation(solve, "centre", lambda c: replace(c, weights=torch.ones_like(c.weights))),
        shifted,
        {"epsilon": 1e-3, **GRADIENT},
    ),
    "monomials left out are not counted": Mutant(
        mutation(polynomial, "anisotropic_index_set", lambda s: replace(s, dropped=0.0)),
        thin,
        {"epsilon": 0.2},
    ),
    "rounding of float32 features and sums is not counted": Mutant(
        machine_with(sums=0.0, contraction=0.0),
        lambda: one_query(torch.float32),
        {"epsilon": 0.1},
    ),
    "rounding in float64 is not counted": Mutant(
        machine_with(dust=0.0), cancelling_values, {"epsilon": 0.1}
    ),
    "rounding of the scores is not counted": Mutant(
        mutation(solve, "centre", lambda c: replace(c, score_error=0 * c.score_error)),
        large_scores,
        {"epsilon": 1e-2, **GRADIENT},
    ),
    "rounding of the outputs is not counted": Mutant(
        lambda patch: patch.setitem(results.OUTPUT_UNITS, torch.bfloat16, (0.0, 0.0)),
        lambda: one_query(torch.bfloat16),
        {"epsilon": 0.1, "features": torch.float64},
    ),
    "the natural scale from its upper bound": Mutant(
        rows_with(lambda rows: replace(rows, decay=1 + rows.growth)),
        lambda: generated("lora-attention", {"L": 5, "M": 6, "d": 2, "r": 1}, 3, 0.5),
        {"epsilon": 0.1},
        seen="above the true one",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate holds, and does not if the rule is left out: the checks can fail."""
    mutant = MUTANTS[name]
    instance, epsilon = mutant.instance(), mutant.options["epsilon"]
    assert complaints(instance.solve(**mutant.options), instance.truth, epsilon) == []
    mutant.mutate(monkeypatch)
    said = complaints(instance.solve(**mutant.options), instance.truth, epsilon)
    assert any(mutant.seen in line for line in said), said


def test_the_largest_radius_counts_for_all_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The polynomial of a batch covers every head."""
    small, large = outlier(0.1, 50), outlier(1.9, 50)
    batch = Instance(heads_of([small, large]), small.scalars)

    def said() -> list[str]:
        result = batch.solve(epsilon=0.3, promise="gradient", heads_at_once=2)
        return complaints(result, large.truth, 0.3, 1)

    assert said() == []
    _change(
        monkeypatch,
        solve,
        "centre",
        lambda c: replace(c, radius=c.radius.amin().expand_as(c.radius)),
    )
    assert said() != []
