"""Equal losses and gradients under each embedding, from the losses alone; wrong embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from loracle_reference.arithmetic import Ball, Exact
from loracle_reference.attention import adapted_weight, aloragc_loss, lora_attention_loss
from loracle_reference.differentiation import Dual, gradient_from_loss
from loracle_reference.gradient import aloragc_gradient, lora_attention_gradient
from loracle_reference.reduction import (
    AloragcInstance,
    AttentionLossInstance,
    answer,
    attention_loss,
    balance,
    balanced_norm_bound,
    embed,
    embed_in_full_adaptation,
    embed_in_self_attention,
    norm_bound_after_balancing,
)

_BALL = Ball(200)
_EXACT = Exact()
_SHAPES = {"a1": "Lr", "a2": "Mr", "a3": "Mr", "x": "rr", "e": "Lr"}


def _entries(sizes: dict[str, int], seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {
        name: np.array(
            [
                [Fraction(int(generator.integers(-9, 10)), 4) for _ in range(sizes[columns])]
                for _ in range(sizes[rows])
            ],
            dtype=object,
        )
        for name, (rows, columns) in _SHAPES.items()
    }


def _instance(entries: dict[str, Any], arithmetic: Any) -> AttentionLossInstance[Any]:
    return AttentionLossInstance(**{name: arithmetic.matrix(e) for name, e in entries.items()})


def _arrays(arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Exact matrices as entries, and the scalars."""
    scalars = {name: v for name, v in arguments.items() if name in ("scaling", "beta")}
    return {n: _EXACT.array(v) for n, v in arguments.items() if n not in scalars}, scalars


def _value(loss: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    tensors, scalars = _arrays(arguments)
    return loss(**{n: _BALL.matrix(e) for n, e in tensors.items()}, **scalars)


def _gradients(loss: Callable[..., Any], arguments: dict[str, Any], names: list[str]) -> Any:
    tensors, scalars = _arrays(arguments)
    return gradient_from_loss(loss, tensors, names, scalars, _BALL)


def _overlap(first: Any, second: Any) -> bool:
    left, right = _BALL.enclosure(first), _BALL.enclosure(second)
    assert max(left.radius.max(), right.radius.max()) < 1e-30
    return left.overlaps(right)


_SIZES = {"L": 3, "M": 4, "r": 2}
_instances = st.builds(
    _entries,
    st.fixed_dictionaries({"L": st.integers(1, 3), "M": st.integers(1, 3), "r": st.integers(1, 3)}),
    st.integers(0, 2**32 - 1),
)


def _agrees(
    entries: dict[str, Any],
    width: int,
    embedding: Callable[..., AloragcInstance[Any]] = embed,
    answered: Callable[[Any, int], Any] = answer,
) -> bool:
    """Both the loss and the answer of the embedded instance are the instance's."""
    instance = _instance(entries, _EXACT)
    rank = instance.x.shape[0]
    embedded = embedding(instance, width, _EXACT.matrix)
    losses = [
        _value(attention_loss, instance.arguments()),
        _value(aloragc_loss, embedded.arguments()),
    ]
    expected = _gradients(attention_loss, instance.arguments(), ["x"])["x"]
    found = answered(_gradients(aloragc_loss, embedded.arguments(), ["a"])["a"], rank)
    return _overlap(*losses) and found.shape == expected.shape and _overlap(found, expected)


@settings(max_examples=8)
@given(entries=_instances, more=st.integers(0, 2))
def test_the_embedded_instance_has_the_loss_and_the_gradient(
    entries: dict[str, Any], more: int
) -> None:
    assert _agrees(entries, entries["x"].shape[0] + more)


def test_the_loss_is_definition_g1() -> None:
    """Against numpy, entry by entry."""
    entries = _entries(_SIZES, 1)
    a1, a2, a3, x, e = (entries[name].astype(float) for name in _SHAPES)
    scores = np.exp(a1 @ x @ a2.T / 2)
    z = scores / scores.sum(1, keepdims=True) @ a3 - e
    value = _BALL.enclosure(_value(attention_loss, _instance(entries, _EXACT).arguments()))
    assert abs(value.mid[0, 0] - (z**2).sum() / 2) < 1e-12 * (z**2).sum()


_C2_UNSCALED = "C2 without 1 / r"
WRONG_EMBEDDINGS: dict[str, Callable[..., AloragcInstance[Any]]] = {
    _C2_UNSCALED: lambda i, d, k: replace(embed(i, d, k), c2=embed(i, d, k).c2.scale(i.x.shape[0])),
    "A2 and A3 swapped": lambda i, d, k: embed(replace(i, a2=i.a3, a3=i.a2), d, k),
    "W* = I": lambda i, d, k: replace(
        embed(i, d, k), w=k([[int(p == q) for q in range(d)] for p in range(d)])
    ),
    "X transposed": lambda i, d, k: embed(replace(i, x=i.x.T), d, k),
    "the last block of C3": lambda i, d, k: replace(
        embed(i, d, k), c3=embed(i, d, k).c3.take_columns([*range(1, d), 0])
    ),
}


@pytest.mark.parametrize("name", WRONG_EMBEDDINGS)
def test_wrong_embeddings_are_refuted(name: str) -> None:
    entries = _entries(_SIZES, 7)
    assert _agrees(entries, 3)
    assert not _agrees(entries, 3, WRONG_EMBEDDINGS[name])


def test_r_one_needs_no_scaling() -> None:
    """Why the check of 1 / r has r = 2: for r = 1 the factor is 1."""
    entries = _entries({"L": 2, "M": 2, "r": 1}, 3)
    assert _agrees(entries, 2, WRONG_EMBEDDINGS[_C2_UNSCALED])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda grad_a, rank: grad_a.take_rows(range(rank)),
        lambda grad_a, rank: grad_a.reshape(*reversed(grad_a.shape)).take_rows(range(rank)),
        lambda grad_a, rank: grad_a.take_columns(range(1, rank + 1)),
        lambda grad_a, rank: answer(grad_a, rank).T,
    ],
    ids=["upper rows", "upper rows of d x r", "other columns", "transposed"],
)
def test_the_answer_is_the_first_block_of_columns(wrong: Callable[..., Any]) -> None:
    assert not _agrees(_entries(_SIZES, 7), 3, answered=wrong)


