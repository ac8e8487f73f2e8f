"""Matrices whose scalars count what is really done to them: what symbolic counts are held to."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from loracle_reference.arithmetic.object_matrix import ObjectMatrix
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, rows_of


class CountedScalar:
    """A float that enters each operation on it in a shared tally."""

    def __init__(self, value: float, tally: Counter[str]) -> None:
        self.value = value
        self.tally = tally

    def _entered(self, kind: str, value: float) -> CountedScalar:
        self.tally[kind] += 1
        return CountedScalar(value, self.tally)

    def __add__(self, other: CountedScalar) -> CountedScalar:
        return self._entered("additions", self.value + other.value)

    def __radd__(self, other: Any) -> CountedScalar:
        raise AssertionError(f"a sum that starts at {other!r} has an addition too many")

    def __sub__(self, other: CountedScalar) -> CountedScalar:
        return self._entered("additions", self.value - other.value)

    def __mul__(self, other: CountedScalar) -> CountedScalar:
        return self._entered("multiplications", self.value * other.value)

    def __truediv__(self, other: CountedScalar) -> CountedScalar:
        return self._entered("divisions", self.value / other.value)

    def exponential(self) -> CountedScalar:
        return self._entered("exponentials", math.exp(self.value))


class ScalarCountingMatrix(ObjectMatrix):
    """An object array of `CountedScalar`."""

    def __init__(self, values: Any, tally: Counter[str]) -> None:
        super().__init__(values)
        self.tally = tally

    def _like(self, values: Any) -> ScalarCountingMatrix:
        return ScalarCountingMatrix(values, self.tally)

    def _scalar(self, factor: Any) -> CountedScalar:
        return CountedScalar(float(factor), self.tally)

    def _exp(self, value: CountedScalar) -> CountedScalar:
        return value.exponential()

    def _divide(self, value: CountedScalar, divisor: CountedScalar) -> CountedScalar:
        return value / divisor


class ScalarCounting(Arithmetic[ScalarCountingMatrix]):
    """Float matrices and the tally of all scalar operations on them."""

    name = "scalar counting"

    def __init__(self) -> None:
        self.tally: Counter[str] = Counter()

    def matrix(self, entries: Entries) -> ScalarCountingMatrix:
        rows = rows_of(entries)
        values = np.empty((len(rows), len(rows[0])), dtype=object)
        for index, row in enumerate(rows):
            values[index] = [CountedScalar(float(entry), self.tally) for entry in row]
        return ScalarCountingMatrix(values, self.tally)

    def array(self, matrix: ScalarCountingMatrix) -> np.ndarray:
        return np.array([[scalar.value for scalar in row] for row in matrix.values])
