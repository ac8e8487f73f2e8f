"""Section 2, the tensor trick: Definitions 2.1 to 2.4 and Lemma 2.1.

Indices here count from 1, as the paper's do; `entry` and `indices` translate.
"""

from __future__ import annotations

from typing import TypeVar

from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import kronecker, mat, sub_block, vec

__all__ = ["RECORDS", "column", "entry", "indices", "row"]

M = TypeVar("M", bound=Matrix)


def indices(size: int) -> range:
    """[size] = {1, ..., size}."""
    return range(1, size + 1)


def row(x: M, i: int) -> M:
    """X[i, .], of shape (1, columns); i counts from 1. Raises IndexError if there is none."""
    return x.take_rows([i - 1])


def column(x: M, j: int) -> M:
    """X[., j], of shape (rows, 1); j counts from 1. Raises IndexError if there is none."""
    return x.take_columns([j - 1])


def entry(x: M, i: int, j: int) -> M:
    """X[i, j], of shape (1, 1); both count from 1. Raises IndexError if there is none."""
    return column(row(x, i), j)


def _vectorized(X: Matrix) -> Matrix:
    return vec(X)


MATRIX = Setting("Definition 2.1", shapes={"X": ("L", "d")}, derived={"x": _vectorized})
"""Every vector of length L d is vec(X) of exactly one X, so x stands for any such vector."""

MATRICES = Setting(
    "Lemma 2.1",
    shapes={"A": ("La", "da"), "B": ("Lb", "db"), "X": ("da", "db")},
)


def vectorization(X: Matrix, L: int, d: int) -> list[Relation]:
    """X_{i,j} = vec(X)_{(i-1)d+j}."""
    return [
        equal(entry(X, i, j), entry(vec(X), (i - 1) * d + j, 1))
        for i in indices(L)
        for j in indices(d)
    ]


def entry_equal_to_matrix(X: Matrix, x: Matrix, L: int, d: int) -> list[Relation]:
    """X_{i,j} = mat(x), the matrix."""
    return [equal(entry(X, i, j), mat(x, L, d)) for i in indices(L) for j in indices(d)]


def matrixization(X: Matrix, x: Matrix, L: int, d: int) -> list[Relation]:
    """X_{i,j} = mat(x)_{i,j} = x_{(i-1)d+j}."""
    return [
        relation
        for i in indices(L)
        for j in indices(d)
        for relation in (
            equal(entry(X, i, j), entry(mat(x, L, d), i, j)),
            equal(entry(mat(x, L, d), i, j), entry(x, (i - 1) * d + j, 1)),
        )
    ]


def inverse_of_vectorization(X: Matrix, x: Matrix, L: int, d: int) -> list[Relation]:
    """mat(vec(X)) = X and vec(mat(x)) = x."""
    return [equal(mat(vec(X), L, d), X), equal(vec(mat(x, L, d)), x)]


def kronecker_entries(A: Matrix, B: Matrix, La: int, da: int, Lb: int, db: int) -> list[Relation]:
    """(A (x) B)_{(i_a-1) L_b + i_b, (j_a-1) d_b + j_b} = A_{i_a,j_a} B_{i_b,j_b}."""
    return [
        equal(
            entry(kronecker(A, B), (ia - 1) * Lb + ib, (ja - 1) * db + jb),
            entry(A, ia, ja) * entry(B, ib, jb),
        )
        for ia in indices(La)
        for ja in indices(da)
        for ib in indices(Lb)
        for jb in indices(db)
    ]


def sub_blocks(A: Matrix, B: Matrix, La: int, Lb: int) -> list[Relation]:
    """Rows (j-1) L_b + 1 to j L_b of A (x) B, the j-th block of L_b rows, are A[j, .] (x) B."""
    return [
        relation
        for j in indices(La)
        for relation in (
            equal(sub_block(kronecker(A, B), j - 1, Lb), kronecker(row(A, j), B)),
            *(
                equal(
                    row(sub_block(kronecker(A, B), j - 1, Lb), i),
                    row(kronecker(A, B), (j - 1) * Lb + i),
                )
                for i in indices(Lb)
            ),
        )
    ]


def sub_block_of_product(A: Matrix, B: Matrix, X: Matrix, La: int, Lb: int) -> list[Relation]:
    """(A (x) B)_j vec(X) = ((A X B^T)[j, .])^T."""
    return [
        equal(sub_block(kronecker(A, B), j - 1, Lb) @ vec(X), row(A @ X @ B.T, j).T)
        for j in indices(La)
    ]


def tensor_trick(A: Matrix, B: Matrix, X: Matrix) -> Relation:
    """vec(A X B^T) = (A (x) B) vec(X)."""
    return equal(vec(A @ X @ B.T), kronecker(A, B) @ vec(X))


