"""Lemma 3.1 and equation (3.5): the gradient in the weight as a double sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from loracle_proofs.records.jacobians.gradient_terms import CHAIN_RULE, total
from loracle_proofs.records.score_definitions.settings import ANY_KEYS, Identity, diagonal
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import sub_block, vec

__all__ = ["RECORDS", "SUMMAND"]

Gradient = Callable[[str], Matrix]

LORA = replace(CHAIN_RULE, name="Lemma 3.1", square={})


def double_sum(
    C: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    gradient: Gradient,
) -> Relation:
    """dL/d vec(W) = sum_j sum_i c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i] for the loss (3.3).

    The derivative of (3.3) in W is that in its frozen weight, to which B A is added.
    """
    terms: list[Matrix] = []
    for j in range(L):
        C_j, f_j = sub_block(C, j, M), f.take_rows([j]).T
        terms.extend(
            C_j.T
            @ (diagonal(f_j, identity) - f_j @ f_j.T)
            @ C3.take_columns([i])
            @ c.take_rows([j]).take_columns([i])
            for i in range(d)
        )
    return equal(vec(gradient("W0")), total(terms))


def display(
    C: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    dL_dW: Matrix,
) -> Relation:
    """The same for the loss (3.4) as a function of W."""
    terms: list[Matrix] = []
    for j in range(L):
        C_j, f_j = sub_block(C, j, M), f.take_rows([j]).T
        terms.extend(
            C_j.T
            @ (diagonal(f_j, identity) - f_j @ f_j.T)
            @ C3.take_columns([i])
            @ c.take_rows([j]).take_columns([i])
            for i in range(d)
        )
    return equal(vec(dL_dW), total(terms))


SUMMAND = (
    r"c(\underline W)_{\underline j, i}\, \mathsf C_{\underline j}^{\top}"
    r" \big(\operatorname{diag}(f(\underline W)_{\underline j})"
    r" - f(\underline W)_{\underline j} f(\underline W)_{\underline j}^{\top}\big)"
    r" C^{(3)}[\cdot, i]"
)

_DOUBLE_SUM = (
    r"\frac{\mathrm d\mathcal L(\underline W)}{\mathrm d\underline W} ="
    rf" \sum_{{\underline j=1}}^{{L}} \sum_{{i=1}}^{{d}} {SUMMAND}"
)

_BRACES = (
    "The source text labels the outer brace and both inner ones (I), here and in Appendix H;"
    " Remark H.1 speaks of Parts (I), (II) and (III), the difference, the diagonal matrix and the"
    " matrix of rank one. It also lacks the underline of j in diag(f_j), which it loses elsewhere."
)

RECORDS = (
    Record(
        "Lemma 3.1",
        title="Gradient in the weight, by entries of the residual",
        kind=Kind.LEMMA,
        printed=_DOUBLE_SUM,
        uses=("Definition 2.1", "Definition 2.4", "Equation (3.3)", "Equation (3.4)"),
        parts=(
            Part(
                "double sum",
                setting=LORA,
                printed=(Claim(_DOUBLE_SUM, double_sum),),
            ),
        ),
        ocr=_BRACES,
        remark="The vec is the row-major one of Definition 2.1. The lemma is about the weight W;"
        " Lemma E.1 takes it to the adapters.",
    ),
    Record(
        "Equation (3.5)",
        title="The display of Lemma 3.1",
        kind=Kind.EQUATION,
        printed=_DOUBLE_SUM,
        uses=("Lemma 3.1", "Equation (3.4)"),
        parts=(
            Part(
                "display",
                setting=ANY_KEYS,
                printed=(Claim(_DOUBLE_SUM, display),),
            ),
        ),
        ocr=_BRACES,
    ),
)
