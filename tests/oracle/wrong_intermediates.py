"""Wrong matrices f, c, q, p1 and p2, to put in the place of either kernel's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from loracle.kernels.exact import Intermediates


@dataclass(frozen=True)
class Wrong:
    """make: from right matrices and the operands, in torch. name: the matrix that leaves its proven
    bound. statements: those of the lemmas that object, some of them."""

    make: Callable[[Intermediates, dict[str, Any]], dict[str, Tensor]]
    name: str
    statements: frozenset[str]


def _scores(t: dict[str, Any]) -> Tensor:
    return torch.as_tensor(t["beta"] * (t["queries"] @ t["keys"].T))


WRONG: dict[str, Wrong] = {
    "f not normalised": Wrong(
        lambda m, t: {"f": torch.exp(_scores(t))},
        "f",
        frozenset({"3.3 entrywise", "3.3 norm", "3.3 distance", "3.3 rows"}),
    ),
    "f normalised over the queries": Wrong(
        lambda m, t: {"f": torch.softmax(_scores(t), 0)}, "f", frozenset({"3.3 entrywise"})
    ),
    "beta forgotten": Wrong(
        lambda m, t: {"f": torch.softmax(_scores(t) / t["beta"], 1)},
        "f",
        frozenset({"3.3 entrywise", "3.3 norm", "3.3 distance"}),
    ),
    "f transposed": Wrong(lambda m, t: {"f": m.f.T}, "f", frozenset({"3.3 entrywise"})),
    "c without y": Wrong(
        lambda m, t: {"c": m.c + t["y"]},
        "c",
        frozenset({"3.4 distance", "3.4 norms", "3.4 certified"}),
    ),
    "c with the sign of y": Wrong(
        lambda m, t: {"c": m.c + 2 * t["y"]},
        "c",
        frozenset({"3.4 distance", "3.4 norms", "3.4 certified"}),
    ),
    "q with C3 of another row": Wrong(
        lambda m, t: {"q": m.c @ t["values"].roll(1, 0).T},
        "q",
        frozenset({"3.5 norms", "3.5 certified"}),
    ),
    "q as printed, C3 c^T": Wrong(
        lambda m, t: {"q": m.q.T}, "q", frozenset({"3.5 norms", "3.5 certified"})
    ),
    "p1 with another query's q": Wrong(
        lambda m, t: {"p1": m.f * m.q.roll(1, 0)},
        "p1",
        frozenset({"3.6 distance", "3.6 norms", "3.6 row", "3.6 certified", "3.6 certified row"}),
    ),
    "p2 without f": Wrong(
        lambda m, t: {"p2": m.p1.sum(1, keepdim=True).expand_as(m.f)},
        "p2",
        frozenset({"3.7 distance", "3.7 norms", "3.7 row", "3.7 certified", "3.7 certified row"}),
    ),
    "p2 with the diagonal on the keys": Wrong(
        lambda m, t: {"p2": m.f * m.p1.sum(1)},
        "p2",
        frozenset({"3.7 distance", "3.7 norms", "3.7 row", "3.7 certified", "3.7 certified row"}),
    ),
}
