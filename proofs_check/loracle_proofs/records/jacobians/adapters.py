"""Lemma E.1: the Jacobians of the weight in its adapters, and the gradients through them."""

from __future__ import annotations

from loracle_proofs.records.jacobians.gradient_terms import CHAIN_RULE, DOUBLE_SUM, PART_ONE, total
from loracle_proofs.records.jacobians.printed_jacobians import (
    BY_COLUMNS,
    PRINTED_JACOBIANS,
    printed_jacobian_in_a,
    printed_jacobian_in_b,
)
from loracle_proofs.records.score_definitions.settings import Constant, Identity
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import adapted_weight
from loracle_reference.differentiation import directional_derivative
from loracle_reference.jacobian import jacobian_in_a, jacobian_in_b
from loracle_reference.vectorization import kronecker, vec

__all__ = ["RECORDS"]


def _weight(W0: Matrix, B: Matrix, A: Matrix) -> Matrix:
    return adapted_weight(W0, B, A, 1)


def _vectorized_weight(W0: Matrix, B: Matrix, A: Matrix) -> Matrix:
    return vec(adapted_weight(W0, B, A, 1))


def _slopes(name: str, W0: Matrix, B: Matrix, A: Matrix, constant: Constant) -> list[Matrix]:
    """The derivatives of vec(W) in the entries of one adapter, in the order of vec."""
    point = {"W0": W0, "B": B, "A": A}
    rows, columns = point[name].shape
    slopes: list[Matrix] = []
    for k in range(rows * columns):
        entries = [[int(i * columns + j == k) for j in range(columns)] for i in range(rows)]
        direction = {name: constant(entries)}
        slopes.append(directional_derivative(_vectorized_weight, point, direction, {}))
    return slopes


def _slopes_in_a(W0: Matrix, B: Matrix, A: Matrix, constant: Constant) -> list[Matrix]:
    return _slopes("A", W0, B, A, constant)


def _slopes_in_b(W0: Matrix, B: Matrix, A: Matrix, constant: Constant) -> list[Matrix]:
    return _slopes("B", W0, B, A, constant)


ADAPTER = Setting(
    "Lemma E.1, the Jacobians",
    shapes={"W0": ("m", "n"), "B": ("m", "r"), "A": ("r", "n")},
    derived={"W": _weight, "slopes_in_a": _slopes_in_a, "slopes_in_b": _slopes_in_b},
    square={"n": "m"},
)
"""The paper's weights are square; slopes are derivatives of vec(W) by dual numbers."""

WEIGHT_WITH_BAR = Setting(
    "Lemma E.1, the frozen weight",
    shapes={"WQ": ("d", "d"), "B": ("d", "r"), "A": ("r", "d")},
    scalars=("ratio",),
)
"""ratio = r / alpha, so that the weight of (3.3) with its bar is ratio WQ."""


def printed_weight_in_a(
    W0: Matrix, A: Matrix, B: Matrix, W: Matrix, n: int, identity: Identity
) -> Relation:
    """vec(W) = vec(W0) + J_B vec(A) with the J_B of the text."""
    return equal(vec(W), vec(W0) + printed_jacobian_in_a(B, identity(n)) @ vec(A))


def weight_in_a(
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    W: Matrix,
    n: int,
    identity: Identity,
    slopes_in_a: list[Matrix],
) -> list[Relation]:
    """vec(W) = vec(W0) + J_B vec(A) with J_B = B (x) I, whose columns are the derivatives."""
    J_B = kronecker(B, identity(n))
    return [
        equal(vec(W), vec(W0) + J_B @ vec(A)),
        *(equal(slope, J_B.take_columns([k])) for k, slope in enumerate(slopes_in_a)),
        equal(jacobian_in_a(B, identity(n)), J_B),
    ]


def printed_weight_in_b(
    W0: Matrix, A: Matrix, B: Matrix, W: Matrix, m: int, identity: Identity
) -> Relation:
    """vec(W) = vec(W0) + J_A vec(B) with the J_A of the text."""
    return equal(vec(W), vec(W0) + printed_jacobian_in_b(A, identity(m)) @ vec(B))


