"""Definitions 3.2, 3.3 and 3.4: the scores of one query, their row sums, and the probabilities."""

from __future__ import annotations

from loracle_proofs.records.score_definitions.settings import ANY_KEYS, Ones
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference import gradient as specification
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import attention_probabilities
from loracle_reference.vectorization import kronecker, sub_block, vec

__all__ = ["RECORDS"]

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
)
