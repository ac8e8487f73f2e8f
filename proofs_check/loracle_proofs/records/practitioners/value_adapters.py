"""Remark C.1: full adaptation is analysed in Appendix B, the adapters of the values excepted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import FULL_ADAPTATION
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar

__all__ = ["RECORDS"]


def nothing_for_values(gradient: Any, AV: Matrix, BV: Matrix) -> list[Relation]:
    """The gradients that Problem 3 does not ask for, those in A_V and B_V, are 0."""
    return [equal(gradient("AV"), AV.scale(0)), equal(gradient("BV"), BV.scale(0))]


def values(
    XV: Matrix, AV: Matrix, BV: Matrix, f: Matrix, c: Matrix, s: Scalar, gradient: Any
) -> list[Relation]:
    """dL/dW_V = X_V^T f^T c, and the gradients in A_V and B_V from it."""
    dL_dWV = XV.T @ f.T @ c
    return [
        equal(gradient("AV"), (BV.T @ dL_dWV).scale(s)),
        equal(gradient("BV"), (dL_dWV @ AV.T).scale(s)),
    ]


_VALUES = Claim(
    r"\frac{\partial\mathcal L}{\partial A_V} = \tfrac{\alpha}{r} B_V^{\mathsf T}"
    r" (X^{(V)})^{\mathsf T} f^{\mathsf T} c,\quad"
    r" \frac{\partial\mathcal L}{\partial B_V} = \tfrac{\alpha}{r}"
    r" (X^{(V)})^{\mathsf T} f^{\mathsf T} c\, A_V^{\mathsf T}",
    values,
)

REMARK_C1 = Record(
    "Remark C.1",
    title="Full adaptation is analysed in Appendix B",
    kind=Kind.REMARK,
    printed=r"W_K, W_Q, W_V:\ \text{Appendix B}",
    corrected=r"W_K, W_Q:\ \text{Appendix B};\qquad"
    r" \frac{\partial\mathcal L}{\partial W_V} = (X^{(V)})^{\mathsf T} f^{\mathsf T} c",
    uses=("Definition B.1", "Equation (B.2)", "Problem 3", "Simplification (S1)"),
    parts=(
        Part(
            "all three weights",
            setting=FULL_ADAPTATION,
            printed=(
                Claim(
                    r"\frac{\partial\mathcal L}{\partial A_V} = 0,\quad"
                    r" \frac{\partial\mathcal L}{\partial B_V} = 0"
                    r"\quad\text{(nothing is left out by (B.2))}",
                    nothing_for_values,
                    reading="Appendix B, which fixes W_V, leaves nothing out",
                ),
                replace(
                    _VALUES,
                    reading="by (S1) the gradients in A_V and B_V are left to f and c",
                ),
            ),
            corrected=_VALUES,
            severity=Severity.MISSING,
            problem="Appendix B fixes W_V after Definition B.1, and Problem 3 asks for four"
            " gradients of the six. The two in A_V and B_V are not 0; they need f and c alone, and"
            " a low-rank f gives them without an L x L matrix.",
        ),
    ),
)


RECORDS = (REMARK_C1,)
