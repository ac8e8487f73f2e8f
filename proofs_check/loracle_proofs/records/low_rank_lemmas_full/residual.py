"""Lemma F.6: low-rank approximations of c_Q and c_K."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loracle_proofs.low_rank_settings import FULL_APPROXIMATIONS, FULL_CERTIFIED
from loracle_proofs.records.low_rank_lemmas.residual import (
    certified_residual,
    residual_exists,
    residual_in_rank_d,
)
from loracle_proofs.records.low_rank_lemmas_full.notation import BOTH
from loracle_proofs.relation import Relation
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS"]


def _more_keys_than_columns(L: int, d: int) -> bool:
    return d <= min(L, 2)


_WIDE = replace(
    FULL_APPROXIMATIONS,
    name="Lemma F.6, at least as many keys as columns",
    constraint=_more_keys_than_columns,
    limits={"d": 1, "k1": 1, "k2": 1},
)


def residuals_exist(
    fQ: Matrix,
    fK: Matrix,
    C3: Matrix,
    Y: Matrix,
    cQ: Matrix,
    cK: Matrix,
    identity: Any,
    M: int,
) -> list[Relation]:
    """`residual_exists` for Q and for K."""
    return [
        residual_exists(fQ, C3, Y, cQ, identity, M),
        residual_exists(fK, C3, Y, cK, identity, M),
    ]


def residuals_in_rank_d(
    fQ: Matrix, fK: Matrix, C3: Matrix, Y: Matrix, cQ: Matrix, cK: Matrix, d: int
) -> list[Relation]:
    """`residual_in_rank_d` for Q and for K."""
    return [*residual_in_rank_d(fQ, C3, Y, cQ, d), *residual_in_rank_d(fK, C3, Y, cK, d)]


def certified_residuals(
    queriesQ: BallMatrix,
    keysQ: BallMatrix,
    queriesK: BallMatrix,
    keysK: BallMatrix,
    values: BallMatrix,
    labels: BallMatrix,
    cQ: Matrix,
    cK: Matrix,
) -> list[Relation]:
    """`certified_residual` for Q and for K."""
    return [
        *certified_residual(queriesQ, keysQ, values, labels, cQ),
        *certified_residual(queriesK, keysK, values, labels, cK),
    ]


RECORDS = (
    Record(
        "Lemma F.6",
        title="Low-rank approximation of c for Q and K",
        kind=Kind.LEMMA,
        printed=r"\exists\,U_1^\mu,V_1^\mu\in\mathbb R^{L\times k_1}:\;"
        r"\|U_1^\mu(V_1^\mu)^{\mathsf T}C^{(3)}-Y-c_\mu\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L)," + BOTH,
        corrected=r"U_1^\mu,V_1^\mu\text{ of Lemma F.5, with its hypotheses}:\;"
        r"\|U_1^\mu(V_1^\mu)^{\mathsf T}C^{(3)}-Y-c_\mu\|_\infty"
        r"\le 2t\,\|C^{(3)}\|_\infty," + BOTH,
        uses=("Lemma F.5", "Lemma 3.4", "Definition F.4"),
        parts=(
            Part(
                "existence",
                setting=FULL_APPROXIMATIONS,
                printed=(
                    Claim(
                        r"U_1^\mu=f_\mu,\;V_1^\mu=I:\quad"
                        r" U_1^\mu(V_1^\mu)^{\mathsf T}C^{(3)}-Y=c_\mu",
                        residuals_exist,
                        code=(residual_exists,),
                    ),
                ),
                trivial=Claim(
                    r"U_1^\mu(V_1^\mu)^{\mathsf T}=f_\mu P,\;k_1=d",
                    residuals_in_rank_d,
                    setting=_WIDE,
                ),
                corrected=Claim(
                    r"\|U_1^\mu((V_1^\mu)^{\mathsf T}C^{(3)})-Y-c_\mu\|_\infty"
                    r"\le t\max_i(\max_lC^{(3)}_{li}-\min_lC^{(3)}_{li}),\quad t"
                    r"\text{ certified}",
                    certified_residuals,
                    setting=FULL_CERTIFIED,
                    code=(certified_residual,),
                ),
                severity=Severity.MISSING,
                problem="As in Lemma 3.4: without the hypotheses of Lemma F.5 and a time the"
                " statement is met by factors of d columns that always exist.",
            ),
        ),
    ),
)
