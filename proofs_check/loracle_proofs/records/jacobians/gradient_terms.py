"""The terms of (3.5), which the gradients in the adapters take through a Jacobian."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from operator import add

from loracle_proofs.records.score_definitions.settings import Identity, diagonal
from loracle_proofs.settings import PROBLEM_2
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import kronecker, sub_block

__all__ = ["CHAIN_RULE", "DOUBLE_SUM", "PART_ONE", "total", "weight_gradient_terms"]


def weight_gradient_terms(
    C: Matrix, C3: Matrix, f: Matrix, c: Matrix, identity: Identity
) -> list[Matrix]:
    """c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i], the terms of (3.5), for all j and i.

    Shapes: C (L M, d^2), C3 (M, d), f (L, M), c (L, d); results (d^2, 1).
    """
    terms = []
    for j in range(f.shape[0]):
        f_j = f.take_rows([j]).T
        part_one = diagonal(f_j, identity) - f_j @ f_j.T
        for i in range(C3.shape[1]):
            c_ji = c.take_rows([j]).take_columns([i])
            C_j = sub_block(C, j, f_j.shape[0])
            terms.append(C_j.T @ part_one @ C3.take_columns([i]) @ c_ji)
    return terms


def total(terms: Iterable[Matrix]) -> Matrix:
    """The sum of at least one matrix."""
    return reduce(add, terms)


def _tensor(C1: Matrix, C2: Matrix) -> Matrix:
    return kronecker(C1, C2)


CHAIN_RULE = replace(
    PROBLEM_2,
    name="Lemma E.1, the gradients",
    derived={**PROBLEM_2.derived, "C": _tensor, "terms": weight_gradient_terms},
)
"""terms are those of (3.5), which the gradients of Lemma E.1 take through a Jacobian."""

PART_ONE = (
    r"c(\underline W)_{\underline j, i}\, \mathsf C_{\underline j}^{\top}"
    r" \big(\operatorname{diag}(f(\underline W)_{\underline j})"
    r" - f(\underline W)_{\underline j} f(\underline W)_{\underline j}^{\top}\big)"
    r" C^{(3)}[\cdot, i]"
)

DOUBLE_SUM = r"\sum_{\underline j=1}^{L} \sum_{i=1}^{d}"
