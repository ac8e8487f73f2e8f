"""Appendix F, the gradients of full adaptation: Definitions F.1 to F.8, equations (F.1) and (F.2),
Lemmas F.1 and F.4."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.full_adaptation_settings import (
    ANY_KEYS,
    FIXED_VALUES,
    WEIGHTS,
    Constant,
    Derivative,
    Sized,
    attention_rows,
    attention_vector,
    fixed_values_loss,
    query_key_loss,
    squared_norm,
    sum_of,
    transposed_key_loss,
)
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import HALF, Matrix
from loracle_reference.attention import residual
from loracle_reference.gradient import (
    adapter_gradient,
    key_weight_gradient,
    query_weight_gradient,
    score_gradient,
)
from loracle_reference.vectorization import kronecker, sub_block, transposition, vec

__all__ = [
    "RECORDS",
    "SQUARE_ADAPTERS",
    "adapter_b_of_query_as_printed",
    "key_a_as_printed",
    "key_a_with_small_t",
    "key_adapter_gradients",
    "key_b_as_printed",
    "p_in_columns",
    "p_in_rows",
    "p_vector",
    "query_adapter_gradients",
]


def unnormalized_scores_of_both(
    XQ: Matrix,
    XK: Matrix,
    WQ: Matrix,
    WK: Matrix,
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    L: int,
    M: int,
) -> list[Relation]:
    """u_Q(W_Q)_j = exp(C_j^Q vec(W_Q)) and u_K(W_K^T)_j = exp(C_j^K vec(W_K^T)) are row j of
    exp(X_Q W_Q (X_K W_K)^T)."""
    u = (XQ @ WQ @ (XK @ WK).T).exp()
    CQ, CK = kronecker(CQ1, CQ2), kronecker(CK1, CK2)
    return [
        *(equal((sub_block(CQ, j, M) @ vec(WQ)).exp().T, u.take_rows([j])) for j in range(L)),
        *(equal((sub_block(CK, j, M) @ vec(WK.T)).exp().T, u.take_rows([j])) for j in range(L)),
    ]


DEFINITION_F1 = Record(
    "Definition F.1",
    title="Unnormalized scores, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"\mathsf C^\mu = C_\mu^{(1)} \otimes C_\mu^{(2)},\quad u_\mu(\underline W)_j ="
    r" \exp(\mathsf C_j^\mu \underline W), \quad \mu = K, Q",
    uses=("Equation (B.1)", "Definition 2.3", "Definition 2.4", "Lemma 2.1"),
    parts=(
        Part(
            "rows of the exponential",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"u_Q(\underline{W_Q})_j^{\mathsf T} = u_K(\underline{W_K^{\mathsf T}})_j^{"
                    r"\mathsf T} = \exp(X^{(Q)} W_Q W_K^{\mathsf T} (X^{(K)})^{\mathsf"
                    r" T})[j, \cdot]",
                    unnormalized_scores_of_both,
                ),
            ),
        ),
    ),
    remark="u_Q is taken at W_Q and u_K at the transpose of W_K; there the two are equal.",
)


def normalizations_of_both(
    XQ: Matrix,
    XK: Matrix,
    WQ: Matrix,
    WK: Matrix,
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    L: int,
    M: int,
    ones: Sized,
) -> list[Relation]:
    """alpha_Q(W_Q)_j = alpha_K(W_K^T)_j = D_jj."""
    D = (XQ @ WQ @ (XK @ WK).T).exp() @ ones(M)
    CQ, CK = kronecker(CQ1, CQ2), kronecker(CK1, CK2)
    query = [(sub_block(CQ, j, M) @ vec(WQ)).exp().T @ ones(M) for j in range(L)]
    key = [(sub_block(CK, j, M) @ vec(WK.T)).exp().T @ ones(M) for j in range(L)]
    return [equal(alpha, D.take_rows([j])) for both in (query, key) for j, alpha in enumerate(both)]


DEFINITION_F2 = Record(
    "Definition F.2",
    title="Normalizations, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"\alpha_\mu(\underline W)_j = \langle \exp(\mathsf C_j^\mu \underline W), 1_L \rangle,"
    r" \quad \mu = K, Q",
    uses=("Definition F.1",),
    parts=(
        Part(
            "diagonal of D",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"\alpha_Q(\underline{W_Q})_j = \alpha_K(\underline{W_K^{\mathsf T}})_j ="
                    r" D_{jj}",
                    normalizations_of_both,
                ),
            ),
        ),
    ),
)


def probabilities_of_both(
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    WQ: Matrix,
    WK: Matrix,
    S: Matrix,
    L: int,
    M: int,
    ones: Sized,
) -> list[Relation]:
    """alpha_j^-1 u_j^T is row j of the softmax of the scores, for Q and for K."""
    CQ, CK = kronecker(CQ1, CQ2), kronecker(CK1, CK2)
    f = S.softmax_rows()
    query = [(sub_block(CQ, j, M) @ vec(WQ)).exp().T for j in range(L)]
    key = [(sub_block(CK, j, M) @ vec(WK.T)).exp().T for j in range(L)]
    return [
        equal(u.divide_rows(u @ ones(M)), f.take_rows([j]))
        for both in (query, key)
        for j, u in enumerate(both)
    ]


DEFINITION_F3 = Record(
    "Definition F.3",
    title="Attention probabilities, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"f_\mu(\underline W)_j = \alpha_\mu(\underline W)_j^{-1} u_\mu(\underline W)_j, \quad"
    r" f_\mu(\underline W)[j, \cdot] = f_\mu(\underline W)_j^{\mathsf T}, \quad \mu = K, Q",
    uses=("Definition F.1", "Definition F.2"),
    parts=(
        Part(
            "rows",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"f_Q(\underline{W_Q}) = f_K(\underline{W_K^{\mathsf T}}) = D^{-1}\exp(X^{(Q)}"
                    r" W_Q W_K^{\mathsf T} (X^{(K)})^{\mathsf T})",
                    probabilities_of_both,
                ),
            ),
        ),
    ),
    remark="f_j^T is a row of f here. Lemma F.9 makes the vectors with an index j columns.",
)


def entries_of_c(
    fQ: Matrix, fK: Matrix, C3: Matrix, Y: Matrix, c: Matrix, L: int, d: int
) -> list[Relation]:
    """<f_j, C3[., i]> - Y_ji is the residual at (j, i), for Q and for K."""
    return [
        equal(
            f.take_rows([j]) @ C3.take_columns([i]) - Y.take_rows([j]).take_columns([i]),
            c.take_rows([j]).take_columns([i]),
        )
        for f in (fQ, fK)
        for j in range(L)
        for i in range(d)
    ]


def matrix_of_c(fQ: Matrix, fK: Matrix, C3: Matrix, Y: Matrix, c: Matrix) -> list[Relation]:
    """c_Q = f_Q C3 - Y and c_K = f_K C3 - Y are the residual."""
    return [equal(fQ @ C3 - Y, c), equal(fK @ C3 - Y, c)]


def c_of_two_arguments(
    CQ1: Matrix, CQ2: Matrix, WQ: Matrix, WK: Matrix, C3: Matrix, Y: Matrix, c: Matrix, M: int
) -> Relation:
    """C_j^Q times an element of R^(d^2) x R^(d^2)."""
    argument = vec(WQ).T.beside(vec(WK).T).T
    u = (sub_block(kronecker(CQ1, CQ2), 0, M) @ argument).exp().T
    return equal(u.divide_rows(u.row_sum()) @ C3 - Y.take_rows([0]), c.take_rows([0]))


def c_of_one_argument(
    CQ1: Matrix, CQ2: Matrix, WQ: Matrix, C3: Matrix, Y: Matrix, c: Matrix, M: int
) -> Relation:
    """C_j^Q times an element of R^(d^2)."""
    u = (sub_block(kronecker(CQ1, CQ2), 0, M) @ vec(WQ)).exp().T
    return equal(u.divide_rows(u.row_sum()) @ C3 - Y.take_rows([0]), c.take_rows([0]))


DEFINITION_F4 = Record(
    "Definition F.4",
    title="Residuals, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"c_\mu(\underline W)_{j,i} : \mathbb R^{d^2} \times \mathbb R^{d^2} \to \mathbb R,"
    r" \quad c_\mu(\underline W)_{j,i} = \langle f_\mu(\underline W)_j, C^{(3)}[\cdot, i] \rangle -"
    r" Y_{j,i}, \quad c_\mu(\underline W) = f_\mu(\underline W) C^{(3)} - Y, \quad \mu = K, Q",
    corrected=r"c_\mu(\underline W)_{j,i} : \mathbb R^{d^2} \to \mathbb R",
    uses=("Definition F.3",),
    parts=(
        Part(
            "entries",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"\langle f_\mu(\underline W)_j, C^{(3)}[\cdot, i] \rangle - Y_{j,i} ="
                    r" c_{j,i}",
                    entries_of_c,
                ),
            ),
        ),
        Part(
            "matrices",
            setting=ANY_KEYS,
            printed=(Claim(r"c_\mu(\underline W) = f_\mu(\underline W) C^{(3)} - Y", matrix_of_c),),
        ),
        Part(
            "domain",
            setting=WEIGHTS,
            printed=(
                Claim(r"\mathbb R^{d^2} \times \mathbb R^{d^2} \to \mathbb R", c_of_two_arguments),
                Claim(
                    r"\mathbb R^{d^2} \to \mathbb R",
                    c_of_one_argument,
                    reading="the domain is R^(d^2), as the one argument of c_mu has it",
                ),
            ),
            corrected=Claim(r"\mathbb R^{d^2} \to \mathbb R", c_of_one_argument),
            severity=Severity.NOTATION,
            problem="The domain is written R^(d^2) x R^(d^2) for functions of one vector of d^2"
            " entries.",
        ),
    ),
)


def sums_of_terms(cQ: Matrix, cK: Matrix, L: int, d: int, loss: Matrix) -> list[Relation]:
    """sum_j sum_i c_mu(j, i)^2 / 2 is the loss with its factor 1/2, for Q and for K."""
    return [
        equal(
            sum_of(
                (c * c).take_rows([j]).take_columns([i]).scale(HALF)
                for j in range(L)
                for i in range(d)
            ),
            loss,
        )
        for c in (cQ, cK)
    ]


ADAPTERS_ANY_KEYS = replace(
    FIXED_VALUES, square={}, derived={**FIXED_VALUES.derived, "loss": fixed_values_loss}
)


def loss_through_weights(
    XQ: Matrix,
    XK: Matrix,
    C3: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    Y: Matrix,
    loss: Matrix,
) -> Relation:
    """The adapters enter the loss through W_Q = W_Q* + B_Q A_Q and W_K = W_K* + B_K A_K only."""
    return equal(query_key_loss(XQ, XK, C3, WQ0 + BQ @ AQ, WK0 + BK @ AK, Y), loss)


DEFINITION_F5 = Record(
    "Definition F.5",
    title="The terms of the loss, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"\mathcal L_\mu(\underline W)_{j,i} = \frac{1}{2} c_\mu(\underline W)_{j,i}^2, \quad"
    r" \mathcal L(A_K, B_K, A_Q, B_Q) = \mathcal L(\underline{W_Q}, \underline{W_K})",
    uses=("Definition F.4", "Definition B.1"),
    parts=(
        Part(
            "sum",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"\sum_{j=1}^L \sum_{i=1}^d \mathcal L_Q(\underline{W_Q})_{j,i} = \sum_{j=1}^L"
                    r" \sum_{i=1}^d \mathcal L_K(\underline{W_K^{\mathsf T}})_{j,i} = \frac{1}{2}"
                    r" \|D^{-1}\exp(\cdots) C^{(3)} - Y\|_F^2",
                    sums_of_terms,
                ),
            ),
        ),
        Part(
            "loss as a function of the weights",
            setting=ADAPTERS_ANY_KEYS,
            printed=(
                Claim(
                    r"\mathcal L(A_K, B_K, A_Q, B_Q) = \mathcal L(\underline{W_Q},"
                    r" \underline{W_K})",
                    loss_through_weights,
                ),
            ),
        ),
    ),
    ocr="In the sentence after the definition a full stop between the two weights is read as a"
    " product, A_Q . W_K.",
    remark="The terms sum to the loss of Definition B.1, which has the factor 1/2. Equation (B.2),"
    " to which the text refers, is twice that: see equations (F.1) and (F.2).",
)


def printed_loss(XQ: Matrix, XK: Matrix, C3: Matrix, WQ: Matrix, WK: Matrix, Y: Matrix) -> Matrix:
    """(B.2) as printed, without 1/2, as a function of the two weights."""
    return squared_norm(residual((XQ @ WQ @ (XK @ WK).T).softmax_rows(), C3, Y))


def printed_transposed_loss(
    XQ: Matrix, XK: Matrix, C3: Matrix, WQ: Matrix, WKT: Matrix, Y: Matrix
) -> Matrix:
    """(B.2) as printed, as a function of W_K^T."""
    return printed_loss(XQ, XK, C3, WQ, WKT.T, Y)


def query_terms(CQ1: Matrix, CQ2: Matrix, C3: Matrix, WQ: Matrix, Y: Matrix) -> Matrix:
    """1/2 sum_j sum_i c_Q(W_Q)_ji^2 by Definitions F.1 to F.5."""
    c = residual(attention_rows(CQ1, CQ2, WQ), C3, Y)
    return squared_norm(c).scale(HALF)


def key_terms(CK1: Matrix, CK2: Matrix, C3: Matrix, WKT: Matrix, Y: Matrix) -> Matrix:
    """1/2 sum_j sum_i c_K(W_K^T)_ji^2 by Definitions F.1 to F.5."""
    c = residual(attention_rows(CK1, CK2, WKT), C3, Y)
    return squared_norm(c).scale(HALF)


def query_gradient_of_printed_loss(derivative: Derivative) -> Relation:
    """(F.1) with L as (B.2) prints it."""
    return equal(derivative(printed_loss, "WQ"), derivative(query_terms, "WQ"))


def query_gradient_of_terms(derivative: Derivative) -> Relation:
    """(F.1) with the factor 1/2 of Definition B.1."""
    return equal(derivative(query_key_loss, "WQ"), derivative(query_terms, "WQ"))


_LINE_OCR = (
    "The source draws the line under W alone, under W_Q as well; whether in print it reaches over"
    " the index and the transposition cannot be told."
)

_F1 = (
    r"\frac{\partial \mathcal L(\underline{W_Q}, \underline{W_K})}{\partial \underline{W_Q}} ="
    r" \frac{\partial}{\partial \underline{W_Q}} \sum_{j=1}^L \sum_{i=1}^d \mathcal"
    r" L_Q(\underline{W_Q})_{j,i} = \frac{\partial}{\partial \underline{W_Q}} \frac{1}{2}"
    r" \sum_{j=1}^L \sum_{i=1}^d c_Q(\underline{W_Q})_{j,i}^2"
)
_HALF_READING = "L has the factor 1/2 of Definition B.1, and of Definition F.5"
_HALF_PROBLEM = (
    "L is said to be (B.2), which lacks the factor 1/2 that the terms have: the left side is then"
    " twice the right one."
)

EQUATION_F1 = Record(
    "Equation (F.1)",
    title="The gradient in W_Q, term by term",
    kind=Kind.EQUATION,
    printed=_F1,
    corrected=_F1 + r",\quad \mathcal L = \frac{1}{2} \|\cdots\|_F^2",
    ocr=_LINE_OCR,
    uses=("Definition F.5", "Equation (B.2)"),
    parts=(
        Part(
            "factor",
            setting=WEIGHTS,
            printed=(
                Claim(_F1, query_gradient_of_printed_loss),
                Claim(_F1, query_gradient_of_terms, reading=_HALF_READING),
            ),
            corrected=Claim(_F1, query_gradient_of_terms, code=(query_terms,)),
            severity=Severity.MISSING,
            problem=_HALF_PROBLEM,
        ),
    ),
)


def key_gradient_of_printed_loss(derivative: Derivative) -> Relation:
    """(F.2) with L as (B.2) prints it, in vec(W_K^T)."""
    return equal(derivative(printed_transposed_loss, "WKT"), derivative(key_terms, "WKT"))


def key_gradient_of_terms(derivative: Derivative) -> Relation:
    """(F.2) with the factor 1/2 of Definition B.1, in vec(W_K^T)."""
    return equal(derivative(transposed_key_loss, "WKT"), derivative(key_terms, "WKT"))


def scores_of_the_row(
    CK1: Matrix, CK2: Matrix, WK: Matrix, S: Matrix, L: int, M: int
) -> list[Relation]:
    """C_j^K (vec W_K)^T, the vector transposed."""
    C = kronecker(CK1, CK2)
    return [equal((sub_block(C, j, M) @ vec(WK).T).T, S.take_rows([j])) for j in range(L)]


def scores_of_the_transpose(
    CK1: Matrix, CK2: Matrix, WK: Matrix, S: Matrix, L: int, M: int
) -> list[Relation]:
    """C_j^K vec(W_K^T), the matrix transposed, gives the scores of query j."""
    C = kronecker(CK1, CK2)
    return [equal((sub_block(C, j, M) @ vec(WK.T)).T, S.take_rows([j])) for j in range(L)]


_F2 = (
    r"\frac{\partial \mathcal L}{\partial \underline W_K^{\mathsf T}} = \frac{\partial}{\partial"
    r" \underline W_K^{\mathsf T}} \sum_{j=1}^L \sum_{i=1}^d \mathcal L_K(\underline W_K^{\mathsf"
    r" T})_{j,i} = \frac{\partial}{\partial \underline W_K^{\mathsf T}} \frac{1}{2} \sum_{j=1}^L"
    r" \sum_{i=1}^d c_K(\underline W_K^{\mathsf T})_{j,i}^2"
)
_F2_CORRECTED = (
    r"\frac{\partial \mathcal L}{\partial \underline{W_K^{\mathsf T}}} = \frac{\partial}{\partial"
    r" \underline{W_K^{\mathsf T}}} \frac{1}{2} \sum_{j=1}^L \sum_{i=1}^d"
    r" c_K(\underline{W_K^{\mathsf T}})_{j,i}^2,\quad \mathcal L = \frac{1}{2} \|\cdots\|_F^2"
)

EQUATION_F2 = Record(
    "Equation (F.2)",
    title="The gradient in the transpose of W_K, term by term",
    kind=Kind.EQUATION,
    printed=_F2,
    corrected=_F2_CORRECTED,
    ocr=_LINE_OCR,
    uses=("Definition F.5", "Equation (B.2)", "Lemma 2.1"),
    parts=(
        Part(
            "argument",
            setting=WEIGHTS,
            printed=(
                Claim(r"\mathsf C_j^K \underline W_K^{\mathsf T}", scores_of_the_row),
                Claim(
                    r"\mathsf C_j^K \underline{W_K^{\mathsf T}}",
                    scores_of_the_transpose,
                    reading="the argument is vec(W_K^T), not the vector vec(W_K) turned into a row",
                ),
            ),
            corrected=Claim(r"\mathsf C_j^K \underline{W_K^{\mathsf T}}", scores_of_the_transpose),
            severity=Severity.NOTATION,
            problem="The transposition is written outside of the vectorization, where it makes a"
            " row of it, on which C_j^K does not act; vec(W_K^T) and vec(W_K) differ in the order"
            " of their entries.",
        ),
        Part(
            "factor",
            setting=WEIGHTS,
            printed=(
                Claim(_F2, key_gradient_of_printed_loss),
                Claim(_F2, key_gradient_of_terms, reading=_HALF_READING),
            ),
            corrected=Claim(_F2_CORRECTED, key_gradient_of_terms, code=(key_terms,)),
            severity=Severity.MISSING,
            problem=_HALF_PROBLEM,
        ),
    ),
)


def query_decomposition(
    CQ1: Matrix,
    CQ2: Matrix,
    WQ: Matrix,
    C3: Matrix,
    cQ: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    dL_dWQ: Matrix,
) -> Relation:
    """sum_j sum_i c_ji (C_j^Q)^T (diag(f_j) - f_j f_j^T) C3[., i] = vec(dL/dW_Q)."""
    C = kronecker(CQ1, CQ2)
    f = [attention_vector(CQ1, CQ2, WQ, j) for j in range(L)]
    terms = [
        sub_block(C, j, M).T
        @ (identity(M).scale_rows(f[j]) - f[j] @ f[j].T)
        @ C3.take_columns([i])
        @ cQ.take_rows([j]).take_columns([i])
        for j in range(L)
        for i in range(d)
    ]
    return equal(sum_of(terms), vec(dL_dWQ))


def key_decomposition_as_printed(
    CK1: Matrix,
    CK2: Matrix,
    WKT: Matrix,
    C3: Matrix,
    cK: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    dL_dWKT: Matrix,
) -> Relation:
    """The same for K with f_j f_j in place of f_j f_j^T."""
    C = kronecker(CK1, CK2)
    f = [attention_vector(CK1, CK2, WKT, j) for j in range(L)]
    terms = [
        sub_block(C, j, M).T
        @ (identity(M).scale_rows(f[j]) - f[j] @ f[j])
        @ C3.take_columns([i])
        @ cK.take_rows([j]).take_columns([i])
        for j in range(L)
        for i in range(d)
    ]
    return equal(sum_of(terms), vec(dL_dWKT))


def key_decomposition(
    CK1: Matrix,
    CK2: Matrix,
    WKT: Matrix,
    C3: Matrix,
    cK: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    dL_dWKT: Matrix,
) -> Relation:
    """sum_j sum_i c_ji (C_j^K)^T (diag(f_j) - f_j f_j^T) C3[., i] = vec(dL/d(W_K^T))."""
    C = kronecker(CK1, CK2)
    f = [attention_vector(CK1, CK2, WKT, j) for j in range(L)]
    terms = [
        sub_block(C, j, M).T
        @ (identity(M).scale_rows(f[j]) - f[j] @ f[j].T)
        @ C3.take_columns([i])
        @ cK.take_rows([j]).take_columns([i])
        for j in range(L)
        for i in range(d)
    ]
    return equal(sum_of(terms), vec(dL_dWKT))


def _decomposition(mu: str, variable: str, product: str) -> str:
    return (
        rf"\frac{{\partial \mathcal L}}{{\partial {variable}}} = \sum_{{j=1}}^L \sum_{{i=1}}^d"
        rf" c_{mu}({variable})_{{j,i}} (\mathsf C_j^{mu})^{{\mathsf T}}"
        rf" (\operatorname{{diag}}(f_{mu}({variable})_j) - {product}) C^{{(3)}}[\cdot, i]"
    )


_WQ = r"\underline{W_Q}"
_WKT = r"\underline{W_K^{\mathsf T}}"
_LEMMA_F1_Q = _decomposition("Q", _WQ, rf"f_Q({_WQ})_j f_Q({_WQ})_j^{{\mathsf T}}")
_LEMMA_F1_K = _decomposition("K", _WKT, rf"f_K({_WKT})_j f_K({_WKT})_j")
_LEMMA_F1_K_CORRECTED = _decomposition("K", _WKT, rf"f_K({_WKT})_j f_K({_WKT})_j^{{\mathsf T}}")
_OUTER_OCR = (
    "f_K f_K stands without a transposition here and in the proof of Lemma F.4, in every"
    " occurrence; the occurrences for Q, and Definition F.7, have it. A sign lost in reading the"
    " page cannot be excluded."
)
_OUTER_READING = "f_K f_K stands for f_K f_K^T, as in the line for Q and in Definition F.7"

LEMMA_F1 = Record(
    "Lemma F.1",
    title="The gradients in W_Q and in the transpose of W_K",
    kind=Kind.LEMMA,
    printed=_LEMMA_F1_Q + r", \quad " + _LEMMA_F1_K,
    corrected=_LEMMA_F1_Q + r", \quad " + _LEMMA_F1_K_CORRECTED,
    uses=("Definition F.5", "Lemma 3.1", "Equation (F.1)", "Equation (F.2)"),
    parts=(
        Part(
            "Q",
            setting=ANY_KEYS,
            printed=(Claim(_LEMMA_F1_Q, query_decomposition),),
        ),
        Part(
            "K",
            setting=WEIGHTS,
            printed=(
                Claim(_LEMMA_F1_K, key_decomposition_as_printed),
                Claim(_LEMMA_F1_K_CORRECTED, key_decomposition, reading=_OUTER_READING),
            ),
            corrected=Claim(_LEMMA_F1_K_CORRECTED, key_decomposition),
            severity=Severity.TYPO,
            problem="The product f_K f_K of two columns does not exist; the outer product f_K"
            " f_K^T is needed, as in the line for Q.",
        ),
    ),
    ocr=_OUTER_OCR,
    remark="The loss follows Definition F.5 and so has its factor 1/2. The argument of the second"
    " line is vec(W_K^T): see equation (F.2).",
)


def columns_of_q(
    C3: Matrix, cQ: Matrix, cK: Matrix, L: int, d: int, dL_df: Matrix
) -> list[Relation]:
    """q = C3 c^T: column j is sum_i c_ji C3[., i], the gradient of the loss in f_j."""
    columns = [
        equal(
            (C3 @ c.T).take_columns([j]),
            sum_of(C3.take_columns([i]) @ c.take_rows([j]).take_columns([i]) for i in range(d)),
        )
        for c in (cQ, cK)
        for j in range(L)
    ]
    return [equal(C3 @ cQ.T, dL_df.T), equal(C3 @ cK.T, dL_df.T), *columns]


DEFINITION_F6 = Record(
    "Definition F.6",
    title="q, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"q_\mu(\underline W) = C^{(3)} (c_\mu(\underline W))^{\mathsf T} \in \mathbb"
    r" R^{L \times L}, \quad \mu = K, Q",
    uses=("Definition F.4",),
    parts=(
        Part(
            "columns",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"q_\mu(\underline W)[\cdot, j] = \sum_{i=1}^d c_\mu(\underline W)_{j,i}"
                    r" C^{(3)}[\cdot, i] = \frac{\partial \mathcal L}{\partial f_j}",
                    columns_of_q,
                ),
            ),
        ),
    ),
    remark="With this orientation the vector of query j is column j of q. f and c have row j for"
    " it.",
)


def p_vector(f: Matrix, q: Matrix, identity: Sized) -> Matrix:
    """(diag(f_j) - f_j f_j^T) q_j for columns f_j, q_j of shape (M, 1)."""
    return (identity(f.shape[0]).scale_rows(f) - f @ f.T) @ q


def p_of_query(
    fQ: Matrix, cQ: Matrix, C3: Matrix, L: int, identity: Sized, dL_dS: Matrix
) -> list[Relation]:
    """p_Q,j with column j of q_Q is the gradient of the loss in the scores of query j."""
    q = C3 @ cQ.T
    return [
        equal(p_vector(fQ.take_rows([j]).T, q.take_columns([j]), identity).T, dL_dS.take_rows([j]))
        for j in range(L)
    ]


def p_of_query_with_rows(
    fQ: Matrix, cQ: Matrix, C3: Matrix, L: int, identity: Sized, dL_dS: Matrix
) -> list[Relation]:
    """p_Q,j with row j of q_Q."""
    q = C3 @ cQ.T
    return [
        equal(p_vector(fQ.take_rows([j]).T, q.take_rows([j]).T, identity).T, dL_dS.take_rows([j]))
        for j in range(L)
    ]


def p_of_key(
    fK: Matrix, cK: Matrix, C3: Matrix, L: int, identity: Sized, dL_dS: Matrix
) -> list[Relation]:
    """p_K,j with column j of q_K is the gradient of the loss in the scores of query j."""
    q = C3 @ cK.T
    return [
        equal(p_vector(fK.take_rows([j]).T, q.take_columns([j]), identity).T, dL_dS.take_rows([j]))
        for j in range(L)
    ]


def p_of_key_with_rows(
    fK: Matrix, cK: Matrix, C3: Matrix, L: int, identity: Sized, dL_dS: Matrix
) -> list[Relation]:
    """p_K,j with row j of q_K."""
    q = C3 @ cK.T
    return [
        equal(p_vector(fK.take_rows([j]).T, q.take_rows([j]).T, identity).T, dL_dS.take_rows([j]))
        for j in range(L)
    ]


def _vectors_of_p(
    C1: Matrix, C2: Matrix, W: Matrix, C3: Matrix, Y: Matrix, identity: Sized
) -> list[Matrix]:
    f = attention_rows(C1, C2, W)
    q = C3 @ (f @ C3 - Y).T
    return [p_vector(f.take_rows([j]).T, q.take_columns([j]), identity) for j in range(C1.shape[0])]


ANY_ARGUMENT = replace(WEIGHTS, shapes={**WEIGHTS.shapes, "W": ("d", "d")})


def one_function_p(
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    W: Matrix,
    C3: Matrix,
    Y: Matrix,
    identity: Sized,
) -> list[Relation]:
    """Both lines define one function: they agree for every argument W."""
    query = _vectors_of_p(CQ1, CQ2, W, C3, Y, identity)
    key = _vectors_of_p(CK1, CK2, W, C3, Y, identity)
    return [equal(one, other) for one, other in zip(query, key, strict=True)]


def two_functions_p(
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    WQ: Matrix,
    WK: Matrix,
    C3: Matrix,
    Y: Matrix,
    identity: Sized,
) -> list[Relation]:
    """p_Q(W_Q) = p_K(W_K^T): two functions, equal where each is taken."""
    query = _vectors_of_p(CQ1, CQ2, WQ, C3, Y, identity)
    key = _vectors_of_p(CK1, CK2, WK.T, C3, Y, identity)
    return [equal(one, other) for one, other in zip(query, key, strict=True)]


def _p_formula(mu: str) -> str:
    return (
        rf"p_{mu}(\underline W)_j = (\operatorname{{diag}}(f_{mu}(\underline W)_j) -"
        rf" f_{mu}(\underline W)_j f_{mu}(\underline W)_j^{{\mathsf T}}) q_{mu}(\underline W)_j"
    )


_COLUMN_READING = "q_j is column j of q = C3 c^T"
_ROW_READING = "q_j is row j of q = C3 c^T, as f_j is that of f"
_COLUMN_PROBLEM = (
    "It is not said what q_mu(W)_j is: f_j belongs to row j of f, but the vector of query j is"
    " column j of q as Definition F.6 has it. With rows the vectors are not the gradient in the"
    " scores."
)

DEFINITION_F7 = Record(
    "Definition F.7",
    title="p, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"p_Q(\underline W)_j, p_Q(\underline W)_j \in \mathbb R^L: \quad "
    + _p_formula("Q")
    + r", \quad "
    + _p_formula("K"),
    corrected=r"p_Q(\underline W)_j, p_K(\underline W)_j \in \mathbb R^L, \quad q_\mu(\underline"
    r" W)_j = q_\mu(\underline W)[\cdot, j]",
    uses=("Definition F.3", "Definition F.6"),
    parts=(
        Part(
            "Q",
            setting=WEIGHTS,
            printed=(
                Claim(_p_formula("Q"), p_of_query, reading=_COLUMN_READING),
                Claim(_p_formula("Q"), p_of_query_with_rows, reading=_ROW_READING),
            ),
            corrected=Claim(
                r"p_Q(\underline{W_Q})_j^{\mathsf T} = \frac{\partial \mathcal L}{\partial S}[j,"
                r" \cdot]",
                p_of_query,
                code=(p_vector,),
            ),
            severity=Severity.NOTATION,
            problem=_COLUMN_PROBLEM,
        ),
        Part(
            "K",
            setting=WEIGHTS,
            printed=(
                Claim(_p_formula("K"), p_of_key, reading=_COLUMN_READING),
                Claim(_p_formula("K"), p_of_key_with_rows, reading=_ROW_READING),
            ),
            corrected=Claim(
                r"p_K(\underline{W_K^{\mathsf T}})_j^{\mathsf T} = \frac{\partial \mathcal"
                r" L}{\partial S}[j, \cdot]",
                p_of_key,
                code=(p_vector,),
            ),
            severity=Severity.NOTATION,
            problem=_COLUMN_PROBLEM,
        ),
        Part(
            "names",
            setting=ANY_ARGUMENT,
            printed=(
                Claim(r"p_Q(\underline W)_j, p_Q(\underline W)_j \in \mathbb R^L", one_function_p),
                Claim(
                    r"p_Q(\underline W)_j, p_K(\underline W)_j \in \mathbb R^L",
                    two_functions_p,
                    reading="the second p_Q is p_K, as in the display",
                ),
            ),
            corrected=Claim(
                r"p_Q(\underline W)_j, p_K(\underline W)_j \in \mathbb R^L, \quad"
                r" p_Q(\underline{W_Q}) = p_K(\underline{W_K^{\mathsf T}})",
                two_functions_p,
            ),
            severity=Severity.TYPO,
            problem="The sentence announces p_Q twice; the second function is p_K, and is another"
            " one.",
        ),
    ),
    remark="S is the matrix of scores X_Q W_Q W_K^T X_K^T.",
)


def query_parts_of_p(
    fQ: Matrix, cQ: Matrix, C3: Matrix, L: int, identity: Sized, M: int, dL_dS: Matrix
) -> list[Relation]:
    """p1_j - p2_j with p1_j = diag(f_j) q_j, p2_j = f_j f_j^T q_j is the gradient in the scores."""
    f = [fQ.take_rows([j]).T for j in range(L)]
    q = [(C3 @ cQ.T).take_columns([j]) for j in range(L)]
    return [
        equal(
            (identity(M).scale_rows(f[j]) @ q[j] - f[j] @ f[j].T @ q[j]).T,
            dL_dS.take_rows([j]),
        )
        for j in range(L)
    ]


def key_parts_of_p(
    fK: Matrix, cK: Matrix, C3: Matrix, L: int, identity: Sized, M: int, dL_dS: Matrix
) -> list[Relation]:
    """The same for K."""
    f = [fK.take_rows([j]).T for j in range(L)]
    q = [(C3 @ cK.T).take_columns([j]) for j in range(L)]
    return [
        equal(
            (identity(M).scale_rows(f[j]) @ q[j] - f[j] @ f[j].T @ q[j]).T,
            dL_dS.take_rows([j]),
        )
        for j in range(L)
    ]


_P_SPLIT = (
    r"p_1^{0}(\underline W)_j = \operatorname{{diag}}(f_{0}(\underline W)_j) q_{0}(\underline"
    r" W)_j, \quad p_2^{0}(\underline W)_j = f_{0}(\underline W)_j f_{0}(\underline"
    r" W)_j^{{\mathsf T}} q_{0}(\underline W)_j"
)

DEFINITION_F8 = Record(
    "Definition F.8",
    title="The two parts of p, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"p_1^K(\underline W)_j, p_2^K(\underline W)_j \in \mathbb R^L: \quad "
    + _P_SPLIT.format("Q")
    + r", \quad "
    + _P_SPLIT.format("K")
    + r"; \quad p_Q = p_1^Q - p_2^Q, \ p_Q = p_1^Q - p_2^Q",
    corrected=r"p_Q(\underline W) = p_1^Q(\underline W) - p_2^Q(\underline W), \quad p_K(\underline"
    r" W) = p_1^K(\underline W) - p_2^K(\underline W)",
    uses=("Definition F.7",),
    parts=(
        Part(
            "Q",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"p_Q(\underline W)_j = p_1^Q(\underline W)_j - p_2^Q(\underline W)_j",
                    query_parts_of_p,
                    reading=_COLUMN_READING,
                ),
            ),
            severity=Severity.NOTATION,
            problem="As in Definition F.7, it is not said that the vector of query j is column j"
            " of q.",
        ),
        Part(
            "K",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"p_K(\underline W)_j = p_1^K(\underline W)_j - p_2^K(\underline W)_j",
                    key_parts_of_p,
                    reading="the second p_Q = p_1^Q - p_2^Q stands for p_K = p_1^K - p_2^K;"
                    " q_j is column j of q = C3 c^T",
                ),
            ),
            severity=Severity.TYPO,
            problem="The equation for Q is printed twice, and the one for K, which the proof of"
            " Theorem B.1 uses, is missing; the sentence before announces the parts of K only.",
        ),
    ),
)


def p_in_columns(BQ: Matrix, CQ1: Matrix, CQ2: Matrix, p: Matrix, dL_dAQ: Matrix) -> Relation:
    """vec(B_Q^T C_Q1^T p C_Q2) with the vectors p_j as columns of p."""
    P = p.T
    return equal(vec(dL_dAQ), vec(BQ.T @ CQ1.T @ P @ CQ2))


def p_in_rows(BQ: Matrix, CQ1: Matrix, CQ2: Matrix, p: Matrix, dL_dAQ: Matrix) -> Relation:
    """vec(dL/dA_Q) = vec(B_Q^T C_Q1^T p C_Q2) with the vectors p_j as rows of p."""
    return equal(vec(dL_dAQ), vec(BQ.T @ CQ1.T @ p @ CQ2))


def adapter_b_of_query_as_printed(
    AQ: Matrix, CQ1: Matrix, CQ2: Matrix, p: Matrix, dL_dBQ: Matrix
) -> Relation:
    """vec(C_Q1^T p A_Q C_Q2)."""
    return equal(vec(dL_dBQ), vec(CQ1.T @ p @ AQ @ CQ2))


def query_adapter_gradients(
    XQ: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    p: Matrix,
    CQ1: Matrix,
    CQ2: Matrix,
    dL_dAQ: Matrix,
    dL_dBQ: Matrix,
) -> list[Relation]:
    """vec(dL/dB_Q) = vec(C_Q1^T p C_Q2 A_Q^T), and both gradients by the specification."""
    specified = adapter_gradient(
        "q", query_weight_gradient(XQ, score_gradient(f, c, C3), CQ2), AQ, BQ
    )
    return [
        equal(vec(dL_dBQ), vec(CQ1.T @ p @ CQ2 @ AQ.T)),
        equal(dL_dBQ, specified["grad_b_q"]),
        equal(dL_dAQ, specified["grad_a_q"]),
    ]


def key_a_as_printed(
    BK: Matrix, CK1: Matrix, CK2: Matrix, p: Matrix, d: int, constant: Constant, dL_dAK: Matrix
) -> Relation:
    """T(d^2, d^2)^T vec(B_K^T C_K1^T p C_K2)."""
    T = constant(transposition(d * d, d * d))
    return equal(vec(dL_dAK), T.T @ vec(BK.T @ CK1.T @ p @ CK2))


def key_a_with_small_t(
    BK: Matrix, CK1: Matrix, CK2: Matrix, p: Matrix, d: int, constant: Constant, dL_dAK: Matrix
) -> Relation:
    """T(d, d)^T vec(B_K^T C_K1^T p C_K2)."""
    T = constant(transposition(d, d))
    return equal(vec(dL_dAK), T.T @ vec(BK.T @ CK1.T @ p @ CK2))


def key_b_as_printed(
    AK: Matrix, CK1: Matrix, CK2: Matrix, p: Matrix, d: int, constant: Constant, dL_dBK: Matrix
) -> Relation:
    """T(d^2, d^2)^T vec(C_K1^T p A_K C_K2)."""
    T = constant(transposition(d * d, d * d))
    return equal(vec(dL_dBK), T.T @ vec(CK1.T @ p @ AK @ CK2))


def key_adapter_a(
    BK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    p: Matrix,
    d: int,
    r: int,
    constant: Constant,
    dL_dAK: Matrix,
) -> list[Relation]:
    """vec(dL/dA_K) = vec(B_K^T C_K2^T p^T C_K1) = T(d, r) vec(C_K1^T p C_K2 B_K)."""
    T = constant(transposition(d, r))
    return [
        equal(vec(dL_dAK), vec(BK.T @ CK2.T @ p.T @ CK1)),
        equal(vec(dL_dAK), T @ vec(CK1.T @ p @ CK2 @ BK)),
    ]


def key_adapter_gradients(
    XK: Matrix,
    AK: Matrix,
    BK: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    p: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    d: int,
    r: int,
    constant: Constant,
    dL_dAK: Matrix,
    dL_dBK: Matrix,
) -> list[Relation]:
    """vec(dL/dB_K) = vec(C_K2^T p^T C_K1 A_K^T) = T(r, d) vec(A_K C_K1^T p C_K2), and both
    gradients by the specification."""
    T = constant(transposition(r, d))
    specified = adapter_gradient(
        "k", key_weight_gradient(XK, score_gradient(f, c, C3), CK1), AK, BK
    )
    return [
        equal(vec(dL_dBK), vec(CK2.T @ p.T @ CK1 @ AK.T)),
        equal(vec(dL_dBK), T @ vec(AK @ CK1.T @ p @ CK2)),
        equal(dL_dBK, specified["grad_b_k"]),
        equal(dL_dAK, specified["grad_a_k"]),
    ]


SQUARE_ADAPTERS = replace(
    FIXED_VALUES,
    name="Equation (B.2) with r = d",
    shapes={
        name: ("d", "d") if "r" in shape else shape for name, shape in FIXED_VALUES.shapes.items()
    },
    limits={},
)

_P_Q = r"p_Q(\underline{W_Q})"
_P_K = r"p_K(\underline{W_K^{\mathsf T}})"
_C1_Q, _C1_K = r"(C_Q^{(1)})^{\mathsf T}", r"(C_K^{(1)})^{\mathsf T}"
_C2_Q, _C2_K = r"C_Q^{(2)}", r"C_K^{(2)}"
_BIG_T = r"T(d^2, d^2)^{\mathsf T}"


def _gradient_in(name: str) -> str:
    return rf"\frac{{\partial \mathcal L}}{{\partial \underline {name}}} ="


A_Q = _gradient_in("A_Q") + rf" \operatorname{{vec}}(B_Q^{{\mathsf T}} {_C1_Q} {_P_Q} {_C2_Q})"
B_Q = _gradient_in("B_Q") + rf" \operatorname{{vec}}({_C1_Q} {_P_Q} A_Q {_C2_Q})"
A_K = _gradient_in("A_K") + (
    rf" {_BIG_T} \operatorname{{vec}}(B_K^{{\mathsf T}} {_C1_K} {_P_K} {_C2_K})"
)
B_K = _gradient_in("B_K") + rf" {_BIG_T} \operatorname{{vec}}({_C1_K} {_P_K} A_K {_C2_K})"
B_Q_CORRECTED = _gradient_in("B_Q") + (
    rf" \operatorname{{vec}}({_C1_Q} {_P_Q} {_C2_Q} A_Q^{{\mathsf T}})"
)
A_K_CORRECTED = _gradient_in("A_K") + (
    r" \operatorname{vec}(B_K^{\mathsf T} (C_K^{(2)})^{\mathsf T} p_K^{\mathsf T} C_K^{(1)}) ="
    r" T(d, r) \operatorname{vec}((C_K^{(1)})^{\mathsf T} p_K C_K^{(2)} B_K)"
)
B_K_CORRECTED = _gradient_in("B_K") + (
    r" \operatorname{vec}((C_K^{(2)})^{\mathsf T} p_K^{\mathsf T} C_K^{(1)} A_K^{\mathsf T}) ="
    r" T(r, d) \operatorname{vec}(A_K (C_K^{(1)})^{\mathsf T} p_K C_K^{(2)})"
)

PARTS_OF_LEMMA_F4 = (
    Part(
        "A_Q",
        setting=FIXED_VALUES,
        printed=(
            Claim(A_Q, p_in_columns),
            Claim(A_Q, p_in_rows, reading="the vectors p_Q(W)_j^T are the rows of p_Q(W)"),
        ),
        corrected=Claim(A_Q, p_in_rows),
        severity=Severity.NOTATION,
        problem="It is not said how the vectors p_j make a matrix. Lemma F.9 makes them its"
        " columns, as q has them; the formula holds if they are its rows, as f has them.",
    ),
    Part(
        "B_Q",
        setting=FIXED_VALUES,
        printed=(Claim(B_Q, adapter_b_of_query_as_printed),),
        corrected=Claim(
            B_Q_CORRECTED,
            query_adapter_gradients,
            code=(adapter_gradient, query_weight_gradient, score_gradient),
        ),
        severity=Severity.ILL_TYPED,
        problem="p is L x L and A_Q is r x d: their product does not exist. A_Q^T belongs at the"
        " right end.",
    ),
    Part(
        "A_K",
        setting=FIXED_VALUES,
        printed=(
            Claim(A_K, key_a_as_printed),
            Claim(
                A_K.replace("d^2, d^2", "d, d"),
                key_a_with_small_t,
                reading="T is the matrix of size d^2 x d^2 that transposes d x d matrices",
            ),
            Claim(
                A_K.replace("d^2, d^2", "d, d"),
                key_a_with_small_t,
                reading="the same, with r = d, where the sizes fit",
                setting=SQUARE_ADAPTERS,
            ),
        ),
        corrected=Claim(A_K_CORRECTED, key_adapter_a, code=(transposition,)),
        severity=Severity.FATAL_TO_STATEMENT,
        problem="T(d^2, d^2) is a matrix of d^4 rows. With T(d, d), for the d^2 x d^2 matrix that"
        " is meant, it still does not act on the r d entries of the product, and even for r = d"
        " the product is wrong: B_K meets G = C_K1^T p C_K2, the gradient in W_K^T, from the left,"
        " and must meet its transpose.",
    ),
    Part(
        "B_K",
        setting=FIXED_VALUES,
        printed=(Claim(B_K, key_b_as_printed),),
        corrected=Claim(
            B_K_CORRECTED,
            key_adapter_gradients,
            code=(adapter_gradient, key_weight_gradient, score_gradient, transposition),
        ),
        severity=Severity.FATAL_TO_STATEMENT,
        problem="T(d^2, d^2) is a matrix of d^4 rows, and p A_K does not exist. A_K belongs at the"
        " left of C_K1^T p C_K2, and T(r, d) before it.",
    ),
)
"""The four formulas, which the proof of Theorem B.1 repeats."""

LEMMA_F4 = Record(
    "Lemma F.4",
    title="The gradients in the four adapters",
    kind=Kind.LEMMA,
    printed=r", \quad ".join((A_Q, B_Q, A_K, B_K)),
    corrected=r", \quad ".join((A_Q, B_Q_CORRECTED, A_K_CORRECTED, B_K_CORRECTED)),
    uses=("Definition F.7", "Lemma F.1", "Lemma F.2", "Lemma F.3"),
    parts=PARTS_OF_LEMMA_F4,
    ocr="The underlines of A_Q and B_Q are not read everywhere.",
    remark="p_K at W_K^T and p_Q at W_Q are the same matrix, the gradient in the scores. T(m, n) is"
    " that of Lemma F.2 as corrected, vec(W^T) = T(m, n) vec(W) for W of shape (m, n). For alpha/r"
    " and beta other than one every gradient has the factor beta alpha/r: see Problem 3.",
)

RECORDS = (
    DEFINITION_F1,
    DEFINITION_F2,
    DEFINITION_F3,
    DEFINITION_F4,
    DEFINITION_F5,
    EQUATION_F1,
    EQUATION_F2,
    LEMMA_F1,
    DEFINITION_F6,
    DEFINITION_F7,
    LEMMA_F4,
    DEFINITION_F8,
)
