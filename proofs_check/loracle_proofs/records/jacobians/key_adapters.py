"""Lemma F.3: the gradients in the adapters of the keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loracle_proofs.records.jacobians.gradient_terms import DOUBLE_SUM, total, weight_gradient_terms
from loracle_proofs.records.jacobians.printed_jacobians import (
    printed_jacobian_in_a,
    printed_jacobian_in_b,
)
from loracle_proofs.records.jacobians.transposition import printed_transposition
from loracle_proofs.records.score_definitions.settings import Constant, Identity
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import (
    adapted_weight,
    attention_probabilities,
    half_squared_norm,
    residual,
)
from loracle_reference.gradient import score_gradient
from loracle_reference.jacobian import jacobian_in_a, jacobian_in_b, vectorized_key_adapter_gradient
from loracle_reference.vectorization import kronecker, transposition, vec

__all__ = ["KEYS", "RECORDS"]


def _key_tensor(CK1: Matrix, CK2: Matrix) -> Matrix:
    return kronecker(CK1, CK2)


def _key_weight(WK0: Matrix, BK: Matrix, AK: Matrix) -> Matrix:
    return adapted_weight(WK0, BK, AK, 1)


def _key_weight_transposed(WK: Matrix) -> Matrix:
    return WK.T


def _key_probabilities(CK1: Matrix, WKT: Matrix, CK2: Matrix) -> Matrix:
    return attention_probabilities(CK1 @ WKT, CK2)


def _key_residual(f: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return residual(f, C3, Y)


def key_loss(
    CK1: Matrix, CK2: Matrix, C3: Matrix, WK0: Matrix, AK: Matrix, BK: Matrix, Y: Matrix
) -> Matrix:
    """The loss of (B.2) and Definition F.5 in the notation of (B.1), of shape (1, 1)."""
    weight = adapted_weight(WK0, BK, AK, 1)
    return key_weight_loss(CK1, CK2, C3, weight.T, Y)


def key_weight_loss(CK1: Matrix, CK2: Matrix, C3: Matrix, WKT: Matrix, Y: Matrix) -> Matrix:
    """The same as a function of W_K^T."""
    f = attention_probabilities(CK1 @ WKT, CK2)
    return half_squared_norm(residual(f, C3, Y))


def _dL_dAK(gradient: Any) -> Matrix:
    result: Matrix = gradient("AK")
    return result


def _dL_dBK(gradient: Any) -> Matrix:
    result: Matrix = gradient("BK")
    return result


def _dL_dWKT(derivative: Any) -> Matrix:
    result: Matrix = derivative(key_weight_loss, "WKT")
    return result


KEYS = Setting(
    "Lemma F.3",
    shapes={
        "CK1": ("L", "d"),
        "CK2": ("M", "d"),
        "C3": ("M", "d"),
        "WK0": ("d", "d"),
        "AK": ("r", "d"),
        "BK": ("d", "r"),
        "Y": ("L", "d"),
    },
    derived={
        "WK": _key_weight,
        "WKT": _key_weight_transposed,
        "C": _key_tensor,
        "f": _key_probabilities,
        "c": _key_residual,
        "terms": weight_gradient_terms,
        "dL_dAK": _dL_dAK,
        "dL_dBK": _dL_dBK,
        "dL_dWKT": _dL_dWKT,
    },
    square={"M": "L"},
    limits={"r": 2},
    loss=key_loss,
)
"""The notation of (B.1): C = C_K^(1) (x) C_K^(2), and terms those of Lemma F.1 for W_K^T. Beta and
alpha / r are 1, as in (B.2); dL_dX are derivatives of the loss."""


def _scaled_key_weight(WK0: Matrix, BK: Matrix, AK: Matrix, s: Scalar) -> Matrix:
    return adapted_weight(WK0, BK, AK, s)


def _scaled_probabilities(CK1: Matrix, WK: Matrix, CK2: Matrix, beta: Scalar) -> Matrix:
    return attention_probabilities(CK1 @ WK.T, CK2, beta)


def scaled_key_loss(
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    """The loss of Definition B.1 for one sample in the notation of (B.1), of shape (1, 1)."""
    keys = CK2 @ adapted_weight(WK0, BK, AK, s)
    return half_squared_norm(residual(attention_probabilities(CK1, keys, beta), C3, Y))


SCALED_KEYS = replace(
    KEYS,
    name="Lemma F.3 with beta and alpha / r",
    scalars=("s", "beta"),
    derived={**KEYS.derived, "WK": _scaled_key_weight, "f": _scaled_probabilities},
    loss=scaled_key_loss,
)
"""The setting of Lemma F.3 for all values of beta and of s = alpha / r."""


def key_gradient_in_a_printed_sizes(
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dAK: Matrix,
) -> Relation:
    """vec(dL/dA_K) = sum of (T(d^2, d^2) J_B)^T term."""
    TJ = constant(printed_transposition(d**2, d**2)) @ printed_jacobian_in_a(BK, identity(d))
    return equal(vec(dL_dAK), total(TJ.T @ term for term in terms))


def key_gradient_in_a_printed_jacobian(
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dAK: Matrix,
) -> Relation:
    """vec(dL/dA_K) = sum of (T(d, d) J_B)^T term with the J_B of Lemma E.1's text."""
    TJ = constant(printed_transposition(d, d)) @ printed_jacobian_in_a(BK, identity(d))
    return equal(vec(dL_dAK), total(TJ.T @ term for term in terms))


