"""f, c, q, p1 and p2 as the almost-linear gradient has them: thin factors (Lemmas 3.3 to 3.7).

The kernel forms U1 and V1 block by block, and U3 and V3 never. What it needs of row j of p1~ is its
product with the inputs x_l of the keys, which is
    sum_l <U1_j (x) c_j, V1_l (x) v_l> x_l = sum_l <U1_j, V1_l> (x_l v_l^T) c_j:
the row-wise Kronecker product moves from V1 and the values to the inputs and the values, d numbers
each (docs/almost-linear.md). What is here is for looking at the lemmas, one head of moderate length
at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from loracle.errors import UsageError
from loracle.kernels.almost_linear.coordinates import centre
from loracle.kernels.almost_linear.features import FeatureBlock
from loracle.kernels.almost_linear.gradients import MAX_BYTES, MAX_RANK, checked_options
from loracle.kernels.almost_linear.inputs import projected_problem
from loracle.kernels.almost_linear.plan import Plan, Promise, make_plan
from loracle.kernels.almost_linear.solve import Prepared, probability_share
from loracle.kernels.almost_linear.statistics import KeyStatistics
from loracle.kernels.exact import Intermediates

__all__ = ["LowRankIntermediates", "intermediates"]


@dataclass(frozen=True)
class LowRankIntermediates:
    """The factors of one head, float64, row j of the first ones belonging to query j and row l of
    the second ones to key l.

    u1 (L, k), v1 (M, k): f~ = U1 V1^T (Lemmas 3.3, F.5), the features of queries and keys, U1 with
    the polynomial's weights and divided by the kernel's sums of the rows, V1 with the weights
    exp(<a, k_l>) that a shift of the queries by a leaves behind. c (L, d): c~ (Lemmas 3.4, F.6).
    v2 (M, d): the values, q~ = c~ V2^T (Lemmas 3.5, F.7). r (L, 1): r~_j = <f~_j, q~_j>. plan: the
    polynomial, with its degree, rank and delta.
    """

    u1: Tensor
    v1: Tensor
    c: Tensor
    v2: Tensor
    r: Tensor
    plan: Plan

    @property
    def u2(self) -> Tensor:
        """c~, (L, d). The paper has U2 and V2 the other way round, for it prints q transposed."""
        return self.c

    @property
    def u3(self) -> Tensor:
        """Row by row the Kronecker product of U1 and U2, (L, k d) (Lemmas 3.6, F.8)."""
        return _face_splitting(self.u1, self.u2)

    @property
    def v3(self) -> Tensor:
        """Row by row the Kronecker product of V1 and V2, (M, k d): p1~ = U3 V3^T."""
        return _face_splitting(self.v1, self.v2)

    @property
    def u4(self) -> Tensor:
        """diag(r~) U1, (L, k) (Lemmas 3.7, F.9)."""
        return self.r * self.u1

    @property
    def v4(self) -> Tensor:
        """V1, (M, k): p2~ = U4 V4^T."""
        return self.v1

    @property
    def degree(self) -> int:
        """g, the degree of the polynomial."""
        return self.plan.degree

    @property
    def rank(self) -> int:
        """k: C(d + g, g), or less where monomials are left out."""
        return self.plan.rank

    @property
    def delta(self) -> float:
        """The relative error of exp: but for the rounding of features and sums,
        |f~ - f| <= 2 delta / (1 - delta) f entry by entry."""
        return float(self.plan.delta)

    def dense(self) -> Intermediates:
        """The L x M matrices that the factors stand for, each from its own two, to be compared with
        those of the exact kernel."""
        return Intermediates(
            f=self.u1 @ self.v1.T,
            c=self.c,
            q=self.u2 @ self.v2.T,
            p1=self.u3 @ self.v3.T,
            p2=self.u4 @ self.v4.T,
        )

    @classmethod
    def of(cls, prepared: Prepared) -> Self:
        """Those of a run: from the kernel's own sums, residual and corrections.

        Raises UsageError unless the problem has one head.
        """
        problem, centred = prepared.problem, prepared.centred
        if problem.heads != 1:
            raise UsageError(
                f"intermediates are those of one head, not of {problem.heads}: take"
                " Problem.head_group"
            )
        divisors, residuals, corrections = [], [], []
        mean_value = centred.mean_value
        for part, sums in prepared.sums():
            divisors.append(sums[:, :1].double().clone())
            expected = prepared.expected(part, sums)
            residuals.append(expected.residual)
            # Of the values as they are: less their mean, which p1 - p2 does not see, q and r would
            # be others.
            attended = expected.value + mean_value
            corrections.append((expected.residual * attended).sum(1, keepdim=True))
        weights = torch.tensor(
            prepared.plan.polynomial.index_set.weights,
            dtype=torch.float64,
            device=centred.queries.device,
        )
        phi, psi = (_features(prepared.plan, x) for x in (centred.queries, centred.keys))
        return cls(
            u1=(phi * weights[:, None] / torch.cat(divisors, -1)[0]).mT,
            v1=(psi * centred.weights[0].to(prepared.plan.dtype).double()).mT,
            c=torch.cat(residuals, -1)[0].mT,
            v2=problem.v.projected()[0].mT,
            r=torch.cat(corrections, -1)[0].mT,
            plan=prepared.plan,
        )


def intermediates(
    *,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    y: Tensor,
    beta: float,
    epsilon: float = 1e-2,
    promise: Promise = "probabilities",
    features: torch.dtype | None = None,
    max_rank: int = MAX_RANK,
    max_bytes: int = MAX_BYTES,
) -> LowRankIntermediates:
    """The factors of f, c, q, p1 and p2 of 1/2 ||softmax(beta Q K^T) V - Y||_F^2.

    promise: "probabilities" promises |f~ - f| <= epsilon f entry by entry, but for the rounding of
    features and sums; "gradient" takes a polynomial within epsilon of exp, relatively, which is
    where the kernel starts if nothing is promised of f. (Where it ends depends on the adapters:
    `LowRankIntermediates.of` is for a given run.) features, max_rank, max_bytes: as
    `lora_attention_gradients`.

    Shapes: queries, y (L, d); keys, values (M, d), of one floating-point dtype on one device.
    Raises UsageError on arguments that do not fit, OutOfReach, which is Declined, where the
    accuracy needs more rank, memory or digits.
    """
    tensors = {"queries": queries, "keys": keys, "values": values, "y": y}
    options = checked_options(
        epsilon, promise, "almost-linear", features, queries.dtype, max_rank, max_bytes
    )
    problem, _ = projected_problem(tensors, beta)
    centred = centre(problem)
    error = probability_share(epsilon) if promise == "probabilities" else epsilon
    plan = make_plan(problem, centred, options, error)
    return LowRankIntermediates.of(
        Prepared(problem, centred, KeyStatistics.of(problem, centred), plan)
    )


def _features(plan: Plan, points: Tensor) -> Tensor:
    """The features of one head's points, (k, L), rounded as the kernel rounds them."""
    block = FeatureBlock(plan.polynomial.index_set, points.shape[-1], dtype=plan.dtype, like=points)
    return block.fill(points)[0].double()


def _face_splitting(left: Tensor, right: Tensor) -> Tensor:
    """Row by row the Kronecker product: (n, p) and (n, q) to (n, p q)."""
    return (left[:, :, None] * right[:, None, :]).flatten(1)
