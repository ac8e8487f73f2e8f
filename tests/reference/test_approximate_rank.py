"""The rank that nothing gets around: the bound, the codes, and the refuted lemma."""

from __future__ import annotations

from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.approximate_rank import (
    BinaryCode,
    FullRankInstance,
    distance_to_identity,
    identity_rank_lower_bound,
    printed_threshold_counterexample,
)
from loracle_reference.arithmetic import Ball
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.attention import attention_probabilities
from loracle_reference.norm_conditions import required_rank
from loracle_reference.norms import Norms


def rank(entries: list[list[Fraction]]) -> int:
    """The exact rank."""
    rows, columns = len(entries), len(entries[0])
    flat = [flint.fmpq(e.numerator, e.denominator) for row in entries for e in row]
    return int(flint.fmpq_mat(rows, columns, flat).rank())


def identity_distance(entries: list[list[Fraction]]) -> Fraction:
    """The max norm of the difference to the identity."""
    return max(abs(e - (i == j)) for i, row in enumerate(entries) for j, e in enumerate(row))


def explicit(instance: FullRankInstance) -> BallMatrix:
    """f of the instance, in balls, from the definition."""
    ball = Ball(120)
    c1 = ball.matrix(instance.code.signs()).scale(instance.gamma)
    return attention_probabilities(c1, c1, instance.beta)


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, Fraction(1, 8), Fraction(1, 2), 1]),
)
def test_no_matrix_has_less_than_the_bound(size: int, inner: int, seed: int, mix: Fraction) -> None:
    """Random low-rank matrices, not symmetric, with the identity mixed in to come near it."""
    generator = np.random.default_rng(seed)
    left = generator.integers(-4, 5, (size, inner))
    right = generator.integers(-4, 5, (inner, size))
    entries = [
        [Fraction(int(entry), 64) * (1 - mix) + mix * (i == j) for j, entry in enumerate(row)]
        for i, row in enumerate(left @ right)
    ]
    distance = identity_distance(entries)
    if distance < 1:
        assert rank(entries) >= identity_rank_lower_bound(size, distance)


@pytest.mark.parametrize("size", [2, 3, 7, 12])
def test_a_simplex_attains_the_bound(size: int) -> None:
    """I - J / n has rank n - 1 and lies 1 / n from I: no bound can exceed n - 1 there."""
    simplex = [[Fraction(i == j) - Fraction(1, size) for j in range(size)] for i in range(size)]
    assert identity_distance(simplex) == Fraction(1, size)
    assert rank(simplex) == size - 1 == identity_rank_lower_bound(size, Fraction(1, size))


def test_the_bound_without_the_diagonal_is_refuted() -> None:
    """epsilon in the place of eta = epsilon / (1 - epsilon), as if the diagonal were one."""
    size, epsilon = 3, Fraction(1, 3)
    simplex = [[Fraction(i == j) - epsilon for j in range(size)] for i in range(size)]
    assert rank(simplex) < size / (1 + (size - 1) * epsilon**2)
    assert rank(simplex) >= identity_rank_lower_bound(size, epsilon)


def test_nearer_than_one_over_n_the_rank_is_full() -> None:
    assert identity_rank_lower_bound(1000, Fraction(999, 10**6)).__ceil__() == 1000
    assert identity_rank_lower_bound(1000, 0) == 1000


@given(
    st.integers(1, 5).flatmap(
        lambda bits: st.tuples(
            st.lists(st.integers(0, 2**9 - 1), min_size=bits, max_size=bits), st.just(9)
        )
    )
)
def test_distances_are_those_of_all_pairs(code: tuple[list[int], int]) -> None:
    made = BinaryCode(tuple(code[0]), code[1])
    signs = np.array(made.signs())
    assert signs.shape == (made.length, 9)
    distances = (9 - signs @ signs.T) // 2
    for word in range(made.length):
        others = np.delete(distances[word], word)
        counted = {int(d): int((others == d).sum()) for d in others}
        assert counted == made.distances()


@pytest.mark.parametrize("gamma", [1, Fraction(1, 2), 2])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_distance_to_the_identity_is_that_of_f(bits: int, gamma: Fraction) -> None:
    instance = printed_threshold_counterexample(bits, gamma)
    identity = Ball(120).matrix(np.eye(instance.length))
    actual = Norms.of(explicit(instance) - identity).maximum
    assert abs(actual - instance.identity_distance) < Fraction(1, 2**50)


def test_no_distance_exceeds_one() -> None:
    """A negative beta: the other words have all the weight, and rounding goes up."""
    code = BinaryCode((1, 2, 4, 8), 4)
    assert distance_to_identity(code, 3, -5) == 1


def test_a_distance_from_the_nearest_word_alone_is_refuted() -> None:
    """exp(-2 gamma^2 minimum distance), as if one other word were all of them."""
    code = printed_threshold_counterexample(4).code
    nearest = min(code.distances())
    assert distance_to_identity(code, 1) > Fraction(float(np.exp(-2.0 * nearest)))


@pytest.mark.parametrize("bits", range(1, 13))
def test_lemma_3_3_as_printed_is_refuted_at_every_length(bits: int) -> None:
    instance = printed_threshold_counterexample(bits)
    assert instance.length == 2**bits
    assert instance.gamma == instance.beta == 1
    assert instance.width <= 4 * bits
    assert instance.minimum_distance >= 1
    assert instance.identity_distance <= Fraction(1, 4 * instance.length)
    assert instance.tolerated_error == Fraction(1, 2 * instance.length)
    assert instance.rank_lower_bound == instance.length
    assert instance.score_bound == instance.width


def test_the_search_is_the_same_every_time() -> None:
    assert printed_threshold_counterexample(6) == printed_threshold_counterexample(6)


def test_half_of_gamma_only_needs_a_wider_code() -> None:
    instance = printed_threshold_counterexample(8, Fraction(1, 2))
    assert instance.width == 56
    assert instance.rank_lower_bound == 256


def test_with_beta_one_over_d_the_same_matrices_say_nothing() -> None:
    """The scores stay within gamma^2, f is nearly uniform, far from the identity."""
    instance = printed_threshold_counterexample(10)
    scaled = Fraction(1, instance.width)
    assert distance_to_identity(instance.code, 1, scaled) > Fraction(99, 100)
    ranks = [
        required_rank(instance.width, bound, Fraction(1, instance.length))
        for bound in (1, instance.score_bound)
    ]
    assert ranks[0] ** 3 < ranks[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: identity_rank_lower_bound(4, 1), "0 <= epsilon < 1"),
        (lambda: identity_rank_lower_bound(0, 0), "a size >= 1"),
        (lambda: printed_threshold_counterexample(0), "bits >= 1 and gamma > 0"),
        (lambda: printed_threshold_counterexample(3, 0), "bits >= 1 and gamma > 0"),
        (lambda: BinaryCode((), 3), "needs generators of 3 bits"),
        (lambda: BinaryCode((8,), 3), "needs generators of 3 bits"),
        (lambda: BinaryCode((0,), -1), "a width of at least 1 bit, got -1"),
    ],
)
def test_bad_arguments_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
