"""More wrong kernels of the contract aloragc: loops and numbers."""

from __future__ import annotations

from functools import partial

from loracle.corpus.entry import ALL_DTYPES, WrongKernel, wrong

__all__ = ["WRONG_ALORAGC_MORE"]

_BOTH = ("grad_a", "grad_b")

_loop = partial(wrong, "aloragc", "loracle.corpus.wrong.aloragc_loops")
_number = partial(wrong, "aloragc", "loracle.corpus.wrong.aloragc_numbers")

WRONG_ALORAGC_MORE: tuple[WrongKernel, ...] = (
    _loop(
        "tail",
        "query_tail_dropped",
        "Queries beyond the last whole block of 16 do not contribute.",
        "https://github.com/flagos-ai/FlagGems/pull/898",
        hypotheses=("dropped-tail",),
        outputs=_BOTH,
    ),
    _loop(
        "tail-doubled",
        "last_key_counted_twice",
        "The last key enters the softmax twice.",
        "https://github.com/pytorch/pytorch/issues/196678",
        hypotheses=("doubled-tail",),
        outputs=_BOTH,
    ),
    _loop(
        "rank-permuted",
        "rank_axis_permuted",
        "The rank axis of B is reversed, that of A is not.",
        "algebra: B P A differs from B A for a permutation P",
        hypotheses=("rank-axis-permuted",),
        outputs=_BOTH,
    ),
    _loop(
        "strides",
        "view_in_place_of_transpose",
        "dA is computed as (d, r) and its memory read as (r, d).",
        "https://github.com/leaderj1001/Attention-Augmented-Conv2d/issues/21",
        outputs=("grad_a",),
    ),
    _loop(
        "softmax-correction-misplaced",
        "correction_of_neighbouring_row",
        "<f_j, q_j> is that of the row before.",
        "https://github.com/fla-org/flash-linear-attention/pull/577",
        outputs=_BOTH,
    ),
    _loop(
        "mask",
        "causal_mask_left_on",
        "A causal mask that nobody asked for.",
        "https://github.com/triton-lang/triton/issues/5660",
        hypotheses=("unrequested-mask",),
        outputs=_BOTH,
    ),
    _loop(
        "mask",
        "sliding_window_left_on",
        "A window of 33 keys that nobody asked for.",
        "https://github.com/flagos-ai/FlagAttention/issues/25",
        outputs=_BOTH,
    ),
    _loop(
        "size-refused",
        "self_attention_asserted",
        "Raises unless there are as many keys as queries.",
        "algebra: L and M are free (Definition 3.1)",
        hypotheses=("crash",),
    ),
    _number(
        "softmax-forward",
        "base_two_without_log2e",
        "2^x in place of e^x, without the factor log2(e).",
        "algebra: e^x = 2^(x log2 e)",
        outputs=_BOTH,
    ),
    _number(
        "softmax-forward",
        "exponential_by_taylor_series",
        "1 + x + x^2 / 2 in place of e^x.",
        "algebra: e^x = 1 + x + x^2 / 2 + O(x^3)",
        outputs=_BOTH,
    ),
    _number(
        "overflow-guard",
        "maximum_of_first_block",
        "The maximum of the first two keys is subtracted from all scores.",
        "algebra: exp(x - m) is at most 1 only if m is at least x",
        hypotheses=("no-max-subtraction", "non-finite"),
        outputs=_BOTH,
    ),
    _number(
        "precision",
        "score_gradient_in_float16",
        "p is stored in float16 before the sums.",
        "https://github.com/jax-ml/jax/issues/40128",
        hypotheses=("low-precision",),
        outputs=_BOTH,
        dtypes=("float64", "float32"),
        left_out="float16: it is the storage dtype; bfloat16: it has three bits less",
        right_in=("float16",),
    ),
    _number(
        "term-missing",
        "adapter_ignored",
        "The probabilities are those of W, without B A.",
        "https://github.com/unslothai/unsloth/issues/2142",
        hypotheses=("missing-lora-term",),
        outputs=_BOTH,
    ),
    _number(
        "term-missing",
        "frozen_weight_ignored",
        "The probabilities are those of B A, without W.",
        "algebra: softmax(C1 (W + B A) C2^T) (equation (3.3))",
        hypotheses=("frozen-weight-ignored",),
        outputs=_BOTH,
    ),
    _number(
        "counted-twice",
        "grad_a_added_twice",
        "dA is both accumulated in place and returned.",
        "https://github.com/huggingface/peft/pull/1355",
        hypotheses=("factor-two",),
        outputs=("grad_a",),
    ),
    _number(
        "projections-mixed",
        "keys_used_as_values",
        "C3 = C2.",
        "https://github.com/Dao-AILab/flash-attention/issues/78",
        hypotheses=("swapped-projections",),
        outputs=_BOTH,
    ),
    _number(
        "zero-gradient",
        "skipped_when_b_is_zero",
        "dB stays zero where B = 0, which is where training starts.",
        "algebra: dB = dL/dW A^T does not vanish with B",
        hypotheses=("zero-gradient",),
        outputs=("grad_b",),
    ),
    _number(
        "wrong-result-type",
        "result_in_float32",
        "dA and dB come back in float32 whatever comes in.",
        "algebra: the contract promises the dtype of the arguments",
        hypotheses=("wrong-dtype",),
        outputs=_BOTH,
        dtypes=tuple(d for d in ALL_DTYPES if d != "float32"),
        left_out="float32 is the dtype it returns",
        right_in=("float32",),
    ),
    _number(
        "input-changed",
        "residual_written_into_y",
        "The residual overwrites the target.",
        "https://github.com/linkedin/Liger-Kernel/issues/272",
        hypotheses=("mutates-input",),
    ),
    _number(
        "false-certificate",
        "certificate_of_one_rounding",
        "The certificate is one rounding of the largest result.",
        "algebra: a sum of n products errs by up to gamma_n times that of absolute values",
        hypotheses=("false-certificate",),
        outputs=_BOTH,
    ),
)
