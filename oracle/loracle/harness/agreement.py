"""What a loaded kernel and a contract agree on, before any call."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from loracle.contracts import Contract, how_to_take_by_name, infer_contract
from loracle.declaration import Declaration
from loracle.errors import UsageError
from loracle.harness.messages import LoadedKernel, Parameter

__all__ = ["Loaded", "agree"]


@dataclass(frozen=True)
class Loaded:
    """A kernel that is ready. outputs: the names it is expected to return, all of the contract's
    unless it declares fewer. environment: plain data for the report."""

    name: str
    contract: Contract
    declaration: Declaration
    outputs: tuple[str, ...]
    environment: dict[str, Any]
    notes: tuple[str, ...] = ()


def agree(answer: LoadedKernel, wanted: Contract | None) -> Loaded:
    """What the kernel is, as far as its parameters and its declaration allow.

    wanted: None to tell the contract from the parameters. Raises UsageError, in one line, if it
    cannot be told, if the kernel does not take its arguments, or if it declares unknown outputs.
    """
    contract = wanted or infer_contract(_Signature(answer.parameters))
    _check_parameters(answer, contract)
    outputs = answer.declaration.outputs or tuple(contract.outputs)
    unknown = [name for name in outputs if name not in contract.outputs]
    if unknown:
        raise UsageError(
            f"{answer.name} declares the output {unknown[0]!r}; {contract.name} has"
            f" {', '.join(contract.outputs)}"
        )
    return Loaded(
        name=answer.name,
        contract=contract,
        declaration=answer.declaration,
        outputs=outputs,
        environment=answer.environment,
        notes=answer.notes,
    )


def _check_parameters(answer: LoadedKernel, contract: Contract) -> None:
    """Raises UsageError if a call with the contract's arguments can only be a TypeError."""
    if answer.parameters is None:
        return
    by_name = {p.name for p in answer.parameters if p.by_name}
    missing = [name for name in contract.parameters if name not in by_name]
    if missing and not any(p.takes_rest for p in answer.parameters):
        positional = {p.name for p in answer.parameters if not p.by_name}
        raise UsageError(
            f"{answer.name} does not take {', '.join(missing)}, which {contract.name} passes;"
            f" {how_to_take_by_name(positional)}"
        )
    required = [
        p.name for p in answer.parameters if p.required and p.name not in contract.parameters
    ]
    if required:
        raise UsageError(
            f"{answer.name} requires {', '.join(required)}, which {contract.name} does not pass;"
            " give a default"
        )


class _Signature:
    """Stands in the parent for a kernel that lives in a child, to be asked for its parameters."""

    def __init__(self, parameters: Sequence[Parameter] | None) -> None:
        if parameters is None:
            return  # What is left is that of __call__, which names none either.
        known = [inspect.Parameter(p.name, _kind(p)) for p in parameters]
        self.__signature__ = inspect.Signature(sorted(known, key=lambda p: p.kind))

    def __call__(self, **arguments: object) -> NoReturn:
        raise TypeError("the kernel is in another process")


def _kind(parameter: Parameter) -> inspect._ParameterKind:
    if parameter.takes_rest:
        return inspect.Parameter.VAR_KEYWORD
    by_name = parameter.by_name
    return inspect.Parameter.KEYWORD_ONLY if by_name else inspect.Parameter.POSITIONAL_ONLY
