"""Verifies a set of vectors: checksums and schema, then every number by a path of its own.

Truths are computed again in multiprecision, from the loss by differentiation, and in interval
arithmetic; bounds, tolerances, flags and mistakes by the code that certifies. All of that is for
the inputs as they are in the file; that these are the generator's is asked besides.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle import __version__
from loracle.cases import Case
from loracle.contracts import CONTRACTS, Contract
from loracle.errors import UsageError
from loracle.evaluation import gradients, output_shapes
from loracle.generation import REGIMES, generate
from loracle.generation.generate import case_of
from loracle.vectors.certify import Certified, Limits, limits_of, narrow_radii, reveals
from loracle.vectors.container import (
    PARTS,
    DamagedFile,
    Span,
    input_tensor,
    output_tensor,
    unpacked,
)
from loracle.vectors.describe import (
    CertifiedCase,
    Revelations,
    case_entry,
    flag_entries,
    mistake_entries,
)
from loracle.vectors.independent import distances_from_truth
from loracle.vectors.manifest import (
    JUDGE,
    MANIFEST,
    checksum_of,
    digest,
    schema_errors,
)
from loracle.vectors.numbers import TOLERANCE_BITS, bound_bits
from loracle.vectors.reading import CertifiedOutput, Vector, read_file, read_manifest, vector_of
from loracle_reference.arithmetic.interval import Interval
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import machine_model

__all__ = ["verify"]

Array = npt.NDArray[np.float64]

OnProgress = Callable[[int, int, str], None]

_LAST_DIGITS = 2.0**-44


def verify(
    folder: str | os.PathLike[str],
    *,
    quick: bool = False,
    on_progress: OnProgress = lambda done, total, what: None,
) -> list[str]:
    """What is wrong with the set in `folder`, one line each; empty if nothing is.

    quick: schema and checksums alone. Raises UsageError if there is no manifest at all.
    """
    root = Path(folder)
    try:
        manifest = read_manifest(root)
    except UsageError as error:
        if not (root / MANIFEST).is_file():
            raise
        return [str(error)]
    errors = schema_errors(manifest)
    if errors:
        # Nothing below can rely on what is not there.
        return [f"{MANIFEST}: {error}" for error in errors]
    complaints = [f"{MANIFEST}: {line}" for line in _of_manifest(root, manifest)]
    total, done = sum(len(file["cases"]) for file in manifest["files"]), 0
    for file in manifest["files"]:
        name, contents = file["name"], None
        try:
            data = read_file(root, name)
            complaints += [f"{name}: {line}" for line in _of_bytes(file, data)]
            contents = unpacked(data)
        except UsageError as error:
            complaints.append(str(error))
        except DamagedFile as error:
            complaints.append(f"{name}: {error}")
        if contents is None:
            continue
        complaints += [f"{name}: {line}" for line in _of_places(file, *contents)]
        for case in file["cases"] if not quick else ():
            on_progress(done, total, f"{file['contract']} {file['dtype']} {case['case']}")
            done += 1
            for line in _of_case(manifest, file, case, *contents):
                complaints.append(f"{name}: {case['case']}: {line}")
    return complaints


def _of_manifest(root: Path, manifest: dict[str, Any]) -> Iterator[str]:
    if checksum_of(manifest) != manifest["checksum"]:
        yield "its checksum is not that of its content: it was edited"
    names = [file["name"] for file in manifest["files"]]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name} is listed twice"
    unlisted = {path.name for path in root.glob("*.safetensors")} - set(names)
    for name in sorted(unlisted):
        yield f"{name} is there, but not listed"
    if manifest["judge"] != JUDGE:
        yield "`judge` is not the rule that the bounds are made for"
    for file in manifest["files"]:
        if file["contract"] not in CONTRACTS:
            yield f"{file['name']}: unknown contract {file['contract']!r}"
        try:
            machine_model(manifest["machine"], file["dtype"])
        except ValueError as error:
            yield f"{file['name']}: {error}"
    try:
        if flag_entries(manifest["files"], manifest["reveals"]) != manifest["flags"]:
            yield "`flags` does not say what the cases and the generator do"
        if mistake_entries(manifest["files"], manifest["reveals"]) != manifest["mistakes"]:
            yield "`mistakes` does not say what the cases and the diagnosis do"
    except KeyError as error:
        yield f"unknown flag {error}"
    except IndexError:
        yield "an output refers to a row of `reveals` that is not there"


def _of_bytes(file: dict[str, Any], data: bytes) -> Iterator[str]:
    if len(data) != file["bytes"]:
        yield f"it has {len(data)} bytes, {file['bytes']} are listed"
    if digest(data) != file["sha256"]:
        yield "its SHA-256 is not the one that is listed"


def _of_places(
    file: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], spans: dict[str, Span]
) -> Iterator[str]:
    """The tensors that the manifest lists, against those of the file."""
    listed: dict[str, Span] = {}
    for case in file["cases"]:
        key = case["case"]
        for name, entry in case["inputs"].items():
            listed[input_tensor(key, name)] = Span(
                file["dtype"], tuple(entry["shape"]), entry["offset"]
            )
        for name, entry in case["outputs"].items():
            for part in PARTS:
                listed[output_tensor(key, part, name)] = Span(
                    "float64", tuple(entry["shape"]), entry[part]
                )
    for name in sorted({*listed, *spans}):
        if name not in spans:
            yield f"the tensor {name} is listed, but not there"
        elif name not in listed:
            yield f"the tensor {name} is there, but not listed"
        elif spans[name] != listed[name]:
            yield f"the tensor {name} is {spans[name]}, listed is {listed[name]}"


def _of_case(
    manifest: dict[str, Any],
    file: dict[str, Any],
    entry: dict[str, Any],
    arrays: dict[str, npt.NDArray[Any]],
    spans: dict[str, Span],
) -> list[str]:
    if file["contract"] not in CONTRACTS:
        return []
    contract = CONTRACTS[file["contract"]]
    try:
        model = machine_model(manifest["machine"], file["dtype"])
        vector = vector_of(manifest, file, entry, arrays)
    except (KeyError, ValueError, IndexError):
        # Said of the manifest, or of the tensors, already.
        return []
    wrong = _of_arguments(contract, vector)
    if wrong:
        return wrong
    lines = list(_of_truth(contract, vector))
    truths = {name: (output.truth, output.radius) for name, output in vector.outputs.items()}
    limits = limits_of(contract, vector.inputs, model, truths)
    for name, output in vector.outputs.items():
        lines += [
            f"{name}: {line}" for line in _of_limits(output, limits[name], bound_bits(vector.dtype))
        ]
    if not lines:
        lines += _of_words(contract, vector, manifest, entry, spans)
    return lines


def _of_arguments(contract: Contract, vector: Vector) -> list[str]:
    """Whether the arguments and outputs are the contract's, finite, and of shapes that fit."""
    for what, there, wanted in (
        ("inputs", vector.tensors, contract.tensors),
        ("scalars", vector.scalars, (*contract.scalars, *contract.options)),
        ("outputs", vector.outputs, contract.outputs),
    ):
        if set(there) != set(wanted):
            return [f"its {what} are {', '.join(there)}; the contract has {', '.join(wanted)}"]
    inputs = vector.inputs
    for name, tensor in inputs.tensors.items():
        if not np.isfinite(tensor).all():
            return [f"the input {name} is not finite"]
    try:
        shapes = output_shapes(contract, inputs)
    except ValueError as error:
        return [str(error)]
    for name, output in vector.outputs.items():
        if output.truth.shape != shapes[name]:
            return [f"{name} has shape {output.truth.shape}, its inputs make {shapes[name]}"]
        for part in PARTS:
            values = getattr(output, part)
            if np.isnan(values).any() or (part != "truth" and (values < 0).any()):
                return [f"{name}: {part} has entries that are no {part}"]
        if not (np.isfinite(output.truth) & np.isfinite(output.radius)).all():
            return [f"{name}: the truth or its radius is not finite"]
    return []


