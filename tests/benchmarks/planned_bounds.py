"""What a declared plan makes provable: the table of docs/evaluation-plans.md.

    python tests/benchmarks/planned_bounds.py docs/measured/planned-bounds.md

16 queries and keys of 8 numbers, rank 4, machine f32-accumulate, drawn as a regime draws them in
which some entries of every output do not cancel. Nothing is timed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.evaluation import gradients, rows
from loracle.generation import REGIMES
from loracle.judgement.bounds import proven_bounds
from loracle.presentation.atomic_file import AtomicFile
from loracle_reference.arithmetic import Double
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.floating_point import machine_model, round_to_format

_ONE_HEAD = ("long", {"L": 16, "M": 16, "d": 8, "r": 4})
_HEADS = {"num_heads": 2, "num_kv_heads": 1, "head_dim": 8}
DRAWN = {
    "aloragc": _ONE_HEAD,
    "lora-attention": _ONE_HEAD,
    "lora-mha": ("averaging", {"batch": 1, "length": 16, "model": 8, "r": 4, **_HEADS}),
}
"""The regime, and the sizes."""
DTYPES = ("bfloat16", "float16")
COMMAND = "python tests/benchmarks/planned_bounds.py docs/measured/planned-bounds.md"


def factor_error(contract: str, plan: str | None, dtype: str) -> float:
    """The smallest delta such that 1 + delta times the gradient is proven wrong, in whichever
    output it takes the largest."""
    regime, sizes = DRAWN[contract]
    raw = REGIMES[regime].makers[contract](np.random.default_rng(0), sizes, 0)
    tensors = {name: round_to_format(value, dtype) for name, value in raw.tensors.items()}
    inputs, double = Inputs(tensors, raw.scalars), Double()
    truth = gradients(CONTRACTS[contract], inputs, double)
    machine = machine_model("f32-accumulate", dtype)
    bounds = proven_bounds(CONTRACTS[contract], inputs, machine, plan)
    return max(
        float((rows(proven.bound) / np.abs(double.array(truth[name]))).min())
        for name, proven in bounds.items()
    )


def table() -> Iterator[str]:
    """Lines of Markdown."""
    yield from ("```", COMMAND, "```", "")
    yield f"| contract | plan | {' | '.join(DTYPES)} |"
    yield "|---|---|" + "---:|" * len(DTYPES)
    for contract in DRAWN:
        for plan in (*PLANS[contract], None):
            numbers = [f"{factor_error(contract, plan, dtype):.2g}" for dtype in DTYPES]
            name = "none declared" if plan is None else f"`{plan}`"
            yield f"| `{contract}` | {name} | {' | '.join(numbers)} |"


if __name__ == "__main__":
    with AtomicFile(sys.argv[1]) as file:
        file.write("\n".join(table()) + "\n")
