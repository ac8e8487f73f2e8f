"""What the almost-linear kernel does before it approximates: shifts and coordinates that leave the
probabilities alone, what rounding does to the scores, and means that bound expectations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from loracle.kernels.almost_linear.coordinates import (
    Centred,
    best_coordinates,
    centre,
    radius_of,
)
from loracle.kernels.almost_linear.inputs import attention_problem, projected_problem
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.statistics import KeyStatistics
from loracle_reference.arithmetic import Ball
from loracle_reference.attention import adapted_weight

from .almost_linear_problems import Instance, complaints, generated

Array = npt.NDArray[np.float64]
seeds = st.integers(0, 2**32 - 1)
sizes = st.fixed_dictionaries(
    {"L": st.integers(1, 9), "M": st.integers(1, 9), "d": st.integers(1, 4)}
)


def made(
    seed: int,
    sizes: dict[str, int],
    *,
    scale: float = 0.5,
    of_queries: float = 0.0,
    of_keys: float = 0.0,
) -> tuple[Array, Array, Problem]:
    """Queries, keys and the problem that they make, with offsets that are common to all."""
    generator = np.random.default_rng(seed)
    length, keys, width = (sizes[n] for n in ("L", "M", "d"))
    direction = generator.standard_normal((2, width))
    q = scale * generator.standard_normal((length, width)) + of_queries * direction[0]
    k = generator.standard_normal((keys, width)) + of_keys * direction[1]
    tensors = {
        "queries": torch.from_numpy(q),
        "keys": torch.from_numpy(k),
        "values": torch.from_numpy(generator.standard_normal((keys, width))),
        "y": torch.from_numpy(generator.standard_normal((length, width))),
    }
    problem, _ = projected_problem(tensors, 1.0)
    return q, k, problem


def implied_scores(centred: Centred) -> Array:
    """The logarithms of what the kernel takes for f, but for a constant in each row, (L, M)."""
    scores = centred.queries[0].mT @ centred.keys[0] + centred.weights[0].log()
    found: Array = scores.numpy()
    return found


def spread_of_rows(difference: Array) -> float:
    return float((difference.max(1) - difference.min(1)).max())


@given(seed=seeds, sizes=sizes, of_queries=st.sampled_from([0.0, 3.0]), of_keys=st.just(0.0))
def test_the_probabilities_stay(
    seed: int, sizes: dict[str, int], of_queries: float, of_keys: float
) -> None:
    """Catches weights that are left out, or that have the other sign, and T^-1 for T^-T."""
    q, k, problem = made(seed, sizes, of_queries=of_queries, of_keys=of_keys)
    scores = implied_scores(centre(problem))
    assert spread_of_rows(scores - q @ k.T) < 1e-10


@given(seed=seeds, sizes=sizes)
def test_centred_data_have_no_mean(seed: int, sizes: dict[str, int]) -> None:
    """Keys, their inputs and their values by the weights, queries as they are. Catches means
    without the weights, of which Jensen's inequality would know nothing."""
    _, _, problem = made(seed, sizes, of_queries=2.0, of_keys=5.0)
    centred = centre(problem)
    weights = centred.weights / centred.total_weight
    assert float(centred.weights.max()) == 1
    assert float(centred.weights.min()) >= 0
    for keyed in (centred.inputs_k(), centred.inputs_v(), centred.values(centred.inputs_v())):
        assert float((keyed * weights).sum(-1).abs().max()) < 1e-13
    # In other coordinates what rounding left of the mean may be larger.
    assert float((centred.keys * weights).sum(-1).abs().max()) < 1e-9
    assert float(centred.queries.mean(-1).abs().max()) < 1e-9
    torch.testing.assert_close(centred.y() + centred.mean_value, problem.y, rtol=0, atol=1e-13)


