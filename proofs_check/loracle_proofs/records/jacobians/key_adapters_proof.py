"""The proof of Lemma F.3: the chain rule through the transposed weight."""

from __future__ import annotations

from loracle_proofs.records.jacobians.key_adapters import KEYS
from loracle_proofs.records.jacobians.printed_jacobians import (
    printed_jacobian_in_a,
    printed_jacobian_in_b,
)
from loracle_proofs.records.jacobians.transposition import printed_transposition
from loracle_proofs.records.score_definitions.settings import Constant, Identity
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.jacobian import jacobian_in_a, jacobian_in_b, pull_back_from_transpose
from loracle_reference.vectorization import kronecker, transposition, transposition_order, vec

__all__ = ["RECORDS"]


def key_weight_printed_sizes(WK: Matrix, d: int, constant: Constant) -> Relation:
    """vec(W_K^T) = T(d^2, d^2) vec(W_K)."""
    return equal(vec(WK.T), constant(printed_transposition(d**2, d**2)) @ vec(WK))


def key_weight_transposed(WK: Matrix, d: int, constant: Constant) -> Relation:
    """vec(W_K^T) = T(d, d) vec(W_K)."""
    return equal(vec(WK.T), constant(printed_transposition(d, d)) @ vec(WK))


def key_weight_in_adapters_printed_sizes(
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
) -> list[Relation]:
    """vec(W_K^T) = T(d^2, d^2) (vec(W_K*) + J vec(X)) for X = A_K and X = B_K."""
    T = constant(printed_transposition(d**2, d**2))
    J_B, J_A = printed_jacobian_in_a(BK, identity(d)), printed_jacobian_in_b(AK, identity(d))
    return [
        equal(vec(WK.T), T @ (vec(WK0) + J_B @ vec(AK))),
        equal(vec(WK.T), T @ (vec(WK0) + J_A @ vec(BK))),
    ]


def key_weight_in_adapters_printed_jacobians(
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
) -> list[Relation]:
    """vec(W_K^T) = T(d, d) (vec(W_K*) + J vec(X)) with the Jacobians of Lemma E.1's text."""
    T = constant(printed_transposition(d, d))
    J_B, J_A = printed_jacobian_in_a(BK, identity(d)), printed_jacobian_in_b(AK, identity(d))
    return [
        equal(vec(WK.T), T @ (vec(WK0) + J_B @ vec(AK))),
        equal(vec(WK.T), T @ (vec(WK0) + J_A @ vec(BK))),
    ]


def key_weight_in_adapters(
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WK: Matrix,
    d: int,
    identity: Identity,
) -> list[Relation]:
    """vec(W_K^T) = T(d, d) (vec(W_K*) + J vec(X)) with J_B = B (x) I and J_A = I (x) A^T."""
    order = transposition_order(d, d)
    return [
        equal(vec(WK.T), (vec(WK0) + jacobian_in_a(BK, identity(d)) @ vec(AK)).take_rows(order)),
        equal(vec(WK.T), (vec(WK0) + jacobian_in_b(AK, identity(d)) @ vec(BK)).take_rows(order)),
    ]


def key_chain_rule_printed_sizes(
    AK: Matrix,
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    dL_dAK: Matrix,
    dL_dBK: Matrix,
    dL_dWKT: Matrix,
) -> list[Relation]:
    """vec(dL/dX) = T(d^2, d^2) J vec(dL/dW_K^T) for X = A_K and X = B_K."""
    T = constant(printed_transposition(d**2, d**2))
    J_B, J_A = printed_jacobian_in_a(BK, identity(d)), printed_jacobian_in_b(AK, identity(d))
    return [
        equal(vec(dL_dAK), T @ J_B @ vec(dL_dWKT)),
        equal(vec(dL_dBK), T @ J_A @ vec(dL_dWKT)),
    ]


def key_chain_rule_not_transposed(
    AK: Matrix,
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    dL_dAK: Matrix,
    dL_dBK: Matrix,
    dL_dWKT: Matrix,
) -> list[Relation]:
    """vec(dL/dX) = T(d, d) J vec(dL/dW_K^T) for X = A_K and X = B_K."""
    T = constant(printed_transposition(d, d))
    J_B, J_A = printed_jacobian_in_a(BK, identity(d)), printed_jacobian_in_b(AK, identity(d))
    return [
        equal(vec(dL_dAK), T @ J_B @ vec(dL_dWKT)),
        equal(vec(dL_dBK), T @ J_A @ vec(dL_dWKT)),
    ]


