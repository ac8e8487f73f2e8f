"""Judges a JAX implementation of lora-linear by certified vectors.

    python jax_lora_linear.py DIR        # DIR as `loracle vectors build DIR` writes it

It needs jax, safetensors and ml_dtypes (which comes with jax), and nothing of loracle. Exits 0 if
no case fails, 1 if one is proven wrong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from safetensors import deserialize

DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
}


def forward(x: Any, weight: Any, lora_a: Any, lora_b: Any, scaling: float) -> Any:
    """y = x W^T + s (x A^T) B^T: put your own here, with its own derivative if it has one."""
    return x @ weight.T + scaling * ((x @ lora_a.T) @ lora_b.T)


@jax.jit
def kernel(inputs: dict[str, Any], scaling: float) -> dict[str, Any]:
    """The output and the gradients in x, A and B."""
    weight = inputs["weight"]
    output, backward = jax.vjp(
        lambda x, a, b: forward(x, weight, a, b, scaling),
        *(inputs[name] for name in ("x", "lora_a", "lora_b")),
    )
    grad_x, grad_a, grad_b = backward(inputs["grad_output"])
    return {"output": output, "grad_x": grad_x, "grad_lora_a": grad_a, "grad_lora_b": grad_b}


def tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a file; safetensors.numpy does not know bfloat16."""
    return {
        name: np.frombuffer(entry["data"], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in deserialize(path.read_bytes())
    }


def verdict(result: Any, output: dict[str, Any], truth: Any, radius: Any, bound: Any) -> str:
    """fail: proven wrong. suspect: beyond the tolerance, which is a matter of statistics."""
    error = np.abs(np.asarray(result).astype(np.float64) - truth)
    if not np.isfinite(error).all():
        return "fail" if output["overflow_free"] else "suspect"
    if (error > bound + radius).any():
        return "fail"
    tolerance = output["tolerance"]
    if tolerance is not None and error.max() > float.fromhex(tolerance):
        return "suspect"
    return "pass"


def main(folder: Path) -> int:
    """Judges every case of lora-linear in every dtype."""
    jax.config.update("jax_enable_x64", True)
    # Otherwise products may be taken in fewer bits than the dtype has, on devices that offer it.
    jax.config.update("jax_default_matmul_precision", "highest")
    manifest = json.loads((folder / "manifest.json").read_text())
    failed = 0
    for file in manifest["files"]:
        if file["contract"] != "lora-linear":
            continue
        arrays = tensors(folder / file["name"])
        for case in file["cases"]:
            key = case["case"]
            inputs = {name: jnp.asarray(arrays[f"{key}/input/{name}"]) for name in case["inputs"]}
            results = kernel(inputs, float.fromhex(case["scalars"]["scaling"]))
            found = {}
            for name, output in case["outputs"].items():
                certified = (
                    arrays[f"{key}/{part}/{name}"] for part in ("truth", "radius", "bound")
                )
                found[name] = verdict(results[name], output, *certified)
            wrong = {name: word for name, word in found.items() if word != "pass"}
            failed += "fail" in found.values()
            print(f"{file['dtype']:8} {key:16} {wrong or 'pass'}")
            if wrong:
                print(f"{'':25}{manifest['flags'][case['flags'][0]]['why']}")
    print(f"{failed} cases fail")
    return int(failed > 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python jax_lora_linear.py DIR")
    sys.exit(main(Path(sys.argv[1])))
