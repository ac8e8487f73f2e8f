"""Classes planted as a factor of the result, as other inputs and as transposed matrices, in every
contract."""

from __future__ import annotations

import math

import numpy as np

from loracle.cases import Inputs
from loracle.contracts import CONTRACTS

from .planted import (
    Plant,
    delta_transposed,
    mean_over,
    on,
    planted,
    result_transposed,
    scores_scaled,
    times,
    weight_transposed,
    with_scalars,
    with_tensors,
    without_correction,
    zeros,
)

LINEAR = list(CONTRACTS["lora-linear"].outputs)
ADAPTERS = list(CONTRACTS["lora-attention"].outputs)

COMMON: dict[str, tuple[str, Plant]] = {
    "wrong sign": ("wrong-sign", times(lambda k: -1)),
    "twice": ("factor-two", times(lambda k: 2)),
    "half": ("factor-two", times(lambda k: 0.5)),
    "zeros": ("zero-gradient", zeros),
    "any factor": ("constant-factor", times(lambda k: 1.375)),
}

SCORES: dict[str, tuple[str, Plant]] = {
    "mean over L": ("mean-instead-of-sum", times(lambda k: 1 / k["L"])),
    "mean over the residual": ("mean-instead-of-sum", times(lambda k: 1 / (k["L"] * k["d"]))),
    "y = 0": (
        "target-ignored",
        on(lambda inputs: with_tensors(inputs, y=np.zeros_like(inputs.tensors["y"]))),
    ),
    "p2 missing": ("missing-softmax-correction", without_correction),
    "result transposed": ("transposed", result_transposed),
}


def dim(inputs: Inputs) -> int:
    return int(inputs.tensors["x_q"].shape[1])


FACTORS: list[tuple[str, str, str, str, Plant]] = [
    *(
        ("lora-linear", output, what, name, plant)
        for output in LINEAR
        for what, (name, plant) in COMMON.items()
    ),
    *(
        ("lora-linear", output, "scaling missing", "missing-scaling", plant)
        for output in LINEAR
        for plant in [on(lambda inputs: with_scalars(inputs, scaling=1.0))]
    ),
    *(
        ("lora-linear", output, "scaling twice", "squared-scaling", plant)
        for output in LINEAR
        for plant in [on(lambda i: with_scalars(i, scaling=i.scalars["scaling"] ** 2))]
    ),
    *(
        ("lora-linear", output, f"mean over {' '.join(over)}", "mean-instead-of-sum", plant)
        for output in ("grad_lora_a", "grad_lora_b")
        for over in (("batch",), ("length",), ("batch", "length"))
        for plant in [mean_over(over)]
    ),
    *(
        ("lora-linear", output, "weight transposed", "transposed", weight_transposed("weight"))
        for output in ("output", "grad_x")
    ),
    *(
        ("lora-linear", output, "B A transposed", "transposed", plant)
        for output in ("output", "grad_x")
        for plant in [delta_transposed("weight", "lora_a", "lora_b")]
    ),
    *(
        ("aloragc", output, what, name, plant)
        for output in ("grad_a", "grad_b")
        for what, (name, plant) in {**COMMON, **SCORES}.items()
    ),
    *(
        ("aloragc", output, "W transposed", "transposed", weight_transposed("w"))
        for output in ("grad_a", "grad_b")
    ),
    *(
        ("aloragc", output, "B A transposed", "transposed", delta_transposed("w", "a", "b"))
        for output in ("grad_a", "grad_b")
    ),
    *(
        ("aloragc", output, "scores over sqrt(d)", "wrong-softmax-scale", plant)
        for output in ("grad_a", "grad_b")
        for plant in [scores_scaled(lambda d: 1 / math.sqrt(d))]
    ),
    *(
        ("lora-attention", output, what, name, plant)
        for output in ("grad_a_q", "grad_b_k", "grad_b_v")
        for what, (name, plant) in {**COMMON, **SCORES}.items()
        if not (output.endswith("_v") and what == "p2 missing")
    ),
    *(
        ("lora-attention", output, what, name, plant)
        for output in ADAPTERS
        for what, name, plant in (
            ("scaling missing", "missing-scaling", times(lambda k: 1 / k["scaling"])),
            ("scaling twice", "squared-scaling", times(lambda k: k["scaling"])),
        )
    ),
    *(
        ("lora-attention", output, what, "wrong-softmax-scale", plant)
        for output in ("grad_b_q", "grad_a_k", "grad_a_v")
        for what, plant in (
            ("beta = 1", on(lambda i: with_scalars(i, beta=1.0))),
            ("beta = 1/sqrt(d)", on(lambda i: with_scalars(i, beta=1 / math.sqrt(dim(i))))),
            (
                "beta / sqrt(d)",
                on(lambda i: with_scalars(i, beta=i.scalars["beta"] / math.sqrt(dim(i)))),
            ),
            ("beta squared", on(lambda i: with_scalars(i, beta=i.scalars["beta"] ** 2))),
        )
    ),
    *(
        ("lora-attention", output, what, "wrong-softmax-scale", plant)
        for output in ("grad_a_q", "grad_b_k")
        for what, plant in (
            ("beta missing in the backward pass", times(lambda k: 1 / k["beta"])),
            ("beta twice in the backward pass", times(lambda k: k["beta"])),
        )
    ),
    *(
        ("lora-attention", output, f"W_{m} transposed", "transposed", weight_transposed(f"w_{m}"))
        for output, m in (("grad_a_q", "q"), ("grad_b_q", "k"), ("grad_a_k", "v"))
    ),
    *(
        ("lora-attention", output, f"B_{m} A_{m} transposed", "transposed", plant)
        for output, m in (("grad_b_q", "q"), ("grad_a_k", "k"), ("grad_b_v", "v"))
        for plant in [delta_transposed(f"w_{m}", f"a_{m}", f"b_{m}")]
    ),
]


TERMS = "output grad_x"
ATTENTION = "grad_b_q grad_a_k grad_b_v"

OF_SIZES = [
    *planted(
        "aloragc",
        "grad_a grad_b",
        ("1/r", "constant-factor", times(lambda k: 1 / k["r"])),
        ("sqrt(r)", "constant-factor", times(lambda k: math.sqrt(k["r"]))),
    ),
    *planted("lora-linear", TERMS, ("1/r", "constant-factor", times(lambda k: 1 / k["r"]))),
    *planted(
        "lora-attention",
        ATTENTION,
        ("sqrt(L)", "constant-factor", times(lambda k: math.sqrt(k["L"]))),
    ),
]
