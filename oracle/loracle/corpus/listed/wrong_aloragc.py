"""The wrong kernels of the contract aloragc."""

from __future__ import annotations

from functools import partial

from loracle.corpus.entry import WrongKernel, wrong

__all__ = ["WRONG_ALORAGC"]

_BOTH = ("grad_a", "grad_b")
_AS_COARSE_AS_BFLOAT16 = (
    "bfloat16: it is the storage dtype; float16: three bits of one intermediate are within what its"
    " own roundings may do"
)
_AS_COARSE_AS_FLOAT16 = "float16: it is the storage dtype; bfloat16: it has three bits less"

_wrong = partial(wrong, "aloragc", "loracle.corpus.wrong.aloragc")

WRONG_ALORAGC: tuple[WrongKernel, ...] = (
    _wrong(
        "softmax-backward",
        "softmax_correction_missing",
        "p = f o q: the correction <f_j, q_j> f_j of the softmax is missing.",
        "https://github.com/aws-neuron/nki-samples/pull/81",
        hypotheses=("missing-softmax-correction",),
        outputs=_BOTH,
    ),
    _wrong(
        "softmax-correction-misplaced",
        "correction_along_wrong_axis",
        "The correction of the softmax sums over the queries.",
        "algebra: p_j = f_j o q_j - <f_j, q_j> f_j (Definition 3.6, Lemma 3.2)",
        hypotheses=("wrong-softmax-correction",),
        outputs=_BOTH,
    ),
    _wrong(
        "softmax-correction-misplaced",
        "correction_of_first_block",
        "The correction of the softmax sums over the first 16 keys alone.",
        "https://github.com/NVIDIA/TransformerEngine/issues/3216",
        hypotheses=("wrong-softmax-correction",),
        outputs=_BOTH,
    ),
    _wrong(
        "block-skipped",
        "keys_beyond_block_skipped",
        "The loop over blocks of 64 keys ends after the first.",
        "https://github.com/pytorch/pytorch/issues/196678",
        hypotheses=("dropped-tail",),
        outputs=_BOTH,
        unnamed_in=("bfloat16", "float16"),
    ),
    _wrong(
        "transposed",
        "weight_gradient_transposed",
        "dL/dW is taken as C2^T p^T C1, its transpose.",
        "https://github.com/huggingface/diffusers/pull/14341",
        hypotheses=("transposed",),
        outputs=_BOTH,
    ),
    _wrong(
        "softmax-forward",
        "softmax_along_wrong_axis",
        "The softmax normalises over the queries.",
        "algebra: f = D^-1 exp(S) with D = diag(exp(S) 1) (Definition 3.4)",
        hypotheses=("softmax-along-wrong-axis",),
        outputs=_BOTH,
    ),
    _wrong(
        "overflow-guard",
        "softmax_without_maximum",
        "exp of scores without subtraction of the row's maximum.",
        "https://github.com/pytorch/pytorch/issues/41508",
        hypotheses=("no-max-subtraction", "non-finite"),
        outputs=_BOTH,
    ),
    _wrong(
        "softmax-scale",
        "scores_over_root_d",
        "The scores are divided by sqrt(d), though no scale was asked for.",
        "algebra: equation (3.3) has beta = 1",
        hypotheses=("wrong-softmax-scale",),
        outputs=_BOTH,
    ),
    _wrong(
        "target-ignored",
        "target_ignored",
        "y = 0 in the residual.",
        "algebra: c = f C3 - y (Definition 3.5)",
        hypotheses=("target-ignored",),
        outputs=_BOTH,
    ),
    _wrong(
        "wrong-sign",
        "residual_wrong_sign",
        "The residual is y - Z.",
        "algebra: c = f C3 - y (Definition 3.5)",
        hypotheses=("wrong-sign",),
        outputs=_BOTH,
    ),
    _wrong(
        "counted-twice",
        "loss_without_half",
        "The loss is ||Z - y||^2 without the half.",
        "algebra: the gradient of c^2 is 2 c, that of c^2 / 2 is c",
        hypotheses=("factor-two",),
        outputs=_BOTH,
    ),
    _wrong(
        "mean-for-sum",
        "mean_squared_error",
        "The loss is a mean over the elements of the residual.",
        "algebra: equation (3.3) sums",
        hypotheses=("mean-instead-of-sum",),
        outputs=_BOTH,
    ),
    _wrong(
        "transposed",
        "weight_transposed",
        "W^T in place of W.",
        "https://github.com/huggingface/diffusers/pull/14341",
        hypotheses=("transposed",),
        outputs=_BOTH,
    ),
    _wrong(
        "transposed",
        "delta_transposed",
        "A^T B^T in place of B A.",
        "https://github.com/huggingface/diffusers/pull/14341",
        hypotheses=("transposed",),
        outputs=_BOTH,
    ),
    _wrong(
        "zero-gradient",
        "grad_b_detached",
        "dB is exactly zero.",
        "https://github.com/linkedin/Liger-Kernel/pull/1298",
        hypotheses=("zero-gradient",),
        outputs=("grad_b",),
    ),
    _wrong(
        "tail",
        "keys_tail_dropped",
        "Keys beyond the last whole block of 16 are never visited.",
        "https://github.com/flagos-ai/FlagGems/pull/898",
        hypotheses=("dropped-tail",),
        outputs=_BOTH,
    ),
    _wrong(
        "tail",
        "last_query_dropped",
        "The last query does not contribute.",
        "https://github.com/pytorch/pytorch/issues/196678",
        hypotheses=("dropped-tail",),
        outputs=_BOTH,
    ),
    _wrong(
        "precision",
        "probabilities_in_bfloat16",
        "The probabilities are rounded to bfloat16 before the sums.",
        "https://github.com/facebookresearch/xformers/pull/467",
        hypotheses=("low-precision",),
        outputs=_BOTH,
        dtypes=("float64", "float32"),
        left_out=_AS_COARSE_AS_BFLOAT16,
        right_in=("bfloat16",),
    ),
    _wrong(
        "precision",
        "log_sum_exp_in_float16",
        "The log-sum-exp of each row is stored in float16.",
        "algebra: a relative error of f is an absolute one of the log-sum-exp",
        hypotheses=("low-precision",),
        outputs=_BOTH,
        dtypes=("float64", "float32"),
        left_out=_AS_COARSE_AS_FLOAT16,
        right_in=("bfloat16", "float16"),
    ),
    _wrong(
        "stale-state",
        "adapter_of_first_call",
        "W + B A is that of the first call with its shape for ever.",
        "algebra: a cache must know all that its value depends on",
        outputs=_BOTH,
    ),
    _wrong(
        "lost-update",
        "block_missing_now_and_then",
        "In every third call a block of queries is missing, as after a lost race.",
        "https://github.com/Dao-AILab/flash-attention/issues/359",
        hypotheses=("nondeterministic",),
        outputs=_BOTH,
    ),
)
