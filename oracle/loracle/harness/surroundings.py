"""What a kernel finds around it and must leave as it was: torch's global switches, the process's
environment. Runs in the child; needs torch."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

__all__ = ["Surroundings", "seed_everything"]


_OF_COMPILERS = ("KMP_", "TORCHINDUCTOR_", "TRITON_")
"""Environment variables of these beginnings are set by torch's own compilers, when they start."""


def seed_everything(seed: int) -> None:
    """The state of all global random numbers, so that none comes from an earlier call."""
    if torch.accelerator.current_accelerator() is None:
        # torch.manual_seed notes for each accelerator that it may yet have, with a stack trace,
        # what to seed: a fifth of the time that a small call takes.
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


_SIGNALS = tuple(signal.Signals)


@dataclass(frozen=True)
class _Part:
    """One thing that a call can change. put: sets it back, None where every call begins with its
    own. shown: whether its values can be printed."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object] | None
    shown: bool = False


class Surroundings:
    """As they are now."""

    def __init__(self) -> None:
        self._before = [(part, _value(part)) for part in _PARTS]

    def restore(self) -> list[str]:
        """Set back what was changed; returns a note on each."""
        notes = []
        for part, before in self._before:
            now = _value(part)
            if now == before:
                continue
            detail = f", from {before} to {now}" if part.shown else _difference(before, now)
            back = "; it was set back" if part.put else ""
            notes.append(f"the kernel changed {part.name}{detail}{back}")
            if part.put is not None:
                with suppress(OSError, RuntimeError, TypeError, ValueError):
                    part.put(before)
        return notes


def _value(part: _Part) -> Any:
    """None where it cannot be told, as where a working directory was removed."""
    try:
        return part.get()
    except (OSError, RuntimeError):
        return None


def _difference(before: Any, now: Any) -> str:
    """The keys at which two mappings differ; nothing of other values."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return ""
    keys = [k for k in (before | now) if before.get(k) != now.get(k)]
    return f" ({', '.join(str(getattr(k, 'name', k)) for k in keys)})"


def _set_device(device: torch.device) -> None:
    # Not the same as naming the CPU, which would leave a function mode switched on.
    torch.set_default_device(None if device.type == "cpu" else device)


def _autocast() -> dict[str, bool]:
    return {kind: torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda")}


def _set_autocast(enabled: dict[str, bool]) -> None:
    for kind, value in enabled.items():
        torch.set_autocast_enabled(kind, value)


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(_OF_COMPILERS)}


def _set_environment(variables: dict[str, str]) -> None:
    for name in set(_environment()) - set(variables):
        del os.environ[name]
    os.environ.update(variables)


def _handlers() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _set_handlers(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        # None: it was not installed by Python, and Python cannot install it again.
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


def _flushes_subnormals() -> bool:
    smallest = sys.float_info.min
    return smallest / 2 == 0


def _numpy_random() -> Any:
    state = np.random.get_state(legacy=False)
    return state["state"]["key"].tobytes(), state["state"]["pos"]


_PARTS = (
    _Part("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype, shown=True),
    _Part("torch's default device", torch.get_default_device, _set_device, shown=True),
    _Part("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled, shown=True),
    _Part("autocast", _autocast, _set_autocast),
    _Part("torch's number of threads", torch.get_num_threads, torch.set_num_threads, shown=True),
    _Part(
        "torch's deterministic mode",
        torch.get_deterministic_debug_mode,
        torch.set_deterministic_debug_mode,
        shown=True,
    ),
    _Part(
        "torch's precision of float32 products",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
        shown=True,
    ),
    _Part("the flushing of subnormals", _flushes_subnormals, torch.set_flush_denormal, shown=True),
    _Part("numpy's handling of errors", np.geterr, lambda old: np.seterr(**old)),
    _Part("the environment variables", _environment, _set_environment),
    _Part("the working directory", os.getcwd, os.chdir),
    _Part("signal handlers", _handlers, _set_handlers),
    _Part("the seed of torch's random numbers", torch.initial_seed, None),
    _Part("numpy's global random numbers", _numpy_random, None),
    _Part("Python's global random numbers", random.getstate, None),
)
