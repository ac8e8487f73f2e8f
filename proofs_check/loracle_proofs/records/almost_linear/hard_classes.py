"""The hypotheses on norms against the hard instances of Lemma G.1."""

from __future__ import annotations

from itertools import pairwise

from loracle_proofs.hard_instances import HardClass, hard_classes
from loracle_proofs.relation import Relation, equal, less

__all__ = [
    "HARD",
    "NORMS",
    "full_products_exclude",
    "no_norm_excludes",
    "printed_norms_exclude",
    "products_exclude",
]

CLASSES = hard_classes(12)
"""Lengths 2^16 to 2^(4^12), of which only exact norms are asked."""

SMALL_CLASSES = (HardClass(1), HardClass(2), HardClass(3))
"""Those whose largest instances are built: r = d = 4, 16, 64."""


def printed_norms_exclude() -> list[Relation]:
    """If Gamma^2 / log L falls along the hard classes, their largest score / log L falls."""
    return [
        less(
            later.product_rate,
            earlier.product_rate,
            witness=f"L = 2^{later.bits}, r = d = {later.bits}, kappa = {later.step}:"
            f" Gamma = {later.gamma}, scores up to {later.bits * later.gamma**2}",
        )
        for earlier, later in pairwise(CLASSES)
        if later.norm_rate < earlier.norm_rate
    ]


def products_exclude() -> list[Relation]:
    """d Gamma^2 / log L grows along the hard classes; their instances with the largest entries have
    the norms Gamma and the score d Gamma^2."""
    growth = [
        less(earlier.product_rate, later.product_rate) for earlier, later in pairwise(CLASSES)
    ]
    return [
        *growth,
        *(equal(one.largest_query, one.gamma) for one in SMALL_CLASSES),
        *(equal(one.largest_key, one.gamma) for one in SMALL_CLASSES),
        *(equal(one.largest_score, one.bits * one.gamma * one.gamma) for one in SMALL_CLASSES),
    ]


def full_products_exclude() -> list[Relation]:
    """`products_exclude`; embedded in full adaptation all four norms of Theorem B.1 are Gamma."""
    norms = [
        equal(norm, one.gamma, witness=name)
        for one in SMALL_CLASSES
        for name, norm in one.full_norms.items()
    ]
    return [*products_exclude(), *norms]


def no_norm_excludes() -> list[Relation]:
    """The largest score / log L falls along the hard classes, none of which is excluded."""
    return [
        less(
            later.product_rate,
            earlier.product_rate,
            witness=f"L = 2^{later.bits}, r = d = {later.bits}: scores up to"
            f" {later.bits * later.gamma**2}",
        )
        for earlier, later in pairwise(CLASSES)
    ]


NORMS = (
    "Along the hard instances of Lemma G.1, reduced as in the proof of Theorem A.1 and balanced"
    " (C1/t and t C2 have the same gradients in A_Q and B_Q), Gamma = B/sqrt(r) ="
    " O(kappa(L)) for r = Theta(log L), and kappa may be log log L: Gamma = o(sqrt(log L)). The"
    " statement then solves them in almost linear time, which Lemma G.1 excludes under SETH."
)

HARD = r"\beta d\,\Gamma_Q\Gamma_K=o(\log L)"
