"""What a kernel declares about itself: limits, outputs, machine, evaluation plan, accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from loracle.errors import UsageError, checks_keywords, nearest

__all__ = ["Declaration", "check_unsupported", "declaration_of", "declare"]

_ATTRIBUTE = "__loracle__"
_ACCUMULATE_MACHINES = {"float32": "f32-accumulate"}

K = TypeVar("K", bound=Callable[..., Any])


@dataclass(frozen=True)
class Declaration:
    """The limits a kernel states; what it leaves out is skipped out loud, never counted as passed.

    unsupported: regimes or dtypes it is not made for. outputs: the outputs it has, None for all of
    the contract's. machine: the machine model it is judged under, None for the widest. epsilon: the
    absolute error it promises, in the max norm of each output (Problems 1 to 3), None for none.
    accumulate: "float32" is a shorthand for machine "f32-accumulate" and sets `machine`. plan: the
    evaluation plan that it follows, None or "none" for none.
    Raises UsageError on a value that means nothing.
    """

    unsupported: tuple[str, ...] = ()
    outputs: tuple[str, ...] | None = None
    machine: str | None = None
    epsilon: float | None = None
    accumulate: str | None = None
    plan: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "unsupported", _names("unsupported", self.unsupported))
        if self.outputs is not None:
            object.__setattr__(self, "outputs", _names("outputs", self.outputs))
            if not self.outputs:
                raise UsageError("declare: outputs is empty; name at least one output")
        if self.machine is not None and not (isinstance(self.machine, str) and self.machine):
            raise UsageError(f"declare: machine must be a machine's name, not {self.machine!r}")
        if self.plan is not None and not (isinstance(self.plan, str) and self.plan):
            raise UsageError(f"declare: plan must be a plan's name, not {self.plan!r}")
        self._check_epsilon()
        self._expand_accumulate()

    def _check_epsilon(self) -> None:
        if self.epsilon is None:
            return
        if isinstance(self.epsilon, bool) or not isinstance(self.epsilon, int | float):
            raise UsageError(f"declare: epsilon must be a number, not {self.epsilon!r}")
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise UsageError(f"declare: epsilon must be positive and finite, not {self.epsilon!r}")
        object.__setattr__(self, "epsilon", float(self.epsilon))

    def _expand_accumulate(self) -> None:
        if self.accumulate is None:
            return
        if self.accumulate not in _ACCUMULATE_MACHINES:
            known = ", ".join(repr(name) for name in _ACCUMULATE_MACHINES)
            raise UsageError(f"declare: accumulate must be {known}, not {self.accumulate!r}")
        machine = _ACCUMULATE_MACHINES[self.accumulate]
        if self.machine is not None and self.machine.partition(":")[0] != machine:
            raise UsageError(
                f"declare: accumulate={self.accumulate!r} means machine={machine!r},"
                f" which contradicts machine={self.machine!r}; give one of them"
            )
        if self.machine is None:
            object.__setattr__(self, "machine", machine)


@checks_keywords
def declare(
    *,
    unsupported: Iterable[str] = (),
    outputs: Iterable[str] | None = None,
    machine: str | None = None,
    epsilon: float | None = None,
    accumulate: str | None = None,
    plan: str | None = None,
) -> Callable[[K], K]:
    """A decorator that attaches a `Declaration` with these values to a kernel, and returns it.

    Raises UsageError on a value that means nothing, on an unsupported name that is neither a regime
    nor a dtype, on a plan that no contract has, or not that of the kernel's parameters, or on a
    kernel that takes no attributes.
    """
    declaration = Declaration(
        unsupported=_names("unsupported", unsupported),
        outputs=None if outputs is None else _names("outputs", outputs),
        machine=machine,
        epsilon=epsilon,
        accumulate=accumulate,
        plan=plan,
    )

    check_unsupported(declaration.unsupported)
    _check_plan(declaration.plan)

    def attach(kernel: K) -> K:
        _check_plan(declaration.plan, kernel)
        try:
            setattr(kernel, _ATTRIBUTE, declaration)
        except (AttributeError, TypeError):
            raise UsageError(
                f"declare: a kernel of type {type(kernel).__name__} takes no attributes;"
                " wrap it in a function"
            ) from None
        return kernel

    return attach


def check_unsupported(names: tuple[str, ...], where: str = "declare") -> None:
    """Raises UsageError, which begins with `where`, on a name of neither a regime nor a dtype."""
    if not names:
        return
    # Not before there is need: what declares nothing of the kind loads neither.
    from loracle.generation.regimes import REGIMES
    from loracle_reference.floating_point import FORMATS

    for name in names:
        if name not in REGIMES and name not in FORMATS:
            raise UsageError(
                f"{where}: {name!r} is neither a dtype ({', '.join(FORMATS)}) nor a regime"
                f" ({', '.join(REGIMES)}){nearest(name, [*REGIMES, *FORMATS])}"
            )


def _check_plan(name: str | None, kernel: Callable[..., Any] | None = None) -> None:
    """Raises UsageError on a plan that no contract has, or not the one that the parameters of the
    kernel tell; where they tell none, the contract is asked when it is known."""
    if name is None:
        return
    from loracle.contracts import infer_contract
    from loracle.plans import checked_plan

    contract = None
    if kernel is not None:
        with suppress(UsageError):
            contract = infer_contract(kernel)
    checked_plan(name, contract, "declare")


def declaration_of(kernel: object) -> Declaration:
    """What `kernel` declares; an empty declaration if it declares nothing.

    Raises UsageError if its `__loracle__` was not made by `declare`.
    """
    declaration = getattr(kernel, _ATTRIBUTE, None)
    if declaration is None:
        return Declaration()
    if not isinstance(declaration, Declaration):
        raise UsageError(
            f"{_ATTRIBUTE} is of type {type(declaration).__name__};"
            " set it with @loracle.declare(...)"
        )
    return declaration


def _names(what: str, value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise UsageError(
            f"declare: {what} must be a list of names, not {value!r}; write {what}=[{value!r}]"
        )
    if not isinstance(value, Iterable):
        raise UsageError(f"declare: {what} must be a list of names, not {value!r}")
    names = tuple(value)
    wrong = [name for name in names if not (isinstance(name, str) and name)]
    if wrong:
        raise UsageError(f"declare: {what} must be a list of names; {wrong[0]!r} is none")
    return tuple(dict.fromkeys(names))
