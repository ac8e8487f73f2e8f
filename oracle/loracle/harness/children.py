"""The places a kernel can run in: a forked child, a fresh interpreter, or this process."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, Protocol

from loracle.harness.child import Order
from loracle.harness.messages import Call, LoadedKernel, Observed, Refused
from loracle.harness.tracebacks import place_of_death

__all__ = ["Answer", "ForkedChild", "FreshInterpreter", "InThisProcess", "Place"]

Answer = LoadedKernel | Refused | Observed

_PATIENCE = 2.0
_TAIL = 1 << 16

_START = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from loracle.harness.child import main; main(int(sys.argv[1]))"
)


class Place(Protocol):
    """Where one kernel runs. Its first answer is a LoadedKernel or Refused; then come for each Call
    one Observed and those that it says are pending."""

    def post(self, call: Call) -> None:
        """Hand over a call. The place must be idle. A place that has died is noticed by `take`."""

    def poll(self, seconds: float) -> bool:
        """Wait at most so long; True if `take` will not wait (for an answer, or to say it died)."""

    def take(self) -> Answer:
        """The next answer; raises EOFError if the place died instead."""

    def autopsy(self) -> str:
        """How it died, in words, after `take` raised; ends it."""

    def interrogate(self) -> str | None:
        """Where in the user's code it hangs, `file.py:12`, if that can be told; ends it."""

    def kill(self) -> None:
        """End it now, with everything it started; may be called again."""


class _Child(ABC):
    """A child process with a socket to talk through and a file for what it prints."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._log = tempfile.TemporaryFile(mode="a+b")  # noqa: SIM115 (lives as long as the child)
        ours, theirs = socket.socketpair()
        self.connection = Connection(ours.detach())
        try:
            self.pid = self._start(theirs)
        except BaseException:
            self.connection.close()
            self._log.close()
            raise
        finally:
            theirs.close()
        self._exit_code: int | None = None

    @abstractmethod
    def _start(self, channel: socket.socket) -> int:
        """Start the process with its end of the channel; returns its id."""

    @abstractmethod
    def _reap(self) -> int | None:
        """The exit code (negative: the signal), without waiting; None while it lives."""

    def post(self, call: Call) -> None:
        # A child that has died is found out, with the reason, when its answer is taken.
        with contextlib.suppress(OSError):
            self.connection.send(call)

    def poll(self, seconds: float) -> bool:
        try:
            return self.connection.poll(seconds)
        except OSError:
            return True

    def take(self) -> Answer:
        try:
            answer: Answer = self.connection.recv()
        except OSError as error:
            raise EOFError from error
        return answer

    def autopsy(self) -> str:
        code = self._wait(_PATIENCE)
        tail = self._log_tail()
        self.kill()
        if code is None:
            return "the process closed its connection"
        place = place_of_death(tail)
        where = f" at {place}" if place else ""
        if code >= 0:
            return f"the process exited with status {code}{where}"
        name = _signal_name(-code)
        if name == "SIGKILL":
            return (
                "the process died with signal SIGKILL (killed from outside, as for want of memory)"
            )
        return f"the process died with signal {name}{where}{_last_words(tail)}"

    def interrogate(self) -> str | None:
        # faulthandler answers this signal with a traceback.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGABRT)
        self._wait(_PATIENCE)
        place = place_of_death(self._log_tail())
        self.kill()
        return place

    def kill(self) -> None:
        if os.getpid() != self._owner or self._log.closed:
            return
        # The group first: what the kernel started must not outlive it.
        for end in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if self._exit_code is None:
                    end(self.pid, signal.SIGKILL)
        self._wait(_PATIENCE)
        self.connection.close()
        self._log.close()

    def _wait(self, seconds: float) -> int | None:
        """The exit code. A child that has ended stays unreaped until its group has been killed, so
        that the group's id cannot belong to anybody else."""
        limit = time.monotonic() + seconds
        pause = 0.001
        while self._exit_code is None:
            if self._has_ended():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
                self._exit_code = self._reap()
            elif time.monotonic() > limit:
                break
            else:
                time.sleep(pause)
                pause = min(2 * pause, 0.05)
        return self._exit_code

    def _has_ended(self) -> bool:
        try:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, flags) is not None
        except ChildProcessError:
            return True

    def _log_tail(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        data = os.pread(self._log.fileno(), _TAIL, max(0, size - _TAIL))
        return data.decode("utf-8", "replace")


class ForkedChild(_Child):
    """A fork of this process that runs a callable of this process, on the CPU."""

    def __init__(self, kernel: Callable[..., Any], **options: Any) -> None:
        """options: those of `worker.serve`."""
        self._kernel = kernel
        self._options = options
        super().__init__()

    def _start(self, channel: socket.socket) -> int:
        _prepare_to_fork()
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads; the child uses one thread of torch and
            # takes no lock of the parent's.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            self._live(channel)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return pid

    def _live(self, channel: socket.socket) -> None:
        """All of the child's life; never returns into the parent's frames."""
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self.connection.close()
            _redirect(self._log.fileno())
            from loracle.harness.worker import serve

            serve(Connection(channel.detach()), load=lambda: self._kernel, **self._options)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(70)

    def _reap(self) -> int | None:
        try:
            _, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        return os.waitstatus_to_exitcode(status)


_forks = itertools.count(1)


def _prepare_to_fork() -> None:
    """Where one child was forked and now another, there will be more: import for all of them what
    each would import, for most of a second, at its first backward pass with an upstream gradient
    (torch/autograd/__init__.py, _make_grads)."""
    if next(_forks) == 2 and "torch" in sys.modules:
        # The child can do without: whatever torch or sympy say, or warn of, is no news to the user.
        with warnings.catch_warnings(), contextlib.suppress(Exception):
            warnings.simplefilter("ignore")
            import_module("torch.fx.experimental.symbolic_shapes")


class FreshInterpreter(_Child):
    """A new Python that imports a TARGET itself and nothing of this program's __main__."""

    def __init__(self, order: Order) -> None:
        super().__init__()
        with contextlib.suppress(OSError):
            self.connection.send(order)

    def _start(self, channel: socket.socket) -> int:
        descriptor = channel.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(descriptor), *sys.path],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=[descriptor],
            process_group=0,
        )
        return self._process.pid

    def _reap(self) -> int | None:
        return self._process.poll()


