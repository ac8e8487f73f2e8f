"""The child's main loop, the same for a forked and for a fresh process."""

from __future__ import annotations

import faulthandler
import inspect
import os
import queue
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from loracle.declaration import declaration_of
from loracle.errors import UsageError
from loracle.harness.devices import settle_device
from loracle.harness.limits import limit_files, limit_memory
from loracle.harness.messages import Call, LoadedKernel, Observed, Parameter, Refused
from loracle.harness.stray import end_if_stray
from loracle.harness.tracebacks import describe_exception

__all__ = ["describe_kernel", "parameters_of", "serve"]

_LOG_LIMIT = 1 << 20


def serve(
    connection: Connection,
    *,
    name: str,
    load: Callable[[], Callable[..., Any]],
    dtype: str,
    device: str,
    packages: tuple[str, ...] = (),
    threads: int | None = 1,
    compile_kernel: bool = False,
) -> None:
    """Load a kernel, answer calls until the parent hangs up. Never returns.

    threads: for torch.set_num_threads, before anything else is done with torch; None leaves it. A
    forked child needs it: the parent's worker threads do not exist here, and the first parallel
    operation would wait for them forever. compile_kernel: judge it under torch.compile.
    """
    serving = os.getpid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    limit_files()
    faulthandler.enable(file=sys.stderr, all_threads=False)
    try:
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        requests = _start_reader(connection)
        settle_device(device)
        if threads is not None:
            _settle_compiler()
        try:
            kernel = load()
        finally:
            end_if_stray(serving)
        from loracle.harness.compilation import compiled
        from loracle.harness.running import Runner

        loaded = describe_kernel(kernel, name, device, packages)
        if compile_kernel:
            kernel = compiled(kernel)
        # Of a device's memory nothing is known here, and its driver reserves what it likes.
        allowance = limit_memory() if device == "cpu" else None
        runner = Runner(kernel, dtype, device, allowance=allowance, compiled=compile_kernel)
    except UsageError as error:
        connection.send(Refused(str(error)))
    except BaseException as error:
        connection.send(Refused(f"cannot load {name!r}: {describe_exception(error)}"))
    else:
        connection.send(loaded)
        _answer(connection, requests, runner.observe)
    os._exit(0)


def describe_kernel(
    kernel: Callable[..., Any], name: str, device: str, packages: tuple[str, ...]
) -> LoadedKernel:
    """What the parent has to know about a kernel that is ready to run."""
    from loracle.harness.environment import environment

    return LoadedKernel(
        name=name,
        parameters=parameters_of(kernel),
        declaration=declaration_of(kernel),
        environment=environment(device, packages),
    )


def parameters_of(kernel: Callable[..., Any]) -> tuple[Parameter, ...] | None:
    """The kernel's parameters, without its *args, to which no argument is given by name; None if
    Python cannot tell them."""
    try:
        parameters = inspect.signature(kernel).parameters.values()
    except (TypeError, ValueError):
        return None
    return tuple(
        Parameter(
            name=p.name,
            by_name=p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD),
            required=p.default is p.empty and p.kind is not p.VAR_KEYWORD,
            takes_rest=p.kind is p.VAR_KEYWORD,
        )
        for p in parameters
        if p.kind is not p.VAR_POSITIONAL
    )


def _start_reader(connection: Connection) -> queue.SimpleQueue[Call]:
    """A thread that takes in requests, so that the parent's sends never wait for a kernel, and that
    ends the process when the parent has hung up or died."""
    requests: queue.SimpleQueue[Call] = queue.SimpleQueue()

    def read() -> None:
        while True:
            try:
                requests.put(connection.recv())
            except (EOFError, OSError):
                os._exit(0)

    threading.Thread(target=read, name="loracle-requests", daemon=True).start()
    return requests


def _answer(
    connection: Connection,
    requests: queue.SimpleQueue[Call],
    observe: Callable[[Call], Iterator[Observed]],
) -> None:
    while True:
        serving = os.getpid()
        for answer in observe(requests.get()):
            # What a kernel returns may run code too, when it is read.
            end_if_stray(serving)
            try:
                connection.send(answer)
            except OSError:
                return
            if answer.poisoned:
                return
            _trim_log()


def _settle_compiler() -> None:
    """Make torch.compile work in a fork of a process that has used it: compile again, since what is
    compiled has the parent's number of threads built in, and without the pool of threads that torch
    believes to have and would wait for (only its pool of processes is reset by a fork)."""
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    if "torch._dynamo" in sys.modules:
        import torch._dynamo

        torch._dynamo.reset()
    if "torch._inductor.config" in sys.modules:
        import torch._inductor.config

        torch._inductor.config.compile_threads = 1


def _trim_log() -> None:
    """A kernel that prints must not fill the disk; standard error is a file here."""
    if os.fstat(2).st_size > _LOG_LIMIT:
        os.ftruncate(2, 0)
