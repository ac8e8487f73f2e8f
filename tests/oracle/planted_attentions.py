"""Classes planted in aloragc and lora-attention: in their steps, projections, queries and keys."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from loracle.cases import Case, Inputs

from .planted import (
    Array,
    Plant,
    coarse,
    honest,
    on,
    planted,
    scaled,
    steps,
    times,
    with_scalars,
    with_tensors,
)
from .planted_factors import ATTENTION


def taken(**source: str) -> Plant:
    """An input taken from another of the same shape; others are left right."""

    def change(inputs: Inputs) -> Inputs:
        t = inputs.tensors
        fits = all(t[a].shape == t[b].shape for a, b in source.items())
        return with_tensors(inputs, **{a: t[b] for a, b in source.items()}) if fits else inputs

    return on(change)


def last_twice(*symbols: str) -> Plant:
    """The last row of the named inputs is there twice."""

    def change(inputs: Inputs) -> Inputs:
        t = inputs.tensors
        return with_tensors(inputs, **{n: np.concatenate((t[n], t[n][-1:])) for n in symbols})

    return on(change)


def first(symbols: str, kept: Callable[[int], int]) -> Plant:
    """The first rows of the named inputs alone."""

    def change(inputs: Inputs) -> Inputs:
        t = inputs.tensors
        return with_tensors(inputs, **{n: t[n][: kept(len(t[n]))] for n in symbols.split()})

    return on(change)


def of_output(other: str) -> Plant:
    """Another output in its place."""
    return lambda case, inputs, output: honest(case, inputs, other)


def bare(scores: torch.Tensor) -> torch.Tensor:
    exponentials = torch.exp(scores)
    return exponentials / exponentials.sum(dim=1, keepdim=True)


def causal(scores: torch.Tensor) -> torch.Tensor:
    later = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return torch.softmax(scores.masked_fill(later, -torch.inf), dim=1)


def frozen_weight_ignored(case: Case, inputs: Inputs, output: str) -> Array:
    name = "w" if case.contract == "aloragc" else "w_v"
    return scaled(name, 0)(case, inputs, output)


def plan_of(deltas: Callable[[Inputs, str], Array]) -> Plant:
    """lora-attention with another B A in W_K, for the gradients of Q and V."""

    def change(inputs: Inputs) -> Inputs:
        t, s = inputs.tensors, inputs.scalars["scaling"]
        weight = t["w_k"] + s * (deltas(inputs, "k") - t["b_k"] @ t["a_k"])
        return with_tensors(inputs, w_k=weight)

    return on(change)


BOTH_ATTENTIONS = [
    (
        "p2 over the queries",
        "wrong-softmax-correction",
        steps(score_gradient=lambda f, q: f * q - f * (f * q).sum(dim=0, keepdim=True)),
    ),
    (
        "p1 + p2",
        "wrong-softmax-correction",
        steps(score_gradient=lambda f, q: f * q + f * (f * q).sum(dim=1, keepdim=True)),
    ),
]

ATTENTIONS = [
    *(
        row
        for contract, outputs in (
            ("aloragc", "grad_a grad_b"),
            ("lora-attention", "grad_b_q grad_a_k"),
        )
        for row in planted(contract, outputs, *BOTH_ATTENTIONS)
    ),
    *(
        row
        for contract, outputs in (("aloragc", "grad_a grad_b"), ("lora-attention", ATTENTION))
        for row in planted(
            contract,
            outputs,
            (
                "softmax over the queries",
                "softmax-along-wrong-axis",
                steps(softmax=lambda s: torch.softmax(s, dim=0)),
            ),
            (
                "not normalised",
                "missing-normalization",
                steps(softmax=lambda s: torch.exp(s - s.amax(dim=1, keepdim=True))),
            ),
            ("causal", "unrequested-mask", steps(softmax=causal)),
            ("no maximum", "no-max-subtraction", steps(softmax=bare)),
            ("ones for c", "upstream-replaced", steps(residual=lambda z, y: torch.ones_like(z))),
            ("y added", "wrong-sign", scaled("y", -1)),
            (
                "probabilities in bfloat16",
                "low-precision",
                steps(softmax=lambda s: coarse(torch.softmax(s, dim=1))),
            ),
            ("no frozen weight", "frozen-weight-ignored", frozen_weight_ignored),
        )
    ),
    *planted(
        "aloragc",
        "grad_a grad_b",
        ("W* alone", "missing-lora-term", steps(adapted=lambda w, b, a: w)),
        ("B A twice", "doubled-term", steps(adapted=lambda w, b, a: w + 2 * (b @ a))),
        ("A reversed", "rank-axis-permuted", steps(adapted=lambda w, b, a: w + b @ a.flip(0))),
        ("c2 for c3", "swapped-projections", taken(c3="c2")),
        ("c1 for c2", "swapped-projections", taken(c2="c1")),
        ("no last query", "dropped-tail", first("c1 y", lambda n: max(n - 1, 1))),
        ("no tail of 16 keys", "dropped-tail", first("c2 c3", lambda n: n // 16 * 16 or n)),
        ("last key twice", "doubled-tail", last_twice("c2", "c3")),
        ("first 64 keys", "dropped-tail", first("c2 c3", lambda n: 64)),
    ),
    *planted(
        "aloragc",
        "grad_b",
        (
            "rank axis of the result",
            "rank-axis-permuted",
            lambda c, i, o: honest(c, i, o)[:, ::-1].copy(),
        ),
    ),
    *planted(
        "lora-attention",
        ATTENTION,
        ("no last query", "dropped-tail", first("x_q y", lambda n: max(n - 1, 1))),
        ("no tail of 16 keys", "dropped-tail", first("x_k x_v", lambda n: n // 16 * 16 or n)),
        ("last key twice", "doubled-tail", last_twice("x_k", "x_v")),
        ("A / r", "wrong-scaling", times(lambda k: 1 / k["r"])),
        ("stale scaling", "stale-scalar", on(lambda i: with_scalars(i, scaling=1.5))),
        ("stale beta", "stale-scalar", on(lambda i: with_scalars(i, beta=0.3125))),
        ("scaling 1 everywhere", "missing-scaling", on(lambda i: with_scalars(i, scaling=1.0))),
        ("x_k for x_v", "swapped-projections", taken(x_v="x_k")),
        ("w_v for w_q", "swapped-projections", taken(w_q="w_v")),
        ("adapter of V for Q", "swapped-projections", taken(a_q="a_v", b_q="b_v")),
        ("b_k with a_q", "swapped-projections", taken(b_q="b_k")),
    ),
    *planted(
        "lora-attention",
        "grad_a_q grad_b_v",
        (
            "K without B A",
            "missing-lora-term",
            plan_of(lambda i, m: np.zeros(i.tensors["w_k"].shape)),
        ),
        (
            "B A of K twice",
            "doubled-term",
            plan_of(lambda i, m: 2 * (i.tensors["b_k"] @ i.tensors["a_k"])),
        ),
        (
            "A of K reversed",
            "rank-axis-permuted",
            plan_of(lambda i, m: i.tensors["b_k"] @ i.tensors["a_k"][::-1]),
        ),
    ),
    *planted(
        "lora-attention", "grad_a_k", ("that of V", "swapped-projections", of_output("grad_a_v"))
    ),
    *planted(
        "lora-attention", "grad_b_v", ("that of Q", "swapped-projections", of_output("grad_b_q"))
    ),
]
