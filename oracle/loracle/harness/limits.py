"""What a kernel may use up, so that one that never stops ends before the machine does."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

from loracle.errors import UsageError

__all__ = ["checked_timeout", "limit_files", "limit_memory", "want_of_memory"]

_MOST_MEMORY = 8 << 30
_SHARE = 0.8
"""Of the memory that is free, which the machine must not begin to swap."""

_MOST_FILE = 1 << 30
"""Bytes of one file: what a kernel prints goes to one."""

_LONGEST_TIMEOUT = 86400

_SYMPTOMS = ("allocate memory", "bad_alloc", "out of memory")


def checked_timeout(timeout: float) -> float:
    """Seconds for the equal calls of one case; UsageError unless that is above 0 and at most a
    day."""
    if not isinstance(timeout, int | float) or not 0 < timeout <= _LONGEST_TIMEOUT:
        raise UsageError(
            "the timeout must be a positive number of seconds,"
            f" at most {_LONGEST_TIMEOUT} (a day), not {timeout!r}"
        )
    return timeout


def limit_files() -> None:
    """No file that this process writes grows beyond a GiB; a write that would is an OSError."""
    _lower(resource.RLIMIT_FSIZE, _MOST_FILE)


def limit_memory() -> int | None:
    """Bytes that this process may from now on take beside what it has: 8 GiB, or 80 % of what is
    free if that is less. None, and no limit, where the system does not say what is free."""
    try:
        free = _kilobytes("/proc/meminfo", "MemAvailable")
        used = _kilobytes("/proc/self/status", "VmData")
    except (OSError, StopIteration, ValueError):
        return None
    allowance = min(_MOST_MEMORY, int(_SHARE * min(free, _left_to_the_group())))
    # Private writable memory alone: address space is reserved generously by what never uses it.
    return allowance if _lower(resource.RLIMIT_DATA, used + allowance) else None


def want_of_memory(error: BaseException, allowance: int | None) -> str:
    """What to add to the description of an exception that comes of a limit on memory."""
    text = str(error)
    wanting = isinstance(error, MemoryError) or any(symptom in text for symptom in _SYMPTOMS)
    if allowance is None or not wanting:
        return ""
    return f" (a kernel may take {allowance / 2**30:.3g} GiB)"


def _lower(which: int, limit: int) -> bool:
    soft, hard = resource.getrlimit(which)
    known = [value for value in (soft, hard, limit) if value != resource.RLIM_INFINITY]
    with suppress(OSError, ValueError):
        resource.setrlimit(which, (min(known), hard))
        return True
    return False


def _kilobytes(file: str, key: str) -> int:
    """In bytes, an entry that /proc gives in kB."""
    lines = Path(file).read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{key}:")))


def _left_to_the_group() -> float:
    """Bytes that the control group, as of a container, still has."""
    group = Path("/sys/fs/cgroup")
    try:
        most = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        return float("inf") if most == "max" else max(0, int(most) - used)
    except (OSError, ValueError):
        return float("inf")
