"""Runs a kernel on one case, again and again, and says what was seen. Runs in the child; needs
torch."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from loracle.cases import Inputs
from loracle.errors import Declined
from loracle.harness.compilation import compiled_graphs
from loracle.harness.conditions import under
from loracle.harness.guard_bands import GuardBands
from loracle.harness.layouts import laid_out
from loracle.harness.limits import want_of_memory
from loracle.harness.messages import Call, Observed
from loracle.harness.results import Run, change, compared, converted, new_problems
from loracle.harness.stray import end_if_stray
from loracle.harness.surroundings import Surroundings, seed_everything
from loracle.harness.tracebacks import describe_exception
from loracle.harness.words import in_one_line
from loracle.observation import Observation, Problem

__all__ = ["Arguments", "Runner"]

_LONGEST_REASON = 200
"""Characters of why a call was declined."""


@dataclass(frozen=True)
class Arguments:
    """Tensors for one or several calls. bands: None on a device other than the CPU."""

    tensors: dict[str, torch.Tensor]
    scalars: Mapping[str, float]
    bands: GuardBands | None


class Runner:
    """Runs one kernel in one dtype on one device, in the process that made it: where a kernel forks
    and both processes come back from it, the other one ends there.

    allowance: the bytes of memory that the kernel may take, None if that is not limited. compiled:
    the kernel was made by torch.compile.
    """

    def __init__(
        self,
        kernel: Callable[..., Any],
        dtype: str,
        device: str,
        *,
        allowance: int | None = None,
        compiled: bool = False,
    ) -> None:
        self._kernel = kernel
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._device = torch.device(device)
        self._allowance = allowance
        self._compiled = compiled
        self._graphs_before = compiled_graphs()
        self._serving = os.getpid()

    @property
    def has_compiled(self) -> bool:
        """Whether torch.compile has compiled anything since; a forked process inherits the count
        of what its parent compiled."""
        return compiled_graphs() > self._graphs_before

    def observe(self, call: Call) -> Iterator[Observed]:
        """The equal calls, each on its own copies of the inputs; then one by one, if they were
        answered, the conditions that are asked for."""
        runs: list[Run] = []
        for index in range(call.repeats):
            run = self.run(self.arguments(call.inputs), call, call.seed + index)
            if run.crash is not None:
                how = _how(index, call.repeats)
                problems = new_problems(Run(), run, how) if index else run.problems
                seen = Observation(problems=tuple(problems), notes=tuple(run.notes))
                yield Observed(seen, self._poisoned())
                return
            runs.append(run)
        if any(run.declined is not None for run in runs):
            yield Observed(_declined([run.declined for run in runs]), self._poisoned())
            return
        pending, seen = call.conditions, self._together(runs)
        varies = any(run.outputs for run in seen.repeats)
        yield Observed(seen, self._poisoned(), pending)
        for condition in call.conditions:
            pending = pending[1:]
            seen = under(condition, self, call, runs[0], varies=varies)
            yield Observed(seen, self._poisoned(), pending)

    def arguments(self, inputs: Inputs) -> Arguments:
        """Copies of the inputs, the kernel's own memory: leaves, contiguous but for those that have
        a layout."""
        bands = GuardBands() if self._device.type == "cpu" else None
        tensors = {n: self._tensor(n, v, bands) for n, v in inputs.tensors.items()}
        # Those that do not fill their memory lie between no bands.
        tensors |= {n: laid_out(tensors[n], layout) for n, layout in inputs.layouts.items()}
        return Arguments(tensors, inputs.scalars, bands)

    def run(self, arguments: Arguments, call: Call, seed: int) -> Run:
        """One call. seed: of the global random numbers. They differ between equal calls, so that
        spread shows them, and depend on the case alone, so that a replay sees the same."""
        tensors, bands = arguments.tensors, arguments.bands
        before = {name: (tensor.clone(), tensor.stride()) for name, tensor in tensors.items()}
        seed_everything(seed)
        notes: list[str] = []
        try:
            self._wait()
            with torch.enable_grad(), warnings.catch_warnings():
                surroundings = Surroundings()
                started = time.perf_counter()
                try:
                    results = self._call(tensors, arguments.scalars)
                    self._wait()
                finally:
                    seconds = time.perf_counter() - started
                    notes = surroundings.restore()
            run = converted(results, call.outputs, self._dtype)
            run.seconds = seconds
            run.problems += _changed_inputs(tensors, before)
        except Declined as error:
            reason = in_one_line(str(error), _LONGEST_REASON)
            run = Run(declined=reason or "the kernel gave no reason")
        except BaseException as error:
            text = describe_exception(error) + want_of_memory(error, self._allowance)
            run = Run(problems=[Problem("crash", None, text)])
        run.notes += notes
        run.problems += bands.problems() if bands else []
        return run

    def _call(self, tensors: Mapping[str, torch.Tensor], scalars: Mapping[str, float]) -> object:
        try:
            return self._kernel(**tensors, **scalars)
        finally:
            # It has our end of the channel, and its answer would be taken for that of a later call.
            end_if_stray(self._serving)

    def _tensor(
        self, name: str, value: npt.NDArray[np.float64], bands: GuardBands | None
    ) -> torch.Tensor:
        # torch.tensor copies always.
        tensor = torch.tensor(np.ascontiguousarray(value), dtype=self._dtype, device=self._device)
        return bands.tensor(name, tensor) if bands else tensor

    def _together(self, runs: Sequence[Run]) -> Observation:
        """Of equal calls that were all answered."""
        first, second = runs[:2]
        hows = [_how(index, len(runs)) for index in range(len(runs))]
        problems, seen = list(first.problems), first
        for run, how in zip(runs[1:], hows[1:], strict=True):
            problems += new_problems(seen, run, how)
            seen = Run(problems=[*seen.problems, *run.problems])
        notes = [*first.notes, *second.notes]
        if self._compiled and not self.has_compiled:
            notes.append("torch.compile found nothing in the kernel to compile: it ran eagerly")
        return Observation(
            outputs=first.outputs,
            certificates=first.certificates,
            further=tuple(
                compared(first, run, None, how) for run, how in zip(runs[1:], hows[1:], strict=True)
            ),
            problems=tuple(problems),
            notes=tuple(dict.fromkeys(notes)),
            seconds=second.seconds,
        )

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _poisoned(self) -> bool:
        """After some errors every later CUDA call of the process fails."""
        try:
            self._wait()
        except Exception:
            return True
        return False


def _changed_inputs(
    tensors: Mapping[str, torch.Tensor],
    before: Mapping[str, tuple[torch.Tensor, tuple[int, ...]]],
) -> list[Problem]:
    problems = []
    for name, tensor in tensors.items():
        found = change(tensor.detach(), *before[name])
        if found is not None:
            problems.append(Problem("mutates-input", name, f"{name} was changed: {found}"))
    return problems


def _declined(reasons: Sequence[str | None]) -> Observation:
    """Of equal calls of which one at least was declined, for these reasons."""
    given = [reason for reason in reasons if reason is not None]
    if len(given) == len(reasons):
        return Observation(declined=given[0])
    which = f"only {len(given)} of {len(reasons)} calls"
    if len(reasons) == 2:
        which = f"only the {'second' if reasons[0] is None else 'first'} of two calls"
    text = f"declined {which} with equal inputs: {given[0]}"
    return Observation(problems=(Problem("nondeterministic", None, text),))


def _how(index: int, count: int) -> str:
    """Which of so many equal calls."""
    if count == 2:
        return f"in the {('first', 'second')[index]} of two calls with equal inputs"
    return f"in call {index + 1} of {count} with equal inputs"
