"""The probe recognises simulated tensor cores, plain arithmetic and their variations, and this
machine's CPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from loracle.cli import main
from loracle.probe.fitting import fitting_machines
from loracle.probe.observing import Multiply, Observations, observe
from loracle.probe.probing import probe_device
from loracle_reference.arithmetic.tensor_core import tensor_core_product
from loracle_reference.floating_point import (
    FORMATS,
    TF32,
    FloatFormat,
    TensorCore,
    machine_model,
    round_to_format,
    truncate_to_format,
)

Array = npt.NDArray[np.float64]
Rounded = Callable[[Array], Array]


def to(form: str | FloatFormat) -> Rounded:
    """Rounding to nearest."""
    return lambda values: round_to_format(values, form)


def tensor_core(core: TensorCore, dtype: str) -> Multiply:
    """Its products, of operands that it truncates in float32, stored in the dtype."""

    def multiply(left: Array, right: Array) -> Array:
        operands = FORMATS[dtype]
        if dtype == "float32":
            operands = TF32
            left, right = truncate_to_format(left, TF32), truncate_to_format(right, TF32)
        return round_to_format(tensor_core_product(left, right, core, operands), dtype)

    return multiply


def one_by_one(
    dtype: str, partial: Rounded, operand: Rounded = lambda values: values, *, flush: bool = False
) -> Multiply:
    """Sequential sums of products, every partial sum put through `partial`, every operand through
    `operand`; stored in the dtype, without subnormal numbers if it flushes."""
    smallest = FORMATS[dtype].smallest_normal

    def kept(values: Array) -> Array:
        return np.where(np.abs(values) < smallest, 0.0, values) if flush else values

    def multiply(left: Array, right: Array) -> Array:
        left, right = kept(operand(left)), kept(operand(right))
        total = np.zeros((left.shape[0], right.shape[1]))
        for k in range(left.shape[1]):
            total = partial(total + left[:, k, None] * right[None, k])
        return kept(round_to_format(total, dtype))

    return multiply


def lanes(dtype: str, count: int) -> Multiply:
    """`count` float32 sums side by side, added at the end, as a vectorised dot product has them."""
    single = one_by_one("float32", to("float32"))

    def multiply(left: Array, right: Array) -> Array:
        parts = [single(left[:, lane::count], right[lane::count]) for lane in range(count)]
        total = parts[0]
        for part in parts[1:]:
            total = round_to_format(total + part, "float32")
        return round_to_format(total, dtype)

    return multiply


HARDWARE = [(m, d) for m in ("ampere", "hopper") for d in ("bfloat16", "float16", "float32")]


@pytest.mark.parametrize(("name", "dtype"), HARDWARE)
def test_a_tensor_core_is_recognised(name: str, dtype: str) -> None:
    """Block, fraction bits, truncation, TF32: everything the record says; and the model comes
    first."""
    core = machine_model(name, dtype).tensor_core
    assert core is not None
    seen = observe(tensor_core(core, dtype), dtype)
    assert seen == Observations(
        dtype=dtype,
        accumulator_bits=23,
        accumulator_rounding="truncation",
        block=core.block,
        aligned_bits=core.fraction_bits,
        operand_bits=10 if dtype == "float32" else FORMATS[dtype].precision - 1,
        operand_rounding="truncation" if dtype == "float32" else "exact",
        subnormal_operands=True,
        subnormal_results=True,
    )
    fits = fitting_machines(seen)
    assert fits[0] == name
    assert fits[-1] == ("tf32" if dtype == "float32" else "widest")
    assert "f32-accumulate" not in fits
    assert {"ampere", "hopper"} & set(fits) == {name}


@pytest.mark.parametrize(
    ("core", "first"),
    [
        (TensorCore(8, 25), "hopper"),  # Hopper's shorter instructions
        (TensorCore(32, 25), "widest"),  # longer blocks lose more beside a subnormal operand
        (TensorCore(8, 23), "widest"),  # fewer fraction bits than Ampere
    ],
)
def test_other_tensor_cores_are_named_only_where_the_bound_covers_them(
    core: TensorCore, first: str
) -> None:
    seen = observe(tensor_core(core, "float16"), "float16")
    assert seen.accumulator_rounding == "truncation"
    assert fitting_machines(seen)[0] == first


SUMMED: dict[str, tuple[str, Multiply, str, tuple[str, ...]]] = {
    "float32, one by one": ("float32", one_by_one("float32", to("float32")), "23", ("widest",)),
    "float32, eight lanes": ("float32", lanes("float32", 8), "23", ("widest",)),
    "float64 sums of float32": ("float32", one_by_one("float32", to("float64")), "52", ("widest",)),
    "bfloat16, float32 sums": (
        "bfloat16",
        one_by_one("bfloat16", to("float32")),
        "23",
        ("f32-accumulate", "widest"),
    ),
    "bfloat16 sums": ("bfloat16", one_by_one("bfloat16", to("bfloat16")), "7", ("widest",)),
    "float16 sums": (
        "float16",
        one_by_one("float16", to("float16")),
        "10",
        ("f16-accumulate", "widest"),
    ),
    "float16, float32 sums, two lanes": (
        "float16",
        lanes("float16", 2),
        "23",
        ("f32-accumulate", "widest"),
    ),
    "TF32 to nearest, float32 sums": (
        "float32",
        one_by_one("float32", to("float32"), to(TF32)),
        "23",
        ("tf32",),
    ),
    "flushing float16": (
        "float16",
        one_by_one("float16", to("float32"), flush=True),
        "23",
        ("f32-accumulate+ftz", "widest+ftz"),
    ),
    "flushing float32": (
        "float32",
        one_by_one("float32", to("float32"), flush=True),
        "23",
        ("widest+ftz",),
    ),
    "bfloat16 operands in float32": (
        "float32",
        one_by_one("float32", to("float32"), to("bfloat16")),
        "23",
        (),
    ),
    "truncated float32 sums": (
        "float32",
        one_by_one("float32", lambda values: truncate_to_format(values, FORMATS["float32"])),
        "23",
        (),
    ),
}


@pytest.mark.parametrize("case", SUMMED)
def test_plain_arithmetic_is_recognised(case: str) -> None:
    """Down to those that fit no model."""
    dtype, multiply, bits, fits = SUMMED[case]
    seen = observe(multiply, dtype)
    assert seen.accumulator_bits == int(bits)
    assert seen.block == 1
    assert seen.subnormal_results is ("flush" not in case)
    assert fitting_machines(seen) == fits


def test_what_is_not_told_apart_is_not_claimed() -> None:
    """Of a finer device: sums that lose nothing at all, and one that rounds up."""
    exact = observe(lambda left, right: left @ right, "float16")
    assert (exact.accumulator_rounding, exact.accumulator_bits) == ("exact", 28)
    assert fitting_machines(exact) == ("f32-accumulate", "widest")
    upward = observe(one_by_one("float32", _upward), "float32")
    assert upward.accumulator_rounding == "other"
    assert fitting_machines(upward) == ()


def _upward(values: Array) -> Array:
    single = values.astype(np.float32)
    up = np.nextafter(single, np.float32(np.inf))
    return np.where(single < values, up, single).astype(np.float64)


def test_a_coarser_observation_never_fits_more() -> None:
    """Every trait matters: dropping one bit, or subnormal numbers, takes models away or flushes."""
    seen = observe(tensor_core(TensorCore(16, 25), "float16"), "float16")
    for change in (
        {"aligned_bits": 24},
        {"accumulator_bits": 22},
        {"accumulator_rounding": "nearest"},
        {"block": 17},
        {"subnormal_operands": False},
        {"subnormal_results": False},
        {"operand_bits": 9, "operand_rounding": "truncation"},
    ):
        changed: dict[str, Any] = dict(change)
        assert "hopper" not in fitting_machines(replace(seen, **changed)), change


@pytest.mark.parametrize("dtype", FORMATS)
def test_this_cpu_fits_the_widest_machine(dtype: str) -> None:
    """What the default judges by must hold where the tests run."""
    (probed,) = probe_device("cpu", dtype)
    assert "widest" in probed.machines
    assert probed.observations.operand_rounding == "exact"
    assert probed.to_dict()["machines"] == list(probed.machines)


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="no flush to zero on this CPU")
def test_flush_to_zero_of_this_cpu_is_seen() -> None:
    """In float32, and the machine for it is named."""
    torch.set_flush_denormal(True)
    try:
        (probed,) = probe_device("cpu", "float32")
    finally:
        torch.set_flush_denormal(False)
    assert not probed.observations.subnormal_operands
    assert not probed.observations.subnormal_results
    assert probed.machines == ("widest+ftz",)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_s_tensor_cores_are_named() -> None:
    """Of the generations that there are records of."""
    generation = {(8, 0): "ampere", (9, 0): "hopper"}.get(torch.cuda.get_device_capability())
    probed = {p.observations.dtype: p for p in probe_device("cuda")}
    assert "widest" in probed["float64"].machines
    if generation is None:
        pytest.skip("a generation without a record")
    for dtype in ("bfloat16", "float16"):
        assert probed[dtype].machines[0] == generation, probed[dtype]


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return exit_.value.code


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table for the reader, JSON for the file."""
    file = tmp_path / "probe.json"
    assert run("probe", "--dtype", "float32", "--json", str(file)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "23 bits, nearest" in out
    assert "widest" in out
    written = json.loads(file.read_text())
    assert written["schema"] == "loracle-probe/1"
    assert written["device"] == "cpu"
    assert "reduced_precision" in written["environment"]
    (one,) = written["dtypes"]
    assert one["dtype"] == "float32"
    assert "widest" in one["machines"]
    assert set(Observations.__dataclass_fields__) < set(one)


def test_json_on_stdout_is_alone_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("probe", "--dtype", "float32", "--json", "-") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["dtypes"]
    assert "widest" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--dtype", "int8"), "unknown dtype 'int8'"),
        (("--device", "tpu"), "unknown device 'tpu'; known: cpu, cuda, cuda:N"),
        (("--device", "cuda:99"), "cuda:99"),
        (("--json", "/nowhere/probe.json"), "there is no directory /nowhere"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("probe", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
