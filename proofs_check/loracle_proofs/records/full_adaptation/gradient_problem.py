"""Problem 3: approximate gradients of full adaptation."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.full_adaptation_settings import FIXED_VALUES, Gradient
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import FULL_ADAPTATION
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.gradient import lora_attention_gradient
from loracle_reference.vectorization import mat, vec

__all__ = ["RECORDS", "surrogate_as_printed", "surrogate_shapes", "surrogate_under_vec"]


def targets_as_printed(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
    gradient: Gradient,
) -> list[Relation]:
    """The exact gradients solve Problem 3 with error zero; for K as printed, against Q's."""
    answer = lora_attention_gradient(
        x_q=XQ,
        x_k=XK,
        x_v=XV,
        w_q=WQ0,
        w_k=WK0,
        w_v=WV0,
        a_q=AQ,
        b_q=BQ,
        a_k=AK,
        b_k=BK,
        a_v=AV,
        b_v=BV,
        scaling=s,
        beta=beta,
        y=Y,
    )
    return [
        equal(vec(answer["grad_b_q"]), vec(gradient("BQ"))),
        equal(vec(answer["grad_a_q"]), vec(gradient("AQ"))),
        equal(vec(answer["grad_b_k"]), vec(gradient("BQ"))),
        equal(vec(answer["grad_a_k"]), vec(gradient("AQ"))),
    ]


def targets_of_each_weight(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
    gradient: Gradient,
) -> list[Relation]:
    """The specification's gradients are those of the loss, for Q, K and also V."""
    answer = lora_attention_gradient(
        x_q=XQ,
        x_k=XK,
        x_v=XV,
        w_q=WQ0,
        w_k=WK0,
        w_v=WV0,
        a_q=AQ,
        b_q=BQ,
        a_k=AK,
        b_k=BK,
        a_v=AV,
        b_v=BV,
        scaling=s,
        beta=beta,
        y=Y,
    )
    return [
        equal(vec(answer["grad_b_q"]), vec(gradient("BQ"))),
        equal(vec(answer["grad_a_q"]), vec(gradient("AQ"))),
        equal(vec(answer["grad_b_k"]), vec(gradient("BK"))),
        equal(vec(answer["grad_a_k"]), vec(gradient("AK"))),
        equal(vec(answer["grad_b_v"]), vec(gradient("BV"))),
        equal(vec(answer["grad_a_v"]), vec(gradient("AV"))),
    ]


def surrogate_as_printed(
    d: int, r: int, dL_dAQ: Matrix, dL_dBQ: Matrix, dL_dAK: Matrix, dL_dBK: Matrix
) -> list[Relation]:
    """G^(A) in R^(d x r) and G^(B) in R^(r x d), their entries those of the gradients."""
    return [
        equal(mat(vec(dL_dAQ), d, r), dL_dAQ),
        equal(mat(vec(dL_dBQ), r, d), dL_dBQ),
        equal(mat(vec(dL_dAK), d, r), dL_dAK),
        equal(mat(vec(dL_dBK), r, d), dL_dBK),
    ]


def surrogate_under_vec(
    d: int, r: int, dL_dAQ: Matrix, dL_dBQ: Matrix, dL_dAK: Matrix, dL_dBK: Matrix
) -> list[Relation]:
    """The same, of which only the vectors are compared."""
    return [
        equal(vec(mat(vec(dL_dAQ), d, r)), vec(dL_dAQ)),
        equal(vec(mat(vec(dL_dBQ), r, d)), vec(dL_dBQ)),
        equal(vec(mat(vec(dL_dAK), d, r)), vec(dL_dAK)),
        equal(vec(mat(vec(dL_dBK), r, d)), vec(dL_dBK)),
    ]


def surrogate_shapes(
    d: int, r: int, dL_dAQ: Matrix, dL_dBQ: Matrix, dL_dAK: Matrix, dL_dBK: Matrix
) -> list[Relation]:
    """G^(A) in R^(r x d) and G^(B) in R^(d x r)."""
    return [
        equal(mat(vec(dL_dAQ), r, d), dL_dAQ),
        equal(mat(vec(dL_dBQ), d, r), dL_dBQ),
        equal(mat(vec(dL_dAK), r, d), dL_dAK),
        equal(mat(vec(dL_dBK), d, r), dL_dBK),
    ]


ALL_GRADIENTS = replace(FULL_ADAPTATION, limits={"r": 2})
"""Six gradients with general scalars: symbols up to two queries, three keys, d = 3, r = 2."""

