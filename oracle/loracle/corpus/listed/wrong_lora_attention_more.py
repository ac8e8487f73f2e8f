"""More wrong kernels of the contract lora-attention: terms and loops."""

from __future__ import annotations

from functools import partial

from loracle.corpus.entry import WrongKernel, wrong

__all__ = ["WRONG_LORA_ATTENTION_MORE"]

_QUERIES = ("grad_a_q", "grad_b_q")
_KEYS = ("grad_a_k", "grad_b_k")
_VALUES = ("grad_a_v", "grad_b_v")
_ALL_OUTPUTS = (*_QUERIES, *_KEYS, *_VALUES)

_term = partial(wrong, "lora-attention", "loracle.corpus.wrong.lora_attention_terms")
_loop = partial(wrong, "lora-attention", "loracle.corpus.wrong.lora_attention_loops")

WRONG_LORA_ATTENTION_MORE: tuple[WrongKernel, ...] = (
    _term(
        "scale-missing",
        "scaling_missing_in_grad_a_v",
        "dA_V lacks s.",
        "algebra: dL/dA = s B^T dL/dW (Lemmas E.1, F.3)",
        hypotheses=("missing-scaling",),
        outputs=("grad_a_v",),
    ),
    _term(
        "scale-wrong",
        "scaling_is_alpha",
        "s = alpha where alpha / r is meant.",
        "https://github.com/Blaizzy/mlx-vlm/issues/841",
        hypotheses=("wrong-scaling",),
        outputs=_ALL_OUTPUTS,
    ),
    _term(
        "softmax-scale",
        "beta_missing_in_grad_q",
        "The factor beta of the scores is missing in dQ alone.",
        "algebra: dL/dW_Q = beta X_Q^T p K (Lemma E.1)",
        hypotheses=("constant-factor", "wrong-softmax-scale"),
        outputs=_QUERIES,
    ),
    _term(
        "softmax-correction-misplaced",
        "correction_along_wrong_axis",
        "The correction of the softmax sums over the queries.",
        "https://github.com/lucidrains/CoLT5-attention/issues/8",
        hypotheses=("wrong-softmax-correction",),
        outputs=(*_QUERIES, *_KEYS),
    ),
    _term(
        "softmax-backward",
        "correction_scaled_by_beta",
        "The correction of the softmax has beta twice.",
        "https://github.com/NVIDIA/TransformerEngine/issues/3216",
        hypotheses=("wrong-softmax-correction",),
        outputs=(*_QUERIES, *_KEYS),
    ),
    _term(
        "counted-twice",
        "loss_without_half",
        "The loss is ||Z - y||^2 without the half.",
        "algebra: the gradient of c^2 is 2 c, that of c^2 / 2 is c",
        hypotheses=("factor-two",),
        outputs=_ALL_OUTPUTS,
    ),
    _term(
        "target-ignored",
        "target_added",
        "The residual is Z + y.",
        "algebra: c = Z - y (Definition 1.2)",
        hypotheses=("target-ignored", "wrong-sign"),
        outputs=_ALL_OUTPUTS,
    ),
    _term(
        "projections-mixed",
        "frozen_weights_of_q_and_k_exchanged",
        "W_Q and W_K are read from each other's places.",
        "https://github.com/unslothai/unsloth-zoo/issues/941",
        hypotheses=("swapped-projections",),
        outputs=_ALL_OUTPUTS,
    ),
    _term(
        "transposed",
        "key_weight_transposed",
        "W_K^T in place of W_K.",
        "https://github.com/huggingface/diffusers/pull/14341",
        hypotheses=("transposed",),
        outputs=_ALL_OUTPUTS,
    ),
    _term(
        "term-missing",
        "key_adapter_ignored",
        "K is projected without its adapter.",
        "https://github.com/unslothai/unsloth/issues/2142",
        hypotheses=("missing-lora-term",),
        outputs=_ALL_OUTPUTS,
    ),
    _term(
        "rank-permuted",
        "rank_axis_of_values_permuted",
        "The rank axis of B_V is reversed, that of A_V is not.",
        "algebra: B P A differs from B A for a permutation P",
        hypotheses=("rank-axis-permuted",),
        outputs=_ALL_OUTPUTS,
    ),
    _term(
        "zero-gradient",
        "only_last_adapter_trained",
        "The gradients of Q and K are exactly zero.",
        "https://github.com/unslothai/unsloth-zoo/issues/606",
        hypotheses=("zero-gradient",),
        outputs=(*_QUERIES, *_KEYS),
    ),
    _term(
        "projections-mixed",
        "grad_q_and_grad_k_swapped",
        "The gradients of Q and K are exchanged.",
        "https://github.com/unslothai/unsloth-zoo/issues/941",
        hypotheses=("swapped-projections",),
        outputs=(*_QUERIES, *_KEYS),
    ),
    _term(
        "dropout",
        "dropout_left_on",
        "A quarter of the probabilities is dropped.",
        "https://github.com/pytorch/pytorch/issues/124464",
        hypotheses=("nondeterministic",),
        outputs=_ALL_OUTPUTS,
    ),
    _loop(
        "tail",
        "keys_tail_dropped",
        "Keys beyond the last whole block of 16 are never visited.",
        "https://github.com/flagos-ai/FlagGems/pull/898",
        hypotheses=("dropped-tail",),
        outputs=_ALL_OUTPUTS,
    ),
    _loop(
        "tail-doubled",
        "block_of_keys_moved_back",
        "Keys of the last block of 16 that the one before it has too enter the softmax twice.",
        "algebra: sums over [0, n // b * b) and [n - b, n) count [n - b, n // b * b) twice",
        hypotheses=("doubled-tail",),
        outputs=_ALL_OUTPUTS,
    ),
    _loop(
        "block-skipped",
        "queries_beyond_block_skipped",
        "The loop over blocks of 64 queries ends after the first.",
        "https://github.com/pytorch/pytorch/issues/196678",
        hypotheses=("dropped-tail",),
        outputs=_ALL_OUTPUTS,
        unnamed_in=("float16",),
    ),
    _loop(
        "mask",
        "zero_tokens_taken_for_padding",
        "Keys whose input is zero are masked.",
        "algebra: a score of zero has the weight exp(0) = 1",
        outputs=_ALL_OUTPUTS,
    ),
    _loop(
        "overflow-guard",
        "scores_clamped",
        "Scores are clamped to +-20 in place of a subtraction of the maximum.",
        "algebra: softmax(min(S, 20)) differs from softmax(S) where a score exceeds 20",
        outputs=_ALL_OUTPUTS,
        dtypes=("float64", "float32", "float16"),
        left_out="bfloat16: where scores exceed 20, its own roundings may do as much",
    ),
    _loop(
        "division-by-zero",
        "logarithm_of_probabilities",
        "0 f log f is added to p: NaN where f is zero.",
        "algebra: 0 log 0 is 0 * -inf",
        hypotheses=("non-finite",),
        outputs=(*_QUERIES, *_KEYS),
    ),
    _loop(
        "precision",
        "scores_in_bfloat16",
        "The scores are stored in bfloat16, whatever comes in.",
        "https://github.com/facebookresearch/xformers/pull/467",
        hypotheses=("low-precision",),
        outputs=_ALL_OUTPUTS,
        dtypes=("float64", "float32"),
        left_out="bfloat16: it is the storage dtype; float16: three bits of the scores are within"
        " what its own roundings may do",
        right_in=("bfloat16",),
    ),
    _loop(
        "wrong-result-type",
        "grad_a_k_in_other_layout",
        "dA_K comes back transposed, (d, r).",
        "algebra: a_k is (r, d)",
        hypotheses=("wrong-shape", "transposed"),
        outputs=("grad_a_k",),
    ),
    _loop(
        "result-missing",
        "grad_k_missing",
        "dA_K and dB_K are None.",
        "https://github.com/unslothai/unsloth-zoo/issues/606",
        hypotheses=("missing-output",),
        outputs=_KEYS,
    ),
    _loop(
        "input-changed",
        "queries_scaled_in_place",
        "beta is multiplied into the caller's X_Q.",
        "https://github.com/linkedin/Liger-Kernel/issues/272",
        hypotheses=("mutates-input",),
    ),
    _loop(
        "size-refused",
        "rank_one_asserted",
        "Raises for adapters of rank one.",
        "https://github.com/leejet/stable-diffusion.cpp/pull/575",
        hypotheses=("crash",),
    ),
    _loop(
        "stale-state",
        "merged_weights_of_first_call",
        "s B_K A_K is that of the first call with its shape for ever.",
        "https://github.com/ace-step/ACE-Step/issues/226",
        outputs=_ALL_OUTPUTS,
    ),
    _loop(
        "lost-update",
        "update_lost_now_and_then",
        "In every third call half of the queries is missing, as after a lost race.",
        "https://github.com/pengcuo/FlashMLA-ETAP/issues/1",
        hypotheses=("nondeterministic",),
        outputs=_ALL_OUTPUTS,
    ),
)
