"""`almost_linear.intermediates`: the dtypes that it computes in, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from loracle.errors import UsageError
from loracle.kernels import almost_linear

from .lemma_operands import nearby
from .lemmas import BRACKETS
from .low_rank_runs import objections


def test_sixteen_bits_are_taken_in_float32() -> None:
    operands = nearby(BRACKETS[1], "bfloat16", "sub-threshold", 0, 0)
    low = almost_linear.intermediates(**operands.tensors(torch.bfloat16, "cpu"))
    assert low.plan.dtype == torch.float32
    assert low.u1.dtype == torch.float64
    assert not objections(low, operands)


def test_features_may_be_of_another_dtype() -> None:
    operands = nearby(BRACKETS[1], "float32", "threshold", 0, 0)
    tensors = operands.tensors(torch.float32, "cpu")
    low = almost_linear.intermediates(**tensors, features=torch.float64, epsilon=1e-9)
    assert low.plan.dtype == torch.float64
    assert not objections(low, operands)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": torch.ones(4, 3)}, r"keys has shape \(4, 3\) where \(M, d\) with d = 2 is"),
        ({"y": torch.ones(4, 2)}, r"y has shape \(4, 2\) where \(L, d\) with L = 3 is expected"),
        ({"values": torch.ones(0, 2)}, r"values has shape \(0, 2\) where \(M, d\) with M = 4"),
        ({"values": torch.ones(4, 2).double()}, "values is torch.float64 on cpu, queries torch"),
        ({"queries": torch.ones(2, 3, 2)}, "those of one head, not of 2"),
        ({"epsilon": 2.0}, "epsilon must lie between 0 and 1, not 2.0"),
        ({"promise": "f"}, "promise must be one of probabilities, gradient, not 'f'"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    shapes = {"queries": (3, 2), "keys": (4, 2), "values": (4, 2), "y": (3, 2)}
    right: dict[str, Any] = {name: torch.ones(shape) for name, shape in shapes.items()}
    with pytest.raises(UsageError, match=message):
        almost_linear.intermediates(**{**right, "beta": 1.0, **changes})


def test_whole_numbers_are_refused() -> None:
    whole = torch.ones(3, 2, dtype=torch.int64)
    with pytest.raises(UsageError, match=r"must be floating-point tensors, not torch\.int64"):
        almost_linear.intermediates(queries=whole, keys=whole, values=whole, y=whole, beta=1.0)