PROBLEM_3 = Record(
    "Problem 3",
    title="Approximate gradients of the full adaptation",
    kind=Kind.PROBLEM,
    printed=r"\widetilde G_\mu^{(A)} \in \mathbb R^{d \times r},\ \widetilde G_\mu^{(B)} \in"
    r" \mathbb R^{r \times d}: \quad \max\left(\left\{\left\|\underline{\widetilde G}_\mu^{(B)} -"
    r" \frac{\partial \mathcal L}{\partial \underline B_Q}\right\|_\infty,"
    r" \left\|\underline{\widetilde G}_\mu^{(A)} - \frac{\partial \mathcal L}{\partial \underline"
    r" A_Q}\right\|_\infty\right\}_{\mu = K, Q}\right) \le \epsilon",
    corrected=r"\widetilde G_\mu^{(A)} \in \mathbb R^{r \times d},\ \widetilde G_\mu^{(B)} \in"
    r" \mathbb R^{d \times r}: \quad \max\left(\left\{\left\|\widetilde G_\mu^{(B)} -"
    r" \frac{\partial \mathcal L}{\partial B_\mu}\right\|_\infty, \left\|\widetilde G_\mu^{(A)} -"
    r" \frac{\partial \mathcal L}{\partial A_\mu}\right\|_\infty\right\}_{\mu = K, Q}\right) \le"
    r" \epsilon",
    uses=("Equation (B.2)", "Definition 2.1"),
    parts=(
        Part(
            "targets",
            setting=ALL_GRADIENTS,
            printed=(
                Claim(
                    r"\widetilde G_\mu^{(B)} = \frac{\partial \mathcal L}{\partial B_\mu},\ "
                    r" \widetilde G_\mu^{(A)} = \frac{\partial \mathcal L}{\partial A_\mu}"
                    r" \text{ have error } 0",
                    targets_as_printed,
                    setting=replace(ALL_GRADIENTS, limits={"L": 2, "d": 1, "r": 1}),
                ),
            ),
            corrected=Claim(
                r"\frac{\partial \mathcal L}{\partial \underline B_\mu},\ \frac{\partial \mathcal"
                r" L}{\partial \underline A_\mu} \text{ in place of } \frac{\partial \mathcal"
                r" L}{\partial \underline B_Q},\ \frac{\partial \mathcal L}{\partial \underline"
                r" A_Q}",
                targets_of_each_weight,
                code=(lora_attention_gradient,),
            ),
            severity=Severity.TYPO,
            problem="The gradients in B_Q and A_Q stand for every mu: for mu = K the exact"
            " gradients of K are no solution. Theorem B.1 has mu in their place.",
        ),
        Part(
            "shapes",
            setting=FIXED_VALUES,
            printed=(
                Claim(
                    r"\widetilde G_\mu^{(A)} = \frac{\partial \mathcal L}{\partial A_\mu},\ "
                    r" \widetilde G_\mu^{(B)} = \frac{\partial \mathcal L}{\partial B_\mu}",
                    surrogate_as_printed,
                ),
                Claim(
                    r"\underline{\widetilde G}_\mu^{(A)} = \frac{\partial \mathcal L}{\partial"
                    r" \underline A_\mu},\ \underline{\widetilde G}_\mu^{(B)} = \frac{\partial"
                    r" \mathcal L}{\partial \underline B_\mu}",
                    surrogate_under_vec,
                    reading="only the vectors are compared, so that a surrogate is the gradient"
                    " cut into rows of another length",
                ),
            ),
            corrected=Claim(
                r"\widetilde G_\mu^{(A)} \in \mathbb R^{r \times d},\ \widetilde G_\mu^{(B)} \in"
                r" \mathbb R^{d \times r}",
                surrogate_shapes,
            ),
            severity=Severity.NOTATION,
            problem="The shapes of the two surrogates are those of each other: the gradient in"
            " A_mu is r x d, that in B_mu is d x r. The difference of the vectors is typed, that"
            " of the matrices is not unless r = d.",
        ),
    ),
    remark="L follows (B.2), whose gradients are twice those of Definition B.1; what is checked"
    " here is Definition B.1, with any alpha/r and beta. The gradients in A_V and B_V, which"
    " scenario (C2) needs, are not asked for. Numbers have log(L) bits here and O(log L) in"
    " Theorem B.1.",
)

RECORDS = (PROBLEM_3,)
