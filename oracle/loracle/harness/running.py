"""Runs a kernel twice on one case and says what was seen. Runs in the child; needs torch."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from loracle.cases import Inputs
from loracle.errors import Declined
from loracle.harness.certificates import CERTIFICATE, read_certificate
from loracle.harness.layouts import laid_out
from loracle.harness.messages import Call, Observed
from loracle.harness.stray import end_if_stray
from loracle.harness.tracebacks import describe_exception
from loracle.harness.words import in_one_line
from loracle.observation import Observation, Problem

__all__ = ["Runner"]

_BITS = {8: torch.int64, 4: torch.int32, 2: torch.int16}

_LONGEST_REASON = 200
"""Characters of why a call was declined."""


@dataclass
class _Run:
    """One of the two runs: what came back, converted, and what was wrong with it. declined: why
    nothing came back, if the kernel declined the call."""

    outputs: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    certificates: dict[str, float] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    declined: str | None = None
    seconds: float = 0.0


class Runner:
    """Runs one kernel in one dtype on one device, in the process that made it: where a kernel forks
    and both processes come back from it, the other one ends there."""

    def __init__(self, kernel: Callable[..., Any], dtype: str, device: str) -> None:
        self._kernel = kernel
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._device = torch.device(device)
        self._serving = os.getpid()

    def observe(self, call: Call) -> Observed:
        """Two runs on independent copies of the inputs."""
        seed = _seed_of(call.inputs)
        first = self._run(call, seed)
        if _crashed(first):
            return Observed(Observation(problems=tuple(first.problems)), self._poisoned())
        second = self._run(call, seed + 1)
        if _crashed(second):
            problems = [_in_second_run(p) for p in second.problems]
            return Observed(Observation(problems=tuple(problems)), self._poisoned())
        if first.declined is not None or second.declined is not None:
            return Observed(_declined(first.declined, second.declined), self._poisoned())
        seen = {(p.hypothesis, p.output) for p in first.problems}
        later = [p for p in second.problems if (p.hypothesis, p.output) not in seen]
        spread = {
            name: _largest_difference(value, second.outputs[name])
            for name, value in first.outputs.items()
            if name in second.outputs
        }
        return Observed(
            Observation(
                outputs=first.outputs,
                repeated={
                    name: second.outputs[name]
                    for name, largest in spread.items()
                    if largest > 0 or first.certificates.get(name) != second.certificates.get(name)
                },
                spread=spread,
                certificates=first.certificates,
                repeated_certificates=second.certificates,
                problems=(*first.problems, *(_in_second_run(p) for p in later)),
                notes=tuple(first.notes),
                seconds=second.seconds,
            ),
            self._poisoned(),
        )

    def _run(self, call: Call, seed: int) -> _Run:
        # A clone would not keep every layout.
        tensors, before = self._tensors(call.inputs), self._tensors(call.inputs)
        # Random numbers differ between the two runs, so that spread shows them, and depend on the
        # case alone, so that a replay sees the same.
        torch.manual_seed(seed)
        try:
            self._wait()
            started = time.perf_counter()
            with torch.enable_grad():
                results = self._call(tensors, call.inputs.scalars)
            self._wait()
            seconds = time.perf_counter() - started
            run = self._convert(results, call.outputs)
        except Declined as error:
            reason = in_one_line(str(error), _LONGEST_REASON)
            return _Run(declined=reason or "the kernel gave no reason")
        except BaseException as error:
            return _Run(problems=[Problem("crash", None, describe_exception(error))])
        run.problems += self._changed_inputs(tensors, before)
        run.seconds = seconds
        return run

    def _call(self, tensors: Mapping[str, torch.Tensor], scalars: Mapping[str, float]) -> object:
        try:
            return self._kernel(**tensors, **scalars)
        finally:
            # It has our end of the channel, and its answer would be taken for that of a later call.
            end_if_stray(self._serving)

    def _tensors(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        """The kernel's own: leaves, contiguous but for those that have a layout."""
        tensors = {name: self._tensor(value) for name, value in inputs.tensors.items()}
        laid = {name: laid_out(tensors[name], layout) for name, layout in inputs.layouts.items()}
        return tensors | laid

    def _tensor(self, value: npt.NDArray[np.float64]) -> torch.Tensor:
        # torch.tensor copies always.
        return torch.tensor(np.ascontiguousarray(value), dtype=self._dtype, device=self._device)

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

    def _convert(self, results: object, expected: Mapping[str, tuple[int, ...]]) -> _Run:
        if not isinstance(results, Mapping):
            kind = type(results).__name__
            text = f"returned a {kind}, not a mapping from output names to tensors"
            return _Run(problems=[Problem("missing-output", None, text)])
        certificate = read_certificate(results.get(CERTIFICATE), expected)
        extra = [str(name) for name in results if name not in expected and name != CERTIFICATE]
        run = _Run(
            certificates=certificate.bounds,
            problems=certificate.problems,
            notes=[f"the extra output {name!r} is ignored" for name in extra] + certificate.notes,
        )
        # By what an output was to be judged is not known where its certificate means nothing.
        unclear = {problem.output for problem in certificate.problems}
        for name, shape in expected.items():
            problem = self._defect(name, results.get(name), shape)
            if problem is not None:
                run.problems.append(problem)
            elif not unclear & {name, None}:
                run.outputs[name] = results[name].detach().to(torch.float64).cpu().numpy().copy()
        return run

    def _defect(self, name: str, value: object, shape: tuple[int, ...]) -> Problem | None:
        if value is None:
            return Problem("missing-output", name, f"{name} was not returned")
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            kind = type(value).__name__
            return Problem("missing-output", name, f"{name} is a {kind}, not a dense tensor")
        if tuple(value.shape) != shape:
            text = f"{name} has shape {tuple(value.shape)}, expected {shape}"
            return Problem("wrong-shape", name, text)
        if value.dtype != self._dtype:
            text = f"{name} is {_short(value.dtype)}, expected {_short(self._dtype)}"
            return Problem("wrong-dtype", name, text)
        return None

    def _changed_inputs(
        self, tensors: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor]
    ) -> list[Problem]:
        problems = []
        for name, tensor in tensors.items():
            change = _change(tensor.detach(), before[name])
            if change is not None:
                problems.append(Problem("mutates-input", name, f"{name} was changed: {change}"))
        return problems


