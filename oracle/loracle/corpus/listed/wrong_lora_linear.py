"""The wrong kernels of the contract lora-linear."""

from __future__ import annotations

from functools import partial

from loracle.corpus.entry import ALL_DTYPES, WrongKernel, wrong

__all__ = ["WRONG_LORA_LINEAR"]

_GRADIENTS = ("grad_x", "grad_lora_a", "grad_lora_b")
_ALL_OUTPUTS = ("output", *_GRADIENTS)
_ADAPTERS = ("grad_lora_a", "grad_lora_b")
_COARSER_THAN_BFLOAT16 = (
    "bfloat16: it is the storage dtype; float16: three bits of one intermediate are within what its"
    " own roundings may do"
)

_formula = partial(wrong, "lora-linear", "loracle.corpus.wrong.lora_linear")
_promise = partial(wrong, "lora-linear", "loracle.corpus.wrong.lora_linear_calls")

WRONG_LORA_LINEAR: tuple[WrongKernel, ...] = (
    _formula(
        "scaling_ignored",
        "s = 1 in the output and in every gradient.",
        "https://github.com/NVIDIA/TensorRT-LLM/issues/1668",
        hypotheses=("missing-scaling",),
        outputs=_ALL_OUTPUTS,
    ),
    _formula(
        "scaling_missing_in_grad_a",
        "dA = (G B)^T X, without s.",
        "algebra: dA = s (G B)^T X",
        hypotheses=("missing-scaling",),
        outputs=("grad_lora_a",),
    ),
    _formula(
        "scaling_missing_in_grad_b",
        "dB = G^T (X A^T), without s.",
        "algebra: dB = s G^T (X A^T)",
        hypotheses=("missing-scaling",),
        outputs=("grad_lora_b",),
    ),
    _formula(
        "scaling_missing_in_grad_x",
        "dX = G W + (G B) A, without s: alpha is dropped from torch.add(base, x @ a, alpha=s).",
        "https://github.com/pytorch/pytorch/issues/167313",
        hypotheses=("missing-scaling",),
        outputs=("grad_x",),
    ),
    _formula(
        "scaling_squared_in_grad_a",
        "dA = s^2 (G B)^T X.",
        "algebra: dA = s (G B)^T X",
        hypotheses=("squared-scaling",),
        outputs=("grad_lora_a",),
    ),
    _formula(
        "scaling_is_alpha",
        "s = alpha where alpha / r is meant.",
        "https://github.com/Blaizzy/mlx-vlm/issues/841",
        hypotheses=("wrong-scaling", "constant-factor"),
        outputs=_ALL_OUTPUTS,
    ),
    _formula(
        "scaling_of_rslora",
        "s = alpha / sqrt(r) where alpha / r is meant.",
        "algebra: alpha / sqrt(r) = sqrt(r) (alpha / r)",
        hypotheses=("wrong-scaling", "constant-factor"),
        outputs=_ALL_OUTPUTS,
    ),
    _formula(
        "scaling_on_base_too",
        "y = s (x W^T + (x A^T) B^T).",
        "algebra: y = x W^T + s (x A^T) B^T",
        hypotheses=("scaling-on-base",),
        outputs=("output", "grad_x"),
    ),
    _formula(
        "grad_a_wrong_sign",
        "dA has the wrong sign.",
        "algebra: dA = s (G B)^T X",
        hypotheses=("wrong-sign",),
        outputs=("grad_lora_a",),
    ),
    _formula(
        "grad_a_added_twice",
        "dA is both accumulated in place and returned, and so counted twice.",
        "algebra: dA = s (G B)^T X",
        hypotheses=("factor-two",),
        outputs=("grad_lora_a",),
    ),
    _formula(
        "grad_b_detached",
        "dB is exactly zero.",
        "https://github.com/unslothai/unsloth-zoo/issues/606",
        hypotheses=("zero-gradient",),
        outputs=("grad_lora_b",),
    ),
    _formula(
        "grad_x_without_lora_term",
        "dX = G W.",
        "algebra: dX = G W + s (G B) A",
        hypotheses=("missing-lora-term",),
        outputs=("grad_x",),
    ),
    _formula(
        "grad_x_without_base_term",
        "dX = s (G B) A.",
        "algebra: dX = G W + s (G B) A",
        hypotheses=("missing-base-term",),
        outputs=("grad_x",),
    ),
    _formula(
        "weight_orientation_guessed",
        "x W in place of x W^T wherever W is square.",
        "https://github.com/huggingface/diffusers/pull/14341",
        hypotheses=("transposed",),
        outputs=("output",),
    ),
    _formula(
        "delta_transposed_when_square",
        "dX uses A^T B^T in place of B A wherever W is square.",
        "https://github.com/huggingface/diffusers/pull/14341",
        hypotheses=("transposed",),
        outputs=("grad_x",),
    ),
    _formula(
        "rank_axis_permuted",
        "The rank axis of A is reversed, that of B is not.",
        "algebra: B P A differs from B A for a permutation P",
        hypotheses=("rank-axis-permuted",),
        outputs=("output", "grad_x", "grad_lora_b"),
    ),
    _formula(
        "batch_mean",
        "dA and dB are means over the batch.",
        "algebra: dA and dB are sums over batch and length",
        hypotheses=("mean-instead-of-sum",),
        outputs=_ADAPTERS,
    ),
    _formula(
        "first_sample_only",
        "dA and dB see the first sample of the batch alone.",
        "https://github.com/linkedin/Liger-Kernel/pull/1298",
        hypotheses=("first-sample-only",),
        outputs=_ADAPTERS,
    ),
    _formula(
        "last_token_dropped",
        "The sum in dB leaves out the last row.",
        "https://github.com/pytorch/pytorch/issues/196678",
        hypotheses=("dropped-tail",),
        outputs=("grad_lora_b",),
    ),
    _formula(
        "tail_block_dropped",
        "The sum in dA leaves out the rows beyond the last whole block of 16.",
        "https://github.com/flagos-ai/FlagGems/pull/898",
        hypotheses=("dropped-tail",),
        outputs=("grad_lora_a",),
    ),
    _formula(
        "flattened_in_two_orders",
        "Batch and length of G are flattened in the other order than those of X in dB.",
        "https://github.com/Dao-AILab/flash-attention/issues/355",
        hypotheses=("flattened-in-two-orders",),
        outputs=("grad_lora_b",),
    ),
    _formula(
        "upstream_replaced_by_ones",
        "The upstream gradient is taken to be ones, as after output.sum().",
        "algebra: every gradient is linear in G",
        hypotheses=("upstream-replaced",),
        outputs=_GRADIENTS,
    ),
    _formula(
        "upstream_replaced_by_mean",
        "Each row of the upstream gradient is replaced by its mean.",
        "algebra: every gradient is linear in G",
        hypotheses=("upstream-replaced",),
        outputs=_GRADIENTS,
    ),
    _promise(
        "inner_rounded_to_bfloat16",
        "G B and X A^T are rounded to bfloat16 before the sum over the rows.",
        "https://github.com/facebookresearch/xformers/pull/467",
        hypotheses=("low-precision",),
        outputs=_ADAPTERS,
        dtypes=("float64", "float32"),
        left_out=_COARSER_THAN_BFLOAT16,
    ),
    _promise(
        "float64_through_float32",
        "float64 arguments are computed in float32.",
        "algebra: the unit roundoff of float32 is 2^29 times that of float64",
        hypotheses=("low-precision",),
        outputs=_ALL_OUTPUTS,
        dtypes=("float64",),
        left_out="in float32 and narrower it is a right kernel, and listed as one",
    ),
    _promise(
        "result_in_float32",
        "dA and dB come back in float32 whatever comes in.",
        "algebra: the contract promises the dtype of the arguments",
        hypotheses=("wrong-dtype",),
        outputs=_ADAPTERS,
        dtypes=tuple(d for d in ALL_DTYPES if d != "float32"),
        left_out="float32 is the dtype it returns",
    ),
    _promise(
        "grad_a_in_other_layout",
        "dA comes back transposed, (in, r).",
        "algebra: lora_a is (r, in)",
        hypotheses=("wrong-shape",),
        outputs=("grad_lora_a",),
    ),
    _promise(
        "grad_b_missing",
        "dB is None.",
        "https://github.com/unslothai/unsloth-zoo/issues/606",
        hypotheses=("missing-output",),
        outputs=("grad_lora_b",),
    ),
    _promise(
        "tail_uninitialised",
        "Rows of dX beyond the last whole block of 16 are never written.",
        "https://github.com/flagos-ai/FlagGems/pull/898",
        hypotheses=("non-finite",),
        outputs=("grad_x",),
    ),
    _promise(
        "multiple_of_16_asserted",
        "Raises unless the length is a multiple of 16.",
        "https://github.com/pytorch/pytorch/issues/196678",
        hypotheses=("crash",),
    ),
    _promise(
        "certificate_of_mean_error",
        "The certificate is the mean of the errors.",
        "algebra: the largest of a set is more than its mean",
        hypotheses=("false-certificate",),
        outputs=_ALL_OUTPUTS,
        dtypes=tuple(d for d in ALL_DTYPES if d != "float64"),
        left_out="float64: what it compares its results with is no more exact than they are",
    ),
    _promise(
        "grad_x_written_into_x",
        "dX overwrites X.",
        "https://github.com/axolotl-ai-cloud/axolotl/pull/3800",
        hypotheses=("mutates-input",),
    ),
    _promise(
        "scaling_of_first_call",
        "s is that of the first call for ever.",
        "algebra: a cache must know all that its value depends on",
        hypotheses=("stale-scalar",),
        outputs=_ALL_OUTPUTS,
    ),
    _promise(
        "accumulates_across_calls",
        "dA is added to what earlier calls of the same shape left in the buffer.",
        "https://github.com/facebookresearch/xformers/pull/467",
        outputs=("grad_lora_a",),
    ),
)
