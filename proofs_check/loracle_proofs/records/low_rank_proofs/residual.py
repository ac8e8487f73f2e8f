"""Proof of Lemma 3.4: the error of c from the error of f."""

from __future__ import annotations

from loracle_proofs.low_rank_settings import APPROXIMATIONS
from loracle_proofs.records.low_rank_proofs.readings import ABSORBED, UNNAMED
from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["CONSTANT_ERROR", "RECORDS"]


def residual_error_expanded(
    U1: Matrix, V1: Matrix, C3: Matrix, Y: Matrix, f: Matrix, c: Matrix
) -> Relation:
    """U1 V1^T C3 - Y - c = U1 V1^T C3 - Y - f C3 + Y."""
    return equal(U1 @ V1.T @ C3 - Y - c, U1 @ V1.T @ C3 - Y - f @ C3 + Y)


def residual_error_factored(
    U1: Matrix, V1: Matrix, C3: Matrix, Y: Matrix, f: Matrix, c: Matrix
) -> Relation:
    """U1 V1^T C3 - Y - c = (U1 V1^T - f) C3."""
    return equal(U1 @ V1.T @ C3 - Y - c, (U1 @ V1.T - f) @ C3)


def residual_error_as_printed(C3: Matrix, error_f: Matrix) -> Relation:
    """||(U1 V1^T - f) C3|| <= ||U1 V1^T - f||."""
    return at_most(max_norm(error_f @ C3), max_norm(error_f))


def residual_error_bound(C3: Matrix, error_f: Matrix, M: int) -> Relation:
    """||(U1 V1^T - f) C3|| <= M ||C3|| ||U1 V1^T - f||."""
    return at_most(max_norm(error_f @ C3), (max_norm(error_f) * max_norm(C3)).scale(M))


# M = 2 and f = 1/2: U1 V1^T - f = 3/2 in every entry.
CONSTANT_ERROR = (
    {"M": 2, "d": 2},
    {"U1": [[2]], "V1": [[1], [1]], "C3": [[3, 3], [3, 3]]},
)


RECORDS = (
    Record(
        "Proof of Lemma 3.4",
        title="The error of c from the error of f",
        kind=Kind.PROOF,
        printed=r"\|U_1V_1^{\mathsf T}C^{(3)}-Y-c\|_\infty"
        r"=\|U_1V_1^{\mathsf T}C^{(3)}-Y-fC^{(3)}+Y\|_\infty"
        r"=\|(U_1V_1^{\mathsf T}-f)C^{(3)}\|_\infty\le\epsilon/\operatorname{poly}(L)",
        corrected=r"\|(U_1V_1^{\mathsf T}-f)C^{(3)}\|_\infty"
        r"\le M\,\|C^{(3)}\|_\infty\,\|U_1V_1^{\mathsf T}-f\|_\infty",
        uses=("Lemma 3.4", "Lemma 3.3", "Definition 3.5"),
        parts=(
            Part(
                "first equality",
                setting=APPROXIMATIONS,
                printed=(
                    Claim(
                        r"U_1V_1^{\mathsf T}C^{(3)}-Y-c=U_1V_1^{\mathsf T}C^{(3)}-Y-fC^{(3)}+Y",
                        residual_error_expanded,
                    ),
                ),
            ),
            Part(
                "second equality",
                setting=APPROXIMATIONS,
                printed=(
                    Claim(
                        r"U_1V_1^{\mathsf T}C^{(3)}-Y-c=(U_1V_1^{\mathsf T}-f)C^{(3)}",
                        residual_error_factored,
                    ),
                ),
            ),
            Part(
                "last step",
                setting=APPROXIMATIONS,
                printed=(
                    Claim(
                        r"\|(U_1V_1^{\mathsf T}-f)C^{(3)}\|_\infty"
                        r"\le\|U_1V_1^{\mathsf T}-f\|_\infty",
                        residual_error_as_printed,
                    ),
                    Claim(
                        r"\|(U_1V_1^{\mathsf T}-f)C^{(3)}\|_\infty"
                        r"\le L\,\|C^{(3)}\|_\infty\,\|U_1V_1^{\mathsf T}-f\|_\infty",
                        residual_error_bound,
                        reading=ABSORBED,
                    ),
                ),
                corrected=Claim(
                    r"\|(U_1V_1^{\mathsf T}-f)C^{(3)}\|_\infty"
                    r"\le M\,\|C^{(3)}\|_\infty\,\|U_1V_1^{\mathsf T}-f\|_\infty",
                    residual_error_bound,
                    extremal=(CONSTANT_ERROR,),
                ),
                severity=Severity.MISSING,
                problem="The error of f is multiplied by up to M ||C3||, which the step drops."
                f" {UNNAMED}.",
            ),
        ),
        remark="If the rows of the approximation sum to one and its error is relative,"
        " |f~ - f| <= eta f entry by entry, then ||c~ - c|| <= eta ||C3|| without the factor M."
        " The proof is said to be built on Lemma D.2 of Alman and Song (2023), which is not"
        " needed for it.",
    ),
)
