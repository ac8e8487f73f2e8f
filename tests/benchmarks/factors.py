"""The smallest factor in every result that a default run sees, in 16 bits.

    .venv/bin/python tests/benchmarks/factors.py

The kernel is right, computes in float32 and rounds once; all its results are multiplied by the
factor. docs/calibrated-tolerance.md quotes what this prints.
"""

from __future__ import annotations

from typing import Any

import torch

import loracle
from loracle.adapters import autograd

KERNELS = {
    "lora-linear": autograd.lora_linear,
    "aloragc": autograd.aloragc,
    "lora-attention": autograd.lora_attention,
}
FACTORS = (1.002, 1.004, 1.008, 1.016)


def main() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        for contract, right in KERNELS.items():
            verdicts = []
            for factor in FACTORS:

                def kernel(factor: float = factor, right: Any = right, **call: Any) -> Any:
                    wide = {k: v.float() if torch.is_tensor(v) else v for k, v in call.items()}
                    dtype = next(v.dtype for v in call.values() if torch.is_tensor(v))
                    return {k: (v.detach() * factor).to(dtype) for k, v in right(**wide).items()}

                verdict = loracle.validate(kernel, contract=contract, dtype=dtype).verdict
                verdicts.append(f"{factor}: {verdict}")
            print(f"{str(dtype).removeprefix('torch.'):9} {contract:15}", "  ".join(verdicts))


if __name__ == "__main__":
    main()