@given(seed=seeds, sizes=sizes, scale=st.sampled_from([1e-20, 0.1, 1.0, 1e8]))
def test_the_radius_bounds_every_score(seed: int, sizes: dict[str, int], scale: float) -> None:
    """Catches a radius of the coordinates that were not taken, and norms before the shift."""
    _, _, problem = made(seed, sizes, scale=scale, of_queries=1.0)
    centred = centre(problem)
    scores = (centred.queries.mT @ centred.keys).abs()
    assert float(scores.max()) <= float(centred.radius)
    lengths = [float(x.square().sum(1).sqrt().max()) for x in (centred.queries, centred.keys)]
    assert lengths[0] * lengths[1] <= float(centred.radius) <= lengths[0] * lengths[1] * 1.0001
    if lengths[0] > 0 and lengths[1] > 0:
        # Both sides are of one size: neither features of queries nor of keys under- or overflow.
        assert 0.49 < lengths[0] / lengths[1] < 2.01


@pytest.mark.parametrize("offset", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("seed", range(3))
def test_the_radius_does_not_depend_on_offsets(seed: int, offset: float) -> None:
    """What is common to all keys is gone. What is common to all queries is in the weights: the
    keys' mean moves to the keys that count, which at most doubles the radius. Catches a shift of
    the keys alone, or of the queries alone."""
    sizes = {"L": 8, "M": 9, "d": 3}
    plain = float(centre(made(seed, sizes)[2]).radius)
    of_keys = float(centre(made(seed, sizes, of_keys=offset)[2]).radius)
    # Offset keys make weights of what differs in <a, k>, and a is not zero but by the shift.
    of_queries = float(centre(made(seed, sizes, of_queries=offset)[2]).radius)
    assert of_keys == pytest.approx(plain, rel=1e-6)
    assert of_queries <= 2.5 * plain


@pytest.mark.parametrize("offset", [1.0, 1e3])
def test_gradients_do_not_depend_on_a_common_offset_of_the_keys(offset: float) -> None:
    """Nor do those of Q on one of values and targets: catches means that are taken off and not
    accounted for. In float64 an offset of 1e3 costs three digits."""
    sizes = {"L": 6, "M": 7, "d": 2, "r": 1}
    plain = generated("aloragc", sizes, 2, 0.5)
    vector = offset * torch.tensor([1.0, -0.7], dtype=torch.float64)
    t = plain.tensors
    moved = plain.changed(c2=t["c2"] + vector, c3=t["c3"] + vector, y=t["y"] + vector)
    results = [instance.solve(epsilon=1e-6) for instance in (plain, moved)]
    assert complaints(results[1], moved.truth, 1e-6) == []
    assert results[0].plan == results[1].plan
    for name, gradient in results[0].outputs.items():
        torch.testing.assert_close(results[1].outputs[name], gradient, rtol=1e-5, atol=1e-8)


@given(seed=seeds, sizes=sizes, rank=st.integers(0, 4))
def test_coordinates(seed: int, sizes: dict[str, int], rank: int) -> None:
    """T^-1 T = 1 and the scores stay, also of keys and queries without full rank. Catches an
    inverse of a singular matrix of moments."""
    generator = np.random.default_rng(seed)
    length, keys, width = (sizes[n] for n in ("L", "M", "d"))
    stretch = np.diag(10.0 ** generator.uniform(-3, 3, width)) @ generator.standard_normal(
        (width, width)
    )
    stretch[:, rank:] = 0
    q = torch.from_numpy((generator.standard_normal((length, width)) @ stretch).T[None].copy())
    k = torch.from_numpy((generator.standard_normal((keys, width)) @ stretch.T).T[None].copy())
    weights = torch.from_numpy(generator.uniform(0, 1, (1, 1, keys)))
    turned_q, turned_k, direct, inverse, turned = best_coordinates(q, k, weights)
    eye = torch.eye(width, dtype=torch.float64)[None]
    size = float(direct.norm() * inverse.norm())
    torch.testing.assert_close(inverse @ direct, eye, rtol=0, atol=1e-13 * size)
    torch.testing.assert_close(direct @ k, turned_k, rtol=1e-12, atol=0)
    torch.testing.assert_close(inverse.mT @ q, turned_q, rtol=1e-12, atol=0)
    product = float(q.norm() * k.norm())
    torch.testing.assert_close(
        turned_q.mT @ turned_k, q.mT @ k, rtol=0, atol=1e-12 * size * product
    )
    assert float(radius_of(turned_q, turned_k)) <= float(radius_of(q, k))
    assert bool(turned) or bool((direct == eye).all())


def test_coordinates_lower_the_radius_where_they_can() -> None:
    """Keys that are long where queries are short. Catches coordinates that are never taken."""
    generator = np.random.default_rng(0)
    stretch = np.array([100.0, 1.0])
    q = torch.from_numpy((generator.standard_normal((50, 2)) / stretch).T[None].copy())
    k = torch.from_numpy((generator.standard_normal((60, 2)) * stretch).T[None].copy())
    turned_q, turned_k, _, _, turned = best_coordinates(q, k, torch.ones(1, 1, 60).double())
    assert bool(turned)
    assert float(radius_of(turned_q, turned_k)) < 0.1 * float(radius_of(q, k))
    # The balancing: one and the same diagonal matrix of second moments, largest first.
    of_queries, of_keys = turned_q @ turned_q.mT / 50, turned_k @ turned_k.mT / 60
    torch.testing.assert_close(of_queries, of_keys, rtol=1e-4, atol=1e-4)
    diagonal = of_keys.diagonal(dim1=-2, dim2=-1)[0]
    assert float((of_keys[0] - torch.diag(diagonal)).abs().max()) < 1e-4
    assert (diagonal.diff() <= 0).all()


def test_heads_take_coordinates_each_by_itself() -> None:
    """Catches one decision for all heads."""
    generator = np.random.default_rng(1)
    stretch = np.array([[1.0, 1.0], [1e3, 1.0]])[:, None]
    q = torch.from_numpy(generator.standard_normal((2, 40, 2)) / stretch).mT.contiguous()
    k = torch.from_numpy(generator.standard_normal((2, 40, 2)) * stretch).mT.contiguous()
    # The first head's are balanced already, and on the axes.
    q[0] = k[0] = torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]]).repeat(1, 10)
    weights = torch.ones(2, 1, 40).double()
    together = best_coordinates(q, k, weights)
    for head in range(2):
        alone = best_coordinates(*(t[head : head + 1] for t in (q, k, weights)))
        for one, both in zip(alone, together, strict=True):
            torch.testing.assert_close(both[head : head + 1], one)
    assert together[4].flatten().tolist()[1]


