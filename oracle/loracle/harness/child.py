"""The entry of a fresh interpreter that runs one TARGET."""

from __future__ import annotations

import os
from dataclasses import dataclass
from multiprocessing.connection import Connection

from loracle.harness.messages import Target

__all__ = ["Order", "main"]


@dataclass(frozen=True)
class Order:
    """The first message to a fresh interpreter: what it has to run, and how."""

    target: Target
    name: str
    dtype: str
    device: str
    compile_kernel: bool = False


def main(descriptor: int) -> None:
    """Serve the order that comes through the socket `descriptor`."""
    from loracle.harness.loading import load_target
    from loracle.harness.worker import serve

    connection = Connection(descriptor)
    try:
        order: Order = connection.recv()
    except EOFError:
        os._exit(0)
    serve(
        connection,
        name=order.name,
        load=lambda: load_target(order.target),
        dtype=order.dtype,
        device=order.device,
        packages=order.target.packages,
        # One thread, as in a forked child, so that both give the same bits, unless asked otherwise.
        threads=None if "OMP_NUM_THREADS" in os.environ else 1,
        compile_kernel=order.compile_kernel,
    )
