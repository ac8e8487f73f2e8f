"""Lemma F.2 and its proof: the matrix T(m, n) that transposes in vec."""

from __future__ import annotations

from loracle_proofs.records.jacobians.printed_jacobians import BY_COLUMNS
from loracle_proofs.records.score_definitions.settings import Constant
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import transposition, transposition_order, vec

__all__ = ["RECORDS", "printed_transposition"]


def printed_transposition(m: int, n: int) -> list[list[int]]:
    """T(m, n) as Lemma F.2 prints it: T[(p-1) n + k, (k-1) m + p] = 1, all else 0."""
    rows = [[0] * (m * n) for _ in range(m * n)]
    for p in range(1, m + 1):
        for k in range(1, n + 1):
            rows[(p - 1) * n + k - 1][(k - 1) * m + p - 1] = 1
    return rows


RECTANGLE = Setting("Lemma F.2", shapes={"W": ("m", "n")})

SQUARE = Setting("Lemma F.2 for square matrices", shapes={"W": ("d", "d")})


def printed_transposed(W: Matrix, m: int, n: int, constant: Constant) -> Relation:
    """vec(W^T) = T(m, n) vec(W) with the T of the text."""
    return equal(vec(W.T), constant(printed_transposition(m, n)) @ vec(W))


def transposed_by_columns(W: Matrix, m: int, n: int, constant: Constant) -> Relation:
    """The same with vec stacking columns: that of W^T is the rows of W."""
    return equal(vec(W), constant(printed_transposition(m, n)) @ vec(W.T))


def transposed(W: Matrix, m: int, n: int, constant: Constant) -> list[Relation]:
    """vec(W^T) = T(m, n) vec(W) with T[(k-1) m + p, (p-1) n + k] = 1."""
    return [
        equal(vec(W.T), constant(transposition(m, n)) @ vec(W)),
        equal(vec(W.T), vec(W).take_rows(transposition_order(m, n))),
    ]


def one_in_each_row(m: int, n: int, constant: Constant) -> list[Relation]:
    """T(m, n) has one entry other than zero in each row and column; T(n, m) = T(m, n)^T."""
    rows = printed_transposition(m, n)
    return [
        *(equal(sum(entry != 0 for entry in row), 1) for row in rows),
        *(equal(sum(entry != 0 for entry in column), 1) for column in zip(*rows, strict=True)),
        equal(constant(printed_transposition(n, m)), constant(rows).T),
    ]


def square_transposed(W: Matrix, d: int, constant: Constant) -> list[Relation]:
    """T(d, d) of the text transposes, twice to no effect; a permutation, it is symmetric."""
    T = printed_transposition(d, d)
    return [
        equal(vec(W.T), constant(T) @ vec(W)),
        equal(vec(W), constant(T) @ vec(W.T)),
    ]


def _entry(W: Matrix, p: int, k: int) -> Matrix:
    return W.take_rows([p]).take_columns([k])


def printed_position(W: Matrix, m: int, n: int) -> list[Relation]:
    """W[p, k] stands at (k-1) m + p of vec(W), p and k counted from 0 here."""
    return [
        equal(_entry(W, p, k), vec(W).take_rows([k * m + p])) for p in range(m) for k in range(n)
    ]


def position(W: Matrix, m: int, n: int) -> list[Relation]:
    """W[p, k] stands at (p-1) n + k of vec(W), p and k counted from 0 here."""
    return [
        equal(_entry(W, p, k), vec(W).take_rows([p * n + k])) for p in range(m) for k in range(n)
    ]


def printed_position_of_transpose(W: Matrix, m: int, n: int) -> list[Relation]:
    """W[p, k] stands at (p-1) n + k of vec(W^T), p and k counted from 0 here."""
    return [
        equal(_entry(W, p, k), vec(W.T).take_rows([p * n + k])) for p in range(m) for k in range(n)
    ]


def position_of_transpose(W: Matrix, m: int, n: int) -> list[Relation]:
    """W[p, k] stands at (k-1) m + p of vec(W^T), p and k counted from 0 here."""
    return [
        equal(_entry(W, p, k), vec(W.T).take_rows([k * m + p])) for p in range(m) for k in range(n)
    ]


