"""The whole self-test: the claims, and the rivals if they are asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata

from loracle import __version__
from loracle.corpus.catalogue import RIGHT, WRONG
from loracle.errors import UsageError
from loracle.harness.devices import checked_device, settle_device
from loracle.selftest.comparison import tasks
from loracle.selftest.plan import selected
from loracle.selftest.rivals.judge import judge_by_rivals
from loracle.selftest.rivals.result import RivalResult, RivalTask
from loracle.selftest.run import run_claims
from loracle.selftest.summary import SelfTest
from loracle.spreading import OnProgress, spread

__all__ = ["run_selftest"]


def run_selftest(
    *,
    full: bool,
    seeds: Sequence[int],
    dtypes: Sequence[str],
    contract: str | None,
    jobs: int,
    compare: bool,
    command: str,
    on_progress: OnProgress,
    device: str = "cpu",
) -> SelfTest:
    """Runs what was asked for; an interruption ends it early, with what there is.

    Raises UsageError on a contract, dtype or device that there is not, on a GPU to compare on, or
    if a process dies.
    """
    if compare and device != "cpu":
        raise UsageError("--compare has its rivals judge on the CPU: leave it out, or --device")
    if checked_device(device) != "cpu":
        settle_device(device)
    started = time.monotonic()
    claims = selected(contract, dtypes, seeds, full=full)
    outcomes, interrupted = run_claims(claims, jobs, on_progress, device)
    rivals: list[RivalResult] = []
    if compare and not interrupted:
        entries = [e for e in (*WRONG, *RIGHT) if contract in (None, e.contract)]
        rivals, interrupted = _by_rivals(tasks(entries, dtypes), jobs, on_progress)
    return SelfTest(
        command=command,
        outcomes=tuple(outcomes),
        planned=len(claims),
        wall=time.monotonic() - started,
        jobs=jobs,
        interrupted=interrupted,
        rivals=tuple(rivals),
        environment={
            "torch": metadata.version("torch"),
            "loracle": __version__,
            "device": _device_name(device),
            "date": datetime.now(UTC).date().isoformat(),
        },
    )


def _device_name(device: str) -> str:
    """`cpu`, or what the GPU calls itself."""
    if device == "cpu":
        return device
    import torch

    name: str = torch.cuda.get_device_name(device)
    return name


def _by_rivals(
    wanted: Sequence[RivalTask], jobs: int, on_progress: OnProgress
) -> tuple[list[RivalResult], bool]:
    """What every rule says of every kernel, and whether that was interrupted."""
    found: list[tuple[RivalResult, ...]] = []
    interrupted = False
    groups = [group for start in range(jobs) if (group := wanted[start::jobs])]

    def waiting() -> None:
        on_progress(len(found), len(wanted), "other rules")

    try:
        for results in spread(judge_by_rivals, groups, jobs, waiting):
            found.append(results)
            waiting()
    except KeyboardInterrupt:
        interrupted = True
    return [result for results in found for result in results], interrupted
