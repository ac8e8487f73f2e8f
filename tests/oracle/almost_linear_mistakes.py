"""Wrong code that the tests of `almost_linear.attention` have to catch. Each is put into the kernel
while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor

from loracle.kernels.almost_linear import function
from loracle.kernels.almost_linear.covariance import Expectations
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.results import Gradients
from loracle.kernels.almost_linear.solve import Prepared, Solution

Wrong = Callable[[pytest.MonkeyPatch], None]


def forgets_beta(patch: pytest.MonkeyPatch) -> None:
    def wrong(problem: Problem, *rest: Any) -> Gradients:
        return function_gathered(replace(problem, beta=1.0), *rest)

    function_gathered = function.gathered
    patch.setattr(function, "gathered", wrong)


def forgets_the_correction(patch: pytest.MonkeyPatch) -> None:
    """Cov(x, v) c without E[x] <E[v], c>: p = f o q."""

    def wrong(self: Prepared, part: slice, sums: Tensor, upstream: Tensor) -> Expectations:
        width = self.problem.width
        divisor = sums[:, :1].double()
        mean_x = sums[:, 1 + width : 1 + 2 * width].double() * (self.columns.scale_x / divisor)
        right = expected(self, part, sums, upstream)
        correction = (right.residual * right.value).sum(1, keepdim=True)
        return replace(right, covariance=right.covariance + correction * mean_x)

    expected = Prepared.expected
    patch.setattr(Prepared, "expected", wrong)


def ignores_the_upstream(patch: pytest.MonkeyPatch) -> None:
    """The residual of the loss 1/2 ||Z - y||^2 whatever comes from above."""

    def wrong(self: Prepared, part: slice, sums: Tensor, upstream: Tensor) -> Expectations:
        return expected(self, part, sums, None)

    expected = Prepared.expected
    patch.setattr(Prepared, "expected", wrong)


def wrong_sign(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: function._Call, upstream: Tensor) -> dict[str, Tensor]:
        return backward(self, -upstream)

    backward = function._Call.backward
    patch.setattr(function._Call, "backward", wrong)


def transposes_the_gradient_of_k(patch: pytest.MonkeyPatch) -> None:
    """p^T where p belongs."""

    def wrong(problem: Problem, solutions: list[Solution], *rest: Any) -> Gradients:
        right = function_gathered(problem, solutions, *rest)
        turned = [replace(s, core_qk=s.core_qk.mT) for s in solutions]
        other = function_gathered(problem, turned, *rest)
        outputs = {n: (other if n[-1] == "k" else right).outputs[n] for n in right.outputs}
        return replace(right, outputs=outputs)

    function_gathered = function.gathered
    patch.setattr(function, "gathered", wrong)


WRONG = [
    forgets_beta,
    forgets_the_correction,
    ignores_the_upstream,
    wrong_sign,
    transposes_the_gradient_of_k,
]


@contextmanager
def put_in(wrong: Wrong) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        wrong(patch)
        yield
