"""The forms that hypotheses are built on are the specification's, and so are the labels of their
terms."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from loracle.contracts import CONTRACTS
from loracle.diagnosis import Evidence, attention_forms, linear_forms
from loracle.diagnosis.hypotheses import TABLES
from loracle.diagnosis.labels import term_of
from loracle.generation import generate

from .core_cases import CONTRACT_NAMES, default_run, in_double

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("contract", [name for name in CONTRACT_NAMES if name != "lora-mha"])
def test_the_forms_are_those_of_the_specification(contract: str) -> None:
    """Nothing changed, they give the truth: a term, a sign or a factor of a form that was wrong
    would make every hypothesis wrong that is built on it. (lora-mha has forms of its own:
    test_mha_diagnosis.py.)"""
    for case in default_run(contract, "float32", 0)[::7]:
        inputs = generate(case)
        for output, expected in in_double(CONTRACTS[contract], inputs).items():
            e = Evidence(CONTRACTS[contract], inputs, output, expected, expected, 1.0, "float32")
            if contract == "lora-linear":
                found = linear_forms.result(linear_forms.layer_of(e), e)
            else:
                problem = attention_forms.problem_of(e.contract, inputs)
                projection = attention_forms.projection_of(e)
                found = attention_forms.gradient(output, projection, problem)
            assert np.allclose(found, expected, rtol=1e-11, atol=1e-13 * np.abs(expected).max())


def test_every_term_has_a_label_and_every_label_stands_in_the_ledger() -> None:
    ledger = "".join(path.read_text() for path in (ROOT / "docs/ledger").glob("*.md"))
    for contract, table in TABLES.items():
        for h in (*table.mistakes, *table.roundings, *table.non_finite):
            for output in CONTRACTS[contract].outputs:
                term = term_of(contract, h.term, output)
                assert term
                assert "{" not in term
                for label in re.findall(r"(?:Definition|Lemma) [\dA-H]\.\d", term):
                    assert f"## {label} " in ledger
                for number in re.findall(r"equation (\(\d\.\d\))", term):
                    assert f"## Equation {number} " in ledger
    assert term_of("aloragc", "p2", "grad_a") == "p2 of Definition 3.6 (Lemma 3.7)"
    assert term_of("lora-attention", "adapter", "grad_b_k") == (
        "J_A of Lemma F.3: dL/dB = dL/dW A^T"
    )
    assert term_of("of-no-table", "p2", "grad_a") == ""
