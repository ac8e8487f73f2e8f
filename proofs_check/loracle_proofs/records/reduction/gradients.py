"""The gradient of any loss in one argument, from the loss by dual numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.differentiation import directional_derivative

__all__ = ["gradient_at"]


def gradient_at(
    loss: Callable[..., Any], arguments: dict[str, Any], name: str, constant: Any
) -> Matrix:
    """The gradient of a loss in one of its arguments, from the loss by dual numbers.

    arguments: by name matrices and exact scalars; constant embeds zeros and ones.
    """
    matrices = {key: value for key, value in arguments.items() if isinstance(value, Matrix)}
    scalars = {key: value for key, value in arguments.items() if not isinstance(value, Matrix)}
    rows, columns = matrices[name].shape
    gradient = matrices[name].scale(0)
    for i in range(rows):
        left = constant([[int(i == k)] for k in range(rows)])
        for j in range(columns):
            right = constant([[int(j == k) for k in range(columns)]])
            slope = directional_derivative(loss, matrices, {name: left @ right}, scalars)
            gradient = gradient + left @ slope @ right
    return gradient
