"""`python -m loracle.bench.child ORDER ANSWER`: the process in which one thing is measured."""

from __future__ import annotations

import pickle
import platform
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from loracle.bench.messages import (
    Answer,
    Environment,
    EnvironmentOrder,
    Failed,
    MeasureOrder,
    Order,
    Scaled,
    ScaleOrder,
    TooMuchMemory,
    TruthOrder,
    Unsupported,
)
from loracle.errors import UsageError

__all__ = ["answer_to", "main"]

# torch is imported by the orders that need it: finding a scale does not.

_ALLOCATORS = ("can't allocate memory", "CUDA out of memory")
"""What torch's RuntimeError says of it."""


def main(order_file: str, answer_file: str) -> None:
    """Carries out the pickled order and leaves the pickled answer."""
    # An interruption ends this process without words; the command that started it has them.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    order: Order = pickle.loads(Path(order_file).read_bytes())
    Path(answer_file).write_bytes(pickle.dumps(answer_to(order)))


def answer_to(order: Order) -> Answer:
    """What came of the order; an exception becomes an answer, in one line."""
    try:
        return _carry_out(order)
    except UsageError as refusal:
        return Unsupported(" ".join(str(refusal).split()))
    except MemoryError as error:
        return TooMuchMemory(f"no room on {order.setting.device}: {_one_line(error)}")
    except Exception as error:
        text = _one_line(error)
        if any(words in text for words in _ALLOCATORS):
            return TooMuchMemory(f"no room on {order.setting.device}: {text}")
        return Failed(f"{type(error).__name__}: {text}")


def _carry_out(order: Order) -> Answer:
    if isinstance(order, ScaleOrder):
        from loracle.bench.data import query_factor

        return Scaled(query_factor(order.setting, order.distinct, order.head))
    import torch

    if order.setting.threads is not None:
        torch.set_num_threads(order.setting.threads)
    if isinstance(order, MeasureOrder):
        from loracle.bench.measuring import measure

        return measure(order)
    if isinstance(order, TruthOrder):
        from loracle.bench.truth import find_truth

        return find_truth(order)
    return _environment(order)


def _environment(order: EnvironmentOrder) -> Environment:
    """Raises UsageError if torch cannot use the device."""
    import torch

    from loracle.bench.memory import free_bytes

    device = order.setting.device
    if device.startswith("cuda"):
        if not torch.cuda.is_available():
            raise UsageError(f"torch finds no CUDA device for --device {device}; try cpu")
        try:
            name = torch.cuda.get_device_name(device)
        except (AssertionError, RuntimeError) as error:
            raise UsageError(f"torch cannot use {device}: {_one_line(error)}") from None
    else:
        name = _processor()
    facts: dict[str, Any] = {
        "device_name": name,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }
    return Environment(facts, free_bytes(device))


def _processor() -> str:
    """The processor's name as Linux knows it, or its architecture."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    return platform.processor() or platform.machine()


def _one_line(error: BaseException) -> str:
    """The first line: torch's messages go on with a stack."""
    lines = str(error).strip().splitlines()
    return " ".join(lines[0].split()) if lines else type(error).__name__


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