def key_gradient_in_a(
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    AK: Matrix,
    BK: Matrix,
    f: Matrix,
    c: Matrix,
    s: Scalar,
    beta: Scalar,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dAK: Matrix,
) -> list[Relation]:
    """vec(dL/dA_K) = s beta sum of (T(d, d) J_B)^T term with J_B = B_K (x) I."""
    TJ = constant(transposition(d, d)) @ jacobian_in_a(BK, identity(d))
    grad_w_transposed = (CK1.T @ score_gradient(f, c, C3) @ CK2).scale(s).scale(beta)
    gradients = vectorized_key_adapter_gradient(grad_w_transposed, AK, BK, identity(d), identity(d))
    return [
        equal(vec(dL_dAK), total((TJ.T @ term).scale(s).scale(beta) for term in terms)),
        equal(vec(dL_dAK), gradients["grad_a"]),
    ]


def key_gradient_in_b_printed_sizes(
    AK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dBK: Matrix,
) -> Relation:
    """vec(dL/dB_K) = sum of (T(d^2, d^2) J_A)^T term."""
    TJ = constant(printed_transposition(d**2, d**2)) @ printed_jacobian_in_b(AK, identity(d))
    return equal(vec(dL_dBK), total(TJ.T @ term for term in terms))


def key_gradient_in_b_printed_jacobian(
    AK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dBK: Matrix,
) -> Relation:
    """vec(dL/dB_K) = sum of (T(d, d) J_A)^T term with the J_A of Lemma E.1's text."""
    TJ = constant(printed_transposition(d, d)) @ printed_jacobian_in_b(AK, identity(d))
    return equal(vec(dL_dBK), total(TJ.T @ term for term in terms))


def key_gradient_in_b(
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    AK: Matrix,
    BK: Matrix,
    f: Matrix,
    c: Matrix,
    s: Scalar,
    beta: Scalar,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dBK: Matrix,
) -> list[Relation]:
    """vec(dL/dB_K) = s beta sum of (T(d, d) J_A)^T term with J_A = I (x) A_K^T."""
    TJ = constant(transposition(d, d)) @ jacobian_in_b(AK, identity(d))
    grad_w_transposed = (CK1.T @ score_gradient(f, c, C3) @ CK2).scale(s).scale(beta)
    gradients = vectorized_key_adapter_gradient(grad_w_transposed, AK, BK, identity(d), identity(d))
    return [
        equal(vec(dL_dBK), total((TJ.T @ term).scale(s).scale(beta) for term in terms)),
        equal(vec(dL_dBK), gradients["grad_b"]),
    ]


KEY_PART_ONE = (
    r"c_K(\underline W_K^{\top})_{\underline j, i}\, (\mathsf C^K_{\underline j})^{\top}"
    r" \big(\operatorname{diag}(f_K(\underline W_K^{\top})_{\underline j})"
    r" - f_K(\underline W_K^{\top})_{\underline j} f_K(\underline W_K^{\top})_{\underline j}"
    r"^{\top}\big) C^{(3)}[\cdot, i]"
)

