"""Floating-point formats and the machine models under which rounding errors are bounded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

__all__ = [
    "FORMATS",
    "MACHINES",
    "NUMPY_DTYPES",
    "FloatFormat",
    "MachineModel",
    "machine_model",
    "round_to_format",
]


@dataclass(frozen=True)
class FloatFormat:
    """A binary floating-point format.

    precision: significand bits, the hidden one included; max_exponent: e_max with the largest
    number (2 - 2^(1-precision)) 2^e_max and the smallest normal one 2^(1-e_max).
    """

    name: str
    precision: int
    max_exponent: int

    @property
    def unit_roundoff(self) -> float:
        """u = 2^-precision, the relative error of one rounding to nearest."""
        return 2.0**-self.precision

    @property
    def smallest_normal(self) -> float:
        """2^(1-e_max): what a flush to zero may lose, absolutely."""
        return 2.0 ** (1 - self.max_exponent)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.max_exponent


FORMATS: dict[str, FloatFormat] = {
    "float64": FloatFormat("float64", 53, 1023),
    "float32": FloatFormat("float32", 24, 127),
    "bfloat16": FloatFormat("bfloat16", 8, 127),
    "float16": FloatFormat("float16", 11, 15),
}
"""The storage dtypes a kernel can be judged in."""

NUMPY_DTYPES: dict[str, Any] = {
    "float64": np.float64,
    "float32": np.float32,
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
}
"""The formats as numpy dtypes."""


def round_to_format(values: npt.ArrayLike, dtype: str) -> npt.NDArray[np.float64]:
    """Each float64 value rounded to nearest, ties to even, in the format `dtype`, as float64.

    Values beyond the largest number become infinite. Raises ValueError on an unknown dtype.
    """
    if dtype not in FORMATS:
        raise ValueError(f"unknown dtype {dtype!r}; known: {', '.join(FORMATS)}")
    form = FORMATS[dtype]
    exact = np.asarray(values, dtype=np.float64)
    # Not by a cast: ml_dtypes takes float64 to bfloat16 through float32, which rounds twice.
    _, exponent = np.frexp(exact)
    spacing = np.maximum(exponent, 2 - form.max_exponent) - form.precision
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.ldexp(np.rint(np.ldexp(exact, -spacing)), spacing)
    beyond = np.abs(rounded) > form.largest
    return np.where(beyond, np.copysign(np.inf, exact), rounded)


@dataclass(frozen=True)
class MachineModel:
    """What a machine may do to every operation; derivation and use in docs/proven-bounds.md.

    storage: the format of inputs, outputs and (unless accumulate says otherwise) of every
    intermediate and every partial sum. accumulate: the unit roundoff of products and partial sums
    inside one block of a matrix product or row sum; block: how many terms such a block holds before
    the partial sum is stored (None: all). exp_error: the relative error of one exponential,
    beside 2u|x|, u being exp_unit. All relative errors are of rounding to nearest. loss: what a
    rounding may take absolutely, near zero: a flush to zero, or in float16, whose subnormal numbers
    torch's devices keep, half the smallest of them.
    """

    name: str
    storage: FloatFormat
    accumulate: float
    block: int | None
    exp_error: float
    exp_unit: float
    loss: float
    description: str

    @property
    def stored_unit(self) -> float:
        """The relative error of storing a result, computed in the storage format or a wider one."""
        return _stored_unit(self.storage)


_EXP_ERROR = {
    "float64": 4 * 2.0**-53,
    "float32": 32 * 2.0**-24,
    "bfloat16": 2.0**-12,
    "float16": 2.0**-12,
}


def _stored_unit(storage: FloatFormat) -> float:
    """One rounding to storage that may follow a rounding in the next wider format (float64's own
    for float64): (1 + u)(1 + u_wide) - 1."""
    wide = 2.0 ** -{8: 24, 11: 24, 24: 53, 53: 64}[storage.precision]
    # Written out, because (1 + u)(1 + wide) - 1 cancels; the factor rounds the sum up.
    return (storage.unit_roundoff + wide + storage.unit_roundoff * wide) * (1 + 2.0**-52)


def _loss(storage: FloatFormat) -> float:
    flushes = storage.name != "float16"
    return storage.smallest_normal * (1.0 if flushes else storage.unit_roundoff)


def _widest(storage: FloatFormat) -> MachineModel:
    unit = _stored_unit(storage)
    return MachineModel(
        name="widest",
        storage=storage,
        accumulate=unit,
        block=None,
        exp_error=_EXP_ERROR[storage.name],
        exp_unit=unit,
        loss=_loss(storage),
        description="every intermediate and every partial sum rounded to the storage dtype",
    )


def _f32_accumulate(storage: FloatFormat) -> MachineModel:
    unit = min(_stored_unit(storage), _stored_unit(FORMATS["float32"]))
    return replace(
        _widest(storage),
        name="f32-accumulate",
        accumulate=unit,
        exp_unit=unit,
        description="sums of products accumulate in float32 or wider and are stored once",
    )


MACHINES = {"widest": _widest, "f32-accumulate": _f32_accumulate}
"""Machine models by name, each a function of the storage format."""


def machine_model(name: str, dtype: str) -> MachineModel:
    """The machine model `name` for the storage dtype `dtype`.

    Raises ValueError, naming what there is, on an unknown name or dtype.
    """
    if dtype not in FORMATS:
        raise ValueError(f"unknown dtype {dtype!r}; known: {', '.join(FORMATS)}")
    base, _, length = name.partition(":")
    if base not in MACHINES or (length and base == "widest"):
        raise ValueError(
            f"unknown machine {name!r}; known: {', '.join(MACHINES)}, f32-accumulate:BLOCK"
        )
    model = MACHINES[base](FORMATS[dtype])
    if not length:
        return model
    if not length.isdecimal() or int(length) < 1:
        raise ValueError(f"machine {name!r}: the block length must be a whole number of at least 1")
    return replace(model, name=name, block=int(length))
