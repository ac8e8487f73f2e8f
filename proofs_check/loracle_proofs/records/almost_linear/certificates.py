"""What the algorithm gives, against the exact gradient and what is certified of it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from loracle_proofs.low_rank_settings import BALLS, distance
from loracle_proofs.records.reduction.gradients import gradient_at
from loracle_proofs.relation import Relation, at_most
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.low_rank_gradient import ApproximateGradient

__all__ = ["EPSILON", "certified", "exact_gradient"]

EPSILON = Fraction(1, 64)
"""epsilon, the error allowed to every entry of a gradient."""


def certified(near: ApproximateGradient[BallMatrix], name: str, exact: Matrix) -> Relation:
    """The output is as near to the exact gradient as its certificate says."""
    return at_most(distance(near.outputs[name], exact), BALLS.matrix([[near.errors[name]]]))


def exact_gradient(loss: Any, arguments: Any, name: str) -> Matrix:
    """The gradient of the loss in one argument, by dual numbers."""
    return gradient_at(loss, arguments, name, BALLS.matrix)
