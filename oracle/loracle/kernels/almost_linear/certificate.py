"""The certificate: bounds of the outputs' errors, summed over the queries along with the gradients.

An output of Q or K is sum_j left_j (Cov(x, v) c_j P)^T with left one of X_Q B, X_Q, Q and Q A^T
and P one of W_K, W_K A^T, B and 1; an output of V is sum_j (E_j[z] P) (c_j R)^T. As every bound of
a row is a sum of (a number of the row) times (a number of the column), the sum over the rows is a
product of |left| with a few rows of numbers; the columns come in at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.kernels.almost_linear.covariance import Expectations
from loracle.kernels.almost_linear.errors import OutOfReach
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.row_bounds import Machine, RowBounds, value_means
from loracle.kernels.almost_linear.statistics import KeyStatistics

__all__ = ["Bounds", "Ledger"]

_LARGEST = 2.0**120

_SLACK = 1 + 2.0**-16
"""More than the float64 roundings of the bounds themselves."""


@dataclass(frozen=True)
class Bounds:
    """Per head, (H,): what approximation and rounding contribute to an output's error, and a lower
    bound of the output's natural scale; all in the max norm."""

    approximation: Tensor
    rounding: Tensor
    natural_scale: Tensor


@dataclass(frozen=True)
class _Side:
    """One output of Q or K: left (H, n, d), a map of the inputs of Q, and right (H, d, m), a map of
    the inputs of K, with their magnitudes; factor multiplies both."""

    name: str
    left: Tensor
    left_magnitude: Tensor
    right: Tensor
    right_magnitude: Tensor
    factor: float


def _sides(problem: Problem) -> list[_Side]:
    """dL/dA_Q, dL/dB_Q, and where K is adapted dL/dA_K^T, dL/dB_K^T (Lemmas F.1 to F.3)."""
    q, k, eye = problem.q, problem.k, _identity(problem)
    sides = []
    if q.a is not None and q.b is not None:
        factor = abs(q.scaling * problem.beta)
        sides += [
            _Side("a_q", q.b.mT, q.b.abs().mT, k.matrix, k.magnitude, factor),
            _Side("b_q", eye, eye, k.matrix @ q.a.mT, k.magnitude @ q.a.abs().mT, factor),
        ]
    if k.a is not None and k.b is not None:
        factor = abs(k.scaling * problem.beta)
        to_queries, magnitude = q.matrix.mT, q.magnitude.mT
        sides += [
            _Side("a_k", to_queries, magnitude, k.b, k.b.abs(), factor),
            _Side("b_k", k.a @ to_queries, k.a.abs() @ magnitude, eye, eye, factor),
        ]
    return sides


@dataclass(frozen=True)
class _ValueSide:
    """One output of V: left (H, d, n), of the inputs of V, and right (H, d, m), of the residual."""

    name: str
    left: Tensor
    right: Tensor


def _value_sides(problem: Problem) -> list[_ValueSide]:
    """B and 1 for dL/dA_V, 1 and A^T for dL/dB_V."""
    v, eye = problem.v, _identity(problem)
    if v.a is None or v.b is None:
        return []
    return [_ValueSide("a_v", v.b, eye), _ValueSide("b_v", eye, v.a.mT)]


def _identity(problem: Problem) -> Tensor:
    eye = torch.eye(problem.width, dtype=problem.y.dtype, device=problem.y.device)
    return eye.expand(problem.heads, problem.width, problem.width)


