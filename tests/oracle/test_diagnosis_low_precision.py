"""Results of a coarser format, or with errors of its size, are named low precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from loracle.cases import Case, Inputs
from loracle.diagnosis import diagnose
from loracle_reference.floating_point import round_to_format

from .core_cases import reference
from .planted import Array, Plant, failing, honest, names


@pytest.mark.parametrize(
    ("output", "in_format"), [("grad_lora_a", "bfloat16"), ("grad_b", "float16")]
)
def test_everything_in_a_coarser_format_is_low_precision(output: str, in_format: str) -> None:
    """Named by what the results are and the size of their errors; with a larger error in one of the
    cases there is no name."""
    contract = "lora-linear" if output == "grad_lora_a" else "aloragc"

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        rounded = {n: round_to_format(v, in_format) for n, v in inputs.tensors.items()}
        coarse = replace(case, dtype=in_format)
        return honest(coarse, Inputs(rounded, inputs.scalars), output)

    evidence = [e for e in failing(contract, "float32", 0, output, plant) if e.truth.any()]
    found = diagnose(evidence)
    assert [d.hypothesis for d in found] == ["low-precision"]
    assert in_format in found[0].explanation
    wrong = round_to_format(evidence[0].computed + evidence[0].truth, in_format)
    assert names([replace(evidence[0], computed=wrong), *evidence[1:]]) == []


def unread(values: Array) -> Array:
    """Without the lower 13 of the 23 bits that float32 keeps of a fraction."""
    bits = np.asarray(values, np.float32).view(np.int32) & ~0x1FFF
    return bits.view(np.float32).astype(np.float64)


def kept(values: Array) -> Array:
    return values


CUT_OFF = [
    ("every input", unread, kept, kept),
    ("every operand of a product", unread, unread, kept),
    ("the operands of the product with B", kept, kept, unread),
]


@pytest.mark.parametrize(("place", "inputs_read", "hidden_read", "with_b_read"), CUT_OFF)
def test_where_tensor_cores_cut_off_is_told(
    place: str,
    inputs_read: Callable[[Array], Array],
    hidden_read: Callable[[Array], Array],
    with_b_read: Callable[[Array], Array],
) -> None:
    """dA, in a product of matrices that rounds to nearest elsewhere. Catches a diagnosis that knows
    TF32 to nearest alone, and one that tells the places by none of what they read."""

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        t = {name: inputs_read(value) for name, value in inputs.tensors.items()}
        x, g = (t[name].reshape(-1, t[name].shape[-1]) for name in ("x", "grad_output"))
        scaling = inputs.scalars["scaling"]
        upstream, b = with_b_read(scaling * g), with_b_read(t["lora_b"])
        back = hidden_read(upstream @ b / scaling) * scaling
        return round_to_format(back.T @ x, case.dtype)

    found = diagnose(failing("lora-linear", "float32", 0, "grad_lora_a", plant))
    assert [d.hypothesis for d in found] == ["low-precision"]
    assert f"what {place} cut off to tf32 gives" in found[0].explanation


def test_errors_of_one_size_are_low_precision_and_errors_that_lean_are_not() -> None:
    """Noise of the size of intermediates of 11 bits, and the same along the truth."""

    def noisy(along: float) -> Plant:
        def plant(case: Case, inputs: Inputs, output: str) -> Array:
            result = honest(case, inputs, output)
            generator = np.random.default_rng(case.index)
            tolerance = reference(case).null[output].tolerance
            noise = generator.uniform(-1, 1, result.shape) + along * np.sign(result)
            return np.asarray(result + 0.15 * tolerance * 2.0**11 * noise)

        return plant

    evidence = failing("lora-linear", "float32", 0, "output", noisy(0.0))
    (found,) = diagnose(evidence)
    assert found.hypothesis == "low-precision"
    assert "rounded to tf32 or float16" in found.explanation
    assert diagnose(evidence[:5]) == ()
    assert names(failing("lora-linear", "float32", 0, "output", noisy(2.0))) == []
