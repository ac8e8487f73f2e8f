"""The certificate of the almost-linear gradient for several heads in one call, and for rows, keys
and features in blocks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loracle.kernels.almost_linear import OutOfReach, plan, statistics

from .almost_linear_problems import CONTRACTS, Instance, checked, complaints, generated, heads_of


@given(
    seed=st.integers(0, 2**32 - 1),
    scores=st.lists(st.sampled_from([1e-3, 0.03, 0.3, 1.0]), min_size=2, max_size=3),
    sizes=st.lists(st.sampled_from([1e-6, 1.0, 1e5]), min_size=3, max_size=3),
    epsilon=st.sampled_from([0.3, 1e-3]),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_heads_of_different_sizes(
    seed: int, scores: list[float], sizes: list[float], epsilon: float, dtype: torch.dtype
) -> None:
    """Catches a polynomial for the first head alone, scales of columns shared by the heads, and
    certificates that are the mean or the largest of the heads'."""
    heads = []
    for number, (score, size) in enumerate(zip(scores, sizes, strict=False)):
        head = generated("lora-attention", {"L": 6, "M": 7, "d": 2, "r": 1}, seed + number, score)
        head.tensors["x_v"] *= size
        head.tensors["y"] *= size
        heads.append(head.to(dtype))
    batch = Instance(heads_of(heads), heads[0].scalars)
    for at_once in (1, len(heads)):
        try:
            result = batch.solve(epsilon=epsilon, promise="gradient", heads_at_once=at_once)
        except OutOfReach:
            continue
        for number, head in enumerate(heads):
            assert complaints(result, head.truth, epsilon, number) == [], (at_once, number)


BLOCKS = [(1, 1, 1, 1), (3, 2, 2, 5), (8, 4, 16, 7), (64, 7, 3, 1)]


@pytest.mark.parametrize(("longest", "shortest", "shortest_keys", "means"), BLOCKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_block_boundaries(
    monkeypatch: pytest.MonkeyPatch,
    longest: int,
    shortest: int,
    shortest_keys: int,
    means: int,
    dtype: torch.dtype,
) -> None:
    """Catches blocks that overlap, a last block left out, and features of an earlier block."""
    monkeypatch.setattr(plan, "_LONGEST_BLOCK", longest)
    monkeypatch.setattr(plan, "_SHORTEST_BLOCK", shortest)
    monkeypatch.setattr(plan, "_SHORTEST_KEY_BLOCK", shortest_keys)
    monkeypatch.setattr(statistics, "BLOCK", means)
    for contract in CONTRACTS:
        instance = generated(contract, {"L": 17, "M": 23, "d": 2, "r": 1}, 4, 0.4)
        assert checked(instance.to(dtype), epsilon=0.02, promise="gradient")


def test_blocks_of_features_within_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches rows of the first block of features in the place of those of the second."""
    monkeypatch.setattr(plan, "_FEATURE_BYTES", 1)
    instance = generated("aloragc", {"L": 600, "M": 300, "d": 1, "r": 1}, 5, 0.4)
    assert checked(instance, epsilon=1e-3)