def printed_rows_of_t(W: Matrix, m: int, n: int, constant: Constant) -> list[Relation]:
    """vec(W^T)[i] = T[i, .] vec(W) = T[i, j] vec(W)[j] for i = (p-1) n + k, j = (k-1) m + p."""
    T = constant(printed_transposition(m, n))
    relations = []
    for p in range(m):
        for k in range(n):
            i, j = p * n + k, k * m + p
            row = T.take_rows([i])
            relations.append(equal(vec(W.T).take_rows([i]), row @ vec(W)))
            relations.append(equal(row @ vec(W), row.take_columns([j]) @ vec(W).take_rows([j])))
    return relations


def rows_of_t(W: Matrix, m: int, n: int, constant: Constant) -> list[Relation]:
    """vec(W^T)[i] = T[i, .] vec(W) = T[i, j] vec(W)[j] for i = (k-1) m + p, j = (p-1) n + k."""
    T = constant(transposition(m, n))
    relations = []
    for p in range(m):
        for k in range(n):
            i, j = k * m + p, p * n + k
            row = T.take_rows([i])
            relations.append(equal(vec(W.T).take_rows([i]), row @ vec(W)))
            relations.append(equal(row @ vec(W), row.take_columns([j]) @ vec(W).take_rows([j])))
    return relations


