"""`lora-mha`: mistakes in the heads, the softmax and its scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.cuts import CUTS, Cut
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.mha_forms import (
    Mask,
    Problem,
    Steps,
    attend,
    changed,
    deviating,
    right_mask,
)

__all__ = ["MHA_HEADS", "MHA_SCALES", "MHA_SOFTMAX", "MHA_TAILS"]

Array = npt.NDArray[np.float64]

_SCORES = "_q _k grad_x"
"""The outputs that the gradient in the scores enters."""

_KEYS = "_k _v grad_x"

_HEADS = "wrong-head-map"
Map = Callable[[Problem], list[int]]


def _modulo(problem: Problem) -> list[int]:
    return [head % problem.kv_heads for head in range(problem.heads)]


def _within_group(problem: Problem) -> list[int]:
    """h % group, where that is a head."""
    return [min(head % problem.group, problem.kv_heads - 1) for head in range(problem.heads)]


def _over_kv_heads(problem: Problem) -> list[int]:
    """h // num_kv_heads, where that is a head."""
    return [min(head // problem.kv_heads, problem.kv_heads - 1) for head in range(problem.heads)]


def _first(problem: Problem) -> list[int]:
    return [0] * problem.heads


def _added_by(head_map: Map) -> Callable[[Array, Problem], Array]:
    """dK and dV added up at the heads of keys that the map names."""

    def gathered(grad: Array, problem: Problem) -> Array:
        added = np.zeros((*grad.shape[:2], problem.kv_heads, grad.shape[3]))
        for head, read in enumerate(head_map(problem)):
            added[:, :, read] += grad[:, :, head]
        return added

    return gathered


def _one_of_group(which: int) -> Callable[[Array, Problem], Array]:
    def gathered(grad: Array, problem: Problem) -> Array:
        by_group = grad.reshape(*grad.shape[:2], problem.kv_heads, problem.group, -1)
        return np.asarray(by_group[:, :, :, which])

    return gathered


def _mean_of_group(grad: Array, problem: Problem) -> Array:
    by_group = grad.reshape(*grad.shape[:2], problem.kv_heads, problem.group, -1)
    return np.asarray(by_group.mean(axis=3))


def _map(words: str, head_map: Map) -> tuple[Hypothesis, ...]:
    """Wrong in both passes, or where dK and dV are added up."""

    def differs(problem: Problem) -> bool:
        return head_map(problem) != [head // problem.group for head in range(problem.heads)]

    def both(problem: Problem) -> Steps | None:
        if not differs(problem):
            return None
        return Steps(reads=head_map, gathered=_added_by(head_map))

    def back(problem: Problem) -> Steps | None:
        return Steps(gathered=_added_by(head_map)) if differs(problem) else None

    def forward(problem: Problem) -> Steps | None:
        return Steps(reads=head_map) if differs(problem) else None

    says = f"{{output}} is what head h of the queries reading head {words} of the keys gives"
    return (
        deviating(_HEADS, says, "heads", both),
        deviating(
            _HEADS,
            f"{{output}} has what head h gives to K and V added to their head {words}",
            "heads",
            back,
            outputs=_KEYS,
        ),
        deviating(
            _HEADS, f"{says}, with dK and dV of the right heads", "heads", forward, outputs=_SCORES
        ),
    )


def _group(words: str, gathered: Callable[[Array, Problem], Array]) -> tuple[Hypothesis, ...]:
    """In dK and dV, or in one of them, which grad_x tells."""

    def wrong(which: str, where: str, outputs: str) -> Hypothesis:
        return deviating(
            _HEADS,
            f"{{output}} has {words} in place of the sum over the query heads of a group{where}",
            "heads",
            lambda problem: (
                Steps(gathered=gathered, gathered_in=which) if problem.group > 1 else None
            ),
            outputs=outputs,
        )

    return (
        wrong("kv", "", _KEYS),
        wrong("k", ", in dK alone", "grad_x"),
        wrong("v", ", in dV alone", "grad_x"),
    )


MHA_HEADS: tuple[Hypothesis, ...] = (
    *_map("h % num_kv_heads", _modulo),
    *_map("h % (num_heads / num_kv_heads)", _within_group),
    *_map("h // num_kv_heads", _over_kv_heads),
    *_map("0", _first),
    *_group("the last head's gradient", _one_of_group(-1)),
    *_group("the first head's gradient", _one_of_group(0)),
    *_group("the mean", _mean_of_group),
)

_WRONG_SCALE = "wrong-softmax-scale"
Scale = Callable[[Problem], float]


def _head_dim(problem: Problem) -> int:
    return int(problem.upstream.shape[3])


_SCALES: tuple[tuple[str, Scale], ...] = (
    ("1", lambda p: 1.0),
    ("1/sqrt(head_dim)", lambda p: 1 / math.sqrt(_head_dim(p))),
    ("1/sqrt(model)", lambda p: 1 / math.sqrt(p.x.shape[2])),
    ("1/sqrt(num_heads head_dim)", lambda p: 1 / math.sqrt(p.heads * _head_dim(p))),
    ("1/sqrt(num_kv_heads head_dim)", lambda p: 1 / math.sqrt(p.kv_heads * _head_dim(p))),
    ("1/head_dim", lambda p: 1 / _head_dim(p)),
    ("softmax_scale^2", lambda p: p.scale**2),
    ("softmax_scale/sqrt(head_dim)", lambda p: p.scale / math.sqrt(_head_dim(p))),
    ("softmax_scale sqrt(head_dim)", lambda p: p.scale * math.sqrt(_head_dim(p))),
)


def _scale_in(words: str, wrong: Scale, where: str) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        scale = wrong(problem)
        return None if scale == problem.scale else replace(problem, scale=scale)

    place = {
        "everywhere": "in forward and backward pass",
        "forward": "in the forward pass alone",
        "backward": "in the backward pass alone",
    }[where]
    return changed(
        _WRONG_SCALE,
        f"{{output}} has {words} in place of softmax_scale, {place}",
        "scale",
        change,
        where=where,
    )


def _branch(branch: str, words: str, wrong: Scale) -> Hypothesis:
    """In dQ or in dK alone. grad_x, which both enter, tells this from a scale that is wrong in
    both."""

    def steps(problem: Problem) -> Steps | None:
        if wrong(problem) == problem.scale:
            return None
        return Steps(scale_q=wrong) if branch == "q" else Steps(scale_k=wrong)

    return deviating(
        f"scale-missing-in-d{branch}",
        f"{{output}} has softmax_scale {words} in d{branch.upper()}",
        "scale",
        steps,
        outputs=f"_{branch} grad_x",
    )


MHA_SCALES: tuple[Hypothesis, ...] = (
    *(
        _branch(branch, words, wrong)
        for branch in "qk"
        for words, wrong in (
            ("missing", lambda p: 1.0),
            ("twice", lambda p: p.scale**2),
        )
    ),
    *(
        _scale_in(words, wrong, where)
        for where in ("everywhere", "backward", "forward")
        for words, wrong in _SCALES
    ),
)


def _dot(f: Array, q: Array, axis: int = -1) -> Array:
    return np.asarray((f * q).sum(axis=axis, keepdims=True))


def _correction(
    name: str, explanation: str, score_gradient: Callable[[Array, Array], Array]
) -> Hypothesis:
    return deviating(
        name,
        explanation,
        "correction",
        lambda problem: Steps(score_gradient=score_gradient),
        outputs=_SCORES,
    )


_WRONG_CORRECTION = "wrong-softmax-correction"

MHA_SOFTMAX: tuple[Hypothesis, ...] = (
    _correction(
        "missing-softmax-correction",
        "{output} lacks the correction <f_i, q_i> f_i of the softmax's backward",
        lambda f, q: f * q,
    ),
    _correction(
        _WRONG_CORRECTION,
        "{output} has a correction that sums over the queries in place of the keys",
        lambda f, q: f * (q - _dot(f, q, axis=-2)),
    ),
    _correction(
        _WRONG_CORRECTION,
        "{output} has the correction with the opposite sign",
        lambda f, q: f * (q + _dot(f, q)),
    ),
    _correction(
        _WRONG_CORRECTION,
        "{output} has the mean of q in place of <f_i, q_i> in the correction",
        lambda f, q: f * (q - q.mean(axis=-1, keepdims=True)),
    ),
    deviating(
        _WRONG_CORRECTION,
        "{output} has softmax_scale on q alone, not on the correction",
        "correction",
        lambda p: Steps(score_gradient=lambda f, q: f * (q - _dot(f, q) / p.scale)),
        outputs=_SCORES,
    ),
    deviating(
        _WRONG_CORRECTION,
        "{output} has softmax_scale twice on the correction",
        "correction",
        lambda p: Steps(score_gradient=lambda f, q: f * (q - _dot(f, q) * p.scale)),
        outputs=_SCORES,
    ),
    deviating(
        "softmax-along-wrong-axis",
        "{output} is that of a softmax which normalises over the queries",
        "f",
        lambda p: Steps(
            softmax=lambda s, seen: np.swapaxes(attend(np.swapaxes(s, -1, -2), seen.T), -1, -2)
        ),
    ),
    deviating(
        "missing-normalization",
        "{output} is that of exp(S - max S) without the division by its row sums",
        "f",
        lambda p: Steps(softmax=lambda s, seen: _unnormalised(s, seen)),
    ),
)


def _unnormalised(scores: Array, seen: Mask) -> Array:
    hidden = np.where(seen, scores, -np.inf)
    return np.asarray(np.exp(hidden - hidden.max(axis=-1, keepdims=True)))


def _keys(cut: Cut) -> tuple[Hypothesis, ...]:
    def seen(problem: Problem) -> Mask:
        mask = cut.mask(problem.length)
        whole = right_mask(problem)
        return whole if mask is None else whole & (mask > 0)

    def applies(problem: Problem) -> bool:
        return cut.mask(problem.length) is not None

    def again(problem: Problem) -> Steps | None:
        mask = cut.mask(problem.length)
        if mask is None:
            return None

        def gathered(grad: Array, of: Problem) -> Array:
            kept = grad * mask[None, :, None, None]
            return np.asarray(kept.reshape(*kept.shape[:2], of.kv_heads, of.group, -1).sum(axis=3))

        def score_gradient(f: Array, q: Array) -> Array:
            return np.asarray(mask * f * (q - _dot(f, q)))

        return Steps(score_gradient=score_gradient, gathered=gathered)

    says = f"{{output}} is what remains if {cut.of('keys')} do not count"
    return (
        deviating("dropped-tail", says, "sum", lambda p: Steps(seen=seen) if applies(p) else None),
        deviating(
            "dropped-tail", f"{says} in the backward pass", "sum", again, outputs="_q _k _v grad_x"
        ),
    )


def _queries(cut: Cut) -> Hypothesis:
    """Their rows of the upstream gradient are zero."""

    def change(problem: Problem) -> Problem | None:
        mask = cut.mask(problem.length)
        if mask is None:
            return None
        return replace(problem, upstream=problem.upstream * mask[None, :, None, None])

    return changed(
        "dropped-tail",
        f"{{output}} is what remains if {cut.of('queries')} do not count",
        "sum",
        change,
        outputs="_q _k _v grad_x",
    )


MHA_TAILS: tuple[Hypothesis, ...] = (
    *(hypothesis for cut in CUTS for hypothesis in _keys(cut)),
    *(_queries(cut) for cut in CUTS),
)
