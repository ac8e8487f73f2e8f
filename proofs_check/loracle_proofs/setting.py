"""Settings: what the symbols of a group of statements stand for, and instances of them.

A claim is a function whose parameters are names of its setting: sizes, matrices, scalars and
quantities derived from them. An instance gives each of them a value in one arithmetic; derived
quantities are computed once, when they are first asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from loracle_reference.arithmetic.polynomial import Polynomial
from loracle_reference.arithmetic.protocol import Arithmetic, Matrix
from loracle_reference.differentiation import directional_derivative

__all__ = ["Entries", "Instance", "Setting", "Sizes", "symbolic_instance"]

Sizes = Mapping[str, int]
Entries = Mapping[str, Any]
"""Per matrix its rows of exact numbers, per scalar an exact number."""


@dataclass(frozen=True)
class Setting:
    """The symbols of a group of statements.

    shapes: per matrix (rows, columns), each the name of a size. scalars: exact numbers other than
    zero. derived: per name a function of other names. square: sizes that the paper takes to be
    equal, as {"M": "L"}; printed claims are tried there only. constraint: what sizes must satisfy.
    limits: the largest value of a size up to which symbols are tried (3 unless named).
    loss: the loss whose gradients `gradient` takes, a function of the matrices and the scalars.
    """

    name: str
    shapes: Mapping[str, tuple[str, str]]
    scalars: tuple[str, ...] = ()
    derived: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    square: Mapping[str, str] = field(default_factory=dict)
    constraint: Callable[..., bool] | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    loss: Callable[..., Any] | None = None

    @property
    def size_names(self) -> tuple[str, ...]:
        """The sizes in the order in which the shapes mention them."""
        return tuple(dict.fromkeys(size for shape in self.shapes.values() for size in shape))

    def admits(self, sizes: Sizes, *, printed: bool) -> bool:
        """Whether the sizes satisfy the constraint, and for a printed claim the equalities."""
        if printed and any(sizes[one] != sizes[other] for one, other in self.square.items()):
            return False
        if self.constraint is None:
            return True
        names = inspect.signature(self.constraint).parameters
        return self.constraint(**{name: sizes[name] for name in names})

    def all_sizes(self, *, printed: bool, limit: int = 3) -> Iterator[dict[str, int]]:
        """Every admitted choice of sizes up to the limits, the smallest sums first."""
        names = self.size_names
        choices: list[dict[str, int]] = [{}]
        for name in names:
            most = min(limit, self.limits.get(name, limit))
            choices = [{**one, name: size} for one in choices for size in range(1, most + 1)]
        choices.sort(key=lambda sizes: (sum(sizes.values()), tuple(sizes.values())))
        return (sizes for sizes in choices if self.admits(sizes, printed=printed))

    def entry_names(self, sizes: Sizes) -> list[str]:
        """A name for each entry of each matrix, and the scalars."""
        names = [
            f"{matrix}_{row}_{column}"
            for matrix, (rows, columns) in self.shapes.items()
            for row in range(sizes[rows])
            for column in range(sizes[columns])
        ]
        return [*names, *self.scalars]


class Instance:
    """One choice of sizes and entries in one arithmetic; sizes that are not given are one, matrices
    zero, scalars one.

    Every name of the setting is resolved by `value`; `used` collects the matrices and scalars that
    were asked for, directly or through a derived quantity.
    """

    def __init__(
        self, setting: Setting, sizes: Sizes, arithmetic: Arithmetic[Any], entries: Entries
    ) -> None:
        self.setting = setting
        self.sizes = {name: sizes.get(name, 1) for name in setting.size_names}
        self.arithmetic = arithmetic
        self.entries = {**_zeros(setting, self.sizes), **entries}
        self.used: set[str] = set()
        self._values: dict[str, Any] = {
            name: arithmetic.matrix(self.entries[name]) for name in setting.shapes
        }
        self._values |= {name: self.entries[name] for name in setting.scalars}
        self._derived: dict[str, tuple[Any, frozenset[str]]] = {}

    def constant(self, entries: Any) -> Matrix:
        """Exact numbers as a matrix of this instance's arithmetic."""
        matrix: Matrix = self.arithmetic.matrix(entries)
        return matrix

    def identity(self, size: int) -> Matrix:
        """The identity matrix."""
        return self.constant([[int(i == j) for j in range(size)] for i in range(size)])

    def ones(self, rows: int, columns: int = 1) -> Matrix:
        """The matrix of ones."""
        return self.constant([[1] * columns for _ in range(rows)])

    def value(self, name: str) -> Any:
        """A size, a matrix, a scalar, a derived quantity, or the name of a method of this class."""
        if name in self._values:
            self.used.add(name)
            return self._values[name]
        if name in self.sizes:
            return self.sizes[name]
        if name in self._derived:
            derived, used = self._derived[name]
            self.used |= used
            return derived
        if name in self.setting.derived:
            outer, self.used = self.used, set()
            derived = self.call(self.setting.derived[name])
            self._derived[name] = derived, frozenset(self.used)
            self.used |= outer
            return derived
        if name in ("constant", "identity", "ones", "gradient", "derivative"):
            return getattr(self, name)
        raise KeyError(f"the setting {self.setting.name!r} has no {name!r}")

    def call(self, function: Callable[..., Any]) -> Any:
        """The function, given each of its parameters by name."""
        names = inspect.signature(function).parameters
        return function(**{name: self.value(name) for name in names})

    def gradient(self, name: str) -> Matrix:
        """The gradient of the setting's loss in a matrix, from the loss itself by dual numbers."""
        if self.setting.loss is None:
            raise KeyError(f"the setting {self.setting.name!r} has no loss")
        return self.derivative(self.setting.loss, name)

    def derivative(self, function: Callable[..., Any], name: str) -> Matrix:
        """The gradient of a function of matrices and scalars of this setting, of shape (1, 1)."""
        parameters = inspect.signature(function).parameters
        values = {parameter: self.value(parameter) for parameter in parameters}
        matrices = {key: value for key, value in values.items() if isinstance(value, Matrix)}
        scalars = {key: value for key, value in values.items() if not isinstance(value, Matrix)}
        rows, columns = matrices[name].shape
        gradient = matrices[name].scale(0)
        for i in range(rows):
            left = self.constant([[int(i == k)] for k in range(rows)])
            for j in range(columns):
                right = self.constant([[int(j == k) for k in range(columns)]])
                slope = directional_derivative(function, matrices, {name: left @ right}, scalars)
                gradient = gradient + left @ slope @ right
        return gradient


def _zeros(setting: Setting, sizes: Sizes) -> dict[str, Any]:
    zeros: dict[str, Any] = {
        name: [[0] * sizes[columns] for _ in range(sizes[rows])]
        for name, (rows, columns) in setting.shapes.items()
    }
    return zeros | dict.fromkeys(setting.scalars, 1)


def symbolic_instance(setting: Setting, sizes: Sizes) -> Instance:
    """An instance in which every entry and every scalar is an indeterminate."""
    ring = Polynomial(setting.entry_names(sizes))
    entries: dict[str, Any] = {
        matrix: [
            [ring.symbol(f"{matrix}_{row}_{column}") for column in range(sizes[columns])]
            for row in range(sizes[rows])
        ]
        for matrix, (rows, columns) in setting.shapes.items()
    }
    entries |= {name: ring.symbol(name) for name in setting.scalars}
    return Instance(setting, sizes, ring, entries)


def show_entries(instance: Instance) -> dict[str, Any]:
    """The matrices and scalars that were used, as text that reads as exact numbers."""

    def show(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [show(entry) for entry in value]
        return str(value if isinstance(value, int) else Fraction(value))

    return {name: show(instance.entries[name]) for name in sorted(instance.used)}
