"""Rounding to float16 in float32 is numpy's, bit for bit, and so are the sums that use it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from loracle_reference.arithmetic.half_precision import rounded_to_float16
from loracle_reference.arithmetic.simulated import STRATEGIES, Simulated

EVERY_FLOAT16 = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)


def _assert_as_numpy(values: npt.NDArray[np.float32]) -> None:
    with np.errstate(all="ignore"):
        expected = values.astype(np.float16).astype(np.float32)
        found = rounded_to_float16(values)
    same = (found.view(np.uint32) == expected.view(np.uint32)) | np.isnan(found) & np.isnan(
        expected
    )
    assert same.all(), (values[~same][:4], found[~same][:4], expected[~same][:4])


def test_float16_numbers_stay() -> None:
    """Normal and subnormal ones, both zeros, both infinities, NaN."""
    _assert_as_numpy(EVERY_FLOAT16)


@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_ties_and_what_lies_beside_them(beside: int) -> None:
    """Halfway between neighbours, the largest number and the first that overflows among them."""
    finite = np.sort(EVERY_FLOAT16[np.isfinite(EVERY_FLOAT16)])
    finite = np.append(finite, np.float32(65536))
    ties = (finite[:-1] + finite[1:]) / np.float32(2)
    _assert_as_numpy((ties.view(np.int32) + np.int32(beside)).view(np.float32))


def test_every_exponent_of_float32() -> None:
    """What no float16 comes near too, up to the largest float32 and down to subnormal ones."""
    bits = np.random.default_rng(0).integers(0, 2**32, size=2**21, dtype=np.uint32)
    _assert_as_numpy(bits.view(np.float32))


@pytest.mark.parametrize("order", ["sequential", "reversed", "blocked"])
@pytest.mark.parametrize("scale", [1.0, 2.0**-12, 100.0], ids=["normal", "subnormal", "overflow"])
def test_large_products_are_those_of_numpy(order: str, scale: float) -> None:
    """80 x 80, where `Simulated` sums in float32, against its rows, where numpy sums in float16."""
    random = np.random.default_rng(1)
    left, right = random.standard_normal((2, 80, 80)) * scale
    simulated = Simulated("float16", next(s for s in STRATEGIES if s.order == order))
    product = simulated.array(simulated.matrix(left) @ simulated.matrix(right))
    for row in range(80):
        alone = simulated.matrix(left[row : row + 1]) @ simulated.matrix(right)
        np.testing.assert_array_equal(product[row : row + 1], simulated.array(alone))
    assert np.isinf(product).any() == (scale == 100)
    assert ((np.abs(product) < 2**-14) & (product != 0)).any() == (scale < 1)
