"""Simplification (S4): the inverse temperature set to one."""

from __future__ import annotations

from fractions import Fraction

from loracle_proofs.code_instances import one_code
from loracle_proofs.relation import Relation, at_most, equal, less, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.error_bounds import relative_error_of_probabilities
from loracle_reference.norm_conditions import required_rank, score_bound

__all__ = ["RECORDS"]

TEMPERATURE = Setting(
    "Simplification (S4)",
    shapes={"C1": ("L", "d"), "W": ("d", "d"), "C2": ("M", "d")},
    scalars=("beta",),
    square={"M": "L"},
)


def absorbed(C1: Matrix, W: Matrix, C2: Matrix, beta: Scalar) -> Relation:
    """softmax(beta C1 W C2^T) = softmax((beta C1) W C2^T)."""
    return equal(
        (C1 @ W @ C2.T).scale(beta).softmax_rows(), (C1.scale(beta) @ W @ C2.T).softmax_rows()
    )


def norm_multiplied(C1: Matrix, W: Matrix, beta: Scalar) -> Relation:
    """||(beta C1) W|| = |beta| ||C1 W||."""
    return equal(max_norm(C1.scale(beta) @ W), max_norm(C1 @ W).scale(abs(beta)))


def scores_printed(C1: Matrix, W: Matrix, C2: Matrix) -> Relation:
    """||C1 W C2^T|| <= ||C1 W|| ||C2||, as for beta = 1/d."""
    return at_most(max_norm(C1 @ W @ C2.T), max_norm(C1 @ W) * max_norm(C2))


def scores(C1: Matrix, W: Matrix, C2: Matrix, d: int) -> list[Relation]:
    """||C1 W C2^T / d|| <= ||C1 W|| ||C2|| and ||C1 W C2^T|| <= d ||C1 W|| ||C2||."""
    norms = max_norm(C1 @ W) * max_norm(C2)
    return [
        at_most(max_norm((C1 @ W @ C2.T).scale(Fraction(1, d))), norms),
        at_most(max_norm(C1 @ W @ C2.T), norms.scale(d)),
    ]


# Two columns, all entries of C1 W equal and of C2 equal: the scores are 2 * 12 * 5.
_ALL_EQUAL = (
    {"d": 2},
    {"C1": [[1, 2]], "W": [[4, 2], [4, 5]], "C2": [[5, 5]]},
)


def rank_printed() -> list[Relation]:
    """The rank that f needs at beta = 1 is at most what suffices at beta = 1/d, for one Gamma."""
    return [
        at_most(
            one.rank_lower_bound,
            required_rank(one.width, RADIUS, NEAR),
            witness=f"L = {one.length}, d = {one.width}, the signs of a code, Gamma = 1: rank"
            f" {one.rank_lower_bound} at beta = 1, {required_rank(one.width, RADIUS, NEAR)} is"
            f" enough at beta = 1/d, both within 1/(2L)",
        )
        for one in LONG_CODES
    ]


def rank_at_inverse_width() -> list[Relation]:
    """A lower rank suffices at beta = 1/d: entries of f are at most exp(2)/L < 7.39/L there, and
    2 delta / (1 - delta) of that is at most 1/(2L), the error that the codes allow."""
    return [
        relation
        for one in LONG_CODES
        for relation in (
            less(required_rank(one.width, RADIUS, NEAR), one.rank_lower_bound),
            equal(one.length * one.tolerated_error, HALF),
            at_most(_error_times_length(NEAR), HALF),
            equal(
                score_bound(
                    beta=Fraction(1, one.width), width=one.width, queries=one.gamma, keys=one.gamma
                ),
                RADIUS,
            ),
        )
    ]


def _error_times_length(delta: Fraction) -> Fraction:
    """A bound of L ||U1 V1^T - f|| at beta = 1/d."""
    bound: Fraction = LARGEST_ENTRY * relative_error_of_probabilities(delta)
    return bound


HALF = Fraction(1, 2)

LONG_CODES = (one_code(14), one_code(16))
"""L = 2^14 and 2^16: long enough for C(d + 3, 3) < L."""

