"""torch's matrix product on a device, as the probe asks it. Needs torch."""

from __future__ import annotations

import numpy as np
import torch

from loracle.errors import UsageError
from loracle.harness.devices import settle_device
from loracle.probe.observing import Array, Multiply

__all__ = ["torch_product"]


def torch_product(dtype: str, device: str) -> Multiply:
    """`torch.matmul` in a dtype on a device, with the flags that are set now.

    Raises UsageError if the device is not there; the product raises it where torch has none.
    """
    settle_device(device)
    torch_dtype = getattr(torch, dtype)

    def multiply(left: Array, right: Array) -> Array:
        operands = (
            torch.from_numpy(np.ascontiguousarray(side)).to(device, torch_dtype)
            for side in (left, right)
        )
        try:
            product = torch.matmul(*operands)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"torch.matmul refuses {dtype} on {device}: {reason}") from None
        return product.to("cpu", torch.float64).numpy()

    return multiply