def weight_in_b(
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    W: Matrix,
    m: int,
    identity: Identity,
    slopes_in_b: list[Matrix],
) -> list[Relation]:
    """vec(W) = vec(W0) + J_A vec(B) with J_A = I (x) A^T, whose columns are the derivatives."""
    J_A = kronecker(identity(m), A.T)
    return [
        equal(vec(W), vec(W0) + J_A @ vec(B)),
        *(equal(slope, J_A.take_columns([k])) for k, slope in enumerate(slopes_in_b)),
        equal(jacobian_in_b(A, identity(m)), J_A),
    ]


def weights_by_columns(
    W0: Matrix, A: Matrix, B: Matrix, W: Matrix, m: int, n: int, identity: Identity
) -> list[Relation]:
    """The two equations with the Jacobians of the text and vec stacking columns."""
    J_B = printed_jacobian_in_a(B, identity(n))
    J_A = printed_jacobian_in_b(A, identity(m))
    return [
        equal(vec(W.T), vec(W0.T) + J_B @ vec(A.T)),
        equal(vec(W.T), vec(W0.T) + J_A @ vec(B.T)),
    ]


def weight_without_bar(
    WQ: Matrix, A: Matrix, B: Matrix, ratio: Scalar, d: int, identity: Identity
) -> Relation:
    """vec(W) = vec(W_Q*) + J_B vec(A) for the W of (3.3), with the J_B that is right."""
    return equal(vec(WQ.scale(ratio) + B @ A), vec(WQ) + jacobian_in_a(B, identity(d)) @ vec(A))


def weight_with_bar(
    WQ: Matrix, A: Matrix, B: Matrix, ratio: Scalar, d: int, identity: Identity
) -> Relation:
    """vec(W) = vec((r / alpha) W_Q*) + J_B vec(A) for the W of (3.3)."""
    frozen = WQ.scale(ratio)
    return equal(vec(WQ.scale(ratio) + B @ A), vec(frozen) + jacobian_in_a(B, identity(d)) @ vec(A))


def printed_gradient_in_a(
    B: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dA: Matrix
) -> Relation:
    """vec(dL/dA) = sum of J_B^T term with the J_B of the text."""
    J_B = printed_jacobian_in_a(B, identity(d))
    return equal(vec(dL_dA), total(J_B.T @ term for term in terms))


def gradient_in_a_by_columns(
    B: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dA: Matrix
) -> Relation:
    """The same with vec(dL/dA) stacking columns."""
    J_B = printed_jacobian_in_a(B, identity(d))
    return equal(vec(dL_dA.T), total(J_B.T @ term for term in terms))


def gradient_in_a(
    B: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dA: Matrix
) -> Relation:
    """vec(dL/dA) = sum of J_B^T term with J_B = B (x) I."""
    J_B = kronecker(B, identity(d))
    return equal(vec(dL_dA), total(J_B.T @ term for term in terms))


def printed_gradient_in_b(
    A: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dB: Matrix
) -> Relation:
    """vec(dL/dB) = sum of J_A^T term with the J_A of the text."""
    J_A = printed_jacobian_in_b(A, identity(d))
    return equal(vec(dL_dB), total(J_A.T @ term for term in terms))


def gradient_in_b_by_columns(
    A: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dB: Matrix
) -> Relation:
    """The same with vec(dL/dB) stacking columns."""
    J_A = printed_jacobian_in_b(A, identity(d))
    return equal(vec(dL_dB.T), total(J_A.T @ term for term in terms))


def gradient_in_b(
    A: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dB: Matrix
) -> Relation:
    """vec(dL/dB) = sum of J_A^T term with J_A = I (x) A^T."""
    J_A = kronecker(identity(d), A.T)
    return equal(vec(dL_dB), total(J_A.T @ term for term in terms))


