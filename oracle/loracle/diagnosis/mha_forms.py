"""`lora-mha` in float64, with every step a place to deviate.

The formulas are those of `loracle_reference.lora_mha`. Axes: b samples, i queries, j keys, h heads,
d features of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis

__all__ = [
    "EXACT",
    "Layer",
    "Mask",
    "Problem",
    "Steps",
    "attend",
    "changed",
    "deviating",
    "gradient_of_scores",
    "problem_of",
    "result",
    "right_mask",
    "with_layers",
]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Layer:
    """One projection: weight (out, model), a (r, model), b (out, r)."""

    weight: Array
    a: Array
    b: Array
    scaling: float


@dataclass(frozen=True)
class Problem:
    """x (batch, length, model); layers of q, k and v; upstream (batch, length, heads, head_dim)."""

    x: Array
    layers: Mapping[str, Layer]
    heads: int
    kv_heads: int
    causal: bool
    scale: float
    upstream: Array

    @property
    def length(self) -> int:
        """Queries of one sample, and keys."""
        return int(self.x.shape[1])

    @property
    def group(self) -> int:
        """Query heads that read one head of keys."""
        return self.heads // self.kv_heads

    def projected(self, m: str) -> Array:
        """Q, K or V, (batch, length, heads, head_dim)."""
        layer = self.layers[m]
        flat = self.x @ (layer.weight + layer.scaling * layer.b @ layer.a).T
        return np.asarray(flat.reshape(*self.x.shape[:2], self.heads_of(m), -1))

    def heads_of(self, m: str) -> int:
        """Of one projection."""
        return self.heads if m == "q" else self.kv_heads


def with_layers(problem: Problem, change: Callable[[Layer], Layer], which: str = "qkv") -> Problem:
    """Some of the layers changed."""
    layers = {m: change(one) if m in which else one for m, one in problem.layers.items()}
    return replace(problem, layers=layers)


def problem_of(evidence: Evidence) -> Problem:
    """The inputs under common names."""
    t, s = evidence.inputs.tensors, evidence.inputs.scalars
    layers = {
        m: Layer(t[f"weight_{m}"], t[f"lora_a_{m}"], t[f"lora_b_{m}"], s[f"scaling_{m}"])
        for m in "qkv"
    }
    heads, upstream = int(s["num_heads"]), t["grad_output"]
    return Problem(
        t["x"],
        layers,
        heads,
        int(s["num_kv_heads"]),
        bool(s["causal"]),
        s["softmax_scale"],
        upstream.reshape(*upstream.shape[:2], heads, -1),
    )


def attend(scores: Array, seen: Mask) -> Array:
    """f over the keys that a query sees; zero in a row that sees none."""
    hidden = np.where(seen, scores, -np.inf)
    largest = hidden.max(axis=-1, keepdims=True)
    exponentials = np.exp(hidden - np.where(np.isfinite(largest), largest, 0.0))
    total = exponentials.sum(axis=-1, keepdims=True)
    return np.asarray(exponentials / np.where(total == 0, 1.0, total))


def right_mask(problem: Problem) -> Mask:
    """True where query i (row) sees key j (column): j <= i if causal, else all."""
    size = problem.length
    return np.tri(size, dtype=np.bool_) if problem.causal else np.ones((size, size), np.bool_)


def _reads(problem: Problem) -> list[int]:
    return [head // problem.group for head in range(problem.heads)]


def gradient_of_scores(f: Array, q: Array, known: Array | None = None) -> Array:
    """f o (q - rowsum(f o q)): of the loss in the scores. With known in the sum's place of f it is
    f o (q - <dO, O>), if O = known V."""
    kept = f if known is None else known
    return np.asarray(f * (q - (kept * q).sum(axis=-1, keepdims=True)))


def _by_sums_of(scores: Array, summed: Mask, seen: Mask) -> Array:
    """exp(S - L) over the keys that are seen, L being log-sum-exp over those that are summed."""
    hidden = np.where(summed, scores, -np.inf)
    largest = hidden.max(axis=-1, keepdims=True)
    log_sums = largest + np.log(np.exp(hidden - largest).sum(axis=-1, keepdims=True))
    return np.asarray(np.exp(np.where(seen, scores, -np.inf) - log_sums))


def _gathered(grad: Array, problem: Problem) -> Array:
    """What the heads of a group give to the head of keys that they read, added up."""
    by_group = grad.reshape(*grad.shape[:2], problem.kv_heads, problem.group, -1)
    return np.asarray(by_group.sum(axis=3))


def _scale(problem: Problem) -> float:
    return problem.scale


def _as_it_is(name: str, array: Array) -> Array:
    return array


def _same(array: Array) -> Array:
    return array


@dataclass(frozen=True)
class Steps:
    """reads: of every query head the head of keys. gathered: of dK or dV by query head, those by
    head of keys; gathered_in: in which of them, the other being right. seen: which keys (columns) a
    query (row) sees; seen_again: in a backward pass that computes f anew; keeps_sums: with the row
    sums and the <f, q> of the forward pass, as those that keep log-sum-exp and <dO, O> do. softmax:
    of scores and seen. score_gradient: of f and q. scale_q, scale_k: what p K and p^T Q are
    multiplied by. for_keys, for_values: of p and of f, what stands transposed in
    dK and dV. parts: what q, k and v give to grad_x, as factors. stored: of the name of an
    intermediate (Q, K, V, S, f, q, p, dQ, dK, dV) and the intermediate, as it is kept."""

    reads: Callable[[Problem], list[int]] = _reads
    gathered: Callable[[Array, Problem], Array] = _gathered
    gathered_in: str = "kv"
    seen: Callable[[Problem], Mask] = right_mask
    seen_again: Callable[[Problem], Mask] | None = None
    keeps_sums: bool = False
    softmax: Callable[[Array, Mask], Array] = attend
    score_gradient: Callable[[Array, Array], Array] = gradient_of_scores
    scale_q: Callable[[Problem], float] = _scale
    scale_k: Callable[[Problem], float] = _scale
    for_keys: Callable[[Array], Array] = _same
    for_values: Callable[[Array], Array] = _same
    parts: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys("qkv", 1.0))
    stored: Callable[[str, Array], Array] = _as_it_is

    def gathers(self, m: str) -> Callable[[Array, Problem], Array]:
        """How dK or dV (m is k or v) is added up."""
        return self.gathered if m in self.gathered_in else _gathered


EXACT = Steps()
"""No step deviates."""


def result(
    output: str,
    forward: Problem,
    steps: Steps = EXACT,
    *,
    backward: Problem | None = None,
    chain: Problem | None = None,
) -> Array:
    """One output, without its batch and length in one axis.

    forward: what Q, K, V and O are computed from. backward: whose upstream gradient, scale and x
    the backward pass has. chain: through whose W, A and B it goes. Both are forward if None.
    """
    backward = backward or forward
    chain = chain or backward
    stored, reads = steps.stored, steps.reads(forward)
    q, k, v = (stored(m.upper(), forward.projected(m)) for m in "qkv")
    k, v = k[:, :, reads], v[:, :, reads]
    scores = stored("S", forward.scale * np.einsum("bihd,bjhd->bhij", q, k))
    f = stored("f", steps.softmax(scores, steps.seen(forward)))
    if output == "output":
        attended = np.einsum("bhij,bjhd->bihd", f, v)
        return np.asarray(attended.reshape(*attended.shape[:2], -1))
    score_gradient = steps.score_gradient
    if steps.seen_again is not None and steps.keeps_sums:
        score_gradient = partial(gradient_of_scores, known=f)
        f = _by_sums_of(scores, steps.seen(forward), steps.seen_again(forward))
    elif steps.seen_again is not None:
        f = steps.softmax(scores, steps.seen_again(forward))
    upstream = backward.upstream
    grads: dict[str, Array] = {}
    if output[-1] in "qkx":
        p = score_gradient(f, stored("q", np.einsum("bihd,bjhd->bhij", upstream, v)))
        p = stored("p", p)
        grads["q"] = steps.scale_q(backward) * np.einsum("bhij,bjhd->bihd", p, k)
        into_keys = steps.scale_k(backward) * np.einsum("bhij,bihd->bjhd", steps.for_keys(p), q)
        grads["k"] = steps.gathers("k")(into_keys, forward)
    if output[-1] in "vx":
        into_values = np.einsum("bhij,bihd->bjhd", steps.for_values(f), upstream)
        grads["v"] = steps.gathers("v")(into_values, forward)
    grads = {m: stored(f"d{m.upper()}", grad) for m, grad in grads.items()}
    flat = {m: grad.reshape(-1, grad.shape[2] * grad.shape[3]) for m, grad in grads.items()}
    if output == "grad_x":
        terms = (steps.parts[m] * _into_x(flat[m], chain.layers[m]) for m in "qkv")
        return np.asarray(sum(terms)).reshape(forward.x.shape)
    m = output[-1]
    layer, rows = chain.layers[m], backward.x.reshape(-1, backward.x.shape[-1])
    if output.startswith("grad_lora_a"):
        return np.asarray(layer.scaling * ((flat[m] @ layer.b).T @ rows))
    return np.asarray(layer.scaling * (flat[m].T @ (rows @ layer.a.T)))


def _into_x(grad: Array, layer: Layer) -> Array:
    return np.asarray(grad @ layer.weight + layer.scaling * (grad @ layer.b @ layer.a))


def changed(
    name: str,
    explanation: str,
    term: str,
    change: Callable[[Problem], Problem | None],
    *,
    where: str = "everywhere",
    outputs: str = "",
    fewest: int = 1,
) -> Hypothesis:
    """The result of a changed problem; change returns None where the mistake changes nothing.

    where: "everywhere"; "forward", the backward pass being that of the right layers and upstream;
    "backward", after a right forward pass; "chain", in the way back through the layers alone.
    outputs: how the names of those end that it can be about; all if empty.
    """

    def wrong_truth(evidence: Evidence) -> Array | None:
        if outputs and not evidence.output.endswith(tuple(outputs.split())):
            return None
        right = problem_of(evidence)
        wrong = change(right)
        if wrong is None or (where != "everywhere" and evidence.output == "output" != where):
            return None
        forward, backward, chain = {
            "everywhere": (wrong, wrong, wrong),
            "forward": (wrong, right, right),
            "backward": (right, wrong, wrong),
            "chain": (right, right, wrong),
        }[where]
        with np.errstate(all="ignore"):
            return result(evidence.output, forward, backward=backward, chain=chain)

    return Hypothesis(name, explanation, term, wrong_truth, fewest=fewest)


def deviating(
    name: str,
    explanation: str,
    term: str,
    steps: Callable[[Problem], Steps | None],
    *,
    outputs: str = "",
    exponential: bool = False,
) -> Hypothesis:
    """The result of the right problem with other steps; None where they change nothing."""

    def wrong_truth(evidence: Evidence) -> Array | None:
        if outputs and not evidence.output.endswith(tuple(outputs.split())):
            return None
        problem = problem_of(evidence)
        wrong = steps(problem)
        if wrong is None:
            return None
        with np.errstate(all="ignore"):
            return result(evidence.output, problem, wrong)

    return Hypothesis(name, explanation, term, wrong_truth, exponential=exponential)