def test_the_gradient_is_zero_outside_the_answer() -> None:
    """As C2's columns beyond r are: dL/dA_Q = [dL/dX, 0]."""
    embedded = embed(_instance(_entries(_SIZES, 7), _BALL), 4, _BALL.matrix)
    grad_a = aloragc_gradient(**embedded.arguments())["grad_a"]
    outside = _BALL.enclosure(grad_a.take_columns([2, 3]))
    assert not outside.mid.any()
    assert not outside.radius.any()


def test_the_residual_is_padded_by_columns() -> None:
    """[f A3 - E, 0]: L x d with the instance's L x r in front, where the proof says rows above."""
    instance = _instance(_entries(_SIZES, 2), _EXACT)
    embedded = embed(instance, 5, _EXACT.matrix)
    assert (_EXACT.array(embedded.c3.take_columns([2, 3, 4])) == 0).all()
    assert (_EXACT.array(embedded.y.take_columns([0, 1]) - instance.e) == 0).all()
    assert (_EXACT.array(embedded.c1 @ embedded.b - instance.a1) == 0).all()


def _symbols(sizes: dict[str, int]) -> dict[str, Any]:
    return {
        name: [
            [sympy.Symbol(f"{name}_{i}{j}", real=True) for j in range(sizes[columns])]
            for i in range(sizes[rows])
        ]
        for name, (rows, columns) in _SHAPES.items()
    }


def _scores(embedded: AloragcInstance[Any]) -> Any:
    weight = adapted_weight(embedded.w, embedded.b, embedded.a, 1)
    return embedded.c1 @ weight @ embedded.c2.T


@pytest.mark.parametrize("factor", [1, Fraction(2, 3)])
def test_the_scores_are_the_instances_identically(factor: Any) -> None:
    """C1 (W* + B_Q A_Q) C2^T = A1 X A2^T / r as polynomials, balanced or not."""
    instance = _instance(_symbols(_SIZES), _EXACT)
    expected = (instance.a1 @ instance.x @ instance.a2.T).scale(Fraction(1, 2))
    found = _scores(balance(embed(instance, 3, _EXACT.matrix), factor))
    for difference in _EXACT.array(found - expected).flat:
        assert sympy.expand(difference) == 0
    wrong = _EXACT.array(
        _scores(WRONG_EMBEDDINGS[_C2_UNSCALED](instance, 3, _EXACT.matrix)) - expected
    )
    assert all(sympy.expand(difference) != 0 for difference in wrong.flat)


def test_embeddings_differentiate() -> None:
    """The embedded loss as a function of X, in dual numbers: one chain rule for both."""
    entries = _entries(_SIZES, 4)

    def constant(values: Any) -> Dual[Any]:
        matrix = _BALL.matrix(values)
        return Dual(matrix, matrix.scale(0))

    def through(**arguments: Any) -> Any:
        instance = AttentionLossInstance(**arguments)
        return aloragc_loss(**embed(instance, 4, constant).arguments())

    expected = gradient_from_loss(attention_loss, entries, ["x"], {}, _BALL)["x"]
    assert _overlap(gradient_from_loss(through, entries, ["x"], {}, _BALL)["x"], expected)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), epsilon=st.fractions(Fraction(1, 1000), 10))
