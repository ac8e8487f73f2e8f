"""Cases and references that the tests of the oracle's core share."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
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
CONTRACT_NAMES = tuple(name for name in CONTRACTS if name != "lora-mha")
"""Without lora-mha, whose sizes, inputs and plants are unlike the others': see test_mha_*.py."""
PAIRS = [(name, regime) for name in CONTRACT_NAMES for regime in regimes_of(CONTRACTS[name])]
"""Every one of these contracts with every regime that serves it."""

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
