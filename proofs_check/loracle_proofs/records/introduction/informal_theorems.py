"""Theorems 1.1 and 1.2: the lower and the upper bound, informally."""

from __future__ import annotations

from dataclasses import replace

import sympy

from loracle_proofs.relation import Relation, equal, less
from loracle_proofs.settings import FULL_ADAPTATION
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar

__all__ = ["RECORDS"]


def product_of_wrong_order(
    WQ: Matrix,
    WQ0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    WK: Matrix,
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WV: Matrix,
    WV0: Matrix,
    AV: Matrix,
    BV: Matrix,
    s: Scalar,
) -> list[Relation]:
    """W_mu - W_mu* = (alpha / r) A_mu B_mu."""
    return [
        equal(WQ - WQ0, (AQ @ BQ).scale(s)),
        equal(WK - WK0, (AK @ BK).scale(s)),
        equal(WV - WV0, (AV @ BV).scale(s)),
    ]


def product_of_right_order(
    WQ: Matrix,
    WQ0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    WK: Matrix,
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WV: Matrix,
    WV0: Matrix,
    AV: Matrix,
    BV: Matrix,
    s: Scalar,
) -> list[Relation]:
    """W_mu - W_mu* = (alpha / r) B_mu A_mu."""
    return [
        equal(WQ - WQ0, (BQ @ AQ).scale(s)),
        equal(WK - WK0, (BK @ AK).scale(s)),
        equal(WV - WV0, (BV @ AV).scale(s)),
    ]


_UPDATE = Claim(r"W_\mu - W_\mu^\star = \alpha B_\mu A_\mu / r", product_of_right_order)

_ADAPTER_PRODUCT = Part(
    "the LoRA matrices",
    setting=FULL_ADAPTATION,
    printed=(
        Claim(r"W_\mu - W_\mu^\star = \alpha A_\mu B_\mu / r", product_of_wrong_order),
        replace(_UPDATE, reading="A_mu B_mu is B_mu A_mu"),
    ),
    corrected=_UPDATE,
    severity=Severity.TYPO,
    problem="A_mu B_mu is an r x r matrix, not the update B_mu A_mu of a weight; a condition on it"
    " would not bound the update: A = (1 -1), B = (1 1)^T have A B = 0 and B A != 0.",
)


def below_quadratic() -> Relation:
    """L^2 / log L, of exponent 2 - log log L / log L, is below L^2 by a constant exponent.

    n stands for log L; the exponent of a time is the limit of its logarithm over n.
    """
    n = sympy.Symbol("n", positive=True)
    time = 2 * n - sympy.log(n)
    return less(0, sympy.limit(2 - time / n, n, sympy.oo), witness="L^2 / log L")


def subquadratic() -> Relation:
    """L^(2 - delta) is below L^2 by the constant exponent delta > 0; n stands for log L."""
    n, delta = sympy.symbols("n delta", positive=True)
    time = (2 - delta) * n
    return equal(sympy.limit(2 - time / n, n, sympy.oo), delta)


_SUBQUADRATIC = Claim(
    r"L^{2 - \delta}:\ \lim_{L \to \infty} \left(2 - \frac{\log L^{2 - \delta}}{\log L}\right) ="
    r" \delta > 0",
    subquadratic,
)

THEOREM_1_1 = Record(
    "Theorem 1.1",
    title="Inefficiency without normalisation (informal)",
    kind=Kind.THEOREM,
    printed=r"\text{without normalised } X, W_\mu^\star, \alpha A_\mu B_\mu / r:"
    r" \text{ no algorithm in } O(L^{2-\delta}) \text{ for any constant } \delta > 0",
    corrected=r"\text{without normalised } X, W_\mu^\star, \alpha B_\mu A_\mu / r:"
    r" \text{ Theorem A.1}",
    uses=("Definition 1.1", "Problem 1", "Theorem A.1", "Hypothesis 1"),
    parts=(
        _ADAPTER_PRODUCT,
        Part(
            "the lower bound",
            cites="Theorem A.1, whose record says what holds of it; being appropriately normalised"
            " is no condition that an instance could be tested for until Theorem A.1 names its"
            " norms.",
        ),
        Part(
            "subquadratic time in the contributions and section 4",
            printed=(
                Claim(
                    r"L^2 / \log L = L^{2 - o(1)}:\ \lim_{L \to \infty} \left(2 -"
                    r" \frac{\log(L^2 / \log L)}{\log L}\right) > 0",
                    below_quadratic,
                ),
                replace(_SUBQUADRATIC, reading="the o(1) is a constant delta > 0"),
            ),
            corrected=_SUBQUADRATIC,
            severity=Severity.NOTATION,
            problem="L^(2-o(1)) is no subquadratic time in the sense of Theorem A.1: L^2 / log L"
            " is of that form, and the theorem does not exclude it.",
        ),
    ),
    remark="Hypothesis 1 (SETH), on which the formal version rests, is not repeated in the"
    " informal one; the sentence before it names it.",
)

THEOREM_1_2 = Record(
    "Theorem 1.2",
    title="Almost linear time with normalisation (informal)",
    kind=Kind.THEOREM,
    printed=r"\text{with normalised } X, W_\mu^\star, \alpha A_\mu B_\mu / r:"
    r" \text{ an } O(L^{1+o(1)}) \text{ algorithm}",
    corrected=r"\text{with normalised } X, W_\mu^\star, \alpha B_\mu A_\mu / r:"
    r" \text{ Theorems 3.1 and B.1}",
    uses=("Definition 1.1", "Problem 1", "Theorem 3.1", "Theorem B.1"),
    parts=(
        _ADAPTER_PRODUCT,
        Part(
            "the upper bound",
            cites="Theorems 3.1 and B.1, whose records say what holds of them; being appropriately"
            " normalised is no condition until they name their norms.",
        ),
    ),
    remark="ALoRAGC of the introduction is Problem 1, with N samples and the gradients in A_V and"
    " B_V; Theorems 3.1 and B.1 solve Problems 2 and 3, with one sample and without V. The record"
    " of (S1) has what is missing for V. The paragraph after it names the encoding of numbers as"
    " the only assumption; the theorems also assume norm bounds on data and weights, d = O(log L)"
    " and r = L^o(1), and Theorem A.1 SETH.",
)

RECORDS = (THEOREM_1_1, THEOREM_1_2)
