"""Formulas on the terminal: symbols, and nothing that reads two ways."""

from __future__ import annotations

import pytest

from loracle.presentation.plain_formula import plain_formula
from loracle_proofs.results import load_results


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\operatorname{vec}(A X B^{\mathsf T}) = (A \otimes B)", "vec(A X B^T) = (A ⊗ B)"),
        (r"\frac{1}{2N} \sum_{i=1}^{N} x_i", "1/(2N) ∑_{i=1}^N x_i"),
        (r"\tfrac12 c^2", "1/2 c^2"),
        (r"\frac{\alpha}{r} B A", "α/r B A"),
        (r"\frac{a + b}{c}", "(a + b)/c"),
        (r"\frac{\partial\mathcal L}{\partial\underline A_Q}", "∂ℒ/∂A̲_Q"),
        (r"\|Z\|_\infty \le \epsilon", "‖Z‖_∞ ≤ ϵ"),
        (r"\big(A\big)^{-1}", "(A)^{-1}"),
        (r"\underline{W_K^{\mathsf T}}", "vec(W_K^T)"),
        (r"\binom{d+g}{g}", "C(d+g, g)"),
        (r"O(\sqrt{\log L})", "O(√(log L))"),
        (r"x \ne y, \quad z", "x ≠ y, z"),
        (r"\widetilde f", "f~"),
        (r"a \text{ and } b", "a and b"),
    ],
)
def test_a_formula_reads_one_way(latex: str, text: str) -> None:
    assert plain_formula(latex) == text


def test_no_formula_of_the_ledger_keeps_latex() -> None:
    for record in load_results()["records"]:
        formulas = [record["printed"], record["corrected"] or ""]
        for part in record["parts"]:
            formulas += [printed["latex"] for printed in part["printed"]]
            formulas.append(part["corrected"] or "")
        for formula in formulas:
            assert "\\" not in plain_formula(formula), record["label"]
