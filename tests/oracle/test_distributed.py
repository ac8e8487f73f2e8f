"""Every operation of a kernel that distributes its sums, against the operations on their terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from loracle.judgement.distributed import Distributed, DistributedMatrix
from loracle_reference.arithmetic.shapes import ShapeError
from loracle_reference.arithmetic.stochastic import Stochastic, StochasticMatrix
from loracle_reference.floating_point import machine_model

X, Y, Z = np.random.default_rng(0).uniform(0.5, 2.0, (3, 3, 3))
COLUMN, OTHER = np.random.default_rng(1).uniform(0.5, 2.0, (2, 3, 1))


def stochastic() -> Stochastic:
    """With the same random stream every time."""
    return Stochastic(machine_model("widest", "bfloat16"), samples=8, seed=5)


def minus(matrix: StochasticMatrix) -> StochasticMatrix:
    """A change of sign rounds nothing."""
    return StochasticMatrix(-matrix.samples, matrix.arithmetic)


# Of two sums, x + y and x - z, and of two columns' sum; then of x, y, z and the columns themselves.
OPERATIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "add": (lambda s, d, c: s + d, lambda x, y, z, c, o: x + y + x + minus(z)),
    "sub": (lambda s, d, c: s - d, lambda x, y, z, c, o: x + y + minus(x) + z),
    "transpose": (lambda s, d, c: d.T, lambda x, y, z, c, o: x.T + minus(z).T),
    "matmul": (
        lambda s, d, c: s @ d,
        lambda x, y, z, c, o: terms(x @ x, x @ minus(z), y @ x, y @ minus(z)),
    ),
    "scale": (
        lambda s, d, c: s.scale(0.3),
        lambda x, y, z, c, o: terms(x.scale(0.3), y.scale(0.3)),
    ),
    "mul": (lambda s, d, c: s * d, lambda x, y, z, c, o: (x + y) * (x + minus(z))),
    "row_sum": (lambda s, d, c: s.row_sum(), lambda x, y, z, c, o: (x + y).row_sum()),
    "exp": (lambda s, d, c: s.exp(), lambda x, y, z, c, o: (x + y).exp()),
    "scale_rows": (
        lambda s, d, c: s.scale_rows(c),
        lambda x, y, z, c, o: (x + y).scale_rows(c + o),
    ),
    "divide_rows": (
        lambda s, d, c: s.divide_rows(c),
        lambda x, y, z, c, o: (x + y).divide_rows(c + o),
    ),
    "face_splitting": (
        lambda s, d, c: s.face_splitting(c),
        lambda x, y, z, c, o: (x + y).face_splitting(c + o),
    ),
    "reshape": (lambda s, d, c: s.reshape(9, 1), lambda x, y, z, c, o: (x + y).reshape(9, 1)),
    "take_rows": (
        lambda s, d, c: s.take_rows([2, 0]),
        lambda x, y, z, c, o: x.take_rows([2, 0]) + y.take_rows([2, 0]),
    ),
    "beside": (lambda s, d, c: s.beside(c), lambda x, y, z, c, o: (x + y).beside(c + o)),
    "softmax_rows": (
        lambda s, d, c: s.softmax_rows(),
        lambda x, y, z, c, o: (x + y).softmax_rows(),
    ),
    "causal_softmax_rows": (
        lambda s, d, c: s.causal_softmax_rows(),
        lambda x, y, z, c, o: (x + y).causal_softmax_rows(),
    ),
}


def terms(first: StochasticMatrix, *others: StochasticMatrix) -> StochasticMatrix:
    """Added up after all of them were computed."""
    for one in others:
        first = first + one
    return first


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_is_that_on_every_term_or_on_the_sum(operation: str) -> None:
    """Catches a term that is lost or has the wrong sign, and a sum that is rounded too early."""
    of_sums, of_terms = OPERATIONS[operation]
    distributed, plain = Distributed(stochastic()), stochastic()
    x, y, z, column, other = (distributed.matrix(m) for m in (X, Y, Z, COLUMN, OTHER))
    found = of_sums(x + y, x - z, column + other)
    assert isinstance(found, DistributedMatrix)
    expected = of_terms(*(plain.matrix(m) for m in (X, Y, Z, COLUMN, OTHER)))
    assert found.shape == expected.shape
    assert np.array_equal(found.formed.samples, expected.samples)


def test_a_sum_is_rounded_once_and_kept() -> None:
    x, y = (Distributed(stochastic()).matrix(m) for m in (X, Y))
    both = x + y
    once = both.formed.samples
    assert not np.array_equal(once, np.broadcast_to(X + Y, (8, 3, 3)))
    assert both.formed.samples is once


def test_terms_that_cancel_leave_their_roundings() -> None:
    """A difference that is formed first is exactly zero."""
    distributed, plain = Distributed(stochastic()), stochastic()
    x, z = distributed.matrix(X), distributed.matrix(Z)
    apart = ((x - x) @ z).formed.samples
    assert 2.0**-11 < apart.std() / (X @ Z).mean() < 2.0**-6
    assert not ((plain.matrix(X) - plain.matrix(X)) @ plain.matrix(Z)).samples.any()


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_matrices_of_different_shapes_are_refused(sign: int) -> None:
    """Before they are formed, so that the message names the two."""
    x, column = (Distributed(stochastic()).matrix(m) for m in (X, COLUMN))
    with pytest.raises(ShapeError, match="equal"):
        _ = x + column if sign > 0 else x - column
