"""Kernels compiled by torch.compile. Runs in the child; needs torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

from loracle.errors import UsageError
from loracle.harness.words import one_line

__all__ = ["compiled", "compiled_graphs"]

_NO_LIMIT = 1 << 20


def compiled(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel under torch.compile, as far as it can be compiled.

    Raises UsageError where torch.compile does not work at all, as without a C++ compiler.
    """
    import torch._dynamo.config
    import torch._inductor.config
    import torch.fx.experimental._config

    # At its limit of recompilations torch silently runs eagerly what it was asked to compile.
    torch._dynamo.config.recompile_limit = _NO_LIMIT
    torch._dynamo.config.accumulated_recompile_limit = _NO_LIMIT
    # Sizes that happen to be equal are no reason to compile anew, and so small a kernel compiles
    # faster without a pool of processes.
    torch.fx.experimental._config.use_duck_shape = False
    torch._inductor.config.compile_threads = 1
    try:
        torch.compile(_trial)(torch.ones(2))
    except Exception as error:
        raise UsageError(f"torch.compile does not work here: {one_line(error)}") from None
    made: Callable[..., Any] = torch.compile(kernel, dynamic=True)
    return made


def compiled_graphs() -> int:
    """How many graphs torch.compile has compiled in this process."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return int(dynamo.counters["stats"]["unique_graphs"]) if dynamo else 0


def _trial(x: torch.Tensor) -> torch.Tensor:
    return x + 1
