"""From a choice of regimes to cases, and from a case to its inputs."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS, Contract
from loracle.errors import UsageError
from loracle.evaluation import bind_sizes
from loracle.generation.regimes import REGIMES
from loracle_reference.floating_point import round_to_format

__all__ = ["case_of", "cases_of", "generate", "resized"]


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


def resized(case: Case, sizes: Mapping[str, int]) -> Case:
    """The case with some of its sizes changed.

    Raises UsageError on a symbol that its contract does not have, or if its regime has a structure
    that cannot be made of such sizes.
    """
    known = dict(case.sizes)
    unknown = [symbol for symbol in sizes if symbol not in known]
    if unknown:
        raise UsageError(f"{case.contract} has no size {unknown[0]!r}; it has: {', '.join(known)}")
    changed = tuple({**known, **sizes}.items())
    other = replace(case, sizes=changed, resized=case.resized or changed != case.sizes)
    if not _can_be_made(other):
        raise UsageError(f"{case.regime} cannot be made of the sizes of {other.key}")
    return other


def _can_be_made(case: Case) -> bool:
    """Whether the regime has inputs of these sizes; some take two of them for one, or scale by what
    is zero then."""
    sizes = dict(case.sizes)
    if sizes.get("num_heads", 1) % sizes.get("num_kv_heads", 1):
        return False
    try:
        with np.errstate(invalid="ignore"):
            inputs = generate(case)
        bound = bind_sizes(CONTRACTS[case.contract], inputs)
    except (ValueError, IndexError):
        return False
    if not all(np.isfinite(tensor).all() for tensor in inputs.tensors.values()):
        return False
    return all(sizes.get(symbol, size) == size for symbol, size in bound.items())


def generate(case: Case) -> Inputs:
    """The inputs of the case, rounded to its dtype; the truth is that of the rounded inputs."""
    generator = _generator(case.contract, case.regime, case.seed, case.index)
    regime = REGIMES[case.regime]
    # Drawn for a resized case, too: the same numbers follow.
    drawn = regime.sizes[case.contract](generator, case.index)
    sizes = dict(case.sizes) if case.resized else drawn
    raw = regime.makers[case.contract](generator, sizes, case.index)
    tensors = {name: round_to_format(value, case.dtype) for name, value in raw.tensors.items()}
    return Inputs(tensors, raw.scalars, raw.layouts)
