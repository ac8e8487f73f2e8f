"""From a choice of regimes to cases, and from a case to its inputs."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np

from loracle.cases import Case, Inputs
from loracle.contracts import Contract
from loracle.generation.regimes import REGIMES
from loracle_reference.floating_point import round_to_format

__all__ = ["cases_of", "generate"]


def _generator(contract: str, regime: str, seed: int, index: int) -> np.random.Generator:
    """One stream per case; the dtype does not enter, so that every dtype rounds the same
    numbers."""
    return np.random.default_rng(
        [seed, index, zlib.crc32(contract.encode()), zlib.crc32(regime.encode())]
    )


def cases_of(
    contract: Contract, dtype: str, seed: int, regimes: Iterable[str], count: int | None = None
) -> list[Case]:
    """`count` cases of each regime, its default number if None, one regime after the other."""
    return [
        case_of(contract, dtype, seed, regime, index)
        for regime in regimes
        for index in range(REGIMES[regime].cases_of(contract.name) if count is None else count)
    ]


def case_of(contract: Contract, dtype: str, seed: int, regime: str, index: int) -> Case:
    """Case `index` of one regime, the same whatever else is run."""
    generator = _generator(contract.name, regime, seed, index)
    sizes = REGIMES[regime].sizes[contract.name](generator, index)
    return Case(contract.name, regime, dtype, seed, index, tuple(sizes.items()))


def generate(case: Case) -> Inputs:
    """The inputs of the case, rounded to its dtype; the truth is that of the rounded inputs."""
    generator = _generator(case.contract, case.regime, case.seed, case.index)
    regime = REGIMES[case.regime]
    sizes = regime.sizes[case.contract](generator, case.index)
    raw = regime.makers[case.contract](generator, sizes, case.index)
    tensors = {name: round_to_format(value, case.dtype) for name, value in raw.tensors.items()}
    return Inputs(tensors, raw.scalars, raw.layouts)
