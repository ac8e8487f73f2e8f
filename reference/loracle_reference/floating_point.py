"""Floating-point formats and the machine models under which rounding errors are bounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

__all__ = [
    "FORMATS",
    "MACHINES",
    "NUMPY_DTYPES",
    "TF32",
    "FloatFormat",
    "MachineModel",
    "TensorCore",
    "machine_dtypes",
    "machine_model",
    "round_to_format",
    "truncate_to_format",
]

Array = npt.NDArray[np.float64]


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

TF32 = FloatFormat("tf32", 11, 127)
"""What a tensor core keeps of a float32 operand: ten explicit fraction bits."""

NUMPY_DTYPES: dict[str, Any] = {
    "float64": np.float64,
    "float32": np.float32,
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
}
"""The formats as numpy dtypes."""


def round_to_format(values: npt.ArrayLike, dtype: str | FloatFormat) -> Array:
    """Each float64 value rounded to nearest, ties to even, in a format (or the one of that name),
    as float64.

    Values beyond the largest number become infinite. Raises ValueError on an unknown dtype.
    """
    if isinstance(dtype, str) and dtype not in FORMATS:
        raise ValueError(f"unknown dtype {dtype!r}; known: {', '.join(FORMATS)}")
    form = FORMATS[dtype] if isinstance(dtype, str) else dtype
    exact = np.asarray(values, dtype=np.float64)
    rounded = _to_spacing(exact, form, np.rint)
    beyond = np.abs(rounded) > form.largest
    return np.where(beyond, np.copysign(np.inf, exact), rounded)


def truncate_to_format(values: npt.ArrayLike, form: FloatFormat) -> Array:
    """Each float64 value rounded toward zero in a format, as float64; infinite from 2^(e_max + 1)
    on."""
    exact = np.asarray(values, dtype=np.float64)
    truncated = _to_spacing(exact, form, np.trunc)
    beyond = np.abs(truncated) > form.largest
    return np.where(beyond, np.copysign(np.inf, exact), truncated)


def _to_spacing(exact: Array, form: FloatFormat, to_whole: Callable[[Array], Array]) -> Array:
    # Not by a cast: ml_dtypes takes float64 to bfloat16 through float32, which rounds twice.
    _, exponent = np.frexp(exact)
    spacing = np.maximum(exponent, 2 - form.max_exponent) - form.precision
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.ldexp(to_whole(np.ldexp(exact, -spacing)), spacing))


@dataclass(frozen=True)
class TensorCore:
    """How one instruction of a tensor core sums.

    The exact products of up to `block` pairs of operands, and the accumulator, are aligned to the
    largest exponent among them (a product has the sum of its operands' exponents), cut off below
    2^-fraction_bits of it, added exactly, and the sum is rounded toward zero to float32.
    """

    block: int
    fraction_bits: int

    @property
    def unit(self) -> float:
        """The error that one more product may cause, relative to the sum of magnitudes: that of an
        addition that truncates, however full the blocks are (docs/proven-bounds.md)."""
        return 2.0 ** -min(self.fraction_bits, FORMATS["float32"].precision - 1)


@dataclass(frozen=True)
class MachineModel:
    """What a machine may do to every operation; derivation and use in docs/proven-bounds.md.

    storage: the format of inputs, outputs and (unless accumulate says otherwise) of every
    intermediate and every partial sum. accumulate: the relative error of products and partial sums
    inside one block of a matrix product or row sum; block: how many terms such a block holds before
    the partial sum is stored (None: all). exp_error: the relative error of one exponential,
    beside 2u|x|, u being exp_unit. All of these relative errors are of rounding to nearest, but
    for accumulate on a tensor core. loss: what a rounding may take absolutely, near zero: a flush
    to zero, or in float16, whose subnormal numbers torch's devices keep, half the smallest of them.
    operand_unit, operand_loss: what an operand loses, relatively and absolutely, when a matrix
    product reads it. tensor_core: how matrix products are summed, if by one. source: where the
    numbers come from.
    """

    name: str
    storage: FloatFormat
    accumulate: float
    block: int | None
    exp_error: float
    exp_unit: float
    loss: float
    description: str
    operand_unit: float = 0.0
    operand_loss: float = 0.0
    tensor_core: TensorCore | None = None
    source: str = ""

    @property
    def stored_unit(self) -> float:
        """The relative error of storing a result, computed in the storage format or a wider one."""
        return _stored_unit(self.storage)

    @property
    def accumulates_in_storage(self) -> bool:
        """Whether every partial sum may be rounded to the storage format."""
        return self.accumulate == self.stored_unit

    def sum_growth(self, terms: int, *, operands: int = 2, stored: bool = True) -> float:
        """gamma of a sum of `terms` products: its error is at most gamma times the sum of the
        magnitudes, for every order and tree.

        Each product and partial sum is rounded once, block by block where the machine has blocks,
        and the result is stored. operands: how many factors of a product are read as an operand of
        a matrix product is (2; 1 for a plain sum, which may be a product with ones; 0 for an
        addition). stored: whether the result is; where it is not, it is as exact as a partial sum.
        Infinite where nothing is claimed, from terms * accumulate >= 1 on.
        """
        if self.accumulates_in_storage:
            exponent = terms * self.stored_unit
        else:
            block = terms if self.block is None else min(terms, self.block)
            blocks = math.ceil(terms / block) - (0 if stored else 1)
            exponent = block * self.accumulate + blocks * self.stored_unit
        if exponent >= 1:
            return math.inf
        gamma = exponent / (1 - exponent) * (1 + 2.0**-50)
        if not self.operand_unit:
            return gamma
        read = math.expm1(operands * math.log1p(self.operand_unit)) * (1 + 2.0**-50)
        return (gamma + read + gamma * read) * (1 + 2.0**-50)


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
        source="IEEE 754, and what torch's CPU kernels do at their least exact",
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


def _f16_accumulate(storage: FloatFormat) -> MachineModel:
    return replace(
        _widest(storage),
        name="f16-accumulate",
        exp_unit=_stored_unit(FORMATS["float32"]),
        description="sums of products accumulate in float16; exponentials are taken in float32",
        source=f"{_XIE}: instructions with float16 accumulators round to nearest",
    )


_FASI = (
    "M. Fasi, N. J. Higham, M. Mikaitis, S. Pranesh, Numerical behavior of NVIDIA tensor cores,"
    " PeerJ Computer Science 7:e330, 2021, https://doi.org/10.7717/peerj-cs.330"
)
_XIE = (
    "P. Xie, Y. Wang, F. Yang, M. Yang, MMA-Sim: Bit-Accurate Reference Model of Tensor Cores and"
    " Matrix Cores, 2025, https://arxiv.org/abs/2511.10909"
)

_AMPERE_BITS, _HOPPER_BITS = 24, 25
_BLOCKS = {
    "ampere": {"float32": 4, "bfloat16": 8, "float16": 8},
    "hopper": {"float32": 8, "bfloat16": 16, "float16": 16},
}


def _on_tensor_core(storage: FloatFormat, name: str, fraction_bits: int) -> MachineModel:
    """Products of 16-bit numbers, or of float32 cut to TF32, summed by a tensor core and stored
    once; all else in float32."""
    core = TensorCore(_BLOCKS[name][storage.name], fraction_bits)
    tf32 = storage.name == "float32"
    # A subnormal operand counts as the smallest normal one when products are aligned to it, and
    # is cut to the spacing of subnormal numbers in TF32.
    parts = core.block * 2.0**-fraction_bits + (2 * TF32.unit_roundoff if tf32 else 0.0)
    return replace(
        _f32_accumulate(storage),
        name=name,
        accumulate=core.unit,
        description=f"tensor cores: products summed in blocks of {core.block} and truncated to"
        f" {fraction_bits} fraction bits" + (", operands of ten fraction bits" if tf32 else ""),
        operand_unit=2 * TF32.unit_roundoff if tf32 else 0.0,
        operand_loss=parts * storage.smallest_normal,
        tensor_core=core,
        source=f"{_XIE} (block, fraction bits); {_FASI} (truncation, subnormal numbers)",
    )


def _tf32(storage: FloatFormat) -> MachineModel:
    """The least exact of the tensor cores that take TF32, flushing subnormal operands besides."""
    ampere = _on_tensor_core(storage, "ampere", _AMPERE_BITS)
    return replace(
        ampere,
        name="tf32",
        description="operands of matrix products rounded or truncated to ten fraction bits, sums"
        " in float32 or by a tensor core",
        operand_loss=storage.smallest_normal,
    )


MACHINES: dict[str, tuple[Callable[[FloatFormat], MachineModel], tuple[str, ...]]] = {
    "widest": (_widest, tuple(FORMATS)),
    "f32-accumulate": (_f32_accumulate, tuple(FORMATS)),
    "f16-accumulate": (_f16_accumulate, ("float16",)),
    "tf32": (_tf32, ("float32",)),
    "ampere": (lambda s: _on_tensor_core(s, "ampere", _AMPERE_BITS), tuple(_BLOCKS["ampere"])),
    "hopper": (lambda s: _on_tensor_core(s, "hopper", _HOPPER_BITS), tuple(_BLOCKS["hopper"])),
}
"""By name: the machine model as a function of the storage format, and the dtypes it is made for."""

_FLUSHING = "+ftz"
_KNOWN = f"{', '.join(MACHINES)}, f32-accumulate:BLOCK, and each with {_FLUSHING}, or ftz alone"


def machine_dtypes(name: str) -> tuple[str, ...]:
    """The storage dtypes that the machine `name` (a key of MACHINES) is made for."""
    return MACHINES[name][1]


def machine_model(name: str, dtype: str) -> MachineModel:
    """The machine model `name` for the storage dtype `dtype`.

    `name` is a key of MACHINES, f32-accumulate:BLOCK, or one of these with +ftz: subnormal numbers
    are flushed to zero, as operands and as results, in float16 too. ftz alone is widest+ftz.
    Raises ValueError, naming what there is, on an unknown name or dtype, or a dtype that the
    machine is not made for.
    """
    if dtype not in FORMATS:
        raise ValueError(f"unknown dtype {dtype!r}; known: {', '.join(FORMATS)}")
    spelled = f"widest{_FLUSHING}" if name == "ftz" else name
    flushes = spelled.endswith(_FLUSHING)
    base, colon, length = spelled.removesuffix(_FLUSHING).partition(":")
    if base not in MACHINES or (colon and base != "f32-accumulate"):
        raise ValueError(f"unknown machine {name!r}; known: {_KNOWN}")
    make, dtypes = MACHINES[base]
    if dtype not in dtypes:
        raise ValueError(f"machine {name!r} is made for {', '.join(dtypes)}, not for {dtype}")
    model = replace(make(FORMATS[dtype]), name=name)
    if colon:
        if not length.isdecimal() or int(length) < 1:
            raise ValueError(
                f"machine {name!r}: the block length must be a whole number of at least 1"
            )
        model = replace(model, block=int(length))
    return _flushing(model) if flushes else model


def _flushing(model: MachineModel) -> MachineModel:
    smallest = model.storage.smallest_normal
    return replace(
        model,
        loss=smallest,
        operand_loss=model.operand_loss + smallest,
        description=f"{model.description}; subnormal numbers flushed to zero",
    )