def _of_truth(contract: Contract, vector: Vector) -> Iterator[str]:
    inputs = vector.inputs
    truths = {name: (output.truth, output.radius) for name, output in vector.outputs.items()}
    for name, (element, radii) in distances_from_truth(contract, inputs, truths).items():
        yield (
            f"{name}{list(element)}: the truth is wrong: multiprecision, from the loss, is"
            f" {radii:.3g} radii away"
        )
    for name, narrow in narrow_radii(truths).items():
        if not narrow.all():
            yield f"{name}: the radius is wider than a rounding of the truth"
    interval = Interval()
    for name, matrix in gradients(contract, inputs, interval).items():
        truth, radius = truths[name]
        stored = Enclosure(truth, np.zeros_like(truth), radius)
        if not interval.enclosure(matrix).reshape(*truth.shape).overlaps(stored):
            yield f"{name}: the truth is wrong: interval arithmetic encloses other values"


def _of_limits(output: CertifiedOutput, limits: Limits, bits: int) -> Iterator[str]:
    """Bounds and tolerances may differ by one step of their last bit: the processor's BLAS."""
    if not _agree(output.bound, limits.bound, bits):
        below = (output.bound * (1 + 2.0 ** (1 - bits)) < limits.bound).any()
        yield f"the bound is not that of the machine: it is too {'small' if below else 'large'}"
    if (output.tolerance is None) != (limits.tolerance is None) or (
        output.tolerance is not None
        and limits.tolerance is not None
        and not _agree(np.float64(output.tolerance), np.float64(limits.tolerance), TOLERANCE_BITS)
    ):
        yield f"the tolerance is {output.tolerance}, and should be {limits.tolerance}"
    if output.overflow_free != limits.overflow_free:
        yield f"overflow_free should be {limits.overflow_free}"


