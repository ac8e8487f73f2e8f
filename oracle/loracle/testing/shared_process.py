"""A kernel's process that several runs use one after the other, each case in it run once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from loracle.cases import Inputs
from loracle.harness.process import KernelProcess
from loracle.observation import Condition, Observation

__all__ = ["SharedProcess"]


class SharedProcess(KernelProcess):
    """Outlives the runs in it, until `end`, and remembers what was seen of every case: a run of the
    whole after runs of its regimes calls the kernel no more, and judges the same results.

    deaths: in the run that is going on, remembered ones included, as in a process of its own.
    timeouts_in_all, deaths_in_all: of all cases that were run.
    """

    def __init__(self, source: Callable[..., Any] | str, **options: Any) -> None:
        """options: those of KernelProcess."""
        super().__init__(source, **options)
        self._seen: dict[str, tuple[Observation, int]] = {}
        self._key = ""
        self.timeouts_in_all = 0
        self.deaths_in_all = 0

    def __enter__(self) -> Self:
        self.deaths = 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An exception, or an interrupt that a run turned into a report, may have left a call alone.
        if error is not None or self._waiting:
            self.close()

    def submit(self, inputs: Inputs, conditions: Iterable[Condition] = ()) -> None:
        """As KernelProcess; nothing is done for a case that is known."""
        wanted = tuple(conditions)
        self._key = _key(inputs, wanted)
        if self._key not in self._seen:
            super().submit(inputs, wanted)

    def collect(self) -> Observation:
        """The observation of the case that was submitted last."""
        if self._key not in self._seen:
            before = self.deaths
            observation = super().collect()
            deaths = self.deaths - before
            self._seen[self._key] = observation, deaths
            self.timeouts_in_all += any(p.hypothesis == "timeout" for p in observation.problems)
            self.deaths_in_all += deaths
            return observation
        observation, deaths = self._seen[self._key]
        self.deaths += deaths
        return observation


def _key(inputs: Inputs, conditions: tuple[Condition, ...]) -> str:
    digest = hashlib.sha256(repr((conditions, inputs.scalars, inputs.layouts)).encode())
    for name, tensor in inputs.tensors.items():
        digest.update(repr((name, tensor.shape)).encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
