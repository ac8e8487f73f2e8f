"""Section 2, the tensor trick: Definitions 2.1 to 2.4 and Lemma 2.1."""

from __future__ import annotations

from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import kronecker, vec

__all__ = ["RECORDS"]

MATRICES = Setting(
    "Lemma 2.1",
    shapes={"A": ("La", "da"), "B": ("Lb", "db"), "X": ("da", "db")},
)


def tensor_trick(A: Matrix, B: Matrix, X: Matrix) -> Relation:
    """vec(A X B^T) = (A (x) B) vec(X)."""
    return equal(vec(A @ X @ B.T), kronecker(A, B) @ vec(X))


RECORDS = (
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
        r" vec of most textbooks the factors change places: (B \otimes A).",
    ),
)
