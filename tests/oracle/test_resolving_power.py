"""The resolving power: what is found is found by a real run, and it is as small as is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from loracle import validate
from loracle.adapters import autograd
from loracle.cli import main
from loracle.contracts import CONTRACTS
from loracle.judgement import bias as bias_module
from loracle.resolving_power import measure
from loracle.resolving_power.measure import KERNELS, Power, Run, resolving_power
from loracle.resolving_power.table import sheets
from loracle_reference.floating_point import FORMATS, machine_model

from .core_cases import CONTRACT_NAMES

PROVEN = {
    ("lora-linear", "float64", "widest"): 1e-12,
    ("lora-linear", "float32", "widest"): 1e-4,
    ("lora-linear", "float16", "widest"): 1e-2,
    ("lora-linear", "bfloat16", "widest"): 5e-2,
    ("aloragc", "float64", "widest"): 1e-12,
    ("aloragc", "float32", "widest"): 1e-4,
    ("aloragc", "float16", "widest"): 1e-1,
    ("aloragc", "bfloat16", "widest"): 0.5,
    ("aloragc", "float16", "f32-accumulate"): 2e-2,
    ("aloragc", "bfloat16", "f32-accumulate"): 0.125,
    ("lora-attention", "float64", "widest"): 1e-12,
    ("lora-attention", "float32", "widest"): 1e-4,
    ("lora-attention", "float16", "widest"): 0.1,
    ("lora-attention", "bfloat16", "widest"): 0.6,
}
"""An error of so much in any one output of a kernel that rounds once is proven wrong."""

QUICK = [
    ("lora-linear", "bfloat16", "widest"),
    ("aloragc", "float16", "widest"),
    ("aloragc", "float32", "widest"),
    ("lora-attention", "float64", "widest"),
]


def powers(key: tuple[str, str, str], kernel: str = "exact") -> list[Power]:
    contract, dtype, machine = key
    return resolving_power(CONTRACTS[contract], machine_model(machine, dtype), kernel=kernel)


def check_proven(key: tuple[str, str, str]) -> None:
    run = Run(CONTRACTS[key[0]], machine_model(key[2], key[1]), "exact", seed=0)
    for output in CONTRACTS[key[0]].outputs:
        for sign in (1, -1):
            assert run.proven_by(output, 1 + sign * PROVEN[key]), (output, sign)


@pytest.mark.parametrize("key", QUICK, ids="-".join)
def test_what_is_proven(key: tuple[str, str, str]) -> None:
    check_proven(key)


@pytest.mark.deep
@pytest.mark.parametrize("key", PROVEN, ids="-".join)
def test_what_is_proven_of_every_contract(key: tuple[str, str, str]) -> None:
    check_proven(key)
