"""Every operation of the interval arithmetic against exact rationals, on adversarial numbers.

`violations` is what the tests assert to be empty, and what must not be empty once a term is taken
out of the radii.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic import Exact, Interval
from loracle_reference.arithmetic.interval import IntervalMatrix

FloatArray = npt.NDArray[np.float64]
Pair = tuple[FloatArray, FloatArray | None]

Operation = Callable[..., Any]

BINARY: dict[str, Operation] = {
    "matmul": lambda left, right: left @ right.T,
    "add": lambda left, right: left + right,
    "sub": lambda left, right: left - right,
    "mul": lambda left, right: left * right,
    "row_dot": lambda left, right: left.row_dot(right),
    "face_splitting": lambda left, right: left.face_splitting(right),
    "scale_rows": lambda left, right: left.scale_rows(right.row_sum()),
    "divide_rows": lambda left, right: left.divide_rows(right.row_sum()),
}
UNARY: dict[str, Operation] = {
    "row_sum": lambda left: left.row_sum(),
    "scale by 0.1": lambda left: left.scale(0.1),
    "scale by 1/3": lambda left: left.scale(Fraction(1, 3)),
    "scale by 2^-600": lambda left: left.scale(2.0**-600),
}


def inside(matrix: IntervalMatrix, exact: npt.NDArray[Any]) -> bool:
    """Whether every exact rational lies in its interval."""
    enclosure = Interval().enclosure(matrix)
    for index, value in np.ndenumerate(exact):
        radius = enclosure.radius[index]
        if np.isfinite(radius) and abs(value - Fraction(enclosure.high[index])) > Fraction(radius):
            return False
    return True


def members(
    pairs: tuple[Pair, ...], generator: np.random.Generator
) -> Iterator[list[npt.NDArray[Any]]]:
    """Exact members of interval matrices: midpoints, both ends in all combinations, and a random
    choice of the ends of each entry."""
    centres = [np.vectorize(Fraction, otypes=[object])(mid) for mid, _ in pairs]
    yield centres
    if any(rad is not None for _, rad in pairs):
        reaches = [
            np.vectorize(Fraction, otypes=[object])(np.zeros_like(mid) if rad is None else rad)
            for mid, rad in pairs
        ]
        for signs in itertools.product((-1, 1), repeat=len(pairs)):
            yield [c + r * s for c, r, s in zip(centres, reaches, signs, strict=True)]
        yield [
            c + r * generator.choice([-1, 1], size=c.shape)
            for c, r in zip(centres, reaches, strict=True)
        ]


def violations(left: Pair, right: Pair, seed: int = 0) -> set[str]:
    """The operations that lose the exact result for some members of the operands.

    left, right: midpoints and radii of one shape.
    """
    exact, found = Exact(), set()

    def embed(pair: Pair) -> IntervalMatrix:
        return IntervalMatrix(pair[0].copy(), None if pair[1] is None else pair[1].copy())

    for name, operation in {**UNARY, **BINARY}.items():
        generator = np.random.default_rng(seed)
        pairs = (left,) if name in UNARY else (left, right)
        result = operation(*map(embed, pairs))
        for some in members(pairs, generator):
            try:
                true = operation(*map(exact.matrix, some))
            except ZeroDivisionError:
                continue
            if not inside(result, exact.array(true)):
                found.add(name)
    return found


def exp_violations(mid: FloatArray, rad: FloatArray | None) -> int:
    """How many exponentials (Arb, at the ends and the midpoint) their intervals do not contain."""
    matrix = IntervalMatrix(
        mid.reshape(1, -1).copy(), None if rad is None else rad.reshape(1, -1).copy()
    ).exp()
    enclosure = Interval().enclosure(matrix)
    lost = 0
    radii = np.zeros_like(mid) if rad is None else rad
    for m, r, high, radius in zip(
        mid.tolist(),
        radii.tolist(),
        enclosure.high[0].tolist(),
        enclosure.radius[0].tolist(),
        strict=True,
    ):
        with flint.ctx.workprec(256):
            centre = flint.arb(m)
            ends = (centre - r, centre, centre + r) if r else (centre,)
            lost += any(not (abs(end.exp() - high) <= radius) for end in ends)
    return lost


def adversarial(generator: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Doubles of all sizes: ordinary, huge, tiny, subnormal, zero, and nearly cancelling."""
    kind = generator.integers(0, 7)
    sign = generator.choice([-1.0, 1.0], size=shape)
    significand = 1.0 + generator.random(shape)
    if kind == 0:
        values = significand
    elif kind == 1:
        values = significand * 2.0 ** generator.integers(-30, 30, size=shape).astype(float)
    elif kind == 2:
        values = significand * 2.0 ** generator.integers(-500, 500, size=shape).astype(float)
    elif kind == 3:
        values = significand * 2.0 ** generator.integers(-1022, 1023, size=shape).astype(float)
    elif kind == 4:
        values = generator.integers(0, 2**20, size=shape) * 2.0**-1074
    elif kind == 5:
        values = 1.0 + generator.integers(0, 8, size=shape) * 2.0**-52
    else:
        values = significand * generator.integers(0, 2, size=shape)
    return np.asarray(values * sign)


def adversarial_radius(generator: np.random.Generator, mid: FloatArray) -> FloatArray | None:
    """No radius, one about the last place, one far below it, or a wide one."""
    kind = generator.integers(0, 4)
    if kind == 0:
        return None
    relative = [0.0, 2.0**-52, 2.0**-105, 0.125][kind]
    with np.errstate(over="ignore"):
        rad = np.abs(mid) * relative * generator.random(mid.shape)
    return np.asarray(np.minimum(rad, 2.0**1023))


def sweep(trials: int, seed: int) -> set[str]:
    """The violations over many adversarial operands."""
    generator = np.random.default_rng(seed)
    found: set[str] = set()
    for trial in range(trials):
        shape = int(generator.integers(1, 4)), int(generator.integers(1, 6))
        mids = [adversarial(generator, shape) for _ in range(2)]
        left, right = ((mid, adversarial_radius(generator, mid)) for mid in mids)
        found |= violations(left, right, trial)
    return found


def exp_sweep(count: int, seed: int) -> int:
    """Lost exponentials over the whole range, subnormal results and overflow included."""
    generator = np.random.default_rng(seed)
    mid = np.concatenate(
        [
            generator.uniform(-760, 715, count),
            generator.uniform(-746, -707, count),
            generator.uniform(709, 710, count // 4),
            generator.uniform(-2, 2, count),
            generator.standard_normal(count) * 2.0 ** generator.integers(-60, 0, count),
            np.array([0.0, -0.0, -745.2, -745.1, 709.782712893384, -1e6]),
        ]
    )
    rad = generator.random(mid.size) * 2.0 ** generator.integers(-80, 4, mid.size)
    return exp_violations(mid, None) + exp_violations(mid, rad)