def test_errors_are_transferred_unchanged(seed: int, epsilon: Fraction) -> None:
    """An answer within epsilon gives one within epsilon; an error inside the block stays whole."""
    generator = np.random.default_rng(seed)
    rank, width = 2, 4
    grad_a = _EXACT.matrix(generator.integers(-5, 6, (rank, width)))
    error = np.array(
        [[epsilon * Fraction(int(generator.integers(-8, 9)), 8) for _ in range(4)] for _ in "ab"]
    )
    error[1, 1] = epsilon
    found = _EXACT.array(answer(grad_a + _EXACT.matrix(error), rank) - answer(grad_a, rank))
    assert abs(error).max() == epsilon
    assert abs(found).max() == epsilon


@settings(max_examples=5)
@given(entries=_instances, factor=st.fractions(Fraction(1, 9), 9))
def test_balancing_changes_no_gradient(entries: dict[str, Any], factor: Fraction) -> None:
    embedded = embed(_instance(entries, _EXACT), entries["x"].shape[0] + 1, _EXACT.matrix)
    balanced = balance(embedded, factor)
    assert _overlap(
        _value(aloragc_loss, embedded.arguments()), _value(aloragc_loss, balanced.arguments())
    )
    first, second = (
        _gradients(aloragc_loss, i.arguments(), ["a", "b"]) for i in (embedded, balanced)
    )
    assert _overlap(first["a"], second["a"])
    assert _overlap(first["b"], second["b"])


def test_balancing_only_one_factor_changes_the_loss() -> None:
    embedded = embed(_instance(_entries(_SIZES, 8), _EXACT), 3, _EXACT.matrix)
    unbalanced = replace(embedded, c1=embedded.c1.scale(Fraction(1, 2)))
    assert not _overlap(
        _value(aloragc_loss, embedded.arguments()), _value(aloragc_loss, unbalanced.arguments())
    )
    for factor in (0, -1, Fraction(-1, 2)):
        with pytest.raises(ValueError, match="positive factor"):
            balance(embedded, factor)


def _max_norm(matrix: Any) -> Fraction:
    return Fraction(abs(_EXACT.array(matrix)).max())


def _norms(instance: AloragcInstance[Any]) -> tuple[Fraction, Fraction]:
    weight = adapted_weight(instance.w, instance.b, instance.a, 1)
    return _max_norm(instance.c1 @ weight), _max_norm(instance.c2)


def test_balanced_norms() -> None:
    """Hard instances of Lemma G.1's shape, X = I: r = 4, |A1| = |A2| = B; t = 2 gives B / 2."""
    bound, rank = Fraction(3), 4
    signs = np.array([[1, -1, 1, 1], [1, 1, -1, -1], [-1, 1, 1, 1]]) * bound
    instance = _instance(
        {"a1": signs, "a2": -signs, "a3": signs, "x": np.eye(4, dtype=int), "e": 0 * signs},
        _EXACT,
    )
    embedded = embed(instance, 6, _EXACT.matrix)
    assert _norms(embedded) == (bound, bound / rank)
    assert _norms(balance(embedded, 2)) == (bound / 2, bound / 2)
    assert balanced_norm_bound(bound, rank) == Fraction(3, 2)
    for factor in (Fraction(1), Fraction(3, 2), Fraction(2), Fraction(5)):
        reached = norm_bound_after_balancing(bound, rank, factor)
        assert max(_norms(balance(embedded, factor))) == reached
        assert reached >= balanced_norm_bound(bound, rank)
    for bad in ((-1, 4, 1), (3, 0, 1), (3, 4, 0), (3, 4, -1)):
        with pytest.raises(ValueError, match="a bound >= 0, a rank >= 1 and a positive factor"):
            norm_bound_after_balancing(*bad)
    # In the scores nothing has changed: r Gamma^2 = B^2.
    assert rank * balanced_norm_bound(bound, rank) ** 2 == bound**2


def test_hard_instances_meet_the_printed_hypothesis_of_theorem_31() -> None:
    """B = sqrt(log L) kappa, r = log L, kappa = log log L: Gamma = o(sqrt(log L)), though
    r Gamma^2 exceeds every multiple of log L."""
    n = sympy.Symbol("n", positive=True)  # log L
    kappa = sympy.log(n)
    gamma = balanced_norm_bound(sympy.sqrt(n) * kappa, n)
    assert sympy.limit(gamma / sympy.sqrt(n), n, sympy.oo) == 0
    assert sympy.limit(n * gamma**2 / n, n, sympy.oo) == sympy.oo
    # Unbalanced, |C1 W| = B does not meet it.
    assert sympy.limit(sympy.sqrt(n) * kappa / sympy.sqrt(n), n, sympy.oo) == sympy.oo