def key_chain_rule_printed_jacobians(
    AK: Matrix,
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    dL_dAK: Matrix,
    dL_dBK: Matrix,
    dL_dWKT: Matrix,
) -> list[Relation]:
    """vec(dL/dX) = (T(d, d) J)^T vec(dL/dW_K^T) with the Jacobians of Lemma E.1's text."""
    T = constant(printed_transposition(d, d))
    J_B, J_A = printed_jacobian_in_a(BK, identity(d)), printed_jacobian_in_b(AK, identity(d))
    return [
        equal(vec(dL_dAK), (T @ J_B).T @ vec(dL_dWKT)),
        equal(vec(dL_dBK), (T @ J_A).T @ vec(dL_dWKT)),
    ]


def key_chain_rule(
    AK: Matrix,
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    dL_dAK: Matrix,
    dL_dBK: Matrix,
    dL_dWKT: Matrix,
) -> list[Relation]:
    """vec(dL/dX) = (T(d, d) J)^T vec(dL/dW_K^T) with J_B = B (x) I and J_A = I (x) A^T."""
    T = transposition(d, d)
    return [
        equal(vec(dL_dAK), (constant(T) @ kronecker(BK, identity(d))).T @ vec(dL_dWKT)),
        equal(vec(dL_dAK), pull_back_from_transpose(jacobian_in_a(BK, identity(d)), dL_dWKT)),
        equal(vec(dL_dBK), (constant(T) @ kronecker(identity(d), AK.T)).T @ vec(dL_dWKT)),
        equal(vec(dL_dBK), pull_back_from_transpose(jacobian_in_b(AK, identity(d)), dL_dWKT)),
    ]


