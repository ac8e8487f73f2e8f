"""What a case is judged against: truth, proven bound and null, computed once and kept.

They depend on the contract, the inputs, the machine and the evaluation plan alone, not on the
kernel, so that they are cached on disk, keyed by these and by a hash of the code that computes
them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import flint
import ml_dtypes
import numpy as np
import platformdirs

from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS
from loracle.generation import generate
from loracle.judgement.bounds import ProvenBound, proven_bounds
from loracle.judgement.calibration import Null, calibrate
from loracle.judgement.truth import DEFAULT_PRECISION, enclose
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import MachineModel

__all__ = ["CaseReference", "reference_of"]

CACHE_VARIABLE = "LORACLE_CACHE_DIR"
"""Environment variable that moves the cache; empty switches it off."""

_UNRELATED = {
    "adapters",
    "corpus",
    "demo",
    "diagnosis",
    "expectations",
    "harness",
    "kernels",
    "presentation",
    "resolving_power",
    "selftest",
    "strategies.py",
    "sweep",
    "testing",
    "vectors",
}
"""Packages on which no cached number depends."""

_Known = tuple[dict[str, Enclosure], dict[str, ProvenBound], dict[str, Null]]
"""Truth, proven bounds and null of one case."""

_MOST_BYTES = 1 << 25
"""Of the files whose contents are held in memory."""

_read: OrderedDict[Path, tuple[tuple[int, int, int], _Known]] = OrderedDict()
"""What was read last, as long as the file is the same (inode, size, time): many kernels are judged
on the same cases."""

_HIGHEST_PRECISION = 64 * DEFAULT_PRECISION


@dataclass(frozen=True)
class CaseReference:
    """The inputs of a case and, per output, its enclosed truth, proven bound and null."""

    case: Case
    inputs: Inputs
    truth: dict[str, Enclosure]
    proven: dict[str, ProvenBound]
    null: dict[str, Null]

    def decided(self, undecided: Callable[[CaseReference], bool]) -> CaseReference:
        """The same with the truth enclosed in balls of twice the bits, and again, until it is no
        longer undecided.

        It may still be where the radii of two precisions in a row are the same, which are then
        those of an enclosure's 106 bits, or at the highest precision: the error is its limit, or so
        close to it that nothing proves it to be more.
        """
        contract, finer = CONTRACTS[self.case.contract], self
        precision = 2 * DEFAULT_PRECISION
        while undecided(finer) and precision <= _HIGHEST_PRECISION:
            truth = enclose(contract, self.inputs, "float64", precision=precision)
            if all(_no_finer(truth[name], finer.truth[name]) for name in truth):
                break
            finer = replace(self, truth=truth)
            precision *= 2
        return finer


def reference_of(case: Case, machine: MachineModel, plan: str | None = None) -> CaseReference:
    """The reference of a case, from the cache if it is there. plan: the name of the evaluation plan
    whose bound is the proven one, None for that of every legal evaluation."""
    inputs = generate(case)
    path = _path(case, machine, plan)
    loaded = _load(path) if path is not None else None
    if loaded is None:
        contract = CONTRACTS[case.contract]
        truth = enclose(contract, inputs, case.dtype)
        proven = proven_bounds(contract, inputs, machine, plan)
        null = calibrate(contract, inputs, machine, truth)
        loaded = truth, proven, null
        if path is not None:
            _store(path, loaded)
    return CaseReference(case, inputs, *loaded)


def _no_finer(new: Enclosure, old: Enclosure) -> bool:
    return bool((np.isfinite(new.radius) & (new.radius >= old.radius)).all())


def _path(case: Case, machine: MachineModel, plan: str | None = None) -> Path | None:
    root = os.environ.get(CACHE_VARIABLE)
    # Sizes of one's own come by the thousand, and seldom twice.
    if root == "" or case.resized:
        return None
    folder = Path(root) if root else Path(platformdirs.user_cache_dir("loracle"))
    key = hashlib.sha256(repr((case, machine, plan)).encode()).hexdigest()[:24]
    return folder / _code_hash() / f"{key}.npz"


@cache
def _code_hash() -> str:
    """Of all that a cached number depends on: the specification, this package, and the versions of
    the libraries that they calculate with."""
    import loracle
    import loracle_reference

    versions = (np.__version__, flint.__version__, ml_dtypes.__version__)
    digest = hashlib.sha256(repr(versions).encode())
    roots = [Path(loracle_reference.__file__).parent, Path(loracle.__file__).parent]
    for root in roots:
        for file in sorted(root.rglob("*.py")):
            if not _UNRELATED & set(file.relative_to(root).parts):
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _store(path: Path, known: _Known) -> None:
    """Write atomically; a cache that cannot be written is no error."""
    truth, proven, null = known
    arrays: dict[str, np.ndarray] = {}
    for name in truth:
        arrays[f"{name}/high"] = truth[name].high
        arrays[f"{name}/low"] = truth[name].low
        arrays[f"{name}/radius"] = truth[name].radius
        arrays[f"{name}/bound"] = proven[name].bound
        if (unplanned := proven[name].unplanned) is not None:
            arrays[f"{name}/unplanned"] = unplanned
        arrays[f"{name}/biases"] = null[name].biases
        arrays[f"{name}/scalars"] = np.array(
            [
                proven[name].overflow_free,
                null[name].tolerance,
                null[name].bias_deviation,
                null[name].allowed_bias,
                null[name].systematic,
            ]
        )
    # One array of all numbers: to open an array of an archive takes longer than to read it.
    numbers = np.concatenate([np.ravel(array) for array in arrays.values()])
    shapes = {name: array.shape for name, array in arrays.items()}
    index = np.array(json.dumps({"outputs": list(truth), "shapes": shapes}))
    buffer = io.BytesIO()
    np.savez(buffer, numbers=numbers, index=index)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(buffer.getvalue())
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)


def _load(path: Path) -> _Known | None:
    """None if there is no entry, or none that can be read."""
    try:
        state = path.stat()
        stamp = state.st_ino, state.st_size, state.st_mtime_ns
        if path in _read and _read[path][0] == stamp:
            _read.move_to_end(path)
            return _read[path][1]
        with np.load(path, allow_pickle=False) as stored:
            known = _unpacked(stored["numbers"], json.loads(str(stored["index"])))
    # TypeError: a bare array in place of an archive.
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile):
        return None
    _read[path] = stamp, known
    while len(_read) > 1 and sum(size for (_, size, _), _ in _read.values()) > _MOST_BYTES:
        _read.popitem(last=False)
    return known


def _unpacked(numbers: np.ndarray, index: dict[str, Any]) -> _Known:
    # They are shared by all that ask for this case.
    numbers.flags.writeable = False
    arrays, start = {}, 0
    for name, shape in index["shapes"].items():
        end = start + math.prod(shape)
        arrays[name] = numbers[start:end].reshape(shape)
        start = end
    truth, proven, null = {}, {}, {}
    for name in index["outputs"]:
        overflow_free, tolerance, deviation, *others = arrays[f"{name}/scalars"].tolist()
        truth[name] = Enclosure(*(arrays[f"{name}/{part}"] for part in ("high", "low", "radius")))
        proven[name] = ProvenBound(
            arrays[f"{name}/bound"], bool(overflow_free), arrays.get(f"{name}/unplanned")
        )
        null[name] = Null(tolerance, arrays[f"{name}/biases"], deviation, *others)
    return truth, proven, null
