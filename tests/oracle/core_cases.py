"""Cases and references that the tests of the oracle's core share."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import strategies as st

from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS, Contract
from loracle.evaluation import gradients, output_shapes
from loracle.generation import cases_of, regimes_of
from loracle.generation.generate import case_of
from loracle.judgement.reference import CaseReference, reference_of
from loracle_reference.arithmetic import Double
from loracle_reference.floating_point import FORMATS, machine_model

DTYPES = tuple(FORMATS)
CONTRACT_NAMES = tuple(CONTRACTS)
PAIRS = [(name, regime) for name in CONTRACT_NAMES for regime in regimes_of(CONTRACTS[name])]
"""Every contract with every regime that serves it."""


_DTYPES_IN_TURN = {"lora-mha": 1, "lora-attention": 2}


def _costly(rotating: int, contract: str, dtype: str) -> tuple[pytest.MarkDecorator, ...]:
    """Attention between adapted projections costs several times as much, with several heads still
    more: a quick run has some of the dtypes of each, in turn."""
    every = len(DTYPES) // _DTYPES_IN_TURN.get(contract, len(DTYPES))
    quick = (DTYPES.index(dtype) - rotating) % every == 0
    return () if quick else (pytest.mark.deep,)


PAIRS_IN_DTYPES = [
    pytest.param(*pair, dtype, marks=_costly(number, pair[0], dtype))
    for number, pair in enumerate(PAIRS, 1)
    for dtype in DTYPES
]
"""The same in every dtype."""

RUNS = [
    pytest.param(name, dtype, marks=_costly(DTYPES.index("bfloat16"), name, dtype))
    for name in CONTRACT_NAMES
    for dtype in DTYPES
]
"""Default runs of every contract in every dtype."""

seeds = st.integers(0, 2**31)
indices = st.integers(0, 40)

Array = npt.NDArray[np.float64]


def a_case(contract: str, dtype: str, regime: str, index: int = 0, seed: int = 0) -> Case:
    """One case."""
    return case_of(CONTRACTS[contract], dtype, seed, regime, index)


@cache
def reference(case: Case, machine: str = "widest") -> CaseReference:
    """Its reference, computed once in this process."""
    return reference_of(case, machine_model(machine, case.dtype))


def in_double(contract: Contract, inputs: Inputs) -> dict[str, Array]:
    """The outputs in plain float64, in their shapes."""
    double, shapes = Double(), output_shapes(contract, inputs)
    results = gradients(contract, inputs, double)
    return {name: double.array(results[name]).reshape(shape) for name, shape in shapes.items()}


def default_run(contract: str, dtype: str, seed: int) -> list[Case]:
    """The cases of a run with default arguments."""
    known = CONTRACTS[contract]
    return cases_of(known, dtype, seed, regimes_of(known))
