"""Operands to hold the lemmas to: of generated cases, drawn, and square ones."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st

from loracle.contracts import CONTRACTS
from loracle.generation import generate, regimes_of
from loracle_reference.arithmetic import Double
from loracle_reference.floating_point import round_to_format

from .core_cases import a_case, seeds
from .lemmas import BRACKETS, Bracket, Operands, specified

REGIMES = regimes_of(CONTRACTS["aloragc"])
IN_REACH = [regime for regime in REGIMES if regime not in ("saturated", "extreme")]
DTYPES = {"float32": torch.float32, "float64": torch.float64}

few = settings(max_examples=max(1, settings().max_examples // 4))
"""For what is run in every regime and on every device."""

brackets = st.sampled_from(BRACKETS)
dtypes = st.sampled_from(sorted(DTYPES))
epsilons = st.sampled_from([0.5, 1e-2, 1e-4])
promises = st.sampled_from(["probabilities", "gradient"])


def nearby(bracket: Bracket, dtype: str, regime: str, index: int, seed: int) -> Operands:
    """The operands of a generated case, rounded to the dtype: arrays."""
    inputs = generate(a_case(bracket[0], dtype, regime, index, seed))
    found = specified(bracket, inputs, Double())
    q, k, v, y = (
        round_to_format(Double().array(m), dtype)
        for m in (found.queries, found.keys, found.values, found.y)
    )
    return Operands(q, k, v, y, found.beta)


@st.composite
def drawn(draw: st.DrawFn) -> tuple[Operands, str]:
    """Operands of any small sizes, and a dtype that they are exact in. Beyond what makes scores of
    about a given size, queries and keys have a common offset: their norms are no condition."""
    dtype = draw(dtypes)
    queries, keys, width = (draw(st.integers(1, n)) for n in (24, 24, 4))
    generator = np.random.default_rng(draw(seeds))
    size = (draw(st.sampled_from([0.01, 0.3, 1.0, 2.5])) / width) ** 0.5
    offset = draw(st.sampled_from([0.0, 0.5, 2.0]))
    q, k = (generator.uniform(-size, size, (n, width)) + offset for n in (queries, keys))
    v, y = (generator.standard_normal((n, width)) for n in (keys, queries))
    q, k, v, y = (round_to_format(x, dtype) for x in (q, k, v, y))
    return Operands(q, k, v, y, draw(st.sampled_from([1.0, 0.625, -0.5]))), dtype


def square_operands() -> Operands:
    """As many queries as keys, so that what is transposed has the right shape."""
    operands = nearby(("lora-attention", "Q"), "float64", "threshold", 2, 5)
    assert operands.queries.shape == operands.keys.shape
    return operands
