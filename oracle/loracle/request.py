"""What a validation is asked to do, checked before any work is done."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from loracle.adapters import ADAPTERS
from loracle.cases import Case
from loracle.contracts import Contract, contract_named
from loracle.errors import UsageError, nearest
from loracle.expectations.entries import Entry, read_entries
from loracle.generation import cases_of, regimes_of
from loracle.generation.generate import case_of, resized
from loracle.generation.regimes import REGIMES
from loracle.harness.words import nearest_dtype
from loracle.plans import checked_plan
from loracle_reference.floating_point import FORMATS, MACHINES, MachineModel, machine_model

__all__ = [
    "Arguments",
    "check_arguments",
    "checked_contract",
    "checked_count",
    "checked_dtype",
    "checked_epsilon",
    "checked_machine",
    "checked_names",
    "checked_repeats",
    "checked_seed",
    "chosen_cases",
    "only_contract",
]

_MOST_CASES = 100_000
_LARGEST_SIZE = 4096
_MOST_REPEATS = 1000


@dataclass(frozen=True)
class Arguments:
    """Of a validation, each checked. contract: the one that is named, None if none is; known: the
    same, or the only one that the adapter has. expected: the entries of the file."""

    dtype: str
    seed: int
    cases: int | None
    epsilon: float | None
    contract: Contract | None
    known: Contract | None
    repeats: int
    regimes: tuple[str, ...] | None
    only_cases: tuple[str, ...] | None
    expected: tuple[Entry, ...]


def check_arguments(
    kernel: Callable[..., Any] | str,
    *,
    contract: str | Contract | None = None,
    dtype: Any = "float32",
    cases: int | None = None,
    seed: int = 0,
    regimes: Iterable[str] | None = None,
    epsilon: float | None = None,
    machine: str | None = None,
    plan: str | None = None,
    repeats: int = 2,
    only_cases: Sequence[str] | None = None,
    expected_failures: str | PathLike[str] | None = None,
) -> Arguments:
    """Of the arguments of `loracle.validate` those that do not concern the kernel's process, which
    checks its own. Raises UsageError on what can be refused before the kernel is loaded."""
    wanted = checked_contract(contract)
    checked = Arguments(
        dtype=checked_dtype(dtype),
        seed=checked_seed(seed),
        cases=checked_count(cases),
        epsilon=checked_epsilon(epsilon),
        contract=wanted,
        known=wanted or only_contract(kernel),
        repeats=checked_repeats(repeats),
        regimes=checked_names("regimes", regimes),
        only_cases=checked_names("only_cases", only_cases),
        expected=() if expected_failures is None else tuple(read_entries(expected_failures)),
    )
    checked_machine(machine, checked.dtype)
    checked_plan(plan, checked.known)
    if checked.known is not None:
        chosen_cases(
            checked.known,
            checked.dtype,
            checked.seed,
            checked.cases,
            checked.regimes,
            checked.only_cases,
        )
    return checked


def only_contract(kernel: Callable[..., Any] | str) -> Contract | None:
    """The contract of an adapter that has one alone."""
    adapter = ADAPTERS.get(kernel) if isinstance(kernel, str) else None
    if adapter is None or len(adapter.contracts) != 1:
        return None
    return checked_contract(next(iter(adapter.contracts)))


def checked_dtype(dtype: Any) -> str:
    """The name of a dtype given by name or as a torch.dtype; UsageError if it is not judged."""
    name = str(dtype).removeprefix("torch.")
    if name not in FORMATS:
        raise UsageError(
            f"unknown dtype {name!r}; known: {', '.join(FORMATS)}{nearest_dtype(name, FORMATS)}"
        )
    return name


def checked_contract(contract: str | Contract | None) -> Contract | None:
    """The contract by name; UsageError if there is none of that name."""
    if contract is None or isinstance(contract, Contract):
        return contract
    return contract_named(str(contract))


def checked_count(cases: int | None) -> int | None:
    """Cases per regime, None for each regime's own number; UsageError unless it is a whole number
    of at least 1."""
    if cases is None:
        return None
    if isinstance(cases, bool) or not isinstance(cases, int) or not 1 <= cases <= _MOST_CASES:
        raise UsageError(f"cases must be a whole number from 1 to {_MOST_CASES}, not {cases!r}")
    return cases


def checked_repeats(repeats: int) -> int:
    """Equal calls of each case; UsageError unless it is a whole number from 2 up."""
    whole = isinstance(repeats, int) and not isinstance(repeats, bool)
    if not whole or not 2 <= repeats <= _MOST_REPEATS:
        raise UsageError(
            f"repeats must be a whole number from 2 to {_MOST_REPEATS}, not {repeats!r}"
        )
    return repeats


def checked_seed(seed: int) -> int:
    """The seed; UsageError unless it is a whole number of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"the seed must be a whole number of at least 0, not {seed!r}")
    return seed


