"""The proof of Lemma 3.1: differentiation entry by entry."""

from __future__ import annotations

from loracle_proofs.records.gradient_lemmas.entry_derivatives import CHANGES
from loracle_proofs.records.gradient_lemmas.weight_gradient import SUMMAND
from loracle_proofs.records.score_definitions.settings import Constant, Identity, Ones, diagonal
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import sub_block, vec

__all__ = ["RECORDS"]


def gradient_as_a_number(
    dL_dW: Matrix, d: int, constant: Constant, d_losses: list[Matrix]
) -> Relation:
    """vec(dL/dW) = sum_j sum_i d(c_ji^2 / 2)/dW_i with one index i for column and entry."""
    entry = constant([[0]])
    for i in range(d):
        entry = entry + d_losses[i].take_columns([i]).T.row_sum()
    return equal(vec(dL_dW), entry)


def gradient_by_entries(dL_dW: Matrix, d_losses: list[Matrix]) -> list[Relation]:
    """Entry t of vec(dL/dW) is sum_j sum_i d(c_ji^2 / 2)/dW_t, for t up to d^2."""
    return [
        equal(vec(dL_dW).take_rows([t]), d_loss.row_sum().T.row_sum())
        for t, d_loss in enumerate(d_losses)
    ]


def square(c: Matrix, d_losses: list[Matrix], d_attended: list[Matrix]) -> list[Relation]:
    """d(c_ji^2 / 2) = c_ji d<f_j, C3[., i]>, for all j and i at once."""
    pairs = zip(d_losses, d_attended, strict=True)
    return [equal(d_loss, c * change) for d_loss, change in pairs]


def inner_product(
    c: Matrix, C3: Matrix, d_losses: list[Matrix], d_f: list[Matrix]
) -> list[Relation]:
    """d(c_ji^2 / 2) = c_ji <df_j, C3[., i]>, for all j and i at once."""
    pairs = zip(d_losses, d_f, strict=True)
    return [equal(d_loss, c * (change @ C3)) for d_loss, change in pairs]


def quotient(
    c: Matrix, C3: Matrix, d_losses: list[Matrix], d_quotient: list[Matrix]
) -> list[Relation]:
    """d(c_ji^2 / 2) = c_ji <d(u_j / alpha_j), C3[., i]>, for all j and i at once."""
    pairs = zip(d_losses, d_quotient, strict=True)
    return [equal(d_loss, c * (change @ C3)) for d_loss, change in pairs]


def product_rule(
    c: Matrix,
    C3: Matrix,
    u: Matrix,
    alpha: Matrix,
    d_losses: list[Matrix],
    d_u: list[Matrix],
    d_alpha: list[Matrix],
) -> list[Relation]:
    """d(c_ji^2 / 2) = c_ji <du_j / alpha_j - dalpha_j u_j / alpha_j^2, C3[., i]>."""
    relations = []
    for d_loss, change, d_sum in zip(d_losses, d_u, d_alpha, strict=True):
        first = change.divide_rows(alpha)
        second = u.scale_rows(d_sum).divide_rows(alpha).divide_rows(alpha)
        relations.append(equal(d_loss, c * ((first - second) @ C3)))
    return relations


def part_one(
    C: Matrix, W: Matrix, L: int, M: int, d_scores: list[Matrix], d_u: list[Matrix]
) -> list[Relation]:
    """du_j = exp(C_j vec(W)) o d(C_j vec(W)) = C_j[., t] o u_j."""
    relations = []
    for t, (d_score, change) in enumerate(zip(d_scores, d_u, strict=True)):
        for j in range(L):
            C_j = sub_block(C, j, M)
            u_j = (C_j @ vec(W)).exp()
            relations.append(equal(change.take_rows([j]).T, u_j * d_score.take_rows([j]).T))
            relations.append(equal(change.take_rows([j]).T, C_j.take_columns([t]) * u_j))
    return relations


def margin_with_c_alone(
    C: Matrix, L: int, M: int, d_scores: list[Matrix], d_tensor: list[Matrix]
) -> list[Relation]:
    """d(C_j vec(W)) = dC_j = C_j[., t], as the margin has it."""
    relations = []
    for t, (d_score, change) in enumerate(zip(d_scores, d_tensor, strict=True)):
        for j in range(L):
            column = d_score.take_rows([j]).T
            relations.append(equal(column, sub_block(change, j, M)))
            relations.append(equal(column, sub_block(C, j, M).take_columns([t])))
    return relations


