"""Which machine models allow for what was observed of a device, most specific first."""

from __future__ import annotations

from loracle.probe.observing import Observations
from loracle_reference.floating_point import (
    FORMATS,
    MACHINES,
    MachineModel,
    machine_dtypes,
    machine_model,
)

__all__ = ["fitting_machines"]

_HARDWARE = ("ampere", "hopper")
_TERMS = 64


def fitting_machines(seen: Observations) -> tuple[str, ...]:
    """The names of the models whose bounds hold for a device with these observations; empty if
    there is none. A model of a certain device, or of a coarser format, is named only for what shows
    that trait. With +ftz where the device flushes more than the plain model allows."""
    fitting = []
    for name in MACHINES:
        if seen.dtype not in machine_dtypes(name):
            continue
        for spelled in (name, f"{name}+ftz"):
            model = machine_model(spelled, seen.dtype)
            if _has_its_trait(name, model, seen) and _allows(model, seen):
                fitting.append(model)
                break
    return tuple(model.name for model in sorted(fitting, key=_width))


def _width(model: MachineModel) -> tuple[float, float, float, int]:
    """What to sort by: the size of the bound, and where that is the same, the fraction bits."""
    bits = 0 if model.tensor_core is None else model.tensor_core.fraction_bits
    loss = model.operand_loss + model.loss
    return model.sum_growth(_TERMS), loss, model.exp_unit, -bits


def _has_its_trait(name: str, model: MachineModel, seen: Observations) -> bool:
    if name in _HARDWARE and not _is_tensor_core(model, seen):
        return False
    if model.operand_unit and seen.operand_rounding == "exact":
        return False
    if name == "f16-accumulate":
        return seen.accumulator_bits < FORMATS["float32"].precision - 1
    return name != "f32-accumulate" or not model.accumulates_in_storage


def _is_tensor_core(model: MachineModel, seen: Observations) -> bool:
    """Truncated sums of blocks, with at least the fraction bits of the model and in blocks no
    longer than its own."""
    core = model.tensor_core
    return (
        core is not None
        and seen.accumulator_rounding == "truncation"
        and seen.aligned_bits is not None
        and seen.aligned_bits >= core.fraction_bits
        and seen.block <= core.block
    )


def _allows(model: MachineModel, seen: Observations) -> bool:
    smallest = model.storage.smallest_normal
    return (
        _accumulating_unit(seen) <= model.accumulate
        and _unit(seen.operand_bits, seen.operand_rounding) <= model.operand_unit
        and (seen.subnormal_results or model.loss >= smallest)
        and (seen.subnormal_operands or model.operand_loss >= smallest)
    )


def _accumulating_unit(seen: Observations) -> float:
    """The error that one more product may cause, as in `TensorCore.unit`."""
    aligned = 0.0 if seen.aligned_bits is None else 2.0**-seen.aligned_bits
    return max(_unit(seen.accumulator_bits, seen.accumulator_rounding), aligned)


def _unit(bits: int, rounding: str) -> float:
    if rounding == "exact":
        return 0.0
    return 2.0 ** -(bits + 1) if rounding == "nearest" else 2.0**-bits
