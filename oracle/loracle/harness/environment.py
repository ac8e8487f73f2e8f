"""The environment a kernel ran in, as the report records it. Runs in the child; needs torch."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import torch

from loracle.adapters import installed_version

__all__ = ["environment"]


def environment(device: str, packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """Versions, threads, device and reduced-precision flags, as plain data for JSON.

    packages: distributions beside torch and numpy whose versions belong into it.
    """
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "executable": sys.executable,
        # A plain string: unpickling a TorchVersion would import torch in the parent.
        "torch": str(torch.__version__),
        "versions": {name: installed_version(name) for name in dict.fromkeys(("numpy", *packages))},
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "mkldnn": torch.backends.mkldnn.enabled,
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "reduced_precision": _reduced_precision(),
        "environment_variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(("OMP_", "MKL_", "NVIDIA_TF32", "TORCH_", "TORCHINDUCTOR_"))
        },
    }
    if torch.device(device).type == "cuda":
        found["cuda"] = torch.version.cuda
        found["cuda_device"] = torch.cuda.get_device_name(device)
        found["cuda_capability"] = list(torch.cuda.get_device_capability(device))
    return found


def _reduced_precision() -> dict[str, Any]:
    matmul = torch.backends.cuda.matmul
    return {
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cuda_matmul_allow_tf32": matmul.allow_tf32,
        "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
        "allow_bf16_reduced_precision_reduction": matmul.allow_bf16_reduced_precision_reduction,
        "allow_fp16_reduced_precision_reduction": matmul.allow_fp16_reduced_precision_reduction,
    }
