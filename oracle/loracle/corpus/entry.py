"""One entry of the corpus: a kernel, the dtypes it counts in, and why it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ["ALL_DTYPES", "Entry", "RightKernel", "WrongKernel", "right", "wrong"]

ALL_DTYPES = ("float64", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Entry:
    """A kernel of the corpus.

    name: unique, kebab-case. contract: a key of `loracle.contracts.CONTRACTS`. target:
    `package.module:function`. dtypes: those in which the entry's claim (wrong, or right) is made.
    what: one sentence. source: the address of a report of it, or the algebra.
    """

    name: str
    contract: str
    target: str
    dtypes: tuple[str, ...]
    what: str
    source: str

    def load(self) -> Callable[..., Mapping[str, Any]]:
        """The kernel itself; imports torch."""
        module, _, function = self.target.partition(":")
        kernel: Callable[..., Mapping[str, Any]] = getattr(import_module(module), function)
        return kernel


@dataclass(frozen=True)
class WrongKernel(Entry):
    """A kernel with one defect, to be caught in each of `dtypes`.

    defect: its class, a key of `loracle.corpus.defects.DEFECTS`. hypotheses: the diagnoses that
    would be right, any one of which must be named; empty where no class of diagnosis describes the
    defect. outputs: those affected; empty where the defect is one of the whole call (changed input,
    crash). left_out: why the other dtypes are not in `dtypes`, empty if all four are. right_in:
    those of them in which it keeps its contract, and must pass; the others are exemptions, which
    are no longer valid once the kernel is caught there for every seed. unnamed_in: those of
    `dtypes` whose roundings hide which defect it is; an allowance that expires likewise, once it is
    named there for every seed.
    """

    defect: str = ""
    hypotheses: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    left_out: str = ""
    right_in: tuple[str, ...] = ()
    unnamed_in: tuple[str, ...] = ()

    @property
    def exempt(self) -> tuple[str, ...]:
        """The dtypes in which it is wrong and need not be caught."""
        return tuple(d for d in ALL_DTYPES if d not in (*self.dtypes, *self.right_in))


@dataclass(frozen=True)
class RightKernel(Entry):
    """A kernel that keeps its contract and computes unlike the specification, to pass in each of
    `dtypes`."""


def wrong(
    contract: str,
    module: str,
    defect: str,
    function: str,
    what: str,
    source: str,
    *,
    hypotheses: tuple[str, ...] = (),
    outputs: tuple[str, ...] = (),
    dtypes: tuple[str, ...] = ALL_DTYPES,
    left_out: str = "",
    right_in: tuple[str, ...] = (),
    unnamed_in: tuple[str, ...] = (),
) -> WrongKernel:
    """The entry of a wrong kernel, named after its contract and function."""
    return WrongKernel(
        name=_name(contract, function),
        contract=contract,
        target=f"{module}:{function}",
        dtypes=dtypes,
        what=what,
        source=source,
        defect=defect,
        hypotheses=hypotheses,
        outputs=outputs,
        left_out=left_out,
        right_in=right_in,
        unnamed_in=unnamed_in,
    )


def right(
    contract: str,
    module: str,
    function: str,
    what: str,
    source: str,
    *,
    dtypes: tuple[str, ...] = ALL_DTYPES,
) -> RightKernel:
    """The entry of a right kernel, named after its contract and function."""
    return RightKernel(
        name=_name(contract, function),
        contract=contract,
        target=f"{module}:{function}",
        dtypes=dtypes,
        what=what,
        source=source,
    )


def _name(contract: str, function: str) -> str:
    return f"{contract}-{function.replace('_', '-')}"
