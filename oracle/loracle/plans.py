"""The names of evaluation plans: what may be asked for or declared, and for which contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loracle.errors import UsageError, nearest
from loracle_reference.evaluation_plans import PLANS

# A completion has no time for all that a contract has.
if TYPE_CHECKING:
    from loracle.contracts import Contract

__all__ = ["NO_PLAN", "checked_plan", "notes_on_plan", "plan_names"]

NO_PLAN = "none"
"""Asks for the bound of every legal evaluation, whatever plan the kernel declares."""


def plan_names() -> tuple[str, ...]:
    """The plans of all contracts, each once."""
    return tuple(dict.fromkeys(name for plans in PLANS.values() for name in plans))


def checked_plan(name: str | None, contract: Contract | None, where: str = "") -> str | None:
    """The name of an evaluation plan of the contract, or of any if that is not known yet; None for
    None and for NO_PLAN.

    Raises UsageError, which begins with `where`, if there is no such plan.
    """
    if name is None or name == NO_PLAN:
        return None
    names = plan_names() if contract is None else tuple(PLANS.get(contract.name, ()))
    if str(name) in names:
        return str(name)
    begin, listed = f"{where}: " if where else "", ", ".join((*names, NO_PLAN))
    if contract is not None and str(name) in plan_names():
        raise UsageError(f"{begin}{contract.name} has no plan {str(name)!r}; it has: {listed}")
    hint = nearest(str(name), (*names, NO_PLAN))
    raise UsageError(f"{begin}unknown plan {str(name)!r}; known: {listed}{hint}")


def notes_on_plan(plan: str | None, epsilon: float | None, *, only_promised: bool) -> list[str]:
    """That a plan had no part in the verdict: it makes a bound, and a promise replaces the bound.
    only_promised: whether every output was judged by a promise."""
    if plan is None or not (epsilon is not None or only_promised):
        return []
    by = "the epsilon" if epsilon is not None else "the kernel's own certificate"
    return [f"the plan {plan} was not used: errors were judged by {by}, in place of its bound"]