class InThisProcess:
    """No isolation: for a callable on CUDA, which survives no fork and cannot be imported again."""

    def __init__(
        self,
        kernel: Callable[..., Any],
        *,
        name: str,
        dtype: str,
        device: str,
        compile_kernel: bool,
    ) -> None:
        from loracle.harness.compilation import compiled
        from loracle.harness.devices import settle_device
        from loracle.harness.running import Runner
        from loracle.harness.worker import describe_kernel

        settle_device(device)
        callee = compiled(kernel) if compile_kernel else kernel
        self._observe = Runner(callee, dtype, device, compiled=compile_kernel).observe
        note = f"{name} cannot be imported by a new process: it ran in this one, with no time limit"
        loaded = describe_kernel(kernel, name, device, ())
        self._answers: Iterator[Answer] = iter([replace(loaded, notes=(note,))])

    def post(self, call: Call) -> None:
        """Runs nothing yet: each answer is made when it is taken."""
        self._answers = self._observe(call)

    def poll(self, seconds: float) -> bool:
        """Always: `take` waits for nobody else."""
        return True

    def take(self) -> Answer:
        """The next answer."""
        return next(self._answers)

    def autopsy(self) -> str:
        """Not reached: this place dies with the program."""
        return "this process"

    def interrogate(self) -> str | None:
        """Not reached: nothing is waited for."""
        return None

    def kill(self) -> None:
        """Nothing to end."""


def _redirect(log: int) -> None:
    """What a kernel prints goes to the log, whether through Python or through the descriptors. The
    parent's stream objects, and what is buffered in them, stay untouched."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _last_words(tail: str) -> str:
    """The last thing a program printed before it was ended, unless that was Python's own report."""
    before, _, _ = tail.partition("Fatal Python error: ")
    lines = [line.strip() for line in before.splitlines() if line.strip()]
    return f" after printing: {lines[-1][:200]}" if lines else ""