def margin(
    C: Matrix, L: int, M: int, d: int, identity: Identity, d_scores: list[Matrix]
) -> list[Relation]:
    """d(C_j vec(W)) = C_j e_t = C_j[., t]."""
    relations = []
    for t, d_score in enumerate(d_scores):
        e_t = identity(d * d).take_columns([t])
        for j in range(L):
            column = d_score.take_rows([j]).T
            relations.append(equal(column, sub_block(C, j, M) @ e_t))
            relations.append(equal(column, sub_block(C, j, M).take_columns([t])))
    return relations


def part_two(
    C: Matrix,
    L: int,
    M: int,
    u: Matrix,
    ones: Ones,
    d_u: list[Matrix],
    d_alpha: list[Matrix],
) -> list[Relation]:
    """dalpha_j = <du_j, 1> = <C_j[., t] o u_j, 1> = <C_j[., t], u_j>."""
    relations = []
    for t, (d_row, d_sum) in enumerate(zip(d_u, d_alpha, strict=True)):
        for j in range(L):
            change, u_j = d_sum.take_rows([j]), u.take_rows([j]).T
            C_jt = sub_block(C, j, M).take_columns([t])
            relations.append(equal(change, d_row.take_rows([j]) @ ones(M)))
            relations.append(equal(change, (C_jt * u_j).T @ ones(M)))
            relations.append(equal(change, C_jt.T @ u.take_rows([j]).T))
    return relations


def combined(
    C: Matrix, C3: Matrix, f: Matrix, c: Matrix, L: int, M: int, d_losses: list[Matrix]
) -> list[Relation]:
    """d(c_ji^2 / 2) = c_ji (<C3[., i], C_j[., t] o f_j> - <C3[., i], f_j> <C_j[., t], f_j>).

    For all i at once, as rows.
    """
    relations = []
    for t, d_loss in enumerate(d_losses):
        for j in range(L):
            C_jt, f_j = sub_block(C, j, M).take_columns([t]), f.take_rows([j]).T
            first = (C_jt * f_j).T @ C3
            second = (C_jt.T @ f_j) @ (f_j.T @ C3)
            relations.append(equal(d_loss.take_rows([j]), c.take_rows([j]) * (first - second)))
    return relations


def last_line_as_vectors(
    C: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    d_losses: list[Matrix],
) -> list[Relation]:
    """d(c_ji^2 / 2)/dW_i = c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i]."""
    relations = []
    for j in range(L):
        C_j, f_j = sub_block(C, j, M), f.take_rows([j]).T
        for i in range(d):
            gradient = (
                C_j.T
                @ (diagonal(f_j, identity) - f_j @ f_j.T)
                @ C3.take_columns([i])
                @ c.take_rows([j]).take_columns([i])
            )
            relations.append(equal(d_losses[i].take_rows([j]).take_columns([i]), gradient))
    return relations


def last_line_by_entries(
    C: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    d_losses: list[Matrix],
) -> list[Relation]:
    """d(c_ji^2 / 2)/dW_t is entry t of c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i]."""
    relations = []
    for j in range(L):
        C_j, f_j = sub_block(C, j, M), f.take_rows([j]).T
        for i in range(d):
            gradient = (
                C_j.T
                @ (diagonal(f_j, identity) - f_j @ f_j.T)
                @ C3.take_columns([i])
                @ c.take_rows([j]).take_columns([i])
            )
            for t, d_loss in enumerate(d_losses):
                change = d_loss.take_rows([j]).take_columns([i])
                relations.append(equal(change, gradient.take_rows([t])))
    return relations


_ENTRY = r"\frac{\mathrm d}{\mathrm d\underline W_t}"

_LOSS_ENTRY = rf"{_ENTRY} \big(\tfrac12 c_{{\underline j, i}}^2\big)"