def _aloragc(seed: int) -> AloragcInstance[Any]:
    generator = np.random.default_rng(seed)
    sizes = {"L": 3, "M": 2, "d": 3, "r": 2}
    shapes = {"c1": "Ld", "c2": "Md", "c3": "Md", "w": "dd", "a": "rd", "b": "dr", "y": "Ld"}
    return AloragcInstance(
        **{
            name: _EXACT.matrix(generator.integers(-3, 4, (sizes[p], sizes[q])) / 4)
            for name, (p, q) in shapes.items()
        }
    )


def test_problem_2_is_a_case_of_problem_3() -> None:
    instance = _aloragc(0)
    full = embed_in_full_adaptation(instance, _EXACT.matrix)
    assert _overlap(_value(aloragc_loss, instance.arguments()), _value(lora_attention_loss, full))
    expected = _gradients(aloragc_loss, instance.arguments(), ["a", "b"])
    found = _gradients(lora_attention_loss, full, ["a_q", "b_q"])
    assert _overlap(found["a_q"], expected["a"])
    assert _overlap(found["b_q"], expected["b"])
    tensors, scalars = _arrays(full)
    closed = lora_attention_gradient(**{n: _BALL.matrix(e) for n, e in tensors.items()}, **scalars)
    assert _overlap(closed["grad_a_q"], expected["a"])


@pytest.mark.parametrize("weight", ["w_k", "w_v"])
def test_other_weights_of_problem_3_are_refuted(weight: str) -> None:
    """No W_K* but the identity: the two frozen weights are what Remark A.2 leaves to be said."""
    instance = _aloragc(0)
    full = embed_in_full_adaptation(instance, _EXACT.matrix)
    wrong = {**full, weight: full[weight].scale(Fraction(3, 2))}
    expected = _gradients(aloragc_loss, instance.arguments(), ["a"])["a"]
    assert not _overlap(_gradients(lora_attention_loss, wrong, ["a_q"])["a_q"], expected)


@settings(max_examples=4)
@given(length=st.integers(1, 3), rank=st.integers(1, 2), seed=st.integers(0, 2**32 - 1))
def test_self_attention_reproduces_the_instance(length: int, rank: int, seed: int) -> None:
    entries = _entries({"L": length, "M": length, "r": rank}, seed)
    instance = _instance(entries, _EXACT)
    attention = embed_in_self_attention(instance, _EXACT.matrix)
    assert _overlap(
        _value(attention_loss, instance.arguments()), _value(lora_attention_loss, attention)
    )
    expected = _gradients(attention_loss, instance.arguments(), ["x"])["x"]
    found = _gradients(lora_attention_loss, attention, ["a_q", "w_q"])
    assert _overlap(answer(found["a_q"], rank), expected)
    block = found["w_q"].take_rows(range(rank)).take_columns(range(rank))
    assert _overlap(block, expected)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a: {**a, "beta": 1},
        lambda a: {**a, "w_k": a["w_v"], "w_v": a["w_k"]},
        lambda a: {**a, "w_k": a["w_k"].T},
    ],
    ids=["beta = 1", "A2 and A3 swapped", "selector transposed"],
)
def test_wrong_selectors_are_refuted(wrong: Callable[..., dict[str, Any]]) -> None:
    instance = _instance(_entries({"L": 3, "M": 3, "r": 2}, 6), _EXACT)
    attention = wrong(embed_in_self_attention(instance, _EXACT.matrix))
    expected = _gradients(attention_loss, instance.arguments(), ["x"])["x"]
    found = answer(_gradients(lora_attention_loss, attention, ["a_q"])["a_q"], 2)
    assert not _overlap(found, expected)


def test_self_attention_has_one_input() -> None:
    attention = embed_in_self_attention(
        _instance(_entries({"L": 2, "M": 2, "r": 2}, 6), _EXACT), _EXACT.matrix
    )
    assert attention["x_q"] is attention["x_k"] is attention["x_v"]
    assert attention["x_q"].shape == (2, 6)
    with pytest.raises(ValueError, match="as many keys as queries, got 4 and 3"):
        embed_in_self_attention(_instance(_entries(_SIZES, 0), _EXACT), _EXACT.matrix)


def test_bad_instances_are_refused() -> None:
    instance = _instance(_entries(_SIZES, 0), _EXACT)
    with pytest.raises(ValueError, match="width d of at least r = 2, got 1"):
        embed(instance, 1, _EXACT.matrix)
    with pytest.raises(ValueError, match=r"x must have shape \(2, 2\) beside a1 of shape \(3, 2\)"):
        replace(instance, x=instance.a3)
    with pytest.raises(ValueError, match=r"e must have shape \(3, 2\)"):
        replace(instance, e=instance.e.T)
    with pytest.raises(ValueError, match=r"w must have shape \(3, 3\) beside c1"):
        replace(_aloragc(0), w=instance.x)
