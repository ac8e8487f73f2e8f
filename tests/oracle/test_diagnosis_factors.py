"""Factors of the result in 16 bits: which have a name of their own, and which are no mean."""

from __future__ import annotations

import itertools

import pytest

from loracle.contracts import CONTRACTS
from loracle.diagnosis import Evidence
from loracle.judgement.verdicts import judge
from loracle_reference.floating_point import round_to_format

from .core_cases import CONTRACT_NAMES, default_run, reference
from .planted import failing, names, times


def multiple(contract: str, dtype: str, output: str, factor: float) -> list[Evidence]:
    """The failing cases of a default run of a kernel that is exact but for the factor."""
    evidence = []
    for case in default_run(contract, dtype, 0):
        known = reference(case)
        truth, proven, null = known.truth[output], known.proven[output], known.null[output]
        computed = round_to_format(truth.mid * factor, dtype)
        if judge(computed, truth, proven, null.tolerance).verdict in ("suspect", "fail"):
            slack = min(null.tolerance, float(proven.bound.max()))
            evidence.append(
                Evidence(
                    CONTRACTS[contract], known.inputs, output, computed, truth.mid, slack, dtype
                )
            )
    return evidence


NEAR_ONE = [1 + sign * delta for delta in (1e-2, 3e-2, 0.1, 0.3) for sign in (1, -1)]
NEAR_ZERO = [0.05, 0.01]


QUICK = [
    ("lora-linear", "bfloat16", "grad_lora_a", 0.01),
    ("lora-attention", "bfloat16", "grad_b_k", 0.01),
    ("lora-mha", "bfloat16", "grad_x", 0.05),
    *(("aloragc", "bfloat16", output, 0.05) for output in ("grad_a", "grad_b")),
]

MULTIPLES = [
    pytest.param(*one, marks=[] if one in QUICK else [pytest.mark.deep])
    for contract in CONTRACT_NAMES
    for one in itertools.product(
        [contract], ("bfloat16", "float16"), CONTRACTS[contract].outputs, (*NEAR_ZERO, *NEAR_ONE)
    )
]


@pytest.mark.parametrize(("contract", "dtype", "output", "factor"), MULTIPLES)
def test_a_factor_that_is_no_mean_is_not_called_one(
    contract: str, dtype: str, output: str, factor: float
) -> None:
    """In 16 bits, near zero among others, where every small number is within what rounding allows
    to the truth: catches an allowance that does not shrink with the factor."""
    found = names(multiple(contract, dtype, output, factor))
    assert set(found) <= {"constant-factor"}
    assert found or factor not in NEAR_ZERO


@pytest.mark.parametrize(("factor", "name"), [(0.0, "zero-gradient"), (0.5, "factor-two")])
@pytest.mark.parametrize("contract", ["lora-linear", "aloragc"])
def test_factors_with_names_of_their_own(contract: str, factor: float, name: str) -> None:
    output = {"lora-linear": "grad_x", "aloragc": "grad_a"}[contract]
    assert names(multiple(contract, "bfloat16", output, factor))[0] == name


@pytest.mark.parametrize(("contract", "output"), [("aloragc", "grad_a"), ("lora-mha", "output")])
def test_a_mean_is_called_one_in_bfloat16(contract: str, output: str) -> None:
    """The other side of it: what an honest kernel of bfloat16 returns, divided."""
    symbol = "L" if contract == "aloragc" else "length"
    assert "mean-instead-of-sum" in names(
        failing(contract, "bfloat16", 0, output, times(lambda k: 1 / k[symbol]))
    )
