"""Definition 3.6: the two parts of p, the gradient in the scores."""

from __future__ import annotations

from loracle_proofs.records.score_definitions.settings import SCORES, Identity, as_columns, diagonal
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.gradient import score_gradient

__all__ = ["RECORDS"]


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
