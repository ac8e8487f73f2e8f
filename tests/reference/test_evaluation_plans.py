"""Evaluation plans are the contracts' gradients, bracketed otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from loracle_reference.arithmetic import Double
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.gradient import aloragc_gradient, lora_attention_gradient
from loracle_reference.lora_linear import lora_linear_gradient
from loracle_reference.lora_mha import lora_mha_gradient

_DRAW = np.random.default_rng(0).standard_normal

ARGUMENTS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "lora-linear": (
        lora_linear_gradient,
        {
            "x": _DRAW((6, 4)),
            "weight": _DRAW((3, 4)),
            "lora_a": _DRAW((2, 4)),
            "lora_b": _DRAW((3, 2)),
            "grad_output": _DRAW((6, 3)),
            "scaling": 1.5,
        },
    ),
    "aloragc": (
        aloragc_gradient,
        {
            **{name: _DRAW((5, 4)) for name in ("c1", "y")},
            **{name: _DRAW((6, 4)) for name in ("c2", "c3")},
            "w": _DRAW((4, 4)),
            "a": _DRAW((2, 4)),
            "b": _DRAW((4, 2)),
        },
    ),
    "lora-attention": (
        lora_attention_gradient,
        {
            **{name: _DRAW((5, 4)) for name in ("x_q", "y")},
            **{name: _DRAW((6, 4)) for name in ("x_k", "x_v")},
            **{f"w_{m}": _DRAW((4, 4)) for m in "qkv"},
            **{f"a_{m}": _DRAW((2, 4)) for m in "qkv"},
            **{f"b_{m}": _DRAW((4, 2)) for m in "qkv"},
            "scaling": -0.75,
            "beta": 0.625,
        },
    ),
    "lora-mha": (
        lora_mha_gradient,
        {
            "x": _DRAW((10, 4)),
            "batch": 2,
            "num_heads": 6,
            "num_kv_heads": 2,
            "causal": True,
            "softmax_scale": 0.625,
            "grad_output": _DRAW((10, 18)),
            **{f"weight_{m}": _DRAW((18 if m == "q" else 6, 4)) for m in "qkv"},
            **{f"lora_a_{m}": _DRAW((2, 4)) for m in "qkv"},
            **{f"lora_b_{m}": _DRAW((18 if m == "q" else 6, 2)) for m in "qkv"},
            **{f"scaling_{m}": s for m, s in zip("qkv", (1.5, -0.75, 0.5), strict=True)},
        },
    ),
}


@pytest.mark.parametrize(
    ("contract", "name"), [(contract, plan) for contract in PLANS for plan in PLANS[contract]]
)
def test_every_plan_gives_the_gradients_of_the_closed_form(contract: str, name: str) -> None:
    """Catches a plan with a wrong formula, or without one of the outputs."""
    double = Double()
    gradient, raw = ARGUMENTS[contract]
    arguments = {
        key: double.matrix(value) if isinstance(value, np.ndarray) else value
        for key, value in raw.items()
    }
    plan = PLANS[contract][name]
    expected, found = gradient(**arguments), plan.formulas(lambda m: m, **arguments)
    assert plan.name == name
    assert plan.summary
    assert list(found) == list(expected)
    for output, matrix in expected.items():
        np.testing.assert_allclose(
            double.array(found[output]), double.array(matrix), rtol=1e-11, atol=1e-11
        )