RECORDS = (
    Record(
        "Proof of Lemma F.3",
        title="Chain rule through the transposed weight",
        kind=Kind.PROOF,
        printed=r"\underline{W_K^{\top}} = T(d^2,d^2)\, \underline W_K"
        r" = T(d^2,d^2) (\underline W_K^{\star} + J_{B_K} \underline A_K)"
        r" = T(d^2,d^2) (\underline W_K^{\star} + J_{A_K} \underline B_K), \quad"
        r" \frac{\partial\mathcal L}{\partial\underline A_K} = T(d^2,d^2) J_{B_K}"
        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}, \quad"
        r" \frac{\partial\mathcal L}{\partial\underline B_K} = T(d^2,d^2) J_{A_K}"
        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}",
        corrected=r"\operatorname{vec}(W_K^{\top}) = T(d,d)\, \underline W_K"
        r" = T(d,d) (\underline W_K^{\star} + J_{B_K} \underline A_K)"
        r" = T(d,d) (\underline W_K^{\star} + J_{A_K} \underline B_K), \quad"
        r" \frac{\partial\mathcal L}{\partial\underline A_K} = (T(d,d) J_{B_K})^{\top}"
        r" \frac{\partial\mathcal L}{\partial \operatorname{vec}(W_K^{\top})}, \quad"
        r" \frac{\partial\mathcal L}{\partial\underline B_K} = (T(d,d) J_{A_K})^{\top}"
        r" \frac{\partial\mathcal L}{\partial \operatorname{vec}(W_K^{\top})}, \quad"
        r" J_{B_K} = B_K \otimes I_d, \quad J_{A_K} = I_d \otimes A_K^{\top}",
        uses=("Lemma E.1", "Lemma F.1", "Lemma F.2"),
        parts=(
            Part(
                "the transposed weight",
                setting=KEYS,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W_K^{\top}) = T(d^2,d^2)\, \underline W_K",
                        key_weight_printed_sizes,
                    ),
                    Claim(
                        r"\operatorname{vec}(W_K^{\top}) = T(d,d)\, \underline W_K",
                        key_weight_transposed,
                        reading="T(d, d) is meant, for W_K has d rows and d columns",
                    ),
                ),
                corrected=Claim(
                    r"\operatorname{vec}(W_K^{\top}) = T(d,d)\, \underline W_K",
                    key_weight_transposed,
                ),
                severity=Severity.ILL_TYPED,
                problem="T(d^2, d^2) is a matrix of d^4 rows and columns, and vec(W_K) has d^2"
                " entries; the arguments of T are the sizes of the matrix, not of its vec.",
            ),
            Part(
                "the transposed weight in its adapters",
                setting=KEYS,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W_K^{\top})"
                        r" = T(d^2,d^2) (\underline W_K^{\star} + J_{B_K} \underline A_K)"
                        r" = T(d^2,d^2) (\underline W_K^{\star} + J_{A_K} \underline B_K)",
                        key_weight_in_adapters_printed_sizes,
                    ),
                    Claim(
                        r"\operatorname{vec}(W_K^{\top})"
                        r" = T(d,d) (\underline W_K^{\star} + J_{B_K} \underline A_K)"
                        r" = T(d,d) (\underline W_K^{\star} + J_{A_K} \underline B_K)",
                        key_weight_in_adapters_printed_jacobians,
                        reading="T(d, d) is meant; the Jacobians are those of Lemma E.1's text",
                    ),
                ),
                corrected=Claim(
                    r"\operatorname{vec}(W_K^{\top}) = T(d,d) (\underline W_K^{\star}"
                    r" + (B_K \otimes I_d) \underline A_K) = T(d,d) (\underline W_K^{\star}"
                    r" + (I_d \otimes A_K^{\top}) \underline B_K)",
                    key_weight_in_adapters,
                    code=(jacobian_in_a, jacobian_in_b, transposition_order),
                ),
                severity=Severity.ILL_TYPED,
                problem="T(d^2, d^2) does not act on vectors of d^2 entries; with T(d, d) the"
                " Jacobians of Lemma E.1's text, those of the column-major vec, make it false.",
            ),
            Part(
                "the gradients",
                setting=KEYS,
                printed=(
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial\underline A_K} = T(d^2,d^2) J_{B_K}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}, \quad"
                        r" \frac{\partial\mathcal L}{\partial\underline B_K} = T(d^2,d^2) J_{A_K}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}",
                        key_chain_rule_printed_sizes,
                    ),
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial\underline A_K} = T(d,d) J_{B_K}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}, \quad"
                        r" \frac{\partial\mathcal L}{\partial\underline B_K} = T(d,d) J_{A_K}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}",
                        key_chain_rule_not_transposed,
                        reading="T(d, d) is meant",
                    ),
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial\underline A_K} = (T(d,d)"
                        r" J_{B_K})^{\top}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}, \quad"
                        r" \frac{\partial\mathcal L}{\partial\underline B_K} = (T(d,d)"
                        r" J_{A_K})^{\top}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}",
                        key_chain_rule_printed_jacobians,
                        reading="T(d, d) is meant, and the derivative of one vector in another is"
                        " the transposed Jacobian",
                    ),
                ),
                corrected=Claim(
                    r"\frac{\partial\mathcal L}{\partial\underline A_K} = (T(d,d)"
                    r" (B_K \otimes I_d))^{\top} \frac{\partial\mathcal L}"
                    r"{\partial \operatorname{vec}(W_K^{\top})}, \quad"
                    r" \frac{\partial\mathcal L}{\partial\underline B_K} = (T(d,d)"
                    r" (I_d \otimes A_K^{\top}))^{\top} \frac{\partial\mathcal L}"
                    r"{\partial \operatorname{vec}(W_K^{\top})}",
                    key_chain_rule,
                    equivalent={
                        f"pull_back_from_transpose: m * n -> {one} #1": "It changes the text of"
                        " an error only."
                        for one in ("m", "n")
                    },
                    code=(transposition, pull_back_from_transpose, jacobian_in_a, jacobian_in_b),
                ),
                severity=Severity.ILL_TYPED,
                problem="Beside T(d^2, d^2) for T(d, d), the transposition of the chain rule is"
                " missing: T J has d^2 rows and r d columns and is applied to d^2 entries. With it"
                " the Jacobians of Lemma E.1's text still make the gradients false.",
            ),
        ),
        ocr="The first words of the proof and the underlining of W_K^T are damaged in the source"
        " text; the formulas are legible.",
    ),
)