@given(
    seed=seeds,
    scores=st.sampled_from([0.01, 1.0]),
    of_keys=st.sampled_from([0.0, 1e3, 1e6]),
    of_queries=st.sampled_from([0.0, 10.0]),
    cancelling=st.booleans(),
    width=st.integers(1, 3),
)
def test_rounding_moves_the_scores_by_no_more_than_said(
    seed: int, scores: float, of_keys: float, of_queries: float, cancelling: bool, width: int
) -> None:
    """Against the exact scores: but for a constant of the row, twice the bound is the most by which
    two of them may differ. Catches a bound from the scores after the shift, and one from W + s B A
    where that is far smaller than its parts."""
    instance = generated("lora-attention", {"L": 5, "M": 6, "d": width, "r": 1}, seed, scores)
    t = instance.tensors
    t["x_k"] += of_keys
    t["x_q"] += of_queries
    if cancelling:
        t["a_k"] *= 1e8
        t["w_k"] -= 1.25 * (t["b_k"] @ t["a_k"])
    problem, _ = attention_problem(t, **instance.scalars)
    centred = centre(problem)
    assert float(centred.weights.min()) > 0 or of_queries > 0
    if float(centred.weights.min()) < 1e-300:
        return
    said = float(centred.score_error)
    # What rounds the exponential itself is counted with the columns.
    assert difference_of_scores(instance, centred) <= 2 * said + 4 * 2.0**-53
    assert said < 1e-8 * (1 + of_keys) * (1 + of_queries) * (1e8 if cancelling else 1)


