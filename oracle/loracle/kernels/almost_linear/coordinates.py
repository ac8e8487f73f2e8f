"""What exactness allows for free: shifts of keys and queries, and a change of coordinates.

f does not change
* when one vector is subtracted from every key: it adds a constant to each row of scores;
* when one vector a is subtracted from every query and key l gets the weight exp(<a, k_l>), since
  exp(<q_j, k_l>) = exp(<a, k_l>) exp(<q_j - a, k_l>): exactly, not approximately;
* when queries become T^-T q and keys T k, for any invertible T.
So what the polynomial has to cover is the spread of the scores that is left, R, in the best of the
coordinates tried; the norms may be as large as one likes. docs/almost-linear.md has the proofs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.kernels.almost_linear.blocks import blocks
from loracle.kernels.almost_linear.projections import Problem

__all__ = ["BLOCK", "FLOAT64_UNIT", "Centred", "best_coordinates", "centre", "radius_of"]

FLOAT64_UNIT = 2.0**-53
"""u of float64, in which everything is computed that is not per feature."""

BLOCK = 1 << 13
"""Tokens at a time where nothing but d coordinates of each is held: what fits a cache."""

_REGULARIZATION = 2.0**-30
"""Share of the trace added to a matrix of second moments before it is inverted. Any T is as valid;
a singular one is none."""


@dataclass(frozen=True)
class Centred:
    """Queries and keys after the shifts and in the chosen coordinates; the rest block by block.

    queries (H, d, L), keys (H, d, M); weights (H, 1, M) in [0, 1], the largest 1; mean_k, mean_v
    and mean_value (H, d, 1): the weighted means of the inputs of K and V and of the values.
    query_norms (H, 1, L) and key_norms (H, 1, M) are Euclidean, radius (H, 1, 1) their largest
    product: it bounds every score. score_error (H, 1, 1): how far rounding may have moved a score,
    apart from a constant of its row.
    """

    problem: Problem
    queries: Tensor
    keys: Tensor
    weights: Tensor
    mean_k: Tensor
    mean_v: Tensor
    mean_value: Tensor
    query_norms: Tensor
    key_norms: Tensor
    radius: Tensor
    score_error: Tensor

    @property
    def total_weight(self) -> Tensor:
        """Omega, the sum of the weights, (H, 1, 1)."""
        return self.weights.sum(-1, keepdim=True)

    @property
    def spreads(self) -> Tensor:
        """max |q_i| max |k_i| for each coordinate i, (H, d): what bounds a monomial's part."""
        largest = [m.amax(-1).maximum(-m.amin(-1)) for m in (self.queries, self.keys)]
        return largest[0] * largest[1]

    def inputs_k(self, keys: slice = slice(None)) -> Tensor:
        """The inputs of K less their mean, (H, d, B)."""
        return self.problem.k.inputs[..., keys] - self.mean_k

    def inputs_v(self, keys: slice = slice(None)) -> Tensor:
        """The inputs of V less their mean, (H, d, B)."""
        return self.problem.v.inputs[..., keys] - self.mean_v

    def values(self, inputs_v: Tensor) -> Tensor:
        """The values less their mean, (H, d, B), of such inputs."""
        v = self.problem.v
        return inputs_v if v.weight is None else v.matrix.mT @ inputs_v

    def y(self, queries: slice = slice(None)) -> Tensor:
        """Y^T less the mean value, (H, d, B)."""
        return self.problem.y[..., queries] - self.mean_value


def centre(problem: Problem) -> Centred:
    """The shifts, then the coordinates in which the bound of the scores is smaller."""
    # Whole arrays only where they are needed again: at long lengths memory costs more than
    # arithmetic.
    queries = (problem.beta * problem.q.matrix).mT @ problem.q.inputs
    shift = queries.mean(-1, keepdim=True)
    queries -= shift
    keys = problem.k.projected()
    weights = shift.mT @ keys
    weights = weights.sub_(weights.amax(-1, keepdim=True)).exp_()
    total = weights.sum(-1, keepdim=True)
    keys = keys - _mean(keys, weights, total)
    mean_v = _mean(problem.v.inputs, weights, total)
    queries, keys, direct, inverse, turned = best_coordinates(queries, keys, weights)
    query_norms, key_norms = _norms(queries), _norms(keys)
    largest_query = query_norms.amax(-1, keepdim=True)
    largest_key = key_norms.amax(-1, keepdim=True)
    # A power of two is exact: both sides of one size, so that no monomial under- or overflows.
    factor = _power_of_two(largest_query, largest_key)
    return Centred(
        problem=problem,
        queries=queries.div_(factor),
        keys=keys.mul_(factor),
        weights=weights,
        mean_k=_mean(problem.k.inputs, weights, total),
        mean_v=mean_v,
        mean_value=mean_v if problem.v.weight is None else problem.v.matrix.mT @ mean_v,
        query_norms=query_norms.div_(factor),
        key_norms=key_norms.mul_(factor),
        radius=largest_query * largest_key * (1 + 2.0**-40),
        score_error=_score_error(problem, direct, inverse, turned),
    )


