"""Contract `lora-mha` step by step in the dtype of the call, each step a place for a defect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from loracle.corpus.calls import LoraMhaCall, Outputs

__all__ = [
    "EXACT",
    "MhaSteps",
    "head_reads",
    "masked_softmax",
    "project",
    "project_back",
    "run",
    "seen_by",
]

Back = dict[str, Tensor]


def head_reads(heads: int, kv_heads: int) -> list[int]:
    """The head of keys of every query head, h // (num_heads / num_kv_heads)."""
    return [head // (heads // kv_heads) for head in range(heads)]


def seen_by(length: int, *, causal: bool, device: torch.device) -> Tensor:
    """True where query i sees key j (length, length)."""
    everything = torch.ones(length, length, dtype=torch.bool, device=device)
    return everything.tril() if causal else everything


def masked_softmax(scores: Tensor, seen: Tensor) -> Tensor:
    """Of the last axis; zero in a row that sees nothing."""
    f = torch.softmax(_hidden(scores, seen), dim=-1)
    return f.masked_fill(~seen, 0.0)


def _hidden(scores: Tensor, seen: Tensor) -> Tensor:
    return scores.masked_fill(~seen, -torch.inf)


def score_gradient(f: Tensor, q: Tensor) -> Tensor:
    """f o (q - rowsum(f o q))."""
    return f * (q - (f * q).sum(dim=-1, keepdim=True))


def project(call: LoraMhaCall, m: str) -> Tensor:
    """x W^T + s (x A^T) B^T, (batch, length, out)."""
    t = cast(dict[str, Tensor], call)
    low_rank = (t["x"] @ t[f"lora_a_{m}"].T) @ t[f"lora_b_{m}"].T
    return t["x"] @ t[f"weight_{m}"].T + _scaling(call, m) * low_rank


def project_back(call: LoraMhaCall, m: str, grad: Tensor) -> Back:
    """grad (batch, length, out) to the gradients in x, A and B of one layer."""
    t = cast(dict[str, Tensor], call)
    s, a, b = _scaling(call, m), t[f"lora_a_{m}"], t[f"lora_b_{m}"]
    x, rows = t["x"].flatten(0, 1), grad.flatten(0, 1)
    hidden = s * (rows @ b)
    into_x = rows @ t[f"weight_{m}"] + hidden @ a
    return {
        "x": into_x.reshape(t["x"].shape),
        "a": hidden.T @ x,
        "b": s * (rows.T @ (x @ a.T)),
    }


def _scaling(call: LoraMhaCall, m: str) -> float:
    return cast(dict[str, float], call)[f"scaling_{m}"]


def _turned(matrix: Tensor) -> Tensor:
    return matrix.mT


def _gathered(grad: Tensor, adds: list[int], kv_heads: int) -> Tensor:
    """(batch, heads, length, d): what query heads give, added up by head of keys."""
    total = grad.new_zeros(grad.shape[0], kv_heads, *grad.shape[2:])
    return total.index_add(1, torch.tensor(adds, device=grad.device), grad)


@dataclass(frozen=True)
class MhaSteps:
    """reads, adds: the head of keys of every query head, forward and where dK and dV are added up.
    gathered: that sum, of the gradient by query head, `adds` and the number of heads of keys.
    seen, seen_again: of the length and of whether a mask is asked for, in the forward and in the
    backward pass, which is that of the forward one if None; keeps_sums: there with the log-sum-exp
    and <f, q> of the forward pass, not with a softmax anew. softmax, score_gradient: of scores and
    what is seen, of f and q. scale_q, scale_k: what softmax_scale is multiplied by in dQ and dK.
    for_keys: of p, what dK multiplies Q by.
    project, back: a layer, forward and backward."""

    reads: Callable[[int, int], list[int]] = head_reads
    adds: Callable[[int, int], list[int]] = head_reads
    gathered: Callable[[Tensor, list[int], int], Tensor] = _gathered
    seen: Callable[..., Tensor] = seen_by
    seen_again: Callable[..., Tensor] | None = None
    keeps_sums: bool = False
    softmax: Callable[[Tensor, Tensor], Tensor] = masked_softmax
    score_gradient: Callable[[Tensor, Tensor], Tensor] = score_gradient
    scale_q: Callable[[float], float] = float
    scale_k: Callable[[float], float] = float
    for_keys: Callable[[Tensor], Tensor] = _turned
    project: Callable[[LoraMhaCall, str], Tensor] = project
    back: Callable[[LoraMhaCall, str, Tensor], Back] = project_back


EXACT = MhaSteps()
"""No step deviates."""


def _split(flat: Tensor, heads: int) -> Tensor:
    """(batch, length, heads * d) to (batch, heads, length, d)."""
    return flat.reshape(*flat.shape[:2], heads, -1).transpose(1, 2)


def _joined(split: Tensor) -> Tensor:
    return split.transpose(1, 2).flatten(2)


def run(call: LoraMhaCall, steps: MhaSteps = EXACT, **changes: object) -> Outputs:
    """All outputs. changes: further steps that deviate, by name."""
    steps = replace(steps, **changes)  # type: ignore[arg-type]
    heads, kv_heads = call["num_heads"], call["num_kv_heads"]
    scale, length = call["softmax_scale"], call["x"].shape[1]
    reads = steps.reads(heads, kv_heads)
    q = _split(steps.project(call, "q"), heads)
    k, v = (_split(steps.project(call, m), kv_heads)[:, reads] for m in "kv")
    upstream = _split(call["grad_output"], heads)
    scores = scale * (q @ k.mT)
    where = {"causal": call["causal"], "device": scores.device}
    f = steps.softmax(scores, steps.seen(length, **where))
    output = f @ v
    into_f = upstream @ v.mT
    if steps.seen_again is None:
        p = steps.score_gradient(f, into_f)
    elif not steps.keeps_sums:
        f = steps.softmax(scores, steps.seen_again(length, **where))
        p = steps.score_gradient(f, into_f)
    else:
        wide = scores.to(torch.promote_types(scores.dtype, torch.float32))  # as L is kept
        log_sums = _hidden(wide, steps.seen(length, **where)).logsumexp(dim=-1, keepdim=True)
        correction = (upstream * output).sum(dim=-1, keepdim=True)
        f = torch.exp(_hidden(wide, steps.seen_again(length, **where)) - log_sums).to(scores.dtype)
        p = f * (into_f - correction)
    adds = steps.adds(heads, kv_heads)
    grads = {
        "q": steps.scale_q(scale) * (p @ k),
        "k": steps.gathered(steps.scale_k(scale) * (steps.for_keys(p) @ q), adds, kv_heads),
        "v": steps.gathered(f.mT @ upstream, adds, kv_heads),
    }
    back = {m: steps.back(call, m, _joined(grad)) for m, grad in grads.items()}
    return {
        "output": _joined(output),
        "grad_x": back["q"]["x"] + back["k"]["x"] + back["v"]["x"],
        **{f"grad_lora_{f}_{m}": back[m][f] for m in "qkv" for f in "ab"},
    }
