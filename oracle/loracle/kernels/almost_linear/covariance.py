"""From what a query expects of a key to the gradients.

Row j of f is a distribution over the keys. With E its mean, Z = E[v], c = Z - y,
    dL/dq_j = beta sum_l f_jl (<c, v_l> - <c, Z>) k_l = beta Cov(k, v) c,
the covariance of key and value: f, c, q, p_1 and p_2 of Definitions 3.4 to 3.6 in one line, since
q_jl = <c_j, v_l> and <f_j, q_j> = <c_j, Z_j>. All adapters of Q and K need only the d x d matrix
    X_Q^T p X_K = sum_j x_j (Cov(x, v) c_j)^T,
and those of V only X_V^T f^T c = sum_j E_j[z] c_j^T.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from loracle.kernels.almost_linear.coordinates import Centred
from loracle.kernels.almost_linear.features import Columns
from loracle.kernels.almost_linear.projections import Problem

__all__ = ["Expectations", "expectations", "expected_values"]


@dataclass(frozen=True)
class Expectations:
    """Of one block of queries, float64, one query a column.

    mean_z (H, d, B): E_j of the inputs of V, less their mean. value (H, d, B): E_j[v], less the
    mean value. residual (H, d, B): c_j, which no shift changes. covariance (H, d, B):
    Cov_j(x, v) c_j = sum_l p_jl x_l, p as in Definition 3.6. correction (H, 1, B): <c_j, E_j[v]>,
    with the value less its mean.
    """

    mean_z: Tensor
    value: Tensor
    residual: Tensor
    covariance: Tensor
    correction: Tensor


def expectations(
    problem: Problem,
    centred: Centred,
    columns: Columns,
    sums: Tensor,
    queries: slice,
    upstream: Tensor | None = None,
) -> Expectations:
    """Row by row: divide by the sum of the row, subtract y, contract with the residual.

    sums: a block of `query_sums`; its part x (x) v is overwritten. upstream (H, d, L), if given,
    takes the place of the residual: the gradient of any function of Z.
    """
    width = problem.width
    mean_z, value = expected_values(problem, columns, sums)
    divisor = sums[:, :1].double()
    mean_x = sums[:, 1 + width : 1 + 2 * width].double() * (columns.scale_x / divisor)
    residual = value - centred.y(queries) if upstream is None else upstream[..., queries]
    products = sums[:, 1 + 2 * width :].view(-1, width, width, sums.shape[-1])
    products *= residual.to(sums.dtype)[:, None]
    contracted = products.sum(2).double() * (columns.scale_xv / divisor)
    correction = (residual * value).sum(1, keepdim=True)
    covariance = contracted.sub_(correction * mean_x)
    return Expectations(mean_z, value, residual, covariance, correction)


def expected_values(problem: Problem, columns: Columns, sums: Tensor) -> tuple[Tensor, Tensor]:
    """E_j[z] and E_j[v], less the means of z and of v, (H, d, B) float64 each; the sums stay."""
    mean_z = sums[:, 1 : 1 + problem.width].double() * (columns.scale_z / sums[:, :1].double())
    return mean_z, mean_z if problem.v.weight is None else problem.v.matrix.mT @ mean_z