RECORDS = (
    Record(
        "Proof of Lemma 3.1",
        title="Differentiation entry by entry",
        kind=Kind.PROOF,
        printed=r"\frac{\mathrm d\mathcal L(\underline W)}{\mathrm d\underline W} ="
        r" \sum_{\underline j=1}^{L} \sum_{i=1}^{d} \frac{\mathrm d}{\mathrm d\underline W_i}"
        r" \big(\tfrac12 c(\underline W)_{\underline j, i}^2\big), \quad"
        r" \frac{\mathrm d}{\mathrm d\underline W_i}"
        rf" \big(\tfrac12 c(\underline W)_{{\underline j, i}}^2\big) = {SUMMAND}",
        corrected=r"\frac{\mathrm d\mathcal L(\underline W)}{\mathrm d\underline W_t} ="
        r" \sum_{\underline j=1}^{L} \sum_{i=1}^{d} \frac{\mathrm d}{\mathrm d\underline W_t}"
        r" \big(\tfrac12 c(\underline W)_{\underline j, i}^2\big), \quad"
        r" \frac{\mathrm d}{\mathrm d\underline W_t}"
        r" \big(\tfrac12 c(\underline W)_{\underline j, i}^2\big) ="
        rf" \Big({SUMMAND}\Big)[t], \quad t \in [d^2]",
        uses=("Equation (3.4)", "Definition 3.2", "Definition 3.3", "Definition 3.4"),
        parts=(
            Part(
                "sum of the entries",
                setting=CHANGES,
                printed=(
                    Claim(
                        r"\frac{\mathrm d\mathcal L}{\mathrm d\underline W} = \sum_{\underline j}"
                        r" \sum_{i=1}^{d} \frac{\mathrm d}{\mathrm d\underline W_i}"
                        r" \big(\tfrac12 c_{\underline j, i}^2\big)",
                        gradient_as_a_number,
                    ),
                    Claim(
                        rf"{_ENTRY} \mathcal L = \sum_{{\underline j}} \sum_{{i=1}}^{{d}}"
                        rf" {_LOSS_ENTRY}, \quad t \in [d^2]",
                        gradient_by_entries,
                        reading="the entry of vec(W) has an index t of its own",
                    ),
                ),
                corrected=Claim(
                    rf"{_ENTRY} \mathcal L = \sum_{{\underline j}} \sum_{{i=1}}^{{d}}"
                    rf" {_LOSS_ENTRY}, \quad t \in [d^2]",
                    gradient_by_entries,
                ),
                severity=Severity.NOTATION,
                problem="One index i stands for a column of C^(3) and for an entry of vec(W). As"
                " printed, a vector of d^2 entries equals a number, and i runs over d of the d^2"
                " entries.",
            ),
            Part(
                "square",
                setting=CHANGES,
                printed=(
                    Claim(
                        rf"{_LOSS_ENTRY} = c_{{\underline j, i}} {_ENTRY}"
                        r" \langle f_{\underline j}, C^{(3)}[\cdot, i] \rangle, \quad t \in [d^2]",
                        square,
                    ),
                ),
            ),
            Part(
                "inner product",
                setting=CHANGES,
                printed=(
                    Claim(
                        rf"{_LOSS_ENTRY} = c_{{\underline j, i}} \langle"
                        r" \frac{\mathrm d f_{\underline j}}{\mathrm d\underline W_t},"
                        r" C^{(3)}[\cdot, i] \rangle, \quad t \in [d^2]",
                        inner_product,
                    ),
                ),
            ),
            Part(
                "normalization",
                setting=CHANGES,
                printed=(
                    Claim(
                        rf"{_LOSS_ENTRY} = c_{{\underline j, i}} \langle"
                        r" \frac{\mathrm d (\alpha_{\underline j}^{-1} u_{\underline j})}"
                        r"{\mathrm d\underline W_t}, C^{(3)}[\cdot, i] \rangle, \quad"
                        r" t \in [d^2]",
                        quotient,
                    ),
                ),
            ),
            Part(
                "product rule",
                setting=CHANGES,
                printed=(
                    Claim(
                        rf"{_LOSS_ENTRY} = c_{{\underline j, i}} \langle"
                        r" \alpha_{\underline j}^{-1} \frac{\mathrm d u_{\underline j}}"
                        r"{\mathrm d\underline W_t} - \alpha_{\underline j}^{-2}"
                        r" \frac{\mathrm d\alpha_{\underline j}}{\mathrm d\underline W_t}"
                        r" u_{\underline j}, C^{(3)}[\cdot, i] \rangle, \quad t \in [d^2]",
                        product_rule,
                    ),
                ),
            ),
            Part(
                "derivative of u",
                setting=CHANGES,
                printed=(
                    Claim(
                        r"\frac{\mathrm d u_{\underline j}}{\mathrm d\underline W_t} ="
                        r" \exp(\mathsf C_{\underline j} \underline W) \odot"
                        r" \frac{\mathrm d(\mathsf C_{\underline j} \underline W)}"
                        r"{\mathrm d\underline W_t}"
                        r" = \mathsf C_{\underline j}[\cdot, t] \odot u_{\underline j}, \quad"
                        r" t \in [d^2]",
                        part_one,
                    ),
                ),
            ),
            Part(
                "the margin of the derivative of u",
                setting=CHANGES,
                printed=(
                    Claim(
                        r"\frac{\mathrm d(\mathsf C_{\underline j} \underline W)}"
                        r"{\mathrm d\underline W_t} = \frac{\mathrm d\mathsf C_{\underline j}}"
                        r"{\mathrm d\underline W_t} = \mathsf C_{\underline j}[\cdot, t]",
                        margin_with_c_alone,
                    ),
                    Claim(
                        r"\frac{\mathrm d(\mathsf C_{\underline j} \underline W)}"
                        r"{\mathrm d\underline W_t} = \mathsf C_{\underline j} e_t"
                        r" = \mathsf C_{\underline j}[\cdot, t]",
                        margin,
                        reading="the second term, the derivative of C_j alone, lacks its W and"
                        " repeats the first",
                    ),
                ),
                corrected=Claim(
                    r"\frac{\mathrm d(\mathsf C_{\underline j} \underline W)}"
                    r"{\mathrm d\underline W_t} = \mathsf C_{\underline j} e_t"
                    r" = \mathsf C_{\underline j}[\cdot, t]",
                    margin,
                ),
                severity=Severity.TYPO,
                problem="The second of the five terms is the derivative of the constant C_j, which"
                " is zero and a matrix; without it the chain holds.",
            ),
            Part(
                "derivative of alpha",
                setting=CHANGES,
                printed=(
                    Claim(
                        r"\frac{\mathrm d\alpha_{\underline j}}{\mathrm d\underline W_t} ="
                        r" \frac{\mathrm d \langle u_{\underline j}, \mathbb 1_L \rangle}"
                        r"{\mathrm d\underline W_t} = \langle \mathsf C_{\underline j}[\cdot, t]"
                        r" \odot u_{\underline j}, \mathbb 1_L \rangle ="
                        r" \langle \mathsf C_{\underline j}[\cdot, t], u_{\underline j} \rangle,"
                        r" \quad t \in [d^2]",
                        part_two,
                    ),
                ),
            ),
            Part(
                "combined",
                setting=CHANGES,
                printed=(
                    Claim(
                        rf"{_LOSS_ENTRY} = c_{{\underline j, i}} \big[\langle C^{{(3)}}[\cdot, i],"
                        r" \mathsf C_{\underline j}[\cdot, t] \odot f_{\underline j} \rangle"
                        r" - \langle C^{(3)}[\cdot, i], f_{\underline j} \rangle \cdot"
                        r" \langle \mathsf C_{\underline j}[\cdot, t], f_{\underline j} \rangle"
                        r"\big], \quad t \in [d^2]",
                        combined,
                    ),
                ),
            ),
            Part(
                "last line",
                setting=CHANGES,
                printed=(
                    Claim(
                        r"\frac{\mathrm d}{\mathrm d\underline W_i}"
                        rf" \big(\tfrac12 c_{{\underline j, i}}^2\big) = {SUMMAND}",
                        last_line_as_vectors,
                    ),
                    Claim(
                        rf"{_LOSS_ENTRY} = \Big({SUMMAND}\Big)[t], \quad t \in [d^2]",
                        last_line_by_entries,
                        reading="the left side is entry t of the right",
                    ),
                ),
                corrected=Claim(
                    rf"{_LOSS_ENTRY} = \Big({SUMMAND}\Big)[t], \quad t \in [d^2]",
                    last_line_by_entries,
                ),
                severity=Severity.NOTATION,
                problem="The left side is a number, the derivative in one entry of vec(W), and the"
                " right side the vector of all d^2 of them.",
            ),
        ),
        remark="Every other line is written with W_i and tried for every entry W_t, t up to d^2:"
        " with i, a column of C^(3), for the entry it is true but reaches d entries only.",
    ),
)