def _change(now: torch.Tensor, before: torch.Tensor) -> str | None:
    """How an input differs from its snapshot, bit for bit; None if it does not."""
    if now.dtype != before.dtype or now.device != before.device:
        return f"it is now {_short(now.dtype)} on {now.device}"
    if now.shape != before.shape:
        return f"its shape is now {tuple(now.shape)}, was {tuple(before.shape)}"
    if now.stride() != before.stride():
        return f"its strides are now {now.stride()}, were {before.stride()}"
    bits = _BITS[now.element_size()]
    differs = now.view(bits) != before.view(bits)
    count = int(differs.sum())
    if not count:
        return None
    largest = (now.double() - before.double()).abs().max().item()
    return f"{count} of {now.numel()} elements differ, by up to {largest:.3g}"


def _largest_difference(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """max |first - second|; equal infinities and NaN against NaN count as equal, else infinite."""
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    if same.all():
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(first - second)[~same]
    return float(np.where(np.isnan(difference), np.inf, difference).max())


def _crashed(run: _Run) -> bool:
    return any(problem.hypothesis == "crash" for problem in run.problems)


def _declined(first: str | None, second: str | None) -> Observation:
    """Of two calls of which one at least was declined, for these reasons."""
    if first is not None and second is not None:
        return Observation(declined=first)
    which = "first" if second is None else "second"
    text = f"declined only the {which} of two calls with equal inputs: {first or second}"
    return Observation(problems=(Problem("nondeterministic", None, text),))


def _in_second_run(problem: Problem) -> Problem:
    text = f"{problem.explanation} (in the second of two calls with equal inputs)"
    return Problem(problem.hypothesis, problem.output, text)


def _seed_of(inputs: Inputs) -> int:
    checksum = 0
    for value in inputs.tensors.values():
        checksum = zlib.crc32(value.tobytes(), checksum)
    return checksum


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
