"""Section 3, the vectorised scores and loss: Definitions 3.2 to 3.6 and equation (3.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.settings import PROBLEM_2, aloragc_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference import gradient as specification
from loracle_reference.arithmetic.protocol import HALF, Matrix, Scalar
from loracle_reference.attention import attention_probabilities, half_squared_norm
from loracle_reference.gradient import score_gradient
from loracle_reference.vectorization import kronecker, sub_block, vec

__all__ = ["ANY_KEYS", "RECORDS", "SCORES", "as_columns", "diagonal"]

Identity = Callable[[int], Matrix]
Ones = Callable[[int], Matrix]
Constant = Callable[[Any], Matrix]


def diagonal(column: Matrix, identity: Identity) -> Matrix:
    """diag(column). Shapes: column (n, 1), result (n, n)."""
    return identity(column.shape[0]).scale_rows(column)


def as_columns(columns: Sequence[Matrix]) -> Matrix:
    """The matrix with these columns, at least one. Shapes: n of (m, 1) give (m, n)."""
    return reduce(lambda left, right: left.beside(right), columns)


def _tensor(C1: Matrix, C2: Matrix) -> Matrix:
    return kronecker(C1, C2)


def _scores(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return C1 @ W @ C2.T


def _score_loss(S: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return half_squared_norm(S.softmax_rows() @ C3 - Y)


def _dL_dS(derivative: Any) -> Matrix:
    result: Matrix = derivative(_score_loss, "S")
    return result


def _printed_q(c: Matrix, C3: Matrix) -> Matrix:
    return C3 @ c.T


SCORES = Setting(
    "Definitions 3.2 to 3.6",
    shapes={
        "C1": ("L", "d"),
        "C2": ("M", "d"),
        "C3": ("M", "d"),
        "W": ("d", "d"),
        "Y": ("L", "d"),
    },
    derived={
        **{name: PROBLEM_2.derived[name] for name in ("f", "c", "dL_dW")},
        "C": _tensor,
        "S": _scores,
        "dL_dS": _dL_dS,
        "printed_q": _printed_q,
    },
    square={"M": "L"},
)
"""The loss as a function of W. C = C1 (x) C2, S = C1 W C2^T, printed_q = C3 c^T of Lemma 3.2, of
shape (M, L); dL_dW and dL_dS are derivatives of the loss."""

ANY_KEYS = replace(SCORES, square={})
"""For what holds as it stands, with M keys, of which the paper has L."""

WEIGHT_WITH_BAR = Setting(
    "Definition 3.4, the text after it",
    shapes={
        "C1": ("L", "d"),
        "C2": ("M", "d"),
        "C3": ("M", "d"),
        "WQ": ("d", "d"),
        "A": ("r", "d"),
        "B": ("d", "r"),
    },
    scalars=("ratio",),
    limits={"r": 2},
)
"""ratio = r / alpha, so that the weight of (3.3) with its bar is ratio WQ."""

LOSS = replace(PROBLEM_2, name="Equation (3.4)", square={})


def score_rows(C: Matrix, C1: Matrix, C2: Matrix, W: Matrix, L: int, M: int) -> list[Relation]:
    """u_j^T = exp(C_j vec(W))^T is row j of exp(C1 W C2^T)."""
    scores = (C1 @ W @ C2.T).exp()
    rows = [(sub_block(C, j, M) @ vec(W)).exp().T for j in range(L)]
    return [
        *(equal(row, scores.take_rows([j])) for j, row in enumerate(rows)),
        equal(specification.unnormalized_scores(C1 @ W, C2), scores),
    ]


def score_dimensions(C: Matrix, W: Matrix, L: int, M: int, d: int) -> list[Relation]:
    """vec(W) has d^2 entries; C_j is (M, d^2) and u_j has M entries, where the paper has M = L."""
    blocks = [sub_block(C, j, M) for j in range(L)]
    return [
        equal(vec(W).shape, (d * d, 1)),
        *(equal(block.shape, (M, d * d)) for block in blocks),
        *(equal((block @ vec(W)).shape, (M, 1)) for block in blocks),
    ]


def normalization_is_d(
    C: Matrix, C1: Matrix, C2: Matrix, W: Matrix, L: int, M: int, ones: Ones
) -> list[Relation]:
    """alpha_j = <exp(C_j vec(W)), 1> = D_jj with D = diag(exp(C1 W C2^T) 1)."""
    scores = (C1 @ W @ C2.T).exp()
    entries_of_d = scores @ ones(M)
    alphas = [(sub_block(C, j, M) @ vec(W)).exp().T @ ones(M) for j in range(L)]
    return [
        *(equal(alpha, entries_of_d.take_rows([j])) for j, alpha in enumerate(alphas)),
        equal(specification.normalization(scores), entries_of_d),
    ]


def normalization_of_a_vector(
    C: Matrix, C1: Matrix, C2: Matrix, W: Matrix, L: int, M: int, d: int, ones: Ones
) -> list[Relation]:
    """x = vec(W) has d^2 entries, and alpha(x)_j is the number that the definition gives."""
    x = vec(W)
    alphas = specification.normalization(specification.unnormalized_scores(C1 @ W, C2))
    return [
        equal(x.shape, (d * d, 1)),
        *(
            equal((sub_block(C, j, M) @ x).exp().T @ ones(M), alphas.take_rows([j]))
            for j in range(L)
        ),
    ]


def probability_rows(
    C: Matrix, C1: Matrix, C2: Matrix, W: Matrix, L: int, M: int, ones: Ones
) -> list[Relation]:
    """f_j^T = (alpha_j^-1 u_j)^T is row j of D^-1 exp(C1 W C2^T)."""
    scores = (C1 @ W @ C2.T).exp()
    matrix = scores.divide_rows(scores @ ones(M))
    relations = [equal(matrix, attention_probabilities(C1 @ W, C2))]
    for j in range(L):
        u_j = (sub_block(C, j, M) @ vec(W)).exp()
        alpha_j = u_j.T @ ones(M)
        relations.append(equal(u_j.T.divide_rows(alpha_j), matrix.take_rows([j])))
    return relations


def attended_without_bar(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    WQ: Matrix,
    A: Matrix,
    B: Matrix,
    ratio: Scalar,
    L: int,
    M: int,
) -> list[Relation]:
    """f_j^T C3 against row j of D^-1 exp(C1 (W_Q* + B A) C2^T) C3, as the text prints it."""
    W = WQ.scale(ratio) + B @ A
    printed = attention_probabilities(C1 @ (WQ + B @ A), C2) @ C3
    rows = [(sub_block(kronecker(C1, C2), j, M) @ vec(W)).T.softmax_rows() for j in range(L)]
    return [equal(row @ C3, printed.take_rows([j])) for j, row in enumerate(rows)]


def attended_with_bar(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    WQ: Matrix,
    A: Matrix,
    B: Matrix,
    ratio: Scalar,
    L: int,
    M: int,
) -> list[Relation]:
    """f_j^T C3 is row j of D^-1 exp(C1 (W_Q* with its bar + B A) C2^T) C3, as in (3.3)."""
    W = WQ.scale(ratio) + B @ A
    matrix = attention_probabilities(C1 @ (WQ.scale(ratio) + B @ A), C2) @ C3
    rows = [(sub_block(kronecker(C1, C2), j, M) @ vec(W)).T.softmax_rows() for j in range(L)]
    return [equal(row @ C3, matrix.take_rows([j])) for j, row in enumerate(rows)]


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


def difference_without_index(
    f: Matrix, printed_q: Matrix, L: int, identity: Identity
) -> list[Relation]:
    """p_j of Lemma 3.2, with all of q in it, is p1_j - p2_j."""
    relations = []
    for j in range(L):
        f_j, q_j = f.take_rows([j]).T, printed_q.take_columns([j])
        p_j = (diagonal(f_j, identity) - f_j @ f_j.T) @ printed_q
        relations.append(equal(p_j, diagonal(f_j, identity) @ q_j - f_j @ f_j.T @ q_j))
    return relations


def difference(f: Matrix, printed_q: Matrix, L: int, identity: Identity) -> list[Relation]:
    """p_j of Lemma 3.2, with q_j in it, is p1_j - p2_j."""
    relations = []
    for j in range(L):
        f_j, q_j = f.take_rows([j]).T, printed_q.take_columns([j])
        p_j = (diagonal(f_j, identity) - f_j @ f_j.T) @ q_j
        relations.append(equal(p_j, diagonal(f_j, identity) @ q_j - f_j @ f_j.T @ q_j))
    return relations


def gradient_with_q_by_rows(
    C1: Matrix,
    C2: Matrix,
    f: Matrix,
    printed_q: Matrix,
    L: int,
    identity: Identity,
    dL_dW: Matrix,
) -> Relation:
    """dL/dW = C1^T p C2 with p_j made from row j of q, as f_j is row j of f."""
    columns = []
    for j in range(L):
        f_j, q_j = f.take_rows([j]).T, printed_q.take_rows([j]).T
        columns.append(diagonal(f_j, identity) @ q_j - f_j @ f_j.T @ q_j)
    return equal(dL_dW, C1.T @ as_columns(columns).T @ C2)


def gradient_with_q_by_columns(
    C1: Matrix,
    C2: Matrix,
    f: Matrix,
    printed_q: Matrix,
    L: int,
    identity: Identity,
    dL_dS: Matrix,
    dL_dW: Matrix,
) -> list[Relation]:
    """p, with p_j made from column j of q, is dL/dS, and dL/dW = C1^T p C2."""
    columns = []
    for j in range(L):
        f_j, q_j = f.take_rows([j]).T, printed_q.take_columns([j])
        columns.append(diagonal(f_j, identity) @ q_j - f_j @ f_j.T @ q_j)
    p = as_columns(columns).T
    return [equal(dL_dS, p), equal(dL_dW, C1.T @ p @ C2)]


def gradient_of_the_scores(f: Matrix, c: Matrix, C3: Matrix, dL_dS: Matrix) -> list[Relation]:
    """p = p1 - p2 = dL/dS with q = c C3^T, p1 = f o q and row j of p2 being <f_j, q_j> f_j^T."""
    q = c @ C3.T
    p1 = f * q
    p2 = f.scale_rows((f * q).row_sum())
    return [equal(dL_dS, p1 - p2), equal(dL_dS, score_gradient(f, c, C3))]


RECORDS = (
    Record(
        "Definition 3.2",
        title="Scores of one query",
        kind=Kind.DEFINITION,
        printed=r"\mathsf C := C^{(1)} \otimes C^{(2)}, \quad"
        r" u(\underline W)_{\underline j} := \exp(\mathsf C_{\underline j}\,\underline W)"
        r" \in \mathbb R^{L}",
        uses=("Definition 2.1", "Definition 2.3", "Definition 2.4", "Lemma 2.1"),
        parts=(
            Part(
                "rows of the scores",
                setting=ANY_KEYS,
                printed=(
                    Claim(
                        r"u(\underline W)_{\underline j}^{\top} ="
                        r" \exp\big(C^{(1)} W (C^{(2)})^{\top}\big)[\underline j, \cdot]",
                        score_rows,
                    ),
                ),
            ),
            Part(
                "dimensions",
                setting=ANY_KEYS,
                printed=(
                    Claim(
                        r"\mathsf C_{\underline j} \in \mathbb R^{L \times d^2}, \quad"
                        r" u(\underline W)_{\underline j} \in \mathbb R^{L}",
                        score_dimensions,
                    ),
                ),
            ),
        ),
        remark="The text after it leaves the sample index i of (S2) on C^(2) alone. It is the"
        " row-major vec of Definition 2.1 that makes u_j a row of the scores.",
    ),
    Record(
        "Definition 3.3",
        title="Row sums of the scores",
        kind=Kind.DEFINITION,
        printed=r"\alpha(x)_{\underline j} : \mathbb R^{d^2} \to \mathbb R, \quad"
        r" \alpha(\underline W)_{\underline j} :="
        r" \langle \exp(\mathsf C_{\underline j}\,\underline W), \mathbb 1_L \rangle",
        corrected=r"\alpha(\underline W)_{\underline j} :="
        r" \langle \exp(\mathsf C_{\underline j}\,\underline W), \mathbb 1_L \rangle"
        r" = D_{\underline j, \underline j}",
        uses=("Definition 3.2", "Equation (3.3)"),
        parts=(
            Part(
                "the diagonal of D",
                setting=ANY_KEYS,
                printed=(
                    Claim(
                        r"\alpha(\underline W)_{\underline j} = D_{\underline j, \underline j}",
                        normalization_is_d,
                    ),
                ),
            ),
            Part(
                "argument",
                setting=ANY_KEYS,
                printed=(
                    Claim(
                        r"\alpha(x)_{\underline j} : \mathbb R^{d^2} \to \mathbb R",
                        normalization_of_a_vector,
                        reading="x is vec(W)",
                    ),
                ),
                severity=Severity.NOTATION,
                problem="The function is declared with an argument x and defined with the argument"
                " vec(W); x is nowhere defined.",
            ),
        ),
    ),
    Record(
        "Definition 3.4",
        title="Attention probabilities of one query",
        kind=Kind.DEFINITION,
        printed=r"f(\underline W)_{\underline j} := \alpha(\underline W)_{\underline j}^{-1}"
        r" u(\underline W)_{\underline j}, \quad"
        r" f(\underline W)[\underline j, \cdot] = (f(\underline W)_{\underline j})^{\top}; \quad"
        r" D^{-1} \exp\big(C^{(1)} (W_Q^{\star} + B_Q A_Q) (C^{(2)})^{\top}\big) C^{(3)}",
        corrected=r"f(\underline W)_{\underline j} := \alpha(\underline W)_{\underline j}^{-1}"
        r" u(\underline W)_{\underline j}, \quad"
        r" f(\underline W)[\underline j, \cdot] = (f(\underline W)_{\underline j})^{\top}; \quad"
        r" D^{-1} \exp\big(C^{(1)} (\overline W_Q^{\star} + B_Q A_Q) (C^{(2)})^{\top}\big) C^{(3)}",
        uses=("Definition 3.2", "Definition 3.3", "Equation (3.3)"),
        parts=(
            Part(
                "rows of f",
                setting=ANY_KEYS,
                printed=(
                    Claim(
                        r"(f(\underline W)_{\underline j})^{\top} ="
                        r" \big(D^{-1} \exp(C^{(1)} W (C^{(2)})^{\top})\big)[\underline j, \cdot]",
                        probability_rows,
                    ),
                ),
            ),
            Part(
                "the weight in the text after it",
                setting=WEIGHT_WITH_BAR,
                printed=(
                    Claim(
                        r"(f(\underline W)_{\underline j})^{\top} C^{(3)} = \big(D^{-1}"
                        r" \exp(C^{(1)} (W_Q^{\star} + B_Q A_Q) (C^{(2)})^{\top}) C^{(3)}\big)"
                        r"[\underline j, \cdot]",
                        attended_without_bar,
                    ),
                    Claim(
                        r"(f(\underline W)_{\underline j})^{\top} C^{(3)} = \big(D^{-1} \exp("
                        r"C^{(1)} (\overline W_Q^{\star} + B_Q A_Q) (C^{(2)})^{\top}) C^{(3)}\big)"
                        r"[\underline j, \cdot]",
                        attended_with_bar,
                        reading="the weight is that of (3.3), with its bar",
                    ),
                ),
                corrected=Claim(
                    r"(f(\underline W)_{\underline j})^{\top} C^{(3)} = \big(D^{-1} \exp("
                    r"C^{(1)} (\overline W_Q^{\star} + B_Q A_Q) (C^{(2)})^{\top}) C^{(3)}\big)"
                    r"[\underline j, \cdot], \quad"
                    r" \overline W_Q^{\star} = \tfrac{r}{\alpha} W_Q^{\star}",
                    attended_with_bar,
                ),
                severity=Severity.TYPO,
                problem="The text quotes the matrix of loss (3.3) with W_Q* in the place of"
                " (r/alpha) W_Q*, which is another matrix unless alpha = r.",
            ),
        ),
    ),
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
    Record(
        "Definition 3.6",
        title="Decomposition of p",
        kind=Kind.DEFINITION,
        printed=r"p_1(\underline W)_{\underline j} :="
        r" \operatorname{diag}(f(\underline W)_{\underline j})\, q(\underline W)_{\underline j},"
        r" \quad p_2(\underline W)_{\underline j} := f(\underline W)_{\underline j}"
        r" f(\underline W)_{\underline j}^{\top} q(\underline W)_{\underline j}, \quad"
        r" p(\underline W) = p_1(\underline W) - p_2(\underline W)",
        corrected=r"q(\underline W) := c(\underline W) (C^{(3)})^{\top}, \quad"
        r" X(\underline W)_{\underline j}^{\top} := X(\underline W)[\underline j, \cdot]"
        r" \text{ for } X = f, q, p_1, p_2, p; \quad"
        r" p_1(\underline W)_{\underline j} :="
        r" \operatorname{diag}(f(\underline W)_{\underline j})\, q(\underline W)_{\underline j},"
        r" \quad p_2(\underline W)_{\underline j} := f(\underline W)_{\underline j}"
        r" f(\underline W)_{\underline j}^{\top} q(\underline W)_{\underline j}, \quad"
        r" p(\underline W) = p_1(\underline W) - p_2(\underline W)",
        uses=("Definition 3.4", "Lemma 3.2", "Equation (3.6)"),
        parts=(
            Part(
                "p = p1 - p2",
                setting=SCORES,
                printed=(
                    Claim(
                        r"\big(\operatorname{diag}(f_{\underline j}) - f_{\underline j}"
                        r" f_{\underline j}^{\top}\big) q = \operatorname{diag}(f_{\underline j})"
                        r" q_{\underline j} - f_{\underline j} f_{\underline j}^{\top}"
                        r" q_{\underline j}",
                        difference_without_index,
                    ),
                    Claim(
                        r"\big(\operatorname{diag}(f_{\underline j}) - f_{\underline j}"
                        r" f_{\underline j}^{\top}\big) q_{\underline j} ="
                        r" \operatorname{diag}(f_{\underline j})"
                        r" q_{\underline j} - f_{\underline j} f_{\underline j}^{\top}"
                        r" q_{\underline j}",
                        difference,
                        reading="Lemma 3.2 means q_j in the definition of p_j",
                    ),
                ),
                corrected=Claim(
                    r"p = p_1 - p_2 = \partial\mathcal L / \partial"
                    r" \big(C^{(1)} W (C^{(2)})^{\top}\big), \quad p_1 = f \odot q, \quad"
                    r" p_2[\underline j, \cdot] = \langle f_{\underline j}, q_{\underline j}"
                    r" \rangle f_{\underline j}^{\top}, \quad q = c\,(C^{(3)})^{\top}",
                    gradient_of_the_scores,
                    code=(score_gradient,),
                ),
                severity=Severity.NOTATION,
                problem="The p of Lemma 3.2 is printed with the matrix q(W) where this definition"
                " has the vector q(W)_j, so the difference is not literally that p.",
            ),
            Part(
                "which vector q_j is",
                setting=SCORES,
                printed=(
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial W} = (C^{(1)})^{\top} p\, C^{(2)},"
                        r" \quad q_{\underline j}^{\top} = q[\underline j, \cdot]",
                        gradient_with_q_by_rows,
                        reading="q_j is row j of q = C^(3) c^T, as f_j is row j of f, and p_j is"
                        " row j of p",
                    ),
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial W} = (C^{(1)})^{\top} p\, C^{(2)},"
                        r" \quad q_{\underline j} = q[\cdot, \underline j]",
                        gradient_with_q_by_columns,
                        reading="q_j is column j of q = C^(3) c^T, although f_j is row j of f, and"
                        " p_j is row j of p",
                    ),
                ),
                corrected=Claim(
                    r"p = \frac{\partial\mathcal L}{\partial (C^{(1)} W (C^{(2)})^{\top})}, \quad"
                    r" \frac{\partial\mathcal L}{\partial W} = (C^{(1)})^{\top} p\, C^{(2)}, \quad"
                    r" q_{\underline j} = \big(C^{(3)} c^{\top}\big)[\cdot, \underline j]",
                    gradient_with_q_by_columns,
                ),
                severity=Severity.NOTATION,
                problem="Nothing says what q(W)_j is. By rows, the one convention that the section"
                " states (Definition 3.4, for f), p1 - p2 is not the gradient in the scores and"
                " (3.6) fails; it must be the column of q = C^(3) c^T, or q must be transposed.",
            ),
        ),
        remark="As matrices, p1 is the Hadamard product of f with the transpose of the printed q."
        " Lemma 3.7 calls p2_j a column of p2; the p_j must be rows for (3.6) to hold.",
    ),
)
