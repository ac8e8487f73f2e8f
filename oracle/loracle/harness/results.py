"""What came back from one run of a kernel, and how two runs differ. Runs in the child; needs
torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from loracle.errors import near_names
from loracle.harness.certificates import CERTIFICATE, read_certificate
from loracle.observation import Condition, FurtherRun, Problem

__all__ = ["Run", "change", "compared", "converted", "new_problems", "short"]

_BITS = {8: torch.int64, 4: torch.int32, 2: torch.int16}


@dataclass
class Run:
    """One run: what came back, converted, and what was wrong with it. declined: why nothing came
    back, if the kernel declined the call. seconds: its wall time."""

    outputs: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    certificates: dict[str, float] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    declined: str | None = None
    seconds: float = 0.0

    @property
    def crash(self) -> str | None:
        """The exception that ended it, described; None if there was none."""
        found = (p.explanation for p in self.problems if p.hypothesis == "crash")
        return next(found, None)


def converted(results: object, expected: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> Run:
    """What a kernel returned, as far as it has the names, shapes and dtype that are expected."""
    if not isinstance(results, Mapping):
        kind = type(results).__name__
        text = f"returned a value of type {kind}, not a mapping from output names to tensors"
        return Run(problems=[Problem("missing-output", None, text)])
    certificate = read_certificate(results.get(CERTIFICATE), expected)
    extra = [str(name) for name in results if name not in expected and name != CERTIFICATE]
    run = Run(
        certificates=certificate.bounds,
        problems=certificate.problems,
        notes=[f"the extra output {name!r} is ignored" for name in extra] + certificate.notes,
    )
    # By what an output was to be judged is not known where its certificate means nothing.
    unclear = {problem.output for problem in certificate.problems}
    for name, shape in expected.items():
        problem = _defect(name, results.get(name), shape, dtype)
        if problem is not None and name not in results:
            problem = Problem(
                "missing-output", name, f"{name} was not returned{_instead(name, extra)}"
            )
        if problem is not None:
            run.problems.append(problem)
        elif not unclear & {name, None}:
            run.outputs[name] = results[name].detach().to(torch.float64).cpu().numpy().copy()
    return run


def compared(first: Run, other: Run, condition: Condition | None, how: str) -> FurtherRun:
    """The other run, as far as it differs from the first."""
    spread = {
        name: _largest_difference(value, other.outputs[name])
        for name, value in first.outputs.items()
        if name in other.outputs
    }
    outputs = {
        name: other.outputs[name]
        for name, largest in spread.items()
        if largest > 0 or first.certificates.get(name) != other.certificates.get(name)
    }
    return FurtherRun(condition, how, outputs, spread, other.certificates)


def new_problems(first: Run, other: Run, how: str) -> list[Problem]:
    """Those of the other run that the first has not."""
    seen = {(p.hypothesis, p.output) for p in first.problems}
    later = [p for p in other.problems if (p.hypothesis, p.output) not in seen]
    return [Problem(p.hypothesis, p.output, f"{p.explanation} ({how})") for p in later]


def change(now: torch.Tensor, before: torch.Tensor, strides: tuple[int, ...]) -> str | None:
    """How an input differs from its clone, which need not have its strides, bit for bit; None if it
    does not."""
    if now.dtype != before.dtype or now.device != before.device:
        return f"it is now {short(now.dtype)} on {now.device}"
    if now.shape != before.shape:
        return f"its shape is now {tuple(now.shape)}, was {tuple(before.shape)}"
    if now.stride() != strides:
        return f"its strides are now {now.stride()}, were {strides}"
    bits = _BITS[now.element_size()]
    if torch.equal(now.view(bits), before.view(bits)):
        return None
    count = int((now.view(bits) != before.view(bits)).sum())
    largest = (now.double() - before.double()).abs().max().item()
    return f"{count} of {now.numel()} elements differ, by up to {largest:.3g}"


def short(dtype: torch.dtype) -> str:
    """`float32`."""
    return str(dtype).removeprefix("torch.")


def _defect(name: str, value: object, shape: tuple[int, ...], dtype: torch.dtype) -> Problem | None:
    if value is None:
        return Problem("missing-output", name, f"{name} was not returned")
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        kind = type(value).__name__
        return Problem("missing-output", name, f"{name} is of type {kind}, not a dense tensor")
    if tuple(value.shape) != shape:
        text = f"{name} has shape {tuple(value.shape)}, expected {shape}"
        return Problem("wrong-shape", name, text)
    if value.dtype != dtype:
        text = f"{name} is {short(value.dtype)}, expected {short(dtype)}"
        return Problem("wrong-dtype", name, text)
    return None


def _instead(name: str, extra: Sequence[str]) -> str:
    """What was returned that has another name."""
    if close := near_names(name, extra):
        return f"; {' and '.join(close)} {'were' if close[1:] else 'was'}: is that it?"
    return f"; under no name of the contract: {', '.join(extra)}" if extra else ""


def _largest_difference(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """max |first - second|; equal infinities and NaN against NaN count as equal, else infinite."""
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    if same.all():
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(first - second)[~same]
    return float(np.where(np.isnan(difference), np.inf, difference).max())