def _agree(stored: Array | np.float64, again: Array | np.float64, bits: int) -> bool:
    step = 2.0 ** (1 - bits)
    with np.errstate(invalid="ignore", over="ignore"):
        near = (stored <= again * (1 + step)) & (again <= stored * (1 + step))
    return bool(np.all(near))


def _of_words(
    contract: Contract,
    vector: Vector,
    manifest: dict[str, Any],
    entry: dict[str, Any],
    spans: dict[str, Span],
) -> list[str]:
    """Flags, sizes and mistakes, as the manifest has them, of numbers that are right."""
    regime, _, index = vector.case.partition(":")
    sizes = tuple(vector.sizes.items())
    case = Case(contract.name, regime, vector.dtype, manifest["seed"], int(index), sizes)
    outputs = {name: _again(contract, vector, name) for name in vector.outputs}
    revelations = Revelations(manifest["reveals"])
    again = case_entry(CertifiedCase(case, vector.inputs, outputs), spans, revelations)
    lines = _of_generator(case, vector) if manifest["loracle"] == __version__ else []
    for key in again:
        if key != "outputs" and again[key] != entry[key]:
            lines.append(f"{key} should be {again[key]}")
    for name, described in again["outputs"].items():
        for key, value in described.items():
            if value != entry["outputs"][name][key]:
                meant = revelations.rows[value] if key == "reveals" else value
                lines.append(f"{name}: {key} should be {meant}")
    return lines


def _of_generator(case: Case, vector: Vector) -> list[str]:
    """Whether the case is the one of its name, as this version draws it; in float64 the last digits
    of some inputs depend on the processor's BLAS."""
    if case.regime not in REGIMES or vector.contract not in REGIMES[case.regime].makers:
        return [f"{vector.contract} has no regime {case.regime!r}"]
    drawn = case_of(CONTRACTS[vector.contract], case.dtype, case.seed, case.regime, case.index)
    inputs = generate(drawn)
    if dict(drawn.sizes) != vector.sizes:
        return [f"sizes should be {dict(drawn.sizes)}"]
    if dict(inputs.layouts) != vector.layouts:
        return [f"layouts should be {dict(inputs.layouts)}"]
    if dict(inputs.scalars) != vector.scalars:
        return [f"scalars should be {dict(inputs.scalars)}"]
    given = vector.inputs
    return [
        f"the input {name} is not what the generator draws"
        for name, tensor in inputs.tensors.items()
        if not _nearly(given.tensors[name], tensor)
    ]


def _nearly(given: Array, drawn: Array) -> bool:
    if given.shape != drawn.shape:
        return False
    return bool((np.abs(given - drawn) <= _LAST_DIGITS * np.abs(drawn).max(initial=0.0)).all())


def _again(contract: Contract, vector: Vector, name: str) -> Certified:
    output = vector.outputs[name]
    limits = Limits(output.bound, output.tolerance, output.overflow_free)
    truth, radius = output.truth, output.radius
    return Certified(
        truth,
        radius,
        limits,
        reveals(contract, vector.inputs, name, vector.dtype, truth, radius, limits),
    )
