"""Reading a set of vectors, and judging results by it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import contract_named
from loracle.errors import UsageError
from loracle.judgement.bounds import ProvenBound
from loracle.judgement.verdicts import Judgement, judge
from loracle.request import checked_dtype
from loracle.vectors.container import DamagedFile, input_tensor, output_tensor, unpacked
from loracle.vectors.manifest import MANIFEST, digest, parsed
from loracle.vectors.numbers import as_float64, decoded_scalar
from loracle_reference.enclosure import Enclosure

__all__ = ["CertifiedOutput", "Vector", "VectorSet", "load", "read_manifest", "shipped"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CertifiedOutput:
    """|exact value - truth| <= radius, entrywise; bound: proven, entrywise, absolute.

    tolerance: for the largest error, calibrated and not proven, None where there is none.
    overflow_free: whether a result that is not finite is proven wrong. proves, suspects: known
    mistakes that it reveals (docs/diagnosis.md).
    """

    truth: Array
    radius: Array
    bound: Array
    tolerance: float | None
    overflow_free: bool
    proves: tuple[str, ...]
    suspects: tuple[str, ...]

    def judge(self, result: Any) -> Judgement:
        """The verdict, as of `loracle validate`. Raises UsageError on a result of another shape, or
        that is no array of numbers."""
        values = as_float64(result)
        if values.shape != self.truth.shape:
            raise UsageError(f"a result has shape {values.shape}, the truth {self.truth.shape}")
        tolerance = np.inf if self.tolerance is None else self.tolerance
        enclosure = Enclosure(self.truth, np.zeros_like(self.truth), self.radius)
        return judge(values, enclosure, ProvenBound(self.bound, self.overflow_free), tolerance)


@dataclass(frozen=True)
class Vector:
    """One case. tensors: the inputs in the dtype itself, bfloat16 being that of ml_dtypes.

    layouts: inputs that the case is about having in another layout than C order.
    """

    contract: str
    dtype: str
    case: str
    flags: tuple[str, ...]
    sizes: Mapping[str, int]
    scalars: Mapping[str, Any]
    layouts: Mapping[str, str]
    tensors: Mapping[str, npt.NDArray[Any]]
    outputs: Mapping[str, CertifiedOutput]

    @property
    def inputs(self) -> Inputs:
        """The inputs as the rest of loracle takes them, in float64."""
        tensors = {name: tensor.astype(np.float64) for name, tensor in self.tensors.items()}
        return Inputs(tensors, dict(self.scalars), dict(self.layouts))

    def judge(self, results: Mapping[str, Any]) -> dict[str, Judgement]:
        """The verdict on each of the results, arrays or torch tensors by the names of outputs.

        Raises UsageError if there is no result, or on one that is no output or of another shape.
        """
        unknown = sorted(set(results) - set(self.outputs))
        if unknown or not results:
            what = f"no output {unknown[0]!r}" if unknown else "no result"
            raise UsageError(f"{what}; {self.contract} has: {', '.join(self.outputs)}")
        judgements: dict[str, Judgement] = {}
        for name, result in results.items():
            try:
                judgements[name] = self.outputs[name].judge(result)
            except UsageError as error:
                raise UsageError(f"{name}: {error}") from None
        return judgements

    def __str__(self) -> str:
        return f"{self.contract} {self.dtype} {self.case}"


@dataclass(frozen=True)
class VectorSet:
    """Vectors in the order of the manifest, which is as it was read from JSON."""

    manifest: Mapping[str, Any]
    vectors: tuple[Vector, ...]

    def __iter__(self) -> Iterator[Vector]:
        return iter(self.vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def select(self, *, contract: str | None = None, dtype: str | None = None) -> VectorSet:
        """Those of a contract, of a dtype, or of both, in which there may be none.

        Raises UsageError on a contract or a dtype that loracle does not know.
        """
        if contract is not None:
            contract_named(contract)
        dtype = None if dtype is None else checked_dtype(dtype)
        chosen = tuple(
            vector
            for vector in self.vectors
            if contract in (None, vector.contract) and dtype in (None, vector.dtype)
        )
        return VectorSet(self.manifest, chosen)


def shipped() -> Path:
    """The set that comes with the package."""
    return Path(str(files("loracle.vectors").joinpath("data")))


def load(folder: str | os.PathLike[str] | None = None) -> VectorSet:
    """The set in `folder`, or the one that comes with the package.

    Checksums of the files are compared; nothing is computed again (`verify` does that). Raises
    UsageError if there is no set, or one that is damaged.
    """
    root = shipped() if folder is None else Path(folder)
    manifest = read_manifest(root)
    vectors: list[Vector] = []
    try:
        for file in manifest["files"]:
            data = read_file(root, file["name"])
            if digest(data) != file["sha256"]:
                raise UsageError(
                    f"{file['name']} is not what the manifest says: its SHA-256 differs"
                )
            arrays, _ = unpacked(data)
            vectors += [vector_of(manifest, file, case, arrays) for case in file["cases"]]
    except DamagedFile as error:
        raise UsageError(f"{root}: {error}") from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"{root / MANIFEST} is damaged ({error!r}): `loracle vectors verify` says where"
        ) from None
    return VectorSet(manifest, tuple(vectors))


def read_manifest(root: Path) -> dict[str, Any]:
    """The manifest in a folder; raises UsageError if there is none."""
    try:
        return parsed((root / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"there are no vectors in {root}: it has no {MANIFEST}; `loracle vectors build {root}`"
            " makes some"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {root / MANIFEST}: {_reason(error)}") from None


def read_file(root: Path, name: str) -> bytes:
    """The bytes of one file; raises UsageError if it cannot be read."""
    if Path(name).name != name:
        raise UsageError(f"{MANIFEST} names the file {name!r}, which is no plain name")
    try:
        return (root / name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {_reason(error)}") from None


def vector_of(
    manifest: Mapping[str, Any],
    file: Mapping[str, Any],
    case: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> Vector:
    """One vector of a file; raises KeyError on a tensor, IndexError on a row of `reveals`, that is
    not there."""
    key = case["case"]

    def output_of(name: str, entry: Mapping[str, Any]) -> CertifiedOutput:
        truth, radius, bound = (
            arrays[output_tensor(key, part, name)] for part in ("truth", "radius", "bound")
        )
        tolerance, revealed = entry["tolerance"], manifest["reveals"][entry["reveals"]]
        return CertifiedOutput(
            truth,
            radius,
            bound,
            None if tolerance is None else decoded_scalar(tolerance),
            entry["overflow_free"],
            tuple(revealed["proves"]),
            tuple(revealed["suspects"]),
        )

    return Vector(
        file["contract"],
        file["dtype"],
        key,
        tuple(case["flags"]),
        dict(case["sizes"]),
        {name: decoded_scalar(value) for name, value in case["scalars"].items()},
        dict(case["layouts"]),
        {name: arrays[input_tensor(key, name)] for name in case["inputs"]},
        {name: output_of(name, entry) for name, entry in case["outputs"].items()},
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
