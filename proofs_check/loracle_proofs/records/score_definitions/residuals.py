"""Definition 3.5 and equation (3.4): the entries of the residual, and the loss by entries."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.records.score_definitions.settings import ANY_KEYS, Constant
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import PROBLEM_2, aloragc_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import HALF, Matrix
from loracle_reference.vectorization import vec

__all__ = ["RECORDS"]

LOSS = replace(PROBLEM_2, name="Equation (3.4)", square={})


def residual_entries(f: Matrix, c: Matrix, C3: Matrix, Y: Matrix, L: int, d: int) -> list[Relation]:
    """c_ji = <f_j, C3[., i]> - Y_ji is the entry of f C3 - Y."""
    return [
        equal(c, f @ C3 - Y),
        *(
            equal(
                f.take_rows([j]) @ C3.take_columns([i]) - Y.take_rows([j]).take_columns([i]),
                c.take_rows([j]).take_columns([i]),
            )
            for j in range(L)
            for i in range(d)
        ),
    ]


def domain_of_two_vectors(W: Matrix, d: int) -> Relation:
    """vec(W), the only argument, would fill R^(d^2) x R^(d^2)."""
    return equal(vec(W).shape, (d * d + d * d, 1))


def domain_of_one_vector(W: Matrix, d: int) -> Relation:
    """vec(W), the only argument, fills R^(d^2)."""
    return equal(vec(W).shape, (d * d, 1))


def loss_by_entries(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    c: Matrix,
    L: int,
    d: int,
    constant: Constant,
) -> list[Relation]:
    """(3.3) = sum_j sum_i L_ji = 1/2 sum_j sum_i c_ji^2, where L_ji = 1/2 c_ji^2."""
    losses = squares = constant([[0]])
    for j in range(L):
        for i in range(d):
            c_ji = c.take_rows([j]).take_columns([i])
            losses = losses + (c_ji * c_ji).scale(HALF)
            squares = squares + c_ji * c_ji
    return [
        equal(aloragc_loss(C1, C2, C3, W0, A, B, Y), losses),
        equal(losses, squares.scale(HALF)),
    ]


RECORDS = (
    Record(
        "Definition 3.5",
        title="Entries of the residual",
        kind=Kind.DEFINITION,
        printed=r"c(x)_{\underline j, i} : \mathbb R^{d^2} \times \mathbb R^{d^2} \to \mathbb R,"
        r" \quad c(\underline W)_{\underline j, i} :="
        r" \langle f(\underline W)_{\underline j}, C^{(3)}[\cdot, i] \rangle - Y_{\underline j, i},"
        r" \quad c(\underline W) = f(\underline W) C^{(3)} - Y",
        corrected=r"c_{\underline j, i} : \mathbb R^{d^2} \to \mathbb R,"
        r" \quad c(\underline W)_{\underline j, i} :="
        r" \langle f(\underline W)_{\underline j}, C^{(3)}[\cdot, i] \rangle - Y_{\underline j, i},"
        r" \quad c(\underline W) = f(\underline W) C^{(3)} - Y",
        uses=("Definition 3.4", "Simplification (S2)"),
        parts=(
            Part(
                "entries",
                setting=ANY_KEYS,
                printed=(
                    Claim(
                        r"\langle f(\underline W)_{\underline j}, C^{(3)}[\cdot, i] \rangle"
                        r" - Y_{\underline j, i} = \big(f(\underline W) C^{(3)} - Y\big)"
                        r"[\underline j, i]",
                        residual_entries,
                    ),
                ),
            ),
            Part(
                "domain",
                setting=ANY_KEYS,
                printed=(
                    Claim(
                        r"\underline W \in \mathbb R^{d^2} \times \mathbb R^{d^2}",
                        domain_of_two_vectors,
                    ),
                    Claim(
                        r"\underline W \in \mathbb R^{d^2}",
                        domain_of_one_vector,
                        reading="the domain is R^(d^2), and x is vec(W)",
                    ),
                ),
                corrected=Claim(r"\underline W \in \mathbb R^{d^2}", domain_of_one_vector),
                severity=Severity.NOTATION,
                problem="The function is declared on pairs of vectors, under the name x, and"
                " defined on the one vector vec(W).",
            ),
        ),
    ),
    Record(
        "Equation (3.4)",
        title="The loss by entries",
        kind=Kind.EQUATION,
        printed=r"\mathcal L(\underline W) = \sum_{\underline j}^{L} \sum_{i=1}^{d}"
        r" \mathcal L(\underline W)_{\underline j, i} = \frac12 \sum_{\underline j}^{L}"
        r" \sum_{i=1}^{d} c(\underline W)_{\underline j, i}^2",
        uses=("Equation (3.3)", "Definition 3.5"),
        parts=(
            Part(
                "equals (3.3)",
                setting=LOSS,
                printed=(
                    Claim(
                        r"\mathcal L(B_Q, A_Q) = \sum_{\underline j} \sum_{i}"
                        r" \mathcal L(\underline W)_{\underline j, i} = \frac12 \sum_{\underline j}"
                        r" \sum_{i} c(\underline W)_{\underline j, i}^2",
                        loss_by_entries,
                    ),
                ),
            ),
        ),
        remark="The summand of the first double sum has no definition in Section 3; it is half the"
        " square of c_ji, as Definition F.5 says of the general case. Both outer sums are printed"
        " without their lower limit.",
    ),
)
