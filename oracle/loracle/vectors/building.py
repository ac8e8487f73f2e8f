"""Builds a set of vectors: certified by the ball path, checked by the independent one, written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from loracle import __version__
from loracle.contracts import CONTRACTS
from loracle.errors import UsageError
from loracle.judgement.truth import SpecificationError
from loracle.vectors.certify import certified_case
from loracle.vectors.container import input_tensor, output_tensor, packed, unpacked
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
    SCHEMA,
    as_text,
    checksum_of,
    digest,
    schema_errors,
)
from loracle.vectors.numbers import in_storage
from loracle.vectors.selection import planned

__all__ = ["build"]

OnProgress = Callable[[int, int, str], None]


def build(
    folder: str | os.PathLike[str],
    *,
    contracts: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
    regimes: Iterable[str] | None = None,
    cases: int | None = None,
    seed: int = 0,
    machine: str | None = None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> dict[str, Any]:
    """Writes `<contract>-<dtype>.safetensors` and `manifest.json` into `folder`, which appears
    whole or not at all; a set of vectors that is there already is replaced. Returns the manifest.

    cases: per regime. The same arguments give the same bytes. Raises UsageError on a bad argument
    and on a folder that holds anything else, SpecificationError if the independent path contradicts
    a truth.
    """
    plan = planned(
        contracts=contracts,
        dtypes=dtypes,
        regimes=regimes,
        cases=cases,
        seed=seed,
        machine=machine,
    )
    target = Path(os.path.realpath(folder))
    _refuse_foreign(target, os.fspath(folder))
    total = sum(len(chosen) for _, chosen in plan.values())
    done, contents, files = 0, dict[str, bytes](), list[dict[str, Any]]()
    revelations = Revelations()
    for (contract, dtype), (model, chosen) in plan.items():
        certified = []
        for case in chosen:
            on_progress(done, total, f"{contract} {dtype} {case.key}")
            certified.append(_checked(CertifiedCase(case, *certified_case(case, model))))
            done += 1
        name = f"{contract}-{dtype}.safetensors"
        contents[name] = packed(_tensors(certified))
        files.append(_file_entry(name, contract, dtype, contents[name], certified, revelations))
    manifest = _manifest(files, revelations, seed, machine or "widest")
    contents[MANIFEST] = as_text(manifest).encode()
    _write(target, contents)
    return manifest


def _checked(certified: CertifiedCase) -> CertifiedCase:
    case, outputs = certified.case, certified.outputs
    truths = {name: (output.truth, output.radius) for name, output in outputs.items()}
    outside = distances_from_truth(CONTRACTS[case.contract], certified.inputs, truths)
    for output, (element, radii) in outside.items():
        raise SpecificationError(
            f"{case.contract} {case.dtype} {case.key}: {output}{list(element)}, differentiated from"
            f" the loss, is {radii:.3g} radii away from the closed form; this is a defect of"
            " loracle: please report it"
        )
    return certified


def _tensors(certified: Sequence[CertifiedCase]) -> dict[str, npt.NDArray[Any]]:
    tensors: dict[str, npt.NDArray[Any]] = {}
    for one in certified:
        key = one.case.key
        for name, values in one.inputs.tensors.items():
            tensors[input_tensor(key, name)] = in_storage(values, one.case.dtype)
        for name, output in one.outputs.items():
            tensors[output_tensor(key, "truth", name)] = output.truth
            tensors[output_tensor(key, "radius", name)] = output.radius
            tensors[output_tensor(key, "bound", name)] = output.limits.bound
    return tensors


def _file_entry(
    name: str,
    contract: str,
    dtype: str,
    data: bytes,
    certified: Sequence[CertifiedCase],
    revelations: Revelations,
) -> dict[str, Any]:
    _, spans = unpacked(data)
    return {
        "name": name,
        "contract": contract,
        "dtype": dtype,
        "bytes": len(data),
        "sha256": digest(data),
        "cases": [case_entry(one, spans, revelations) for one in certified],
    }


def _manifest(
    files: list[dict[str, Any]], revelations: Revelations, seed: int, machine: str
) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "loracle": __version__,
        "seed": seed,
        "machine": machine,
        "judge": JUDGE,
        "flags": flag_entries(files, revelations.rows),
        "mistakes": mistake_entries(files, revelations.rows),
        "reveals": revelations.rows,
        "files": files,
    }
    manifest = {"schema": SCHEMA, "checksum": checksum_of(manifest), **manifest}
    errors = schema_errors(manifest)
    if errors:
        raise AssertionError(f"a manifest against its own schema: {errors[0]}")
    return manifest


def _refuse_foreign(target: Path, shown: str) -> None:
    """Nothing is ever replaced but a set of vectors."""
    if target.exists() and not target.is_dir():
        raise UsageError(f"cannot write {shown}: it is a file; name a directory")
    if not target.parent.is_dir():
        raise UsageError(f"cannot write {shown}: there is no directory {target.parent}")
    there = sorted(path.name for path in target.iterdir()) if target.exists() else []
    foreign = [n for n in there if n != MANIFEST and not n.endswith(".safetensors")]
    if foreign or (there and MANIFEST not in there):
        raise UsageError(
            f"cannot write {shown}: it holds {(foreign or there)[0]}, which is no part of a set of"
            " vectors; name a new directory"
        )


def _write(target: Path, contents: dict[str, bytes]) -> None:
    """Everything is written beside the target, which is then exchanged for it."""
    try:
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}: {target.parent}") from None
    try:
        fresh, old = aside / "new", aside / "old"
        fresh.mkdir()
        for name, data in contents.items():
            (fresh / name).write_bytes(data)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None
    finally:
        if not target.exists() and (aside / "old").exists():
            (aside / "old").rename(target)
        shutil.rmtree(aside, ignore_errors=True)