def difference_of_scores(instance: Instance, centred: Centred) -> float:
    """The most by which the scores that the kernel goes on with, weights and all, differ from the
    exact ones, less what is common to a row."""
    ball = Ball(300)
    t = {name: ball.matrix(tensor.numpy()) for name, tensor in instance.tensors.items()}
    q, k = (t[f"x_{m}"] @ adapted_weight(t[f"w_{m}"], t[f"b_{m}"], t[f"a_{m}"], 1.25) for m in "qk")
    exact = (q @ k.T).scale(instance.scalars["beta"])
    queries = ball.matrix(centred.queries[0].mT.contiguous().numpy())
    keys = ball.matrix(centred.keys[0].mT.contiguous().numpy())
    found = queries @ keys.T
    # The exponentials are compared, that logarithms of the weights need not be taken in balls.
    weights = ball.matrix(centred.weights[0].numpy())
    difference = (exact - found).entries
    columns = weights.entries
    rows, count = exact.shape
    largest = 0.0
    for row in range(rows):
        logs = [difference[row * count + column] - columns[column].log() for column in range(count)]
        largest = max(
            [largest, *(float(abs(one - logs[0]).lower()) for one in logs)],
        )
    return largest


@given(seed=seeds, sizes=sizes, scale=st.sampled_from([0.1, 0.5, 1.5]))
def test_means_over_the_keys_bound_expectations(
    seed: int, sizes: dict[str, int], scale: float
) -> None:
    """decay_j mu_1(h) <= E_j[h] <= mu_1(h) + chi_j mu_t(h) for what the certificate takes them of,
    and Jensen's bound of the mean of exp. Catches means without weights, the chord of a function
    that is not convex, and t of the length in the place of its share of the largest."""
    q, k, problem = made(seed, sizes, scale=scale, of_queries=1.0)
    centred = centre(problem)
    statistics = KeyStatistics.of(problem, centred)
    f = torch.softmax(torch.from_numpy(q @ k.T), -1)
    shifted = torch.exp(centred.queries[0].mT @ centred.keys[0])
    weights = (centred.weights / centred.total_weight)[0]
    assert (float(statistics.smallest_mean) <= (shifted * weights).sum(-1) * (1 + 1e-12)).all()
    radius = centred.query_norms[0, 0] * float(statistics.longest_key)
    growth = torch.expm1(radius)
    one, tilted = (float(m) for m in statistics.one)
    assert one == pytest.approx(1)
    decay = torch.exp(-radius * float(statistics.skew)) / (one + growth * tilted)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    x, z = centred.inputs_k(), centred.inputs_v()
    v = centred.values(z)
    for name, values in (("xx", x), ("vv", v), ("zz", z)):
        moments = getattr(statistics, name)[:, 0].diagonal(dim1=-2, dim2=-1)
        pairs.append((values[0].square(), moments[0], moments[1]))
    for values, means in (
        (x, statistics.x),
        (z, statistics.z),
    ):
        pairs.append((values[0].abs(), means[0, 0, :, 0], means[1, 0, :, 0]))
    for magnitudes, plain, with_length in pairs:
        expected = f @ magnitudes.mT
        bound = plain + growth[:, None] * with_length
        assert (expected <= bound * (1 + 1e-9)).all()
    natural = problem.k.inputs[0].abs()
    mean = (natural * weights).sum(-1)
    torch.testing.assert_close(statistics.natural_x[0, :, 0], mean)
    assert (f @ natural.mT >= decay[:, None] * mean * (1 - 1e-9)).all()
