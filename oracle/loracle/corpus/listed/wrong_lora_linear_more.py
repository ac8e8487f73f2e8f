"""More wrong kernels of the contract lora-linear: loops, terms, numbers."""

from __future__ import annotations

from functools import partial

from loracle.corpus.entry import WrongKernel, wrong

__all__ = ["WRONG_LORA_LINEAR_MORE"]

_GRADIENTS = ("grad_x", "grad_lora_a", "grad_lora_b")
_ALL_OUTPUTS = ("output", *_GRADIENTS)
_ADAPTERS = ("grad_lora_a", "grad_lora_b")

_loop = partial(wrong, "lora-linear", "loracle.corpus.wrong.lora_linear_loops")
_term = partial(wrong, "lora-linear", "loracle.corpus.wrong.lora_linear_terms")
_number = partial(wrong, "lora-linear", "loracle.corpus.wrong.lora_linear_numbers")

WRONG_LORA_LINEAR_MORE: tuple[WrongKernel, ...] = (
    _loop(
        "mean-for-sum",
        "length_mean",
        "dA and dB are means over the length.",
        "algebra: dA and dB are sums over batch and length",
        hypotheses=("mean-instead-of-sum",),
        outputs=_ADAPTERS,
    ),
    _loop(
        "batch-and-length",
        "batch_stride_missing",
        "In dB every sample reads the rows of X of the first.",
        "https://github.com/flagos-ai/FlagAttention/pull/1",
        outputs=("grad_lora_b",),
    ),
    _loop(
        "tail-of-width",
        "odd_rank_dropped",
        "The output leaves out the last rank of an odd number of them.",
        "https://github.com/predibase/lorax/pull/70",
        hypotheses=("dropped-tail",),
        outputs=("output",),
    ),
    _loop(
        "tail-of-width",
        "feature_tail_dropped",
        "X A^T in dB leaves out the features beyond the last whole block of 16.",
        "https://github.com/flagos-ai/FlagGems/pull/898",
        hypotheses=("dropped-tail",),
        outputs=("grad_lora_b",),
    ),
    _loop(
        "tail-doubled",
        "last_block_overlaps",
        "Rows of the last block that the one before it has too are counted twice in dA.",
        "https://github.com/pytorch/pytorch/issues/196678",
        hypotheses=("doubled-tail",),
        outputs=("grad_lora_a",),
    ),
    _loop(
        "block-skipped",
        "rows_beyond_grid_skipped",
        "Rows of dX beyond the 128th, the size of the grid, stay zero.",
        "https://github.com/SandAI-org/MagiAttention/pull/40",
        hypotheses=("dropped-tail",),
        outputs=("grad_x",),
    ),
    _loop(
        "strides",
        "view_in_place_of_transpose",
        "dA is computed as (in, r) and its memory read as (r, in).",
        "https://github.com/jsbaan/transformer-from-scratch/pull/6",
        outputs=("grad_lora_a",),
    ),
    _loop(
        "strides",
        "upstream_read_with_strides_of_x",
        "dB reads G with the strides of X.",
        "https://github.com/ROCm/aiter/pull/2808",
        outputs=("grad_lora_b",),
    ),
    _loop(
        "strides",
        "upstream_read_as_contiguous",
        "dB reads G as if it were contiguous.",
        "https://github.com/pytorch/pytorch/issues/133671",
        hypotheses=("non-finite",),
        outputs=("grad_lora_b",),
    ),
    _loop(
        "strides",
        "upstream_viewed",
        "Raises where the upstream gradient cannot be viewed as a matrix.",
        "https://github.com/ROCm/flash-attention/issues/40",
        hypotheses=("crash",),
    ),
    _term(
        "term-missing",
        "output_without_lora_term",
        "y = x W^T, as if the update were merged.",
        "https://github.com/unslothai/unsloth/issues/869",
        hypotheses=("missing-lora-term",),
        outputs=("output",),
    ),
    _term(
        "term-missing",
        "output_without_base_term",
        "y = s (x A^T) B^T, the update alone.",
        "algebra: y = x W^T + s (x A^T) B^T",
        hypotheses=("missing-base-term",),
        outputs=("output",),
    ),
    _term(
        "counted-twice",
        "lora_term_twice_in_grad_x",
        "dX = G W + 2 s (G B) A: merged, and added once more.",
        "https://github.com/unslothai/unsloth/issues/289",
        hypotheses=("doubled-term",),
        outputs=("grad_x",),
    ),
    _term(
        "zero-gradient",
        "skipped_when_b_is_zero",
        "dB stays zero where B = 0, which is where training starts.",
        "algebra: dB = s G^T (X A^T) does not depend on B",
        hypotheses=("zero-gradient",),
        outputs=("grad_lora_b",),
    ),
    _term(
        "scale-wrong",
        "scaling_divided_by_rank_again",
        "s = alpha / r^2 where alpha / r is meant.",
        "https://github.com/Blaizzy/mlx-vlm/issues/841",
        hypotheses=("wrong-scaling", "constant-factor"),
        outputs=_ALL_OUTPUTS,
    ),
    _term(
        "upstream-replaced",
        "first_element_of_upstream",
        "The first element of the upstream gradient stands for all.",
        "https://github.com/linkedin/Liger-Kernel/pull/1298",
        hypotheses=("upstream-replaced",),
        outputs=_GRADIENTS,
    ),
    _term(
        "dropout",
        "dropout_left_on",
        "A quarter of the adapter's input is dropped, and the mask is missing in dX.",
        "https://github.com/foundation-model-stack/fms-acceleration/issues/97",
        hypotheses=("nondeterministic",),
        outputs=("output", *_ADAPTERS),
    ),
    _term(
        "dropout",
        "dropout_rescaled_without_mask",
        "The update is multiplied by 1 / (1 - p), though nothing is dropped.",
        "https://github.com/ooples/AiDotNet/pull/256",
        hypotheses=("constant-factor", "wrong-scaling"),
        outputs=_ALL_OUTPUTS,
    ),
    _number(
        "argument-rounded",
        "products_in_tf32",
        "Ten fraction bits of every argument are read.",
        "https://github.com/pytorch/pytorch/issues/61890",
        hypotheses=("low-precision",),
        outputs=_ALL_OUTPUTS,
        dtypes=("float64", "float32"),
        left_out="bfloat16, float16: they have no more than ten fraction bits",
        right_in=("bfloat16", "float16"),
    ),
    _number(
        "argument-rounded",
        "upstream_in_float4",
        "The upstream gradient is stored in four bits.",
        "algebra: every gradient is linear in G",
        outputs=_GRADIENTS,
    ),
    _number(
        "argument-rounded",
        "convolution_in_tf32",
        "B is applied by a convolution, in TF32 as cuDNN's are by default.",
        "https://docs.pytorch.org/docs/stable/notes/cuda.html",
        hypotheses=("low-precision",),
        outputs=("output", "grad_x", "grad_lora_a"),
        dtypes=("float32",),
        left_out="float64, bfloat16, float16: a float32 convolution alone is computed in TF32",
        right_in=("float64", "bfloat16", "float16"),
    ),
    _number(
        "precision",
        "accumulated_in_bfloat16",
        "Partial sums of dA are stored in bfloat16.",
        "https://github.com/modular/modular/issues/7165",
        hypotheses=("low-precision",),
        outputs=("grad_lora_a",),
        dtypes=("float64", "float32"),
        left_out="bfloat16: it is the storage dtype; float16: three bits of partial sums are within"
        " what its own roundings may do",
        right_in=("bfloat16",),
    ),
    _number(
        "wrong-result-type",
        "grad_x_in_bfloat16",
        "dX comes back in bfloat16 whatever comes in.",
        "algebra: the contract promises the dtype of the arguments",
        hypotheses=("wrong-dtype",),
        outputs=("grad_x",),
        dtypes=("float64", "float32", "float16"),
        left_out="bfloat16 is the dtype it returns",
        right_in=("bfloat16",),
    ),
    _number(
        "division-by-zero",
        "scaled_by_largest_entry",
        "G B is divided by its largest entry, which is zero where B is.",
        "https://github.com/huggingface/kernels-community/pull/680",
        hypotheses=("non-finite",),
        outputs=("grad_lora_a",),
    ),
    _number(
        "input-changed",
        "grad_b_written_into_b",
        "dB overwrites B.",
        "https://github.com/axolotl-ai-cloud/axolotl/pull/3800",
        hypotheses=("mutates-input",),
    ),
    _number(
        "stale-state",
        "adapter_of_first_call",
        "A is that of the first call with its shape for ever.",
        "https://github.com/hako-mikan/sd-webui-lora-block-weight/issues/30",
        outputs=("output", "grad_x", "grad_lora_b"),
    ),
    _number(
        "lost-update",
        "update_lost_now_and_then",
        "In every third call half of the rows is missing from dB, as after a lost race.",
        "https://github.com/Dao-AILab/flash-attention/issues/359",
        hypotheses=("nondeterministic",),
        outputs=("grad_lora_b",),
    ),
)
