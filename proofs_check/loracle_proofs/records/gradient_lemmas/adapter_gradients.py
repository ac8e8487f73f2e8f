"""Lemma 3.2, equations (3.6) and (E.2): the gradients in the adapters as products of matrices."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.records.jacobians.gradient_terms import CHAIN_RULE
from loracle_proofs.records.score_definitions.settings import SCORES, Identity, as_columns, diagonal
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.gradient import aloragc_gradient, score_gradient
from loracle_reference.vectorization import vec

__all__ = ["ADAPTERS", "IN_A", "IN_B", "PRINTED_GRADIENT_IN_B", "RECORDS", "printed_gradient_in_b"]


def _printed_q(c: Matrix, C3: Matrix) -> Matrix:
    return C3 @ c.T


ADAPTERS = replace(
    CHAIN_RULE,
    name="Lemma 3.2",
    derived={**CHAIN_RULE.derived, "printed_q": _printed_q},
)
"""printed_q = C3 c^T as in Lemma 3.2, of shape (M, L); p has row j for query j, as in Problem 2."""


def p_without_index(
    f: Matrix, printed_q: Matrix, L: int, identity: Identity, dL_dS: Matrix
) -> list[Relation]:
    """p_j = (diag(f_j) - f_j f_j^T) q is the vector that row j of dL/dS is."""
    rows = [f.take_rows([j]).T for j in range(L)]
    return [
        equal(dL_dS.take_rows([j]).T, (diagonal(f_j, identity) - f_j @ f_j.T) @ printed_q)
        for j, f_j in enumerate(rows)
    ]


def p_by_rows_of_q(
    f: Matrix, printed_q: Matrix, L: int, identity: Identity, dL_dS: Matrix
) -> list[Relation]:
    """p_j with row j of q in it is row j of dL/dS."""
    rows = [f.take_rows([j]).T for j in range(L)]
    return [
        equal(
            dL_dS.take_rows([j]).T,
            (diagonal(f_j, identity) - f_j @ f_j.T) @ printed_q.take_rows([j]).T,
        )
        for j, f_j in enumerate(rows)
    ]


def p_by_columns_of_q(
    f: Matrix, printed_q: Matrix, L: int, identity: Identity, dL_dS: Matrix
) -> list[Relation]:
    """p_j with column j of q in it is row j of dL/dS."""
    rows = [f.take_rows([j]).T for j in range(L)]
    return [
        equal(
            dL_dS.take_rows([j]).T,
            (diagonal(f_j, identity) - f_j @ f_j.T) @ printed_q.take_columns([j]),
        )
        for j, f_j in enumerate(rows)
    ]


def p_is_the_gradient(
    f: Matrix, c: Matrix, C3: Matrix, L: int, identity: Identity, dL_dS: Matrix
) -> list[Relation]:
    """With q = c C3^T, p_j made from row j of q is row j of p = dL/dS."""
    q = c @ C3.T
    relations = [equal(dL_dS, score_gradient(f, c, C3))]
    for j in range(L):
        f_j = f.take_rows([j]).T
        p_j = (diagonal(f_j, identity) - f_j @ f_j.T) @ q.take_rows([j]).T
        relations.append(equal(dL_dS.take_rows([j]).T, p_j))
    return relations


def gradient_in_a_from_columns(
    C1: Matrix,
    C2: Matrix,
    B: Matrix,
    f: Matrix,
    printed_q: Matrix,
    L: int,
    identity: Identity,
    dL_dA: Matrix,
) -> Relation:
    """vec(dL/dA) = vec(B^T C1^T p C2) with the p_j for columns of p."""
    columns = []
    for j in range(L):
        f_j, q_j = f.take_rows([j]).T, printed_q.take_columns([j])
        columns.append((diagonal(f_j, identity) - f_j @ f_j.T) @ q_j)
    return equal(vec(dL_dA), vec(B.T @ C1.T @ as_columns(columns) @ C2))


def gradient_in_a_from_rows(
    C1: Matrix,
    C2: Matrix,
    B: Matrix,
    f: Matrix,
    printed_q: Matrix,
    L: int,
    identity: Identity,
    dL_dA: Matrix,
) -> Relation:
    """vec(dL/dA) = vec(B^T C1^T p C2) with the p_j for rows of p."""
    columns = []
    for j in range(L):
        f_j, q_j = f.take_rows([j]).T, printed_q.take_columns([j])
        columns.append((diagonal(f_j, identity) - f_j @ f_j.T) @ q_j)
    return equal(vec(dL_dA), vec(B.T @ C1.T @ as_columns(columns).T @ C2))


def printed_gradient_in_b(C1: Matrix, C2: Matrix, A: Matrix, p: Matrix, dL_dB: Matrix) -> Relation:
    """vec(dL/dB) = vec(C1^T p A C2)."""
    return equal(vec(dL_dB), vec(C1.T @ p @ A @ C2))


def gradient_in_b(
    C1: Matrix, C2: Matrix, C3: Matrix, A: Matrix, f: Matrix, c: Matrix, dL_dB: Matrix
) -> Relation:
    """vec(dL/dB) = vec(C1^T p C2 A^T)."""
    return equal(vec(dL_dB), vec(C1.T @ score_gradient(f, c, C3) @ C2 @ A.T))


def printed_gradients(
    C1: Matrix,
    C2: Matrix,
    A: Matrix,
    B: Matrix,
    p: Matrix,
    dL_dA: Matrix,
    dL_dB: Matrix,
) -> list[Relation]:
    """Both gradients as printed, p having row j for query j."""
    return [
        equal(vec(dL_dA), vec(B.T @ C1.T @ p @ C2)),
        equal(vec(dL_dB), vec(C1.T @ p @ A @ C2)),
    ]


def gradients(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    p: Matrix,
    dL_dA: Matrix,
    dL_dB: Matrix,
) -> list[Relation]:
    """Both gradients corrected, and as the specification computes them."""
    computed = aloragc_gradient(c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y)
    return [
        equal(vec(dL_dA), vec(B.T @ C1.T @ p @ C2)),
        equal(vec(dL_dB), vec(C1.T @ p @ C2 @ A.T)),
        equal(dL_dA, computed["grad_a"]),
        equal(dL_dB, computed["grad_b"]),
    ]


IN_A = r"\frac{\partial\mathcal L}{\partial\underline A_Q}"

IN_B = r"\frac{\partial\mathcal L}{\partial\underline B_Q}"

_GRADIENT_IN_A = (
    rf"{IN_A} = \operatorname{{vec}}\big(B_Q^{{\top}} (C^{{(1)}})^{{\top}} p(\underline W)"
    r" C^{(2)}\big)"
)

PRINTED_GRADIENT_IN_B = (
    rf"{IN_B} = \operatorname{{vec}}\big((C^{{(1)}})^{{\top}} p(\underline W) A_Q C^{{(2)}}\big)"
)

_GRADIENT_IN_B = (
    rf"{IN_B} = \operatorname{{vec}}\big((C^{{(1)}})^{{\top}} p(\underline W) C^{{(2)}}"
    r" A_Q^{\top}\big)"
)

_ROWS_OF_P = Part(
    "gradient in A",
    setting=ADAPTERS,
    printed=(
        Claim(
            _GRADIENT_IN_A + r", \quad p[\cdot, \underline j] = p_{\underline j}",
            gradient_in_a_from_columns,
            reading="q_j is column j of q, and p_j column j of p, as Lemma 3.7 says of p_2",
        ),
        Claim(
            _GRADIENT_IN_A + r", \quad p[\underline j, \cdot] = p_{\underline j}^{\top}",
            gradient_in_a_from_rows,
            reading="q_j is column j of q, and p_j row j of p",
        ),
    ),
    corrected=Claim(
        _GRADIENT_IN_A + r", \quad p[\underline j, \cdot] = p_{\underline j}^{\top}",
        gradient_in_a_from_rows,
    ),
    severity=Severity.NOTATION,
    problem="How the vectors p_j make the matrix p is not said. They must be its rows; Lemma 3.7"
    " calls those of p_2 columns, and with columns the formula is false.",
)

_SCALED_TWICE = Part(
    "gradient in B",
    setting=ADAPTERS,
    printed=(Claim(PRINTED_GRADIENT_IN_B, printed_gradient_in_b),),
    corrected=Claim(_GRADIENT_IN_B, gradient_in_b, code=(score_gradient,)),
    severity=Severity.ILL_TYPED,
    problem="p A C^(2) multiplies an L x L, an r x d and an L x d matrix, which fit only when r ="
    " d = L. The factor A belongs at the right end, transposed.",
)

RECORDS = (
    Record(
        "Lemma 3.2",
        title="Gradients in the adapters",
        kind=Kind.LEMMA,
        printed=r"q(\underline W) := C^{(3)} (c(\underline W))^{\top}, \quad"
        r" p(\underline W)_{\underline j} := \big(\operatorname{diag}(f(\underline W)"
        r"_{\underline j}) - f(\underline W)_{\underline j} f(\underline W)_{\underline j}^{\top}"
        rf"\big) q(\underline W); \quad {_GRADIENT_IN_A}, \quad {PRINTED_GRADIENT_IN_B}",
        corrected=r"q(\underline W) := c(\underline W) (C^{(3)})^{\top}, \quad"
        r" X(\underline W)_{\underline j}^{\top} := X(\underline W)[\underline j, \cdot]"
        r" \text{ for } X = f, q, p, \quad"
        r" p(\underline W)_{\underline j} := \big(\operatorname{diag}(f(\underline W)"
        r"_{\underline j}) - f(\underline W)_{\underline j} f(\underline W)_{\underline j}^{\top}"
        rf"\big) q(\underline W)_{{\underline j}}; \quad {_GRADIENT_IN_A}, \quad {_GRADIENT_IN_B}",
        uses=("Lemma 3.1", "Lemma E.1", "Definition 3.4", "Definition 3.5"),
        parts=(
            Part(
                "p_j",
                setting=SCORES,
                printed=(
                    Claim(
                        r"\big(\operatorname{diag}(f_{\underline j}) - f_{\underline j}"
                        r" f_{\underline j}^{\top}\big) q = \Big(\frac{\partial\mathcal L}"
                        r"{\partial (C^{(1)} W (C^{(2)})^{\top})}[\underline j, \cdot]\Big)^{\top}"
                        r" \in \mathbb R^{L}",
                        p_without_index,
                    ),
                    Claim(
                        r"\big(\operatorname{diag}(f_{\underline j}) - f_{\underline j}"
                        r" f_{\underline j}^{\top}\big) (q[\underline j, \cdot])^{\top} ="
                        r" \Big(\frac{\partial\mathcal L}"
                        r"{\partial (C^{(1)} W (C^{(2)})^{\top})}[\underline j, \cdot]\Big)^{\top}",
                        p_by_rows_of_q,
                        reading="q stands for q_j, as in Definition 3.6, and q_j is row j of q, as"
                        " f_j is of f",
                    ),
                    Claim(
                        r"\big(\operatorname{diag}(f_{\underline j}) - f_{\underline j}"
                        r" f_{\underline j}^{\top}\big) q[\cdot, \underline j] ="
                        r" \Big(\frac{\partial\mathcal L}"
                        r"{\partial (C^{(1)} W (C^{(2)})^{\top})}[\underline j, \cdot]\Big)^{\top}",
                        p_by_columns_of_q,
                        reading="q stands for q_j, as in Definition 3.6, and q_j is column j of q",
                    ),
                ),
                corrected=Claim(
                    r"\big(\operatorname{diag}(f_{\underline j}) - f_{\underline j}"
                    r" f_{\underline j}^{\top}\big) (q[\underline j, \cdot])^{\top} ="
                    r" \Big(\frac{\partial\mathcal L}"
                    r"{\partial (C^{(1)} W (C^{(2)})^{\top})}[\underline j, \cdot]\Big)^{\top},"
                    r" \quad q = c\, (C^{(3)})^{\top}",
                    p_is_the_gradient,
                    code=(score_gradient,),
                ),
                severity=Severity.NOTATION,
                problem="The vector p_j is defined as a product with the whole L x L matrix q. It"
                " takes the index of Definition 3.6, and q_j must be a column of the printed q,"
                " while f_j is a row of f.",
            ),
            _ROWS_OF_P,
            _SCALED_TWICE,
        ),
    ),
    Record(
        "Equation (3.6)",
        title="The displays of Lemma 3.2",
        kind=Kind.EQUATION,
        printed=rf"{_GRADIENT_IN_A}, \quad {PRINTED_GRADIENT_IN_B}",
        corrected=rf"{_GRADIENT_IN_A}, \quad {_GRADIENT_IN_B}",
        uses=("Lemma 3.2",),
        parts=(
            _ROWS_OF_P,
            Part(
                "both gradients",
                setting=ADAPTERS,
                printed=(
                    Claim(rf"{_GRADIENT_IN_A}, \quad {PRINTED_GRADIENT_IN_B}", printed_gradients),
                ),
                corrected=Claim(
                    rf"{_GRADIENT_IN_A}, \quad {_GRADIENT_IN_B}",
                    gradients,
                    code=(aloragc_gradient,),
                ),
                severity=Severity.ILL_TYPED,
                problem="The second product does not fit unless r = d = L; see Lemma 3.2.",
            ),
        ),
    ),
    Record(
        "Equation (E.2)",
        title="Equation (3.6) again, in the proof of Theorem 3.1",
        kind=Kind.EQUATION,
        printed=rf"{_GRADIENT_IN_A}, \quad {PRINTED_GRADIENT_IN_B}",
        corrected=rf"{_GRADIENT_IN_A}, \quad {_GRADIENT_IN_B}",
        uses=("Equation (3.6)", "Lemma 3.2"),
        parts=(_ROWS_OF_P, _SCALED_TWICE),
    ),
)