RECORDS = (
    Record(
        "Lemma F.2",
        title="Transposition as a permutation of vec",
        kind=Kind.LEMMA,
        printed=r"\underline{W}^{\top} = T(m,n)\, \underline W, \quad"
        r" W \in \mathbb R^{m \times n}, \quad T(m,n)[i,j] ="
        r" \begin{cases} 1, & j = (k-1)m + p \\ 0, & \text{otherwise} \end{cases}, \quad"
        r" i = (p-1)n + k",
        corrected=r"\operatorname{vec}(W^{\top}) = T(m,n) \operatorname{vec}(W), \quad"
        r" W \in \mathbb R^{m \times n}, \quad T(m,n)[i,j] ="
        r" \begin{cases} 1, & j = (p-1)n + k \\ 0, & \text{otherwise} \end{cases}, \quad"
        r" i = (k-1)m + p",
        uses=("Definition 2.1",),
        parts=(
            Part(
                "T transposes",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W^{\top}) = T(m,n) \operatorname{vec}(W), \quad"
                        r" T(m,n)[(p-1)n + k, (k-1)m + p] = 1",
                        printed_transposed,
                    ),
                ),
                corrected=Claim(
                    r"\operatorname{vec}(W^{\top}) = T(m,n) \operatorname{vec}(W), \quad"
                    r" T(m,n)[(k-1)m + p, (p-1)n + k] = 1",
                    transposed,
                    code=(transposition, transposition_order),
                ),
                severity=Severity.NOTATION,
                problem="The lemma mixes row-major and column-major: with the row-major vec of"
                " Definition 2.1 the printed matrix is the transpose of the one that is claimed and"
                " takes vec(W^T) to vec(W). The only use, m = n = d, is unaffected.",
            ),
            Part(
                "T transposes by columns",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W) = T(m,n) \operatorname{vec}(W^{\top}), \quad"
                        r" T(m,n)[(p-1)n + k, (k-1)m + p] = 1",
                        transposed_by_columns,
                        reading=BY_COLUMNS,
                    ),
                ),
                severity=Severity.NOTATION,
                problem="The printed matrix is right for a vec that stacks columns, which is not"
                " the vec of Definition 2.1.",
            ),
            Part(
                "T is sparse",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"\#\{j : T(m,n)[i,j] \neq 0\} = 1, \quad"
                        r" \#\{i : T(m,n)[i,j] \neq 0\} = 1, \quad T(n,m) = T(m,n)^{\top}",
                        one_in_each_row,
                    ),
                ),
            ),
            Part(
                "T for square matrices",
                setting=SQUARE,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W^{\top}) = T(d,d) \operatorname{vec}(W), \quad"
                        r" \operatorname{vec}(W) = T(d,d) \operatorname{vec}(W^{\top}), \quad"
                        r" W \in \mathbb R^{d \times d}",
                        square_transposed,
                        code=(printed_transposition,),
                    ),
                ),
            ),
        ),
        remark="The lemma is used for square weights only, where the printed matrix and the right"
        " one are the same: T(d, d) is symmetric and its own inverse. The underlined W with a"
        " transposition is read as vec(W^T), not as the row vec(W)^T; the source draws the line"
        " under W alone, and how far it reaches in print cannot be told.",
    ),
    Record(
        "Proof of Lemma F.2",
        title="Positions of an entry",
        kind=Kind.PROOF,
        printed=r"W[p,k] = \underline W[(k-1)m + p], \quad"
        r" W[p,k] = \underline W^{\top}[(p-1)n + k], \quad"
        r" \underline W^{\top}[i] = T(m,n)[i,\cdot]\, \underline W"
        r" = T(m,n)[i,j]\, \underline W[j]",
        corrected=r"W[p,k] = \operatorname{vec}(W)[(p-1)n + k], \quad"
        r" W[p,k] = \operatorname{vec}(W^{\top})[(k-1)m + p], \quad"
        r" \operatorname{vec}(W^{\top})[i] = T(m,n)[i,\cdot] \operatorname{vec}(W)"
        r" = T(m,n)[i,j] \operatorname{vec}(W)[j]",
        uses=("Definition 2.1", "Lemma F.2"),
        parts=(
            Part(
                "position in vec(W)",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"W[p,k] = \operatorname{vec}(W)[(k-1)m + p]",
                        printed_position,
                    ),
                ),
                corrected=Claim(r"W[p,k] = \operatorname{vec}(W)[(p-1)n + k]", position),
                severity=Severity.NOTATION,
                problem="By Definition 2.1 the entry stands at (p-1)n + k; the printed position is"
                " that of the column-major vec. The only use of T, m = n = d, is unaffected, as"
                " both positions are exchanged.",
            ),
            Part(
                "position in vec(W^T)",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"W[p,k] = \operatorname{vec}(W^{\top})[(p-1)n + k]",
                        printed_position_of_transpose,
                    ),
                ),
                corrected=Claim(
                    r"W[p,k] = \operatorname{vec}(W^{\top})[(k-1)m + p]", position_of_transpose
                ),
                severity=Severity.NOTATION,
                problem="By Definition 2.1 the entry stands at (k-1)m + p, as W^T has m columns;"
                " the printed position is that of the column-major vec. The only use of T,"
                " m = n = d, is unaffected, as both positions are exchanged.",
            ),
            Part(
                "rows of T",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W^{\top})[i] = T(m,n)[i,\cdot] \operatorname{vec}(W)"
                        r" = T(m,n)[i,j] \operatorname{vec}(W)[j], \quad i = (p-1)n + k, \quad"
                        r" j = (k-1)m + p",
                        printed_rows_of_t,
                    ),
                ),
                corrected=Claim(
                    r"\operatorname{vec}(W^{\top})[i] = T(m,n)[i,\cdot] \operatorname{vec}(W)"
                    r" = T(m,n)[i,j] \operatorname{vec}(W)[j], \quad i = (k-1)m + p, \quad"
                    r" j = (p-1)n + k",
                    rows_of_t,
                    equivalent={
                        "rows_of_t: row.take_columns([j]) @ vec(W).take_rows([j]) -> "
                        "vec(W).take_rows([j]) @ row.take_columns([j])": "Two numbers commute.",
                        "rows_of_t: row.take_columns([j]) @ vec(W).take_rows([j]) -> "
                        "vec(W).take_rows([j])": "The entry T[i, j] that it drops is one.",
                    },
                ),
                severity=Severity.NOTATION,
                problem="The first equality fails with the printed positions unless m = n, m = 1"
                " or n = 1; the second holds. The only use, m = n = d, is unaffected.",
            ),
        ),
        remark="Both positions, and so the whole proof, are right for a vec that stacks columns.",
    ),
)
