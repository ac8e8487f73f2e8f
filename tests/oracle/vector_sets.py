"""Sets of vectors for the tests: a small one, parts of the shipped one, and edited ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from loracle.vectors.container import packed, unpacked
from loracle.vectors.describe import flag_entries, mistake_entries
from loracle.vectors.manifest import MANIFEST, as_text, checksum_of, digest
from loracle.vectors.reading import read_manifest, shipped

Arrays = dict[str, np.ndarray]


def write_manifest(folder: Path, manifest: dict[str, Any], *, signed: bool = True) -> None:
    if signed:
        manifest["checksum"] = checksum_of(manifest)
    (folder / MANIFEST).write_text(as_text(manifest))


def edited(
    source: Path, target: Path, change: Callable[[dict[str, Any]], object], *, signed: bool = True
) -> Path:
    """A copy of a set whose manifest was changed in place, with a checksum that fits again."""
    shutil.copytree(source, target)
    manifest = json.loads((source / MANIFEST).read_text())
    change(manifest)
    write_manifest(target, manifest, signed=signed)
    return target


def rewritten(
    source: Path,
    target: Path,
    name: str,
    change: Callable[[Arrays], object],
    *,
    signed: bool = True,
) -> Path:
    """A copy of a set with changed tensors in one file, and checksums that fit again."""
    shutil.copytree(source, target)
    arrays = {key: array.copy() for key, array in unpacked((source / name).read_bytes())[0].items()}
    change(arrays)
    data = packed(arrays)
    (target / name).write_bytes(data)
    if signed:
        manifest = json.loads((source / MANIFEST).read_text())
        for file in manifest["files"]:
            if file["name"] == name:
                file["sha256"], file["bytes"] = digest(data), len(data)
        write_manifest(target, manifest)
    return target


def part_of_shipped(target: Path, names: set[str]) -> Path:
    """A set of these files of the shipped one."""
    target.mkdir()
    manifest = read_manifest(shipped())
    files = [file for file in manifest["files"] if file["name"] in names]
    assert len(files) == len(names)
    for name in names:
        shutil.copy(shipped() / name, target / name)
    manifest |= {
        "files": files,
        "flags": flag_entries(files, manifest["reveals"]),
        "mistakes": mistake_entries(files, manifest["reveals"]),
    }
    write_manifest(target, manifest)
    return target
