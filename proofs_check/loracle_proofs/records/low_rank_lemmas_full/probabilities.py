"""Lemma F.5: low-rank approximations of f_Q and f_K."""

from __future__ import annotations

from loracle_proofs.low_rank_settings import FULL_CERTIFIED
from loracle_proofs.records.low_rank_lemmas.probabilities import (
    EVERY_LENGTH,
    FULL_RANK,
    RANK_PARTS,
    certified_probabilities,
    rank_as_printed,
)
from loracle_proofs.records.low_rank_lemmas_full.notation import BOTH
from loracle_proofs.relation import Relation
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS"]


def certified_both_probabilities(
    queriesQ: BallMatrix,
    keysQ: BallMatrix,
    fQ: Matrix,
    queriesK: BallMatrix,
    keysK: BallMatrix,
    fK: Matrix,
    d: int,
) -> list[Relation]:
    """`certified_probabilities` for Q and for K."""
    return [
        *certified_probabilities(queriesQ, keysQ, fQ, d),
        *certified_probabilities(queriesK, keysK, fK, d),
    ]


RECORDS = (
    Record(
        "Lemma F.5",
        title="Low-rank approximation of f for Q and K",
        kind=Kind.LEMMA,
        printed=r"\Gamma=o(\sqrt{\log L}),\;\|C_\mu^{(1)}W\|_\infty\le\Gamma,\;"
        r"\|C_\mu^{(2)}\|_\infty\le\Gamma\;\Rightarrow\;\exists\,k_1=L^{o(1)},\;"
        r"U_1^\mu,V_1^\mu\in\mathbb R^{L\times k_1}:\;"
        r"\|U_1^\mu(V_1^\mu)^{\mathsf T}-f_\mu\|_\infty\le\epsilon/\operatorname{poly}(L)," + BOTH,
        corrected=r"d=O(\log L),\;\beta d\,\|C_\mu^{(1)}W\|_\infty\|C_\mu^{(2)}\|_\infty"
        r"=o(\log L)\;\Rightarrow\;k_1=\binom{d+g}{g}=L^{o(1)},\;"
        r"|U_1^\mu(V_1^\mu)^{\mathsf T}-f_\mu|\le\frac{2\delta}{1-\delta}f_\mu," + BOTH,
        uses=("Lemma 3.3", "Definition F.3", "Simplification (S4)"),
        parts=(
            Part(
                "rank",
                printed=(Claim(r"k_1\le L^{1/2}\text{ for large }L", rank_as_printed),),
                corrected=Claim(
                    r"|U_1^\mu(V_1^\mu)^{\mathsf T}-f_\mu|\le\frac{2\delta}{1-\delta}f_\mu,"
                    r"\quad k_1=\binom{d+g}{g}",
                    certified_both_probabilities,
                    setting=FULL_CERTIFIED,
                    code=(certified_probabilities,),
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem=FULL_RANK,
            ),
            *RANK_PARTS,
        ),
        remark="W is W_Q for Q and W_K^T for K. The scores of both are the same, so f_Q = f_K and"
        f" two matrices would do; the four norms are not the same. {EVERY_LENGTH}",
    ),
)