def best_coordinates(
    queries: Tensor, keys: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """T^-T q and T k, T and T^-1, with the balancing T in the heads where that lowers the radius
    and the identity elsewhere, and which heads those are.

    Shapes: queries (H, d, L), keys (H, d, M), weights (H, 1, M), T and T^-1 (H, d, d), last
    (H, 1, 1). Orders the coordinates by what they contribute to the scores where T is taken.
    """
    direct, inverse = _balancing(queries, keys, weights)
    turned_queries, turned_keys = inverse.mT @ queries, direct @ keys
    turned = radius_of(turned_queries, turned_keys) < radius_of(queries, keys)
    eye = torch.eye(queries.shape[1], dtype=keys.dtype, device=keys.device)
    return (
        _either(turned, turned_queries, queries),
        _either(turned, turned_keys, keys),
        torch.where(turned, direct, eye),
        torch.where(turned, inverse, eye),
        turned,
    )


def _either(condition: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """torch.where head by head, without a copy where all heads agree."""
    if bool(condition.all()):
        return left
    return torch.where(condition, left, right) if bool(condition.any()) else right


def _mean(values: Tensor, weights: Tensor, total: Tensor) -> Tensor:
    return (values @ weights.mT) / total


def _norms(x: Tensor) -> Tensor:
    # Not linalg.vector_norm, which is ten times slower over the middle axis; in blocks that fit a
    # cache.
    norms = x.new_empty(x.shape[0], 1, x.shape[-1])
    for part in blocks(x.shape[-1], BLOCK):
        torch.sum(x[..., part].square(), 1, keepdim=True, out=norms[..., part])
    return norms.sqrt_()


def radius_of(queries: Tensor, keys: Tensor) -> Tensor:
    """The largest product of a query's and a key's length, (H, 1, 1)."""
    longest = [_norms(x).amax(-1, keepdim=True) for x in (queries, keys)]
    return longest[0] * longest[1]


def _power_of_two(query: Tensor, key: Tensor) -> Tensor:
    """c with query / c and key * c of about one size; 1 where either is zero."""
    ratio = torch.where((query > 0) & (key > 0), query / key, torch.ones_like(query))
    return torch.exp2(torch.round(torch.log2(ratio) / 2))


def _balancing(queries: Tensor, keys: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """T and T^-1 for which T^-T q and T k have one and the same, diagonal, second moment.

    With C_K = R R^T and R^T C_Q R = U S^2 U^T: T = S^(1/2) U^T R^-1 (the balancing of control
    theory). The coordinates come in descending order of what they contribute to the scores.
    Shapes: (H, d, d) both.
    """
    width = queries.shape[1]
    eye = torch.eye(width, dtype=queries.dtype, device=queries.device)

    def moment(x: Tensor, weighted: Tensor, count: Tensor | float) -> Tensor:
        second = weighted @ x.mT / count
        trace = second.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
        trace = torch.where(trace > 0, trace, torch.ones_like(trace))
        return second + _REGULARIZATION * trace * eye

    root = torch.linalg.cholesky(moment(keys, keys * weights, weights.sum(-1, keepdim=True)))
    squares, turn = torch.linalg.eigh(root.mT @ moment(queries, queries, queries.shape[-1]) @ root)
    squares, turn = squares.flip(-1), turn.flip(-1)
    largest = squares.amax(-1, keepdim=True)
    quarter = squares.clamp_min(_REGULARIZATION * largest).sqrt().sqrt()
    direct = quarter[..., None] * (turn.mT @ torch.linalg.inv(root))
    return direct, (root @ turn) / quarter[:, None, :]


def _score_error(problem: Problem, direct: Tensor, inverse: Tensor, turned: Tensor) -> Tensor:
    """A bound of what the float64 roundings up to here may do to a score, (H, 1, 1).

    Each coordinate of a query or key is a sum of at most 2 d + r + 4 terms (projection, adapter,
    shift), so off by gamma times its magnitude |X| |W|; the change of coordinates adds d terms and
    T^-1 T - I. The weight exp(<a, k>) errs by its exponent's error.
    """
    rank = 0 if problem.q.a is None else problem.q.a.shape[1]
    gamma = 4.0 * (3 * problem.width + rank + 8) * FLOAT64_UNIT
    # The shifts are means of such coordinates: at most doubled.
    longest_query = 2 * abs(problem.beta) * _norms(problem.q.largest_magnitude)
    product = longest_query * (2 * _norms(problem.k.largest_magnitude))
    eye = torch.eye(problem.width, dtype=direct.dtype, device=direct.device)
    spread, residual = (
        torch.linalg.matrix_norm(inverse, keepdim=True)
        * torch.linalg.matrix_norm(direct, keepdim=True),
        torch.linalg.matrix_norm(inverse @ direct - eye, keepdim=True),
    )
    plain = 4 * gamma * product
    return torch.where(turned, plain + (residual + 4 * gamma * spread) * product, plain)