RECORDS = (
    Record(
        "Lemma E.1",
        title="Jacobians of the weight in its adapters",
        kind=Kind.LEMMA,
        printed=r"\underline W = \underline W_Q^{\star} + J_B \underline A_Q, \quad"
        r" \underline W = \underline W_Q^{\star} + J_A \underline B_Q, \quad"
        + PRINTED_JACOBIANS
        + rf"; \quad \frac{{\partial\mathcal L}}{{\partial\underline A_Q}} = {DOUBLE_SUM}"
        rf" J_B^{{\top}} {PART_ONE}, \quad"
        rf" \frac{{\partial\mathcal L}}{{\partial\underline B_Q}} = {DOUBLE_SUM}"
        rf" J_A^{{\top}} {PART_ONE}",
        corrected=r"\underline W = \underline{\overline W}_Q^{\star} + J_B \underline A_Q, \quad"
        r" \underline W = \underline{\overline W}_Q^{\star} + J_A \underline B_Q, \quad"
        r" J_B = B_Q \otimes I_d, \quad J_A = I_d \otimes A_Q^{\top};"
        rf" \quad \frac{{\partial\mathcal L}}{{\partial\underline A_Q}} = {DOUBLE_SUM}"
        rf" J_B^{{\top}} {PART_ONE}, \quad"
        rf" \frac{{\partial\mathcal L}}{{\partial\underline B_Q}} = {DOUBLE_SUM}"
        rf" J_A^{{\top}} {PART_ONE}",
        uses=("Definition 2.1", "Definition 2.3", "Equation (3.3)", "Lemma 3.1"),
        parts=(
            Part(
                "J_B",
                setting=ADAPTER,
                printed=(
                    Claim(
                        r"\underline W = \underline W_0 + (I_d \otimes B)\, \underline A,"
                        r" \quad W = W_0 + B A",
                        printed_weight_in_a,
                    ),
                ),
                corrected=Claim(
                    r"\underline W = \underline W_0 + J_B\, \underline A, \quad"
                    r" J_B = \frac{\partial \underline W}{\partial \underline A} = B \otimes I_n,"
                    r" \quad W_0 \in \mathbb R^{m \times n}",
                    weight_in_a,
                    equivalent={
                        "kronecker: 0 -> 1 #1": "The second factor is an identity, which has as"
                        " many rows as columns.",
                    },
                    code=(kronecker, jacobian_in_a),
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem="The block-diagonal matrix is the Jacobian of the column-major vec. With"
                " the row-major vec of Definition 2.1 the Jacobian, which is unique, is B (x) I.",
            ),
            Part(
                "J_A",
                setting=ADAPTER,
                printed=(
                    Claim(
                        r"\underline W = \underline W_0 + (A^{\top} \otimes I_d)\, \underline B,"
                        r" \quad W = W_0 + B A",
                        printed_weight_in_b,
                    ),
                ),
                corrected=Claim(
                    r"\underline W = \underline W_0 + J_A\, \underline B, \quad"
                    r" J_A = \frac{\partial \underline W}{\partial \underline B}"
                    r" = I_m \otimes A^{\top}, \quad W_0 \in \mathbb R^{m \times n}",
                    weight_in_b,
                    equivalent={
                        "kronecker: 0 -> 1": "The first factor is an identity, which has as many"
                        " rows as columns.",
                    },
                    code=(kronecker, jacobian_in_b),
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem="The matrix of diagonal blocks is the Jacobian of the column-major vec."
                " With the row-major vec of Definition 2.1 the Jacobian, which is unique, is"
                " I (x) A^T.",
            ),
            Part(
                "J_B and J_A by columns",
                setting=ADAPTER,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W^{\top}) = \operatorname{vec}(W_0^{\top})"
                        r" + (I_d \otimes B) \operatorname{vec}(A^{\top}) ="
                        r" \operatorname{vec}(W_0^{\top})"
                        r" + (A^{\top} \otimes I_d) \operatorname{vec}(B^{\top})",
                        weights_by_columns,
                        reading=BY_COLUMNS,
                    ),
                ),
                corrected=Claim(
                    r"\operatorname{vec}(W^{\top}) = \operatorname{vec}(W_0^{\top})"
                    r" + (I_n \otimes B) \operatorname{vec}(A^{\top}) ="
                    r" \operatorname{vec}(W_0^{\top})"
                    r" + (A^{\top} \otimes I_m) \operatorname{vec}(B^{\top})",
                    weights_by_columns,
                    code=(printed_jacobian_in_a, printed_jacobian_in_b),
                ),
                severity=Severity.NOTATION,
                problem="The displayed matrices are right for a vec that stacks columns, but then"
                " the two gradients below are wrong: no one convention makes the lemma true.",
            ),
            Part(
                "the frozen weight",
                setting=WEIGHT_WITH_BAR,
                printed=(
                    Claim(
                        r"\underline W = \underline W_Q^{\star} + J_B \underline A_Q, \quad"
                        r" W = \overline W_Q^{\star} + B_Q A_Q",
                        weight_without_bar,
                    ),
                    Claim(
                        r"\underline W = \underline{\overline W}_Q^{\star} + J_B \underline A_Q,"
                        r" \quad W = \overline W_Q^{\star} + B_Q A_Q",
                        weight_with_bar,
                        reading="the frozen weight is that of (3.3), with its bar, and J_B is"
                        " B (x) I",
                    ),
                ),
                corrected=Claim(
                    r"\underline W = \tfrac{r}{\alpha} \underline W_Q^{\star}"
                    r" + J_B \underline A_Q, \quad"
                    r" W = \tfrac{r}{\alpha} W_Q^{\star} + B_Q A_Q",
                    weight_with_bar,
                ),
                severity=Severity.TYPO,
                problem="The weight of (3.3) starts from (r/alpha) W_Q*, written with a bar; the"
                " bar is missing here, and the equation is false unless alpha = r.",
            ),
            Part(
                "gradient in A",
                setting=CHAIN_RULE,
                printed=(
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline A_Q}} = {DOUBLE_SUM}"
                        rf" (I_d \otimes B_Q)^{{\top}} {PART_ONE}",
                        printed_gradient_in_a,
                    ),
                    Claim(
                        r"\operatorname{vec}\Big(\big(\frac{\partial\mathcal L}"
                        rf"{{\partial A_Q}}\big)^{{\top}}\Big) = {DOUBLE_SUM}"
                        rf" (I_d \otimes B_Q)^{{\top}} {PART_ONE}",
                        gradient_in_a_by_columns,
                        reading=BY_COLUMNS,
                    ),
                ),
                corrected=Claim(
                    rf"\frac{{\partial\mathcal L}}{{\partial\underline A_Q}} = {DOUBLE_SUM}"
                    rf" (B_Q \otimes I_d)^{{\top}} {PART_ONE}",
                    gradient_in_a,
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem="With the printed J_B the sum is not the gradient, in either order of vec:"
                " the columns of C_j stand in row-major order, those of J_B^T in column-major.",
            ),
            Part(
                "gradient in B",
                setting=CHAIN_RULE,
                printed=(
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline B_Q}} = {DOUBLE_SUM}"
                        rf" (A_Q^{{\top}} \otimes I_d)^{{\top}} {PART_ONE}",
                        printed_gradient_in_b,
                    ),
                    Claim(
                        r"\operatorname{vec}\Big(\big(\frac{\partial\mathcal L}"
                        rf"{{\partial B_Q}}\big)^{{\top}}\Big) = {DOUBLE_SUM}"
                        rf" (A_Q^{{\top}} \otimes I_d)^{{\top}} {PART_ONE}",
                        gradient_in_b_by_columns,
                        reading=BY_COLUMNS,
                    ),
                ),
                corrected=Claim(
                    rf"\frac{{\partial\mathcal L}}{{\partial\underline B_Q}} = {DOUBLE_SUM}"
                    rf" (I_d \otimes A_Q^{{\top}})^{{\top}} {PART_ONE}",
                    gradient_in_b,
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem="With the printed J_A the sum is not the gradient, in either order of vec:"
                " the columns of C_j stand in row-major order, those of J_A^T in column-major.",
            ),
        ),
        ocr="The upper right block of J_A is garbled in the source text; it is read as"
        " diag(A_Q[r, 1]), which the rows below it require.",
        remark="The closed forms B^T (dL/dW) and (dL/dW) A^T do not depend on the order of vec;"
        " Lemma 3.2 is what the corrected lemma gives.",
    ),
)