RADIUS = Fraction(1)
"""R = beta d Gamma^2 for beta = 1/d and Gamma = 1."""

NEAR = Fraction(1, 32)
"""delta at beta = 1/d."""

LARGEST_ENTRY = Fraction(739, 100)
"""exp(2 R) < 7.39: f_jl = exp(s_jl) / sum_m exp(s_jm) <= exp(R) / (L exp(-R))."""


RECORDS = (
    Record(
        "Simplification (S4)",
        title="The inverse temperature set to one",
        kind=Kind.SIMPLIFICATION,
        printed=r"\beta=1\text{ without loss of generality};\quad\beta,\alpha/r"
        r"\text{ do not impact the running time}",
        corrected=r"\operatorname{softmax}(\beta\,C^{(1)}W(C^{(2)})^{\mathsf T})"
        r"=\operatorname{softmax}((\beta C^{(1)})W(C^{(2)})^{\mathsf T}),\quad"
        r"\|\beta C^{(1)}W\|_\infty=\beta\,\|C^{(1)}W\|_\infty",
        uses=("Equation (3.1)", "Lemma 3.3"),
        parts=(
            Part(
                "absorbing it",
                setting=TEMPERATURE,
                printed=(
                    Claim(
                        r"\operatorname{softmax}(\beta\,C^{(1)}W(C^{(2)})^{\mathsf T})"
                        r"=\operatorname{softmax}((\beta C^{(1)})W(C^{(2)})^{\mathsf T})",
                        absorbed,
                    ),
                ),
            ),
            Part(
                "norms",
                setting=TEMPERATURE,
                printed=(
                    Claim(
                        r"\|(\beta C^{(1)})W\|_\infty=|\beta|\,\|C^{(1)}W\|_\infty",
                        norm_multiplied,
                    ),
                ),
            ),
            Part(
                "scores",
                setting=TEMPERATURE,
                printed=(
                    Claim(
                        r"\|C^{(1)}W(C^{(2)})^{\mathsf T}\|_\infty"
                        r"\le\|C^{(1)}W\|_\infty\|C^{(2)}\|_\infty",
                        scores_printed,
                        reading="beta = 1 leaves the bounds of the lemmas built on as they are",
                    ),
                ),
                corrected=Claim(
                    r"\|\tfrac1dC^{(1)}W(C^{(2)})^{\mathsf T}\|_\infty"
                    r"\le\|C^{(1)}W\|_\infty\|C^{(2)}\|_\infty,\quad"
                    r"\|C^{(1)}W(C^{(2)})^{\mathsf T}\|_\infty"
                    r"\le d\,\|C^{(1)}W\|_\infty\|C^{(2)}\|_\infty",
                    scores,
                    extremal=(_ALL_EQUAL,),
                ),
                severity=Severity.MISSING,
                problem="Scores are at most Gamma^2 for beta = 1/d, the scaling of the lemmas that"
                " the paper builds on, and up to d Gamma^2 for beta = 1. Lemma 3.3 and Theorem 3.1"
                " take over the threshold of beta = 1/d without the factor d.",
            ),
            Part(
                "do not impact the running time",
                printed=(
                    Claim(
                        r"k_1(\beta=1,\Gamma)\le k_1(\beta=1/d,\Gamma)\text{ for one }\Gamma",
                        rank_printed,
                    ),
                ),
                corrected=Claim(
                    r"k_1(\beta=1/d,\Gamma=1)\le\tbinom{d+3}{3}<L=k_1(\beta=1,\Gamma=1)"
                    r"\text{ on codes}",
                    rank_at_inverse_width,
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem="True of the exact gradient. Of approximations it is not: at the same C1, W"
                " and C2, f on the signs of a code needs full rank for beta = 1 and a far smaller"
                " one for beta = 1/d. beta may be put into C1, but then the norm of C1 W contains"
                " it.",
            ),
        ),
        remark="Putting beta into C1 is without loss of generality, as putting alpha/r there is."
        " What is lost is the threshold, where later statements take over that of beta = 1/d.",
    ),
)
