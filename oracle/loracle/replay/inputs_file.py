"""The inputs of a case as a file: NumPy's .npz or .safetensors, never a pickle."""

from __future__ import annotations

import io
import json
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt

from loracle.cases import Case, Inputs
from loracle.errors import UsageError

__all__ = ["SUFFIXES", "check_inputs_path", "inputs_as_bytes"]

SUFFIXES = (".npz", ".safetensors")


def check_inputs_path(path: str) -> str:
    """The suffix of the path; raises UsageError if it tells no format, or one whose package is
    missing."""
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        raise UsageError(f"--inputs {path}: name a file that ends in {' or '.join(SUFFIXES)}")
    if suffix == ".safetensors":
        try:
            import safetensors.numpy  # noqa: F401
        except ImportError:
            raise UsageError(
                f"--inputs {path}: safetensors is not installed here: pip install safetensors,"
                " or name a file that ends in .npz"
            ) from None
    return suffix


def inputs_as_bytes(case: Case, inputs: Inputs, suffix: str) -> bytes:
    """The file's content.

    .npz: the tensors as float64, which holds every number of the coarser dtypes, and the other
    arguments as arrays of no dimension. .safetensors: the tensors in the dtype of the case. Both
    carry `case`, JSON text that names the case, and where some of the tensors do not lie
    contiguously in memory, how; in .safetensors it is metadata, with the other arguments, floats
    among them in hexadecimal too, as `arguments`.
    """
    named = {
        "contract": case.contract,
        "case": case.key,
        "dtype": case.dtype,
        "seed": case.seed,
        "sizes": dict(case.sizes),
        "layouts": dict(inputs.layouts),
        "sha256": inputs.digest(),
    }
    if suffix == ".npz":
        arrays = {**inputs.tensors, **{n: np.asarray(v) for n, v in inputs.scalars.items()}}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, case=np.asarray(json.dumps(named)), **arrays)
        return buffer.getvalue()
    from safetensors.numpy import save

    hexadecimal = {n: v.hex() for n, v in inputs.scalars.items() if isinstance(v, float)}
    arguments = {"values": dict(inputs.scalars), "hexadecimal": hexadecimal}
    metadata = {"case": json.dumps(named), "arguments": json.dumps(arguments)}
    content: bytes = save({n: _stored(v, case.dtype) for n, v in inputs.tensors.items()}, metadata)
    return content


def _stored(values: npt.NDArray[np.float64], dtype: str) -> npt.NDArray[np.generic]:
    """Exact: the entries are numbers of the dtype."""
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    return np.ascontiguousarray(values.astype(kind))