def checked_epsilon(epsilon: float | None) -> float | None:
    """The promised error; UsageError unless it is positive and finite."""
    if epsilon is None:
        return None
    number = isinstance(epsilon, int | float) and not isinstance(epsilon, bool)
    if not number or not 0 < epsilon < math.inf:
        raise UsageError(f"epsilon must be a positive finite number, not {epsilon!r}")
    return float(epsilon)


def checked_machine(name: str | None, dtype: str) -> MachineModel:
    """The machine model, the widest if none is named; UsageError on an unknown name."""
    try:
        return machine_model(str(name or "widest"), dtype)
    except ValueError as error:
        # A name may go on with a block length and +ftz.
        base = re.split("[:+]", str(name))[0]
        hint = "" if base in MACHINES else nearest(base, MACHINES)
        raise UsageError(f"{error}{hint}") from None


def chosen_cases(
    contract: Contract,
    dtype: str,
    seed: int,
    count: int | None,
    regimes: Iterable[str] | None,
    only_cases: Sequence[str] | None,
) -> list[Case]:
    """The cases of a run, each once: `count` of each regime (its own number if None), or those
    named `REGIME:INDEX`, maybe with sizes of their own (`REGIME:INDEX@L=17,r=1`).

    Raises UsageError on a regime that the contract does not have or a case that is not of that
    form.
    """
    known = regimes_of(contract, on_request=True)
    if only_cases is not None:
        named = [_named_case(contract, dtype, seed, key, known) for key in _several(only_cases)]
        # A case that is named twice, as designed:0 and designed:00, is evidence once.
        return list(dict.fromkeys(named))
    default = regimes_of(contract)
    chosen = default if regimes is None else tuple(dict.fromkeys(_several(regimes)))
    for regime in chosen:
        _check_regime(regime, contract, known)
    if not chosen:
        raise UsageError(f"no regime is named; {contract.name} has: {', '.join(known)}")
    return cases_of(contract, dtype, seed, chosen, count)


def checked_names(what: str, names: Iterable[str] | None) -> tuple[str, ...] | None:
    """The names as a tuple, that can be gone through again; a single one may be given as text.

    UsageError, naming the argument `what`, if it cannot be gone through at all.
    """
    if names is None:
        return None
    if not isinstance(names, Iterable):
        raise UsageError(f"{what} must be a list of names, not {names!r}")
    return _several(names)


def _several(names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _named_case(
    contract: Contract, dtype: str, seed: int, key: str, known: tuple[str, ...]
) -> Case:
    name, at, sizes = str(key).partition("@")
    regime, colon, index = name.rpartition(":")
    if not colon or not index.isdecimal() or int(index) >= _MOST_CASES:
        raise UsageError(f"a case is named REGIME:INDEX, as in {known[0]}:0, not {key!r}")
    _check_regime(regime, contract, known)
    case = case_of(contract, dtype, seed, regime, int(index))
    return resized(case, _sizes(sizes, key)) if at else case


def _sizes(text: str, key: str) -> dict[str, int]:
    """The sizes that a case is given instead of those its regime draws, as in r=1,d=4."""
    sizes = {}
    for part in text.split(","):
        symbol, _, number = part.partition("=")
        if not symbol or not number.isdecimal() or not 1 <= int(number) <= _LARGEST_SIZE:
            raise UsageError(
                f"the sizes of a case are given as in @r=1,d=4, from 1 to {_LARGEST_SIZE},"
                f" not as in {key!r}"
            )
        sizes[symbol] = int(number)
    return sizes


def _check_regime(regime: str, contract: Contract, known: tuple[str, ...]) -> None:
    if regime in known:
        return
    if regime in REGIMES:
        raise UsageError(f"{contract.name} has no regime {regime!r}; it has: {', '.join(known)}")
    # Before the names, of which there are many.
    hint = f"{nearest(str(regime), known)} ".lstrip() or "; "
    raise UsageError(f"unknown regime {regime!r}{hint}{contract.name} has: {', '.join(known)}")
