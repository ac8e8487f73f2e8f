"""Which files a build writes, and which cases each of them has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loracle.cases import Case
from loracle.contracts import CONTRACTS, Contract, contract_named
from loracle.errors import UsageError
from loracle.generation import REGIMES, cases_of, regimes_of
from loracle.generation.generate import case_of
from loracle.generation.sampling import is_sharp
from loracle.request import (
    checked_count,
    checked_dtype,
    checked_machine,
    checked_names,
    checked_seed,
    chosen_cases,
)
from loracle_reference.floating_point import FORMATS, MachineModel

__all__ = ["Plan", "planned"]

LEFT_OUT: Mapping[str, str] = {
    "long": "hundreds of kilobytes a case",
    "averaging": "it tells by many cases together, and a vector is judged by itself",
}
"""Regimes that only a build which names them has, with the reason."""

_FEW = 3

Plan = dict[tuple[str, str], tuple[MachineModel, list[Case]]]
"""By contract and dtype: the machine whose bounds are certified, and the cases."""


def planned(
    *,
    contracts: Iterable[str] | None,
    dtypes: Iterable[str] | None,
    regimes: Iterable[str] | None,
    cases: int | None,
    seed: int,
    machine: str | None,
) -> Plan:
    """What to build; None stands for all contracts, all dtypes, the regimes that are small, one
    case of every kind in them, and the widest machine.

    A regime is for those of the contracts that have it. Raises UsageError on what is not known, and
    on a regime that none of them has.
    """
    chosen = _contracts(contracts)
    names = checked_names("dtypes", dtypes)
    types = tuple(FORMATS) if names is None else tuple(map(checked_dtype, dict.fromkeys(names)))
    wanted = checked_names("regimes", regimes)
    count, first = checked_count(cases), checked_seed(seed)
    if not chosen or not types:
        raise UsageError("there is nothing to build: name a contract and a dtype")
    by_contract = _regimes(chosen, wanted)
    plan: Plan = {}
    for contract in chosen:
        for dtype in types:
            model = checked_machine(machine, dtype)
            if by_contract[contract.name]:
                plan[contract.name, dtype] = (
                    model,
                    _cases(contract, dtype, first, by_contract[contract.name], count),
                )
    return plan


def _contracts(names: Iterable[str] | None) -> list[Contract]:
    given = checked_names("contracts", names)
    return [contract_named(name) for name in (CONTRACTS if given is None else dict.fromkeys(given))]


def _regimes(
    contracts: Iterable[Contract], wanted: tuple[str, ...] | None
) -> dict[str, tuple[str, ...]]:
    contracts = list(contracts)
    if wanted is None:
        return {
            c.name: tuple(name for name in regimes_of(c) if name not in LEFT_OUT) for c in contracts
        }
    having = {c.name: regimes_of(c, on_request=True) for c in contracts}
    for name in wanted:
        if name not in REGIMES:
            # Says what there is, and what may have been meant.
            chosen_cases(contracts[0], "float32", 0, 1, (name,), None)
        if not any(name in known for known in having.values()):
            raise UsageError(f"regime {name!r} is not one of {', '.join(having)}")
    chosen = tuple(dict.fromkeys(wanted))
    return {c: tuple(name for name in chosen if name in known) for c, known in having.items()}


def _cases(
    contract: Contract, dtype: str, seed: int, regimes: tuple[str, ...], count: int | None
) -> list[Case]:
    if count is not None:
        return cases_of(contract, dtype, seed, regimes, count)
    return [
        case_of(contract, dtype, seed, regime, index)
        for regime in regimes
        for index in _indices(regime)
    ]


def _indices(regime: str) -> list[int]:
    """Where a default run has few cases, each is of another kind, and all are taken."""
    usual = REGIMES[regime].cases
    if usual <= _FEW:
        return list(range(usual))
    if regime != "designed":
        return [0]
    return [0, next(index for index in range(usual) if is_sharp(index))]