RECORDS = (
    Record(
        "Lemma F.3",
        title="Gradients in the adapters of the keys",
        kind=Kind.LEMMA,
        printed=rf"\frac{{\partial\mathcal L}}{{\partial\underline A_K}} = {DOUBLE_SUM}"
        rf" (T(d^2,d^2) J_{{B_K}})^{{\top}} {KEY_PART_ONE}, \quad"
        rf" \frac{{\partial\mathcal L}}{{\partial\underline B_K}} = {DOUBLE_SUM}"
        rf" (T(d^2,d^2) J_{{A_K}})^{{\top}} {KEY_PART_ONE}",
        corrected=rf"\frac{{\partial\mathcal L}}{{\partial\underline A_K}} = {DOUBLE_SUM}"
        rf" (T(d,d) J_{{B_K}})^{{\top}} {KEY_PART_ONE}, \quad"
        rf" \frac{{\partial\mathcal L}}{{\partial\underline B_K}} = {DOUBLE_SUM}"
        rf" (T(d,d) J_{{A_K}})^{{\top}} {KEY_PART_ONE}, \quad"
        r" J_{B_K} = B_K \otimes I_d, \quad J_{A_K} = I_d \otimes A_K^{\top}",
        uses=("Equation (B.1)", "Lemma E.1", "Lemma F.1", "Lemma F.2"),
        parts=(
            Part(
                "gradient in A_K",
                setting=KEYS,
                printed=(
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline A_K}} = {DOUBLE_SUM}"
                        rf" (T(d^2,d^2) J_{{B_K}})^{{\top}} {KEY_PART_ONE}",
                        key_gradient_in_a_printed_sizes,
                        reading="the formula is the one that the proof of Lemma F.4 takes from"
                        " here, J_B being that of Lemma E.1",
                    ),
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline A_K}} = {DOUBLE_SUM}"
                        rf" (T(d,d) J_{{B_K}})^{{\top}} {KEY_PART_ONE}",
                        key_gradient_in_a_printed_jacobian,
                        reading="the same with T(d, d)",
                    ),
                ),
                corrected=Claim(
                    rf"\frac{{\partial\mathcal L}}{{\partial\underline A_K}} ="
                    rf" \beta\tfrac{{\alpha}}{{r}} {DOUBLE_SUM}"
                    rf" (T(d,d)\, (B_K \otimes I_d))^{{\top}} {KEY_PART_ONE}",
                    key_gradient_in_a,
                    setting=SCALED_KEYS,
                    code=(transposition, jacobian_in_a),
                ),
                severity=Severity.ILL_TYPED,
                problem="T(d^2, d^2) is a matrix of d^4 rows and columns and has no product with"
                " the d^2 rows of J_B; with T(d, d) the J_B of Lemma E.1's text is still that of"
                " the column-major vec.",
            ),
            Part(
                "gradient in B_K",
                setting=KEYS,
                printed=(
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline B_K}} = {DOUBLE_SUM}"
                        rf" (T(d^2,d^2) J_{{A_K}})^{{\top}} {KEY_PART_ONE}",
                        key_gradient_in_b_printed_sizes,
                        reading="the formula is the one that the proof of Lemma F.4 takes from"
                        " here, with J_A of Lemma E.1 for J_B",
                    ),
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline B_K}} = {DOUBLE_SUM}"
                        rf" (T(d,d) J_{{A_K}})^{{\top}} {KEY_PART_ONE}",
                        key_gradient_in_b_printed_jacobian,
                        reading="the same with T(d, d)",
                    ),
                ),
                corrected=Claim(
                    rf"\frac{{\partial\mathcal L}}{{\partial\underline B_K}} ="
                    rf" \beta\tfrac{{\alpha}}{{r}} {DOUBLE_SUM}"
                    rf" (T(d,d)\, (I_d \otimes A_K^{{\top}}))^{{\top}} {KEY_PART_ONE}",
                    key_gradient_in_b,
                    setting=SCALED_KEYS,
                    code=(transposition, jacobian_in_b),
                ),
                severity=Severity.ILL_TYPED,
                problem="T(d^2, d^2) is a matrix of d^4 rows and columns and has no product with"
                " the d^2 rows of J_A; with T(d, d) the J_A of Lemma E.1's text is still that of"
                " the column-major vec.",
            ),
            Part(
                "gradients in A_Q and B_Q",
                cites="The display of the lemma is not legible in the source text, so that nothing"
                " that it says of A_Q and B_Q is tried here; the gradients themselves are those of"
                " Lemma E.1 with C^Q in the place of C, in its record.",
            ),
        ),
        ocr="The display of the lemma, with its Jacobians and gradients, is destroyed in the"
        " source text. What is tried is what the proof of Lemma F.4 says it takes from here, and"
        " the definition of J_B and J_A in Lemma E.1, which this lemma begins like.",
        remark="The proof of this lemma prints the gradient without the transposition that the"
        " proof of Lemma F.4 has. Both factors of the corrected form are one by (S4).",
    ),
)
