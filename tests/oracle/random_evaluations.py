"""Legal evaluations drawn at random: any order, tree or block of every single sum, any association
of every product, partial sums in storage or wider, fused multiply-adds, sums that a tensor core
truncates, scalars anywhere along a chain, the exponential as a power of two.

None of them is in the ensemble from which the tolerance is made, and no two sums of one evaluation
need be done alike.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS
from loracle.evaluation import gradients, output_shapes
from loracle_reference.arithmetic.simulated import STRATEGIES, Simulated
from loracle_reference.floating_point import FORMATS, MachineModel

Array = npt.NDArray[Any]

_LOG2_E = 1.4426950408889634
_FLOAT32_BITS = 24


class RandomLegal(Simulated):
    """One evaluation. wide_only: the machine keeps partial sums in more than storage."""

    def __init__(self, dtype: str, seed: list[int], *, wide_only: bool = False) -> None:
        draw = self.draw = np.random.default_rng(seed)
        like = STRATEGIES[0]
        strategy = replace(
            like,
            name="random",
            order="wide",
            associate=draw.choice(["formula", "left", "right"]),
            distribute=bool(draw.integers(2)),
            softmax=draw.choice(["two-pass", "online", "log-sum-exp"]),
        )
        if strategy.distribute and strategy.associate == "formula":
            strategy = replace(strategy, associate="left")
        super().__init__(dtype, strategy)
        self.in_base_two = bool(draw.integers(2))
        self.root_of_scalars = not draw.integers(4)
        sums = [self._in_float, self._truncated]
        if FORMATS[dtype].precision >= _FLOAT32_BITS:
            sums = [self._in_float]
        if not wide_only:
            sums += [self._in_storage, self._as_a_tree, self._fused, self._in_blocks]
        # Some kernels sum everything in one way, some each sum in another.
        self.sums = [sums[draw.integers(len(sums))]] if draw.integers(2) else sums

    def function(self, function: Any, argument: Array) -> Array:
        """The exponential as 2^(x log2 e), the constant rounded to storage in some kernels."""
        if function is np.exp and self.in_base_two:
            power = argument.astype(self.wide) * self.wide(_LOG2_E)
            return super().function(np.exp2, np.asarray(power))
        return super().function(function, argument)

    def form(self, product: Any) -> Array:
        """Neighbours are multiplied in random order; each scalar meets a factor, the result, or, as
        its root, both ends."""
        factors = list(product.factors)
        after = []
        for scalar in product.scalars:
            place = int(self.draw.integers(len(factors) + 1))
            if self.root_of_scalars and scalar > 0:
                root = self.cast(scalar**0.5)
                factors[0], factors[-1] = factors[0] * root, factors[-1] * root
                if len(factors) == 1:
                    continue
            elif place < len(factors):
                factors[place] = factors[place] * self.cast(scalar)
            else:
                after.append(self.cast(scalar))
        while len(factors) > 1:
            if self.strategy.associate == "left":
                at = 0
            else:
                at = int(self.draw.integers(len(factors) - 1))
            factors[at : at + 2] = [self.multiply(factors[at], factors[at + 1])]
        return reduce(lambda formed, scalar: formed * scalar, after, factors[0])

    def multiply(self, left: Array, right: Array) -> Array:
        """The sum over the inner dimension in a random order by one of the ways."""
        order = self.draw.permutation(left.shape[1])
        way = self.sums[int(self.draw.integers(len(self.sums)))]
        with np.errstate(over="ignore", invalid="ignore"):
            return way(left[:, order], right[order])

    def _in_float(self, left: Array, right: Array) -> Array:
        return np.asarray(left.astype(self.wide) @ right.astype(self.wide)).astype(self.storage)

    def _in_storage(self, left: Array, right: Array) -> Array:
        return reduce(np.add, (left[:, k, None] * right[None, k] for k in range(len(right))))

    def _as_a_tree(self, left: Array, right: Array) -> Array:
        parts = [left[:, k, None] * right[None, k] for k in range(len(right))]
        while len(parts) > 1:
            at = int(self.draw.integers(len(parts) - 1))
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return parts[0]

    def _fused(self, left: Array, right: Array) -> Array:
        total = left[:, 0, None] * right[None, 0]
        for k in range(1, len(right)):
            exact = left[:, k, None].astype(np.float64) * right[None, k].astype(np.float64)
            total = (total.astype(np.float64) + exact).astype(self.wide).astype(self.storage)
        return np.asarray(total)

    def _in_blocks(self, left: Array, right: Array) -> Array:
        length = int(self.draw.integers(1, len(right) + 1))
        starts = range(0, len(right), length)
        return reduce(
            np.add, (self._in_float(left[:, k : k + length], right[k : k + length]) for k in starts)
        )

    def _truncated(self, left: Array, right: Array) -> Array:
        """Blocks of a tensor core: each sum is exact, added to the accumulator and chopped to 24
        bits."""
        block = int(self.draw.choice([4, 8, 16]))
        total = np.zeros((left.shape[0], right.shape[1]))
        for k in range(0, len(right), block):
            wide = left[:, k : k + block].astype(np.float64) @ right[k : k + block].astype(
                np.float64
            )
            mantissa, exponent = np.frexp(total + wide)
            total = np.ldexp(np.trunc(np.ldexp(mantissa, _FLOAT32_BITS)), exponent - _FLOAT32_BITS)
        return total.astype(np.float32).astype(self.storage)


def random_evaluation(
    case: Case, inputs: Inputs, machine: MachineModel, kernel: int
) -> dict[str, npt.NDArray[np.float64]]:
    """The outputs of the random kernel of that number, exactly, as float64. It makes the same
    choices in every case of the same shapes."""
    contract = CONTRACTS[case.contract]
    wide_only = machine.accumulate < machine.storage.unit_roundoff
    arithmetic = RandomLegal(case.dtype, [kernel], wide_only=wide_only)
    with np.errstate(over="ignore", invalid="ignore"):
        results = gradients(contract, inputs, arithmetic)
    return {
        name: arithmetic.array(results[name]).reshape(shape)
        for name, shape in output_shapes(contract, inputs).items()
    }
