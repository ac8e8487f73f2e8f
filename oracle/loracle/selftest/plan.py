"""What a self-test runs: a kernel of the corpus, a dtype, a seed, and what must come of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from loracle.contracts import contract_named
from loracle.corpus.catalogue import RIGHT, WRONG, WrongKernel
from loracle.corpus.entry import Entry
from loracle.request import checked_dtype

__all__ = ["SEEDS", "Claim", "Expectation", "claims_of", "drawn", "drawn_seed", "every", "selected"]

SEEDS = (0, 1, 2, 3, 4)
"""Of a full run."""

Expectation = Literal["caught", "passes", "escapes", "unnamed"]
"""A wrong kernel is caught, a right one passes; one that is exempt in a dtype escapes there for
some seed, and one that need not be named is not named for some, or the exemption has expired."""


@dataclass(frozen=True)
class Claim:
    """One run of the oracle on a kernel of the corpus. seeds: for `escapes` and `unnamed`, those
    that are tried until one escapes, or is not named; otherwise one."""

    entry: Entry
    dtype: str
    seeds: tuple[int, ...]
    expected: Expectation

    @property
    def is_exemption(self) -> bool:
        """Whether less is required than elsewhere."""
        return self.expected in ("escapes", "unnamed")

    def __str__(self) -> str:
        seeds = ",".join(map(str, self.seeds))
        return f"{self.entry.name}-{self.dtype}-seed{seeds}-{self.expected}"


def claims_of(entry: Entry, dtypes: Sequence[str], seeds: Sequence[int]) -> list[Claim]:
    """All that is claimed about the entry in these dtypes, for each of the seeds."""
    claims: list[Claim] = []
    wrong = isinstance(entry, WrongKernel)
    for dtype in dtypes:
        if dtype in entry.dtypes:
            expected: Expectation = "caught" if wrong else "passes"
            claims += [Claim(entry, dtype, (seed,), expected) for seed in seeds]
        elif isinstance(entry, WrongKernel) and dtype in entry.right_in:
            claims += [Claim(entry, dtype, (seed,), "passes") for seed in seeds]
        elif isinstance(entry, WrongKernel):
            claims.append(Claim(entry, dtype, tuple(seeds), "escapes"))
        if isinstance(entry, WrongKernel) and dtype in entry.unnamed_in:
            claims.append(Claim(entry, dtype, tuple(seeds), "unnamed"))
    return claims


def every(entries: Iterable[Entry], dtypes: Sequence[str], seeds: Sequence[int]) -> list[Claim]:
    """The full plan, grouped so that runs which share their references follow each other."""
    claims = [claim for entry in entries for claim in claims_of(entry, dtypes, seeds)]
    return sorted(claims, key=_group)


def drawn(entries: Iterable[Entry], dtypes: Sequence[str], seeds: Sequence[int]) -> list[Claim]:
    """The short plan: of each entry one claim in one of its dtypes, drawn by a hash of its name,
    one in one of those in which it is right, and all its exemptions.

    The seed is drawn by contract and dtype, so that kernels share their references; which it is
    differs between dtypes and between contracts. An exemption is tried with this seed first.
    """
    claims: list[Claim] = []
    for entry in entries:
        number = zlib.crc32(entry.name.encode())
        right_in = entry.right_in if isinstance(entry, WrongKernel) else ()
        for offered in (entry.dtypes, right_in):
            among = [dtype for dtype in offered if dtype in dtypes]
            if among:
                dtype = among[number % len(among)]
                seed = drawn_seed(entry.contract, dtype, seeds)
                claims += [c for c in claims_of(entry, (dtype,), (seed,)) if not c.is_exemption]
        for dtype in dtypes:
            first = seeds.index(drawn_seed(entry.contract, dtype, seeds))
            rotated = (*seeds[first:], *seeds[:first])
            claims += [c for c in claims_of(entry, (dtype,), rotated) if c.is_exemption]
    return sorted(claims, key=_group)


def selected(
    contract: str | None, dtypes: Sequence[str], seeds: Sequence[int], *, full: bool
) -> list[Claim]:
    """The claims of a run of the command. Raises UsageError on a contract or a dtype that there is
    not."""
    if contract is not None:
        contract_named(contract)
    checked = [checked_dtype(dtype) for dtype in dtypes]
    entries = [e for e in (*WRONG, *RIGHT) if contract in (None, e.contract)]
    return (every if full else drawn)(entries, checked, seeds)


def drawn_seed(contract: str, dtype: str, seeds: Sequence[int] = SEEDS) -> int:
    """The seed of the short plan for a contract and a dtype."""
    return seeds[zlib.crc32(f"{contract} {dtype}".encode()) % len(seeds)]


def _group(claim: Claim) -> tuple[str, str, int]:
    return claim.entry.contract, claim.dtype, claim.seeds[0]
