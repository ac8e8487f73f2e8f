"""The derivatives in the entries of W of all that the loss of Section 3 is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from loracle_proofs.records.score_definitions.settings import ANY_KEYS, Constant
from loracle_proofs.setting import Setting
from loracle_reference.arithmetic.protocol import HALF, Matrix
from loracle_reference.attention import attention_probabilities
from loracle_reference.differentiation import directional_derivative
from loracle_reference.gradient import normalization, unnormalized_scores
from loracle_reference.vectorization import kronecker

__all__ = ["CHANGES"]


def _scores(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return C1 @ W @ C2.T


def _u(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return unnormalized_scores(C1 @ W, C2)


def _alpha(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return normalization(unnormalized_scores(C1 @ W, C2))


def _quotient(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    u = unnormalized_scores(C1 @ W, C2)
    return u.divide_rows(normalization(u))


def _f(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return attention_probabilities(C1 @ W, C2)


def _attended(C1: Matrix, W: Matrix, C2: Matrix, C3: Matrix) -> Matrix:
    return attention_probabilities(C1 @ W, C2) @ C3


def _losses(C1: Matrix, W: Matrix, C2: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    c = attention_probabilities(C1 @ W, C2) @ C3 - Y
    return (c * c).scale(HALF)


def _tensor(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return kronecker(C1, C2)


def _changes(
    quantity: Callable[..., Matrix], matrices: dict[str, Matrix], constant: Constant
) -> list[Matrix]:
    """The derivatives of a quantity in the entries of W, in the order of vec(W)."""
    rows, columns = matrices["W"].shape
    changes: list[Matrix] = []
    for t in range(rows * columns):
        entries = [[int(i * columns + j == t) for j in range(columns)] for i in range(rows)]
        direction = {"W": constant(entries)}
        changes.append(directional_derivative(quantity, matrices, direction, {}))
    return changes


def _changes_of(quantity: Callable[..., Matrix]) -> Callable[..., list[Matrix]]:
    def changes(C1: Matrix, W: Matrix, C2: Matrix, constant: Constant) -> list[Matrix]:
        return _changes(quantity, {"C1": C1, "W": W, "C2": C2}, constant)

    return changes


def _changes_of_attended(
    C1: Matrix, W: Matrix, C2: Matrix, C3: Matrix, constant: Constant
) -> list[Matrix]:
    return _changes(_attended, {"C1": C1, "W": W, "C2": C2, "C3": C3}, constant)


def _changes_of_losses(
    C1: Matrix, W: Matrix, C2: Matrix, C3: Matrix, Y: Matrix, constant: Constant
) -> list[Matrix]:
    return _changes(_losses, {"C1": C1, "W": W, "C2": C2, "C3": C3, "Y": Y}, constant)


CHANGES: Setting = replace(
    ANY_KEYS,
    name="Proof of Lemma 3.1",
    derived={
        **ANY_KEYS.derived,
        "u": _u,
        "alpha": _alpha,
        "d_tensor": _changes_of(_tensor),
        "d_scores": _changes_of(_scores),
        "d_u": _changes_of(_u),
        "d_alpha": _changes_of(_alpha),
        "d_quotient": _changes_of(_quotient),
        "d_f": _changes_of(_f),
        "d_attended": _changes_of_attended,
        "d_losses": _changes_of_losses,
    },
)
"""d_x[t] is the derivative of x in entry t of vec(W), by dual numbers: x is u, alpha, u / alpha,
f, f C3, the matrix of all c_ji^2 / 2, the scores C1 W C2^T, or C = C1 (x) C2."""
