"""Whether torch multiplies float32 matrices in float32, or in something coarser."""

from __future__ import annotations

import os

import torch

__all__ = ["operand_error"]

_FACTOR_ERRORS = {"none": 0.0, "ieee": 0.0, "tf32": 2.0**-10, "bf16": 2.0**-7}
"""What rounding or truncating a factor to the setting's format does to it, relatively."""

_BY_PRECISION = {"highest": "ieee", "high": "tf32", "medium": "bf16"}


def operand_error(dtype: torch.dtype, device: torch.device) -> float:
    """The relative error of each factor of a product of matrices under torch's present settings.

    float32 products may run in TF32 or bfloat16: torch.backends...fp32_precision, or, in older
    versions, allow_tf32 and torch.set_float32_matmul_precision; NVIDIA_TF32_OVERRIDE=1 on CUDA.
    """
    if dtype != torch.float32:
        return 0.0
    cuda = device.type == "cuda"
    if cuda and os.environ.get("NVIDIA_TF32_OVERRIDE") == "1":
        return _FACTOR_ERRORS["tf32"]
    backend = torch.backends.cuda if cuda else torch.backends.mkldnn
    found = getattr(getattr(backend, "matmul", None), "fp32_precision", None)
    if found == "none":
        found = getattr(torch.backends, "fp32_precision", "none")
    setting = _BY_PRECISION[torch.get_float32_matmul_precision()] if found is None else str(found)
    return _FACTOR_ERRORS.get(setting, _FACTOR_ERRORS["bf16"])