RECORDS = (
    Record(
        "Definition 2.1",
        title="Vectorisation",
        kind=Kind.DEFINITION,
        printed=r"\underline{X} := \operatorname{vec}(X) \in \mathbb{R}^{Ld},\quad"
        r" X_{i,j} = \underline{X}_{(i-1)d+j},\quad i \in [L],\ j \in [d]",
        parts=(
            Part(
                "index formula",
                setting=MATRIX,
                printed=(
                    Claim(
                        r"X_{i,j} = \underline{X}_{(i-1)d+j}",
                        vectorization,
                        code=(vec,),
                    ),
                ),
            ),
        ),
        remark="The rows follow one another: row-major, not the column-major vec of most of the"
        " literature, which is vec of the transpose. The paper underlines vectorised matrices and"
        " also the row index j, where the line means nothing.",
    ),
    Record(
        "Definition 2.2",
        title="Matrixisation",
        kind=Kind.DEFINITION,
        printed=r"\operatorname{mat}(\underline{X}) = X,\quad"
        r" X_{i,j} = \operatorname{mat}(\underline{X}) := \underline{X}_{(i-1)d+j},\quad"
        r" \operatorname{mat} = \operatorname{vec}^{-1}",
        corrected=r"X_{i,j} = \operatorname{mat}(\underline{X})_{i,j} :="
        r" \underline{X}_{(i-1)d+j},\quad \operatorname{mat} = \operatorname{vec}^{-1}",
        uses=("Definition 2.1",),
        parts=(
            Part(
                "index formula",
                setting=MATRIX,
                printed=(
                    Claim(
                        r"X_{i,j} = \operatorname{mat}(\underline{X})",
                        entry_equal_to_matrix,
                    ),
                    Claim(
                        r"X_{i,j} = \operatorname{mat}(\underline{X})_{i,j} ="
                        r" \underline{X}_{(i-1)d+j}",
                        matrixization,
                        reading="mat(X) between the equality signs stands for its entry (i, j)",
                    ),
                ),
                corrected=Claim(
                    r"X_{i,j} = \operatorname{mat}(\underline{X})_{i,j} ="
                    r" \underline{X}_{(i-1)d+j}",
                    matrixization,
                ),
                severity=Severity.NOTATION,
                problem="An entry is set equal to a whole matrix: the index of mat(X) is missing.",
            ),
            Part(
                "inverse of vec",
                setting=MATRIX,
                printed=(
                    Claim(
                        r"\operatorname{mat}(\operatorname{vec}(X)) = X,\quad"
                        r" \operatorname{vec}(\operatorname{mat}(\underline{X})) = \underline{X}",
                        inverse_of_vectorization,
                    ),
                ),
            ),
        ),
        remark="mat depends on L and d as well as on the vector: a vector of length 6 is the vec of"
        " matrices of four shapes.",
    ),
    Record(
        "Definition 2.3",
        title="Kronecker product",
        kind=Kind.DEFINITION,
        printed=r"(A \otimes B)_{(i_a-1)L_b+i_b,\,(j_a-1)d_b+j_b} = A_{i_a,j_a} B_{i_b,j_b}",
        parts=(
            Part(
                "index formula",
                setting=MATRICES,
                printed=(
                    Claim(
                        r"(A \otimes B)_{(i_a-1)L_b+i_b,\,(j_a-1)d_b+j_b} ="
                        r" A_{i_a,j_a} B_{i_b,j_b}",
                        kronecker_entries,
                        code=(kronecker,),
                    ),
                ),
            ),
        ),
    ),
    Record(
        "Definition 2.4",
        title="Sub-block of a Kronecker product",
        kind=Kind.DEFINITION,
        printed=r"\mathsf{A} := A \otimes B \in \mathbb{R}^{L_a L_b \times d_a d_b},\quad"
        r" \mathsf{A}_{j} \in \mathbb{R}^{L_b \times d_a d_b},\quad j \in [L_a]",
        uses=("Definition 2.1", "Definition 2.3"),
        parts=(
            Part(
                "which rows",
                setting=MATRICES,
                printed=(
                    Claim(
                        r"\mathsf{A}_{j} = \mathsf{A}[(j-1)L_b+1, \ldots, jL_b\,;\,\cdot]"
                        r" = A[j,\cdot] \otimes B",
                        sub_blocks,
                    ),
                ),
            ),
            Part(
                "what a block selects",
                setting=MATRICES,
                printed=(
                    Claim(
                        r"\mathsf{A}_{j}\,\underline{X} ="
                        r" ((A X B^{\mathsf T})[j,\cdot])^{\mathsf T}",
                        sub_block_of_product,
                    ),
                ),
            ),
        ),
        ocr="The text has one letter A for the factor and for the product; elsewhere the product is"
        " set in another face (sans-serif A, C), which the source may have lost here.",
        remark="The definition does not say which rows block j has; they are the consecutive ones,"
        " and the second part is the use that Definitions 3.2 and 3.3 make of it.",
    ),
    Record(
        "Lemma 2.1",
        title="Tensor trick",
        kind=Kind.LEMMA,
        printed=r"\operatorname{vec}(A X B^{\mathsf T}) = (A \otimes B)\,\underline{X}",
        uses=("Definition 2.1", "Definition 2.3"),
        parts=(
            Part(
                "identity",
                setting=MATRICES,
                printed=(
                    Claim(
                        r"\operatorname{vec}(A X B^{\mathsf T}) = (A \otimes B)\,\underline{X}",
                        tensor_trick,
                        code=(vec, kronecker),
                    ),
                ),
            ),
        ),
        remark="It is Definition 2.1's row-major vec that makes this true; for the column-major"
        " vec of most textbooks the factors change places: B (x) A.",
    ),
)
