"""Definition 1.1: LoRA, and the rank of its update."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations, permutations

from loracle_proofs.records.vectorization import entry
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import adapted_weight

__all__ = ["RECORDS"]


def _adapted(W0: Matrix, B: Matrix, A: Matrix, alpha: Scalar, r: int) -> Matrix:
    return adapted_weight(W0, B, A, alpha * Fraction(1, r))


def _has_no_full_rank(r: int, a: int, b: int) -> bool:
    return r < min(a, b)


LORA = Setting(
    "Definition 1.1",
    shapes={"W0": ("b", "a"), "B": ("b", "r"), "A": ("r", "a")},
    scalars=("alpha",),
    derived={"W": _adapted},
    constraint=_has_no_full_rank,
    limits={"r": 2},
)


def _even(order: tuple[int, ...]) -> bool:
    inversions = sum(first > second for first, second in combinations(order, 2))
    return inversions % 2 == 0


def _permutation_sums(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """The sums of products over the even and over the odd permutations: their difference is the
    determinant."""
    size = matrix.shape[0]
    zero = entry(matrix, 1, 1).scale(0)
    sums = {True: zero, False: zero}
    for order in permutations(range(size)):
        product = entry(matrix, 1, order[0] + 1)
        for i in range(1, size):
            product = product * entry(matrix, i + 1, order[i] + 1)
        sums[_even(order)] = sums[_even(order)] + product
    return sums[True], sums[False]


def _minors_beyond(matrix: Matrix, rank: int) -> Iterator[tuple[Matrix, Matrix]]:
    """The even and the odd sum of every minor of order rank + 1."""
    rows, columns = matrix.shape
    for chosen_rows in combinations(range(rows), rank + 1):
        for chosen_columns in combinations(range(columns), rank + 1):
            yield _permutation_sums(matrix.take_rows(chosen_rows).take_columns(chosen_columns))


def lora_update(W: Matrix, W0: Matrix, B: Matrix, A: Matrix, alpha: Scalar, r: int) -> Relation:
    """W = W* + (alpha / r) B A."""
    return equal(W.scale(r), W0.scale(r) + (B @ A).scale(alpha))


def update_has_rank_at_most_r(W: Matrix, W0: Matrix, r: int) -> list[Relation]:
    """Every minor of W - W* of order r + 1 is zero: its even permutations sum to its odd ones."""
    return [equal(even, odd) for even, odd in _minors_beyond(W - W0, r)]


DEFINITION_1_1 = Record(
    "Definition 1.1",
    title="LoRA",
    kind=Kind.DEFINITION,
    printed=r"W = W^\star + \frac{\alpha}{r} B A,\quad W^\star \in \mathbb{R}^{b \times a},\;"
    r" B \in \mathbb{R}^{b \times r},\ A \in \mathbb{R}^{r \times a},\quad r < \min(a, b),\;"
    r" \alpha \in \mathbb{R}",
    parts=(
        Part(
            "the adapted weight",
            setting=LORA,
            printed=(Claim(r"W = W^\star + \frac{\alpha}{r} B A", lora_update),),
        ),
        Part(
            "the rank of the update",
            setting=LORA,
            printed=(
                Claim(
                    r"\operatorname{rank}(W - W^\star) \le r",
                    update_has_rank_at_most_r,
                    equivalent={
                        "update_has_rank_at_most_r: W - W0 -> W0 - W": "A matrix and its negative"
                        " have the same rank."
                    },
                ),
            ),
        ),
    ),
    remark="r bounds the rank of B A from above: B = 0, where training usually starts, gives rank"
    " zero. The strict inequality r < min(a, b) is used in no proof; Theorem A.1 repeats"
    " it, and Theorem 3.1, with r = L^o(1) and d = O(log L), does not. The definition allows"
    " alpha = 0; (3.2) and (3.3) divide by alpha.",
)

RECORDS = (DEFINITION_1_1,)
