"""A machine made up for the tests of `loracle bench`: it answers orders without computing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loracle.bench.messages import (
    Answer,
    Certificate,
    Environment,
    EnvironmentOrder,
    Measured,
    MeasureOrder,
    Order,
    Scaled,
    ScaleOrder,
    Truth,
    TruthOrder,
)
from loracle.bench.request import BenchRequest, parse_request

OUTPUTS = ("grad_a_q", "grad_b_q")

FACTS = {
    "device_name": "A Processor",
    "torch": "2.13.0",
    "python": "3.11.7",
    "threads": 2,
    "cpu_capability": "AVX2",
    "float32_matmul_precision": "highest",
}


def request(**changes: Any) -> BenchRequest:
    """The request of the command's defaults, with other values for some."""
    options: dict[str, Any] = {
        "lengths": "1000,2000,4000",
        "dim": 8,
        "rank": 4,
        "heads": "1",
        "epsilon": 1e-2,
        "methods": "almost-linear,streaming,eager",
        "data": "independent",
        "max_score": 1.0,
        "distinct": 131072,
        "device": "cpu",
        "dtype": "float32",
        "seed": 0,
        "threads": None,
        "limit": 120.0,
        "truth_limit": 600.0,
    }
    return parse_request(**(options | changes))


@dataclass
class Machine:
    """Answers every order; `seconds` tells how long a method takes at a length.

    The true gradient of every entry is `copies`; the almost-linear kernel is off by `error` times
    the copies, certifies `certified` times, and its natural scale is 100 times the copies.
    """

    seconds: Callable[[str, int], float] = lambda method, length: (
        length / 1e4 if method.startswith("almost") else (length / 1e4) ** 2
    )
    error: float = 0.25
    certified: float = 0.5
    free_bytes: int | None = 2**34
    instead: Callable[[Order], Answer | None] = lambda order: None
    orders: list[Order] = field(default_factory=list)

    def __call__(self, order: Order) -> Answer:
        self.orders.append(order)
        answer = self.instead(order)
        if answer is not None:
            return answer
        if isinstance(order, EnvironmentOrder):
            return Environment(dict(FACTS), self.free_bytes)
        if isinstance(order, ScaleOrder):
            return Scaled(0.5 + order.head)
        if isinstance(order, TruthOrder):
            values = {name: np.ones((4, 8)) for name in OUTPUTS}
            return Truth(values, dict.fromkeys(OUTPUTS, 1e-9), "interval")
        return self.measured(order)

    def measured(self, order: MeasureOrder) -> Measured:
        """What a right method measures."""
        certified = order.method.startswith("almost")
        copies, heads = order.length // order.distinct, order.heads
        off = self.error if certified else 1e-6
        seconds = self.seconds(order.method, order.length) * heads
        certificate = Certificate(
            errors=dict.fromkeys(OUTPUTS, (self.certified * copies,) * heads),
            natural_scale=dict.fromkeys(OUTPUTS, (100.0 * copies,) * heads),
            gradient_max=dict.fromkeys(OUTPUTS, (1.0 * copies,) * heads),
            probability_error=1e-3,
            degree=4,
            rank=495,
            operations=10**9,
        )
        return Measured(
            seconds=(1.5 * seconds, seconds),
            peak_bytes=order.length * 1024,
            outputs={name: np.full((heads, 4, 8), (1 + off) * copies) for name in OUTPUTS},
            certificate=certificate if certified else None,
            facts={"memory_source": "VmHWM"}
            | ({"matmul_flops": 1e11, "matmul_size": 2048} if certified else {})
            | ({"block": order.block or 512} if order.method == "streaming" else {})
            | ({"backend": "FlashAttentionForCpu"} if order.method == "sdpa" else {}),
        )

    def asked(self, kind: type[Order]) -> list[Any]:
        """The orders of one kind."""
        return [order for order in self.orders if isinstance(order, kind)]
