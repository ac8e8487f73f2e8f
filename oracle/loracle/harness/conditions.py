"""Runs of a case under conditions that no right kernel sees. Runs in the child; needs torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from loracle.harness.fresh_memory import filled_fresh_memory
from loracle.harness.messages import Call
from loracle.harness.results import Run, compared, new_problems
from loracle.observation import CONDITIONS, Condition, Observation, Problem

if TYPE_CHECKING:
    from loracle.harness.running import Runner

__all__ = ["under"]


def under(
    condition: Condition, runner: Runner, call: Call, first: Run, *, varies: bool
) -> Observation:
    """What was seen under the condition: nothing but further runs, problems and notes.

    first: an ordinary run of the same call. varies: equal calls differ. Where they do not, what is
    another result under the condition must be so again, and must not be so without it.
    """
    check = _CHECKS[condition]
    seen = check(runner, call, first)
    if varies or not _differs(seen):
        return seen
    again = check(runner, call, first)
    # Zeros, since otherwise memory may still hold what the condition has filled it with.
    with filled_fresh_memory(by_torch=False, zeros=True):
        control = runner.run(runner.arguments(call.inputs), call, call.seed)
    return seen if _differs(again) and _is_other(control, again) else _of_equal_calls(seen)


def _is_other(control: Run, seen: Observation) -> bool:
    """Whether a run without the condition has another result than those under it."""
    if control.crash is not None or control.declined is not None:
        return False
    pairs = [(v, control.outputs.get(n)) for run in seen.further for n, v in run.outputs.items()]
    return all(c is None or not np.array_equal(v, c, equal_nan=True) for v, c in pairs)


def _of_equal_calls(seen: Observation) -> Observation:
    """What was seen in a call that differs from its equals for no reason that could be found."""
    runs = (replace(run, condition=None, how=f"{run.how}, by chance") for run in seen.further)
    problems = (replace(problem, hypothesis="nondeterministic") for problem in seen.problems)
    return replace(seen, further=tuple(runs), problems=tuple(problems))


def _fresh_memory(runner: Runner, call: Call, first: Run) -> Observation:
    condition: Condition = "uninitialised-memory"
    # Deterministic mode is another mode to torch.compile, which would compile everything anew.
    with filled_fresh_memory(by_torch=not runner.has_compiled):
        run = runner.run(runner.arguments(call.inputs), call, call.seed)
    if run.crash is not None or run.declined is not None:
        return _left_out(condition, run)
    return _seen(condition, CONDITIONS[condition], first, run)


def _changed_in_place(runner: Runner, call: Call, first: Run) -> Observation:
    """The same tensors, called with other values first, then with the case's own."""
    if any(problem.hypothesis == "mutates-input" for problem in first.problems):
        return Observation()
    how = CONDITIONS["stale-cache"]
    uncounted = f"{how} through .data, which torch does not count"
    seen = _after_other_values(runner, call, first, _put_as_data, uncounted)
    if not _differs(seen):
        return seen
    # A kernel that asks torch whether its inputs have changed is right this time.
    counted = _after_other_values(runner, call, first, _put, how)
    return counted if _differs(counted) else seen


def _after_other_values(
    runner: Runner,
    call: Call,
    first: Run,
    put: Callable[[torch.Tensor, torch.Tensor], None],
    how: str,
) -> Observation:
    condition: Condition = "stale-cache"
    arguments = runner.arguments(call.inputs)
    tensors = {n: t for n, t in arguments.tensors.items() if not _overlaps(t)}
    own = {name: tensor.clone() for name, tensor in tensors.items()}
    for tensor in tensors.values():
        _put(tensor, _other(tensor))
    earlier = runner.run(arguments, call, call.seed)
    if earlier.crash is not None or earlier.declined is not None:
        return _left_out(condition, earlier)
    if earlier.problems:
        # They may have changed more of the tensors than their values.
        return Observation()
    for name, tensor in tensors.items():
        put(tensor, own[name])
    later = runner.run(arguments, call, call.seed)
    if later.declined is not None:
        return _left_out(condition, later)
    if later.crash is not None:
        return Observation(problems=(Problem(condition, None, f"{later.crash} ({how})"),))
    return _seen(condition, how, first, later)


def _differs(seen: Observation) -> bool:
    return bool(seen.problems) or any(run.outputs for run in seen.further)


def _second_backward(runner: Runner, call: Call, first: Run) -> Observation:
    condition: Condition = "second-backward"
    differentiation = sys.modules.get("loracle.adapters.differentiation")
    if differentiation is None or runner.has_compiled:
        return Observation()
    with differentiation.second_backward():
        run = runner.run(runner.arguments(call.inputs), call, call.seed)
    if run.crash is not None or run.declined is not None:
        return _left_out(condition, run)
    return _seen(condition, CONDITIONS[condition], first, run)


_CHECKS: dict[Condition, Callable[[Runner, Call, Run], Observation]] = {
    "uninitialised-memory": _fresh_memory,
    "stale-cache": _changed_in_place,
    "second-backward": _second_backward,
}


def _seen(condition: Condition, how: str, first: Run, run: Run) -> Observation:
    return Observation(
        further=(compared(first, run, condition, how),),
        problems=tuple(new_problems(first, run, how)),
    )


def _left_out(condition: Condition, run: Run) -> Observation:
    """Such a call may be refused: by an operation that has no deterministic algorithm, for values
    that the kernel is not made for, or by a graph that can be gone through only once."""
    why = run.declined or run.crash
    return Observation(notes=(f"not seen {CONDITIONS[condition]}: {why}",))


def _other(tensor: torch.Tensor) -> torch.Tensor:
    """Other values of the same size: half of them all, in reverse order."""
    return tensor.flatten().flip(0).reshape(tensor.shape) * 0.5


def _overlaps(tensor: torch.Tensor) -> bool:
    """Whether elements share memory, as where an axis was expanded: nothing can be put there."""
    axes = zip(tensor.stride(), tensor.shape, strict=True)
    return any(step == 0 and size > 1 for step, size in axes)


def _put(tensor: torch.Tensor, values: torch.Tensor) -> None:
    with torch.no_grad():
        tensor.copy_(values)


def _put_as_data(tensor: torch.Tensor, values: torch.Tensor) -> None:
    tensor.data.copy_(values)