class Ledger:
    """Adds up, block after block, what the certificate needs; `bounds` closes the account.

    constant: |a_0| of the polynomial. given: as in `RowBounds.of`.
    """

    def __init__(
        self,
        problem: Problem,
        statistics: KeyStatistics,
        *,
        mean_z: Tensor,
        constant: float,
        delta: Tensor,
        machine: Machine,
        given: bool,
    ) -> None:
        self._problem = problem
        self._statistics = statistics
        self._mean_z = mean_z
        self._constant = constant
        self._delta = delta
        self._machine = machine
        self._given = given
        self._sides = _sides(problem)
        self._value_sides = _value_sides(problem)
        # The maps of all outputs one below the other: one product for all.
        self._left = torch.cat([side.left for side in self._sides], dim=1)
        self._left_magnitude = torch.cat([side.left_magnitude for side in self._sides], dim=1)
        self._sums: dict[str, Tensor] = {}
        self._require_in_range()

    def _require_in_range(self) -> None:
        """OutOfReach where a map of an output is of a magnitude whose powers float64 does not hold,
        which the limits of the inputs do not exclude."""
        inputs = self._problem.q.inputs.abs().amax(-1, keepdim=True)
        for side in self._sides:
            for size in (side.left_magnitude @ inputs, side.right_magnitude):
                largest = size.amax((-1, -2))
                within = (largest > 1 / _LARGEST) & (largest < _LARGEST)
                if not bool(((largest == 0) | within).all()):
                    raise OutOfReach(
                        f"what grad_{side.name} is multiplied by is of the size"
                        f" {float(largest.max()):.3g}: nothing is certified of that"
                    )

    def add(self, queries: slice, expected: Expectations, rows: RowBounds) -> None:
        """Account for a block of queries."""
        constant, growth = self._constant, rows.absolute_growth
        plain, tilted = constant * rows.products, growth * rows.products
        carried, tilted_carried = constant * rows.carried, growth * rows.carried
        actual = torch.cat(
            [
                rows.approximation,
                rows.growth * rows.approximation,
                constant * rows.offset,
                growth * rows.offset,
                constant * carried,
                growth * carried,
                growth * tilted_carried,
                plain * rows.residual,
                tilted * rows.residual,
            ],
            dim=1,
        )
        # |c| of the natural scale is E|v| + |y|, or the upstream gradient that is given.
        y = (expected.residual if self._given else self._problem.y[..., queries]).abs()
        natural = torch.cat([self._natural_numbers(y, n) for n in (1 + rows.growth, rows.decay)], 1)
        inputs = self._problem.q.inputs[..., queries]
        self._add("actual", (self._left @ inputs).abs_() @ actual.mT)
        self._add("natural", self._left_magnitude @ (inputs.abs() @ natural.mT))
        if self._value_sides:
            self._add_values(expected, rows, y)

    def _add_values(self, expected: Expectations, rows: RowBounds, y: Tensor) -> None:
        """For the outputs of V: sums of |E[z] P|, of |c R| and of 1, times the numbers 1, chi,
        |a_0| g and chi' g that the errors of E[z] and of c are made of."""
        one = torch.ones_like(rows.growth)
        rounding = (self._constant * rows.share, rows.absolute_growth * rows.share)
        numbers = torch.cat([one, rows.growth, *rounding], dim=1)
        left = torch.cat([side.left.mT for side in self._value_sides], dim=1)
        right = torch.cat([side.right.mT for side in self._value_sides], dim=1)
        mean = left @ (expected.mean_z + self._mean_z)
        self._add("left", mean.abs_() @ numbers.mT)
        self._add("right", (right @ expected.residual).abs_() @ numbers.mT)
        self._add("numbers", numbers @ numbers.mT)
        factors = torch.cat([1 + rows.growth, rows.decay], dim=1)
        self._add("y", y @ factors.mT)
        self._add("factors", factors.square().sum(-1))

    def _natural_numbers(self, y: Tensor, factor: Tensor) -> Tensor:
        """The numbers of a row that its natural scale consists of, E_j[h] being factor_j mu_1(h).

        sum_i |c_i| (n mu(x v_i) + n^2 mu(x) mu(v_i)), |q| + |r| taken apart, |c_i| = |y_i| + n
        mu(v_i): n |y_i| goes with mu(x v_i), n^2 with sum_i mu(v_i) mu(x v_i), n^2 sum_i |y_i|
        mu(v_i) with mu(x) and n^3 with mu(x) sum_i mu(v_i)^2; the second and the fourth only where
        c depends on f. Shapes: y (H, d, B), factor (H, 1, B), result (H, d + 3, B).
        """
        square = factor * factor
        weighted = (y * self._statistics.natural_v).sum(1, keepdim=True)
        own = 0.0 if self._given else 1.0
        return torch.cat([factor * y, own * square, square * weighted, own * square * factor], 1)

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums[name] + value if name in self._sums else value

    def bounds(self) -> dict[str, Bounds]:
        """The bounds of each output, by its name without `grad_`."""
        found = {}
        start = 0
        for side in self._sides:
            rows = slice(start, start + side.left.shape[1])
            found[side.name] = self._side_bounds(side, rows)
            start = rows.stop
        starts = [0, 0]
        for value_side in self._value_sides:
            widths = (value_side.left.shape[2], value_side.right.shape[2])
            parts = [slice(s, s + w) for s, w in zip(starts, widths, strict=True)]
            found[value_side.name] = self._value_bounds(value_side, *parts)
            starts = [part.stop for part in parts]
        return found

    def _side_bounds(self, side: _Side, rows: slice) -> Bounds:
        width, statistics = self._problem.width, self._statistics
        actual, natural = (self._sums[name][..., rows, :] for name in ("actual", "natural"))
        right = side.right.abs().mT
        # sum_j |left_j| P_j sigma_j <= root of (sum |left| P) (sum |left| P sigma^2).
        plain, tilted = _second_moments(statistics.xx, side.right)
        squares = actual[..., :1] * plain.mT + actual[..., 1:2] * tilted.mT
        # Root by root: the product itself might underflow.
        approximation = actual[..., :1].sqrt() * squares.sqrt()
        xv, x = right @ statistics.xv, torch.cat([*(right @ statistics.x)], dim=-1)
        a, b = value_means(self._problem, statistics)
        # sum_i S(x_b v_i) S(v_i), by the powers of |a_0| and chi'.
        carried = torch.cat([xv[0] @ a, xv[0] @ b + xv[1] @ a, xv[1] @ b], dim=-1)
        columns = torch.cat([x, carried, xv[0], xv[1]], dim=-1)
        rounding = actual[..., 2:] @ columns.mT
        magnitude = side.right_magnitude.mT
        xv, x = magnitude @ statistics.natural_xv, magnitude @ statistics.natural_x
        v = statistics.natural_v
        columns = torch.cat([xv, xv @ v, x, x * v.square().sum(-2, keepdim=True)], dim=-1)
        upper = natural[..., : width + 3] @ columns.mT
        lower = natural[..., width + 3 :] @ columns.mT
        return Bounds(
            side.factor * _SLACK * _largest(approximation),
            side.factor * _SLACK * _largest(rounding + self._machine.dust * upper),
            side.factor / _SLACK * _largest(lower),
        )

    def _value_bounds(self, side: _ValueSide, left_rows: slice, right_rows: slice) -> Bounds:
        left, right = side.left, side.right
        statistics, numbers = self._statistics, self._sums["numbers"]
        step = self._delta / (1 - self._delta)
        of_mean = torch.cat([*(left.abs().mT @ statistics.z)], dim=-1)
        of_residual = torch.cat(
            [*(right.abs().mT @ value_means(self._problem, statistics))], dim=-1
        )
        mean_variance = torch.cat([*_second_moments(statistics.zz, left)], dim=-1)
        residual_variance = torch.cat([*_second_moments(statistics.vv, right)], dim=-1)
        if self._given:
            of_residual, residual_variance = 0 * of_residual, 0 * residual_variance
        from_left = self._sums["left"][..., left_rows, :]
        from_right = self._sums["right"][..., right_rows, :]
        # sum |E[z] P| sigma(v R) and sum sigma(z P) |c R|, by Cauchy and Schwarz.
        approximation = step * (
            from_left[..., :1].sqrt() * (from_left[..., :2] @ residual_variance.mT).sqrt()
            + (from_right[..., :1].sqrt() * (from_right[..., :2] @ mean_variance.mT).sqrt()).mT
        )
        rounding = from_left[..., 2:] @ of_residual.mT + (from_right[..., 2:] @ of_mean.mT).mT
        # The product of both errors: root of (sum of squares) times (sum of squares).
        plain = numbers[..., :1, :2]
        means = step * (plain @ mean_variance.mT).sqrt().mT + _length(of_mean, numbers)
        residuals = step * (plain @ residual_variance.mT).sqrt().mT + _length(of_residual, numbers)
        approximation = approximation + means @ residuals.mT
        size_left, size_right = left.abs().mT, right.abs().mT
        z, v = size_left @ statistics.natural_z, size_right @ statistics.natural_v
        own = 0.0 if self._given else 1.0
        y, squares = size_right @ self._sums["y"], own * self._sums["factors"][:, None]
        upper, lower = (z @ (v * squares[..., n : n + 1] + y[..., n : n + 1]).mT for n in (0, 1))
        factor = abs(self._problem.v.scaling)
        return Bounds(
            factor * _SLACK * _largest(approximation),
            factor * _SLACK * _largest(rounding + self._machine.dust * upper),
            factor / _SLACK * _largest(lower),
        )


def _second_moments(moments: Tensor, right: Tensor) -> Tensor:
    """Of the columns of X right, from those of X: (2, H, n, 1)."""
    exact = (right * (moments @ right)).sum(-2)
    scale = moments.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
    # What the quadratic form may lose to rounding, where it cancels.
    lost = 2.0**-40 * scale * (right * right).sum(-2)
    return (exact.clamp_min(0) + lost)[..., None]


def _length(columns: Tensor, numbers: Tensor) -> Tensor:
    """Root of sum_j (g_j S_j)^2 for each column: of a quadratic form in its two numbers."""
    return (columns * (columns @ numbers[..., 2:, 2:])).sum(-1, keepdim=True).sqrt()


def _largest(x: Tensor) -> Tensor:
    return x.amax((-1, -2))
