"""Between torch tensors and numpy arrays of the same dtype, bfloat16 included, by copies."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["to_numpy", "to_torch"]


def to_numpy(tensor: Tensor) -> npt.NDArray[Any]:
    """A contiguous copy of a tensor on the CPU; bfloat16 is ml_dtypes.bfloat16."""
    copy = tensor.detach().clone(memory_format=torch.contiguous_format)
    if copy.dtype is torch.bfloat16:
        # numpy has no bfloat16 of its own: the bits travel as integers.
        return copy.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    array: npt.NDArray[Any] = copy.numpy()
    return array


def to_torch(array: npt.NDArray[Any]) -> Tensor:
    """A tensor of the array's dtype, its own memory."""
    copy = np.array(array)
    if copy.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(copy.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(copy)
