"""What `almost_linear.attention` keeps for its backward pass, and for how long."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor

from loracle.kernels.almost_linear import function
from loracle.kernels.almost_linear.projections import Problem

from .almost_linear_layers import a_layer


class SumsAlive:
    """Of the sums of the blocks of queries, how many are in memory; `most` of them at once."""

    def __init__(self) -> None:
        self._made: list[weakref.ref[Tensor]] = []
        self.most = 0

    def add(self, sums: Tensor) -> None:
        self._made.append(weakref.ref(sums))
        self.most = max(self.most, self.now())

    def now(self) -> int:
        return sum(reference() is not None for reference in self._made)


@pytest.fixture
def sums_alive(monkeypatch: pytest.MonkeyPatch) -> SumsAlive:
    def seen(problem: Problem, columns: Any, sums: Tensor) -> tuple[Tensor, Tensor]:
        alive.add(sums)
        return expected_values(problem, columns, sums)

    alive, expected_values = SumsAlive(), function.expected_values
    monkeypatch.setattr(function, "expected_values", seen)
    return alive


def test_the_sums_of_every_query_are_kept_for_the_backward_pass(sums_alive: SumsAlive) -> None:
    value = a_layer(heads=(3,)).attend()
    assert sums_alive.now() == 3
    # Catches: a graph that refers to itself, and lives until somebody collects garbage.
    del value
    assert sums_alive.now() == 0


# Catches: (1 + d)^2 numbers for each query kept where nobody will ask for them.
@pytest.mark.parametrize("wanted", [True, False])
def test_without_a_backward_pass_to_come_nothing_is_kept(
    wanted: bool, sums_alive: SumsAlive
) -> None:
    layer = a_layer(heads=(3,))
    expected = layer.attend().detach()
    sums_alive.most = 0
    if wanted:
        with torch.no_grad():
            value = layer.attend()
    else:
        for adapter in layer.adapters.values():
            adapter.requires_grad_(False)
        value = layer.attend()
    assert torch.equal(value, expected)
    assert not value.requires_grad
    assert sums_alive.most == 1
    assert sums_alive.now() == 0
