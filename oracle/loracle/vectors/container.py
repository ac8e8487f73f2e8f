"""The files: safetensors with one tensor for every input and every part of what is certified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle.vectors.numbers import storage_dtype

__all__ = ["PARTS", "DamagedFile", "Span", "input_tensor", "output_tensor", "packed", "unpacked"]

PARTS = ("truth", "radius", "bound")
"""Of every output, each a float64 array of its shape."""

_DTYPES = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}


class DamagedFile(ValueError):
    """The bytes are not those of a safetensors file of vectors."""


@dataclass(frozen=True)
class Span:
    """Where a tensor lies: bytes from the beginning of the file; C order, little-endian."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


def input_tensor(case: str, name: str) -> str:
    """The name of the tensor that holds an input of a case."""
    return f"{case}/input/{name}"


def output_tensor(case: str, part: str, output: str) -> str:
    """The name of the tensor that holds truth, radius or bound of an output."""
    return f"{case}/{part}/{output}"


def packed(tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The bytes of the file: the same for the same tensors, which carry no metadata."""
    from safetensors.numpy import save

    return save(dict(tensors))


def unpacked(data: bytes) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Span]]:
    """Arrays and places of all tensors; raises DamagedFile, in one line, if they cannot be read."""
    from safetensors import SafetensorError, deserialize

    try:
        # The library checks that the tensors are whole and do not overlap.
        entries: list[tuple[str, dict[str, Any]]] = deserialize(data)  # type: ignore[no-untyped-call]
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        spans = {
            name: Span(
                _DTYPES[entry["dtype"]],
                tuple(entry["shape"]),
                start + int(entry["data_offsets"][0]),
            )
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except KeyError as error:
        raise DamagedFile(f"a tensor of the unknown dtype {error}") from None
    except (SafetensorError, ValueError) as error:
        raise DamagedFile(" ".join(str(error).split())) from None
    arrays = {
        name: np.frombuffer(entry["data"], storage_dtype(spans[name].dtype)).reshape(
            spans[name].shape
        )
        for name, entry in entries
    }
    return arrays, spans
