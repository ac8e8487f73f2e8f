"""The wrong kernels of the contract lora-mha."""

from __future__ import annotations

from functools import partial

from loracle.corpus.entry import WrongKernel, wrong

__all__ = ["WRONG_LORA_MHA"]

_QUERIES = ("grad_lora_a_q", "grad_lora_b_q")
_KEYS = ("grad_lora_a_k", "grad_lora_b_k")
_VALUES = ("grad_lora_a_v", "grad_lora_b_v")
_ADAPTERS = (*_QUERIES, *_KEYS, *_VALUES)
_GRADIENTS = ("grad_x", *_ADAPTERS)
_ALL_OUTPUTS = ("output", *_GRADIENTS)
_THROUGH_SCORES = ("grad_x", *_QUERIES, *_KEYS)
_THROUGH_KEYS = ("grad_x", *_KEYS, *_VALUES)

_GROUPED_QUERIES = "https://github.com/XunhaoLai/native-sparse-attention-triton/issues/27"
_MASKS = "https://github.com/pytorch/pytorch/issues/41508"
_SOFTMAX_BACKWARD = "https://github.com/NVIDIA/TransformerEngine/issues/3216"
_CORRECTION = "https://github.com/aws-neuron/nki-samples/pull/81"
_MIXED = "https://github.com/unslothai/unsloth-zoo/issues/941"
_ZERO = "https://github.com/unslothai/unsloth-zoo/issues/606"
_SCALE = "https://github.com/Blaizzy/mlx-vlm/issues/841"
_TAIL = "https://github.com/pytorch/pytorch/issues/196678"

_core = partial(wrong, "lora-mha", "loracle.corpus.wrong.lora_mha")
_layer = partial(wrong, "lora-mha", "loracle.corpus.wrong.lora_mha_layers")

WRONG_LORA_MHA: tuple[WrongKernel, ...] = (
    _core(
        "head-map",
        "heads_read_modulo",
        "Query head h reads head h % num_kv_heads of the keys.",
        _GROUPED_QUERIES,
        hypotheses=("wrong-head-map",),
        outputs=_ALL_OUTPUTS,
    ),
    _core(
        "head-map",
        "heads_read_modulo_in_backward",
        "dK and dV are added up at head h % num_kv_heads.",
        _GROUPED_QUERIES,
        hypotheses=("wrong-head-map",),
        outputs=_THROUGH_KEYS,
    ),
    _core(
        "head-map",
        "heads_read_first",
        "Every query head reads the first head of the keys.",
        "algebra: head h reads h // (num_heads / num_kv_heads), which is 0 for one head alone",
        hypotheses=("wrong-head-map",),
        outputs=_ALL_OUTPUTS,
    ),
    _core(
        "head-map",
        "group_gradient_overwritten",
        "dK and dV are those of the last query head of each group.",
        _GROUPED_QUERIES,
        hypotheses=("wrong-head-map",),
        outputs=_THROUGH_KEYS,
    ),
    _core(
        "head-map",
        "group_gradient_averaged",
        "dK and dV are means over the query heads of a group.",
        "algebra: a head of keys that is read twice has the sum of two gradients",
        hypotheses=("wrong-head-map",),
        outputs=_THROUGH_KEYS,
    ),
    _core(
        "head-map",
        "group_gradient_of_keys_averaged",
        "dK is a mean over the query heads of a group, dV a sum.",
        "algebra: a head of keys that is read twice has the sum of two gradients",
        hypotheses=("wrong-head-map",),
        outputs=("grad_x", *_KEYS),
    ),
    _core(
        "causal-alignment",
        "causal_mask_ignored",
        "causal does not enter.",
        _MASKS,
        hypotheses=("causal-alignment",),
        outputs=_ALL_OUTPUTS,
    ),
    _core(
        "causal-alignment",
        "causal_mask_left_on",
        "The mask is on, whatever the caller says.",
        _MASKS,
        hypotheses=("causal-alignment",),
        outputs=_ALL_OUTPUTS,
    ),
    _core(
        "causal-alignment",
        "causal_mask_strict",
        "The mask is j < i.",
        "algebra: a query sees itself, j <= i",
        hypotheses=("causal-alignment",),
        outputs=_ALL_OUTPUTS,
    ),
    _core(
        "causal-alignment",
        "causal_mask_one_too_late",
        "The mask is j <= i + 1.",
        "algebra: a query does not see the next token, j <= i",
        hypotheses=("causal-alignment",),
        outputs=_ALL_OUTPUTS,
    ),
    _core(
        "causal-alignment",
        "causal_keys_before_queries_hidden",
        "The mask is transposed.",
        "algebra: j <= i is not i <= j",
        hypotheses=("causal-alignment",),
        outputs=_ALL_OUTPUTS,
    ),
    _core(
        "causal-alignment",
        "causal_mask_missing_in_backward",
        "The backward pass computes f anew without the mask.",
        "algebra: p = f o (q - <f, q>) with the f of the forward pass",
        hypotheses=("causal-alignment",),
        outputs=_GRADIENTS,
    ),
    _core(
        "causal-alignment",
        "causal_mask_one_too_late_in_backward",
        "The mask is j <= i + 1 in the backward pass alone, which keeps the log-sum-exp.",
        "algebra: p = f o (q - <f, q>) with the f of the forward pass",
        hypotheses=("causal-alignment",),
        outputs=_GRADIENTS,
    ),
    _core(
        "causal-alignment",
        "causal_mask_adds_zero_scores",
        "What is hidden has a score of zero, not of minus infinity.",
        _MASKS,
        hypotheses=("causal-alignment",),
        outputs=_ALL_OUTPUTS,
    ),
    _core(
        "scale-in-one-branch",
        "scale_missing_in_grad_k",
        "dK lacks softmax_scale.",
        _SOFTMAX_BACKWARD,
        hypotheses=("scale-missing-in-dk",),
        outputs=("grad_x", *_KEYS),
    ),
    _core(
        "scale-in-one-branch",
        "scale_missing_in_grad_q",
        "dQ lacks softmax_scale.",
        _SOFTMAX_BACKWARD,
        hypotheses=("scale-missing-in-dq",),
        outputs=("grad_x", *_QUERIES),
    ),
    _core(
        "scale-in-one-branch",
        "scale_twice_in_grad_k",
        "dK has softmax_scale twice.",
        _SOFTMAX_BACKWARD,
        hypotheses=("scale-missing-in-dk",),
        outputs=("grad_x", *_KEYS),
    ),
    _core(
        "softmax-scale",
        "scale_one",
        "softmax_scale = 1.",
        "algebra: softmax(s Q K^T) is not softmax(Q K^T)",
        hypotheses=("wrong-softmax-scale",),
        outputs=_ALL_OUTPUTS,
    ),
    _core(
        "softmax-scale",
        "scale_of_model_width",
        "softmax_scale = 1 / sqrt(model).",
        "algebra: the width of the model is not that of a head",
        hypotheses=("wrong-softmax-scale",),
        outputs=_ALL_OUTPUTS,
    ),
    _core(
        "softmax-backward",
        "correction_missing",
        "p lacks the correction <f, q> f.",
        _CORRECTION,
        hypotheses=("missing-softmax-correction",),
        outputs=_THROUGH_SCORES,
    ),
    _core(
        "softmax-correction-misplaced",
        "correction_along_wrong_axis",
        "The correction of the softmax sums over the queries.",
        "https://github.com/lucidrains/CoLT5-attention/issues/8",
        hypotheses=("wrong-softmax-correction",),
        outputs=_THROUGH_SCORES,
    ),
    _core(
        "tail",
        "tail_of_keys_dropped",
        "Keys beyond the last whole block of 16 are not visited.",
        _TAIL,
        hypotheses=("dropped-tail",),
        outputs=_ALL_OUTPUTS,
        unnamed_in=("bfloat16",),
    ),
    _core(
        "tail-doubled",
        "block_of_keys_moved_back",
        "Keys of the last block of 16 that the one before it has too enter the softmax twice.",
        "algebra: sums over [0, n // b * b) and [n - b, n) count [n - b, n // b * b) twice",
        hypotheses=("doubled-tail",),
        outputs=_ALL_OUTPUTS,
        unnamed_in=("bfloat16",),
    ),
    _core(
        "transposed",
        "score_gradient_not_transposed",
        "dK = p Q.",
        "algebra: dK = p^T Q, and p is square",
        hypotheses=("transposed",),
        outputs=("grad_x", *_KEYS),
    ),
    _core(
        "precision",
        "probabilities_in_bfloat16",
        "The probabilities are kept in bfloat16, whatever comes in.",
        "https://github.com/facebookresearch/xformers/pull/467",
        hypotheses=("low-precision",),
        outputs=_ALL_OUTPUTS,
        dtypes=("float64", "float32"),
        left_out="bfloat16: it is the storage dtype; float16: three bits of the probabilities are"
        " within what its own roundings may do",
        right_in=("bfloat16",),
    ),
    _layer(
        "stale-state",
        "scaling_of_first_call",
        "The scaling of V is that of the first call for ever.",
        "algebra: a cache must know all that its value depends on",
        hypotheses=("stale-scalar",),
        outputs=_ALL_OUTPUTS,
    ),
    _layer(
        "adapters-mixed",
        "adapter_a_of_q_used_for_k",
        "A of Q serves K too.",
        _MIXED,
        hypotheses=("swapped-projections",),
        outputs=_ALL_OUTPUTS,
    ),
    _layer(
        "adapters-mixed",
        "scaling_of_q_used_for_k",
        "The scaling of Q serves K too.",
        _MIXED,
        hypotheses=("swapped-projections",),
        outputs=_ALL_OUTPUTS,
    ),
    _layer(
        "scale-wrong",
        "scaling_squared_in_keys",
        "The adapter of K has its scaling twice.",
        _SCALE,
        hypotheses=("squared-scaling",),
        outputs=_ALL_OUTPUTS,
    ),
    _layer(
        "scale-missing",
        "scaling_missing_in_grad_b_v",
        "dB_v lacks s_v.",
        "algebra: dB = s dV^T (X A^T)",
        hypotheses=("missing-scaling",),
        outputs=("grad_lora_b_v",),
    ),
    _layer(
        "term-missing",
        "adapter_of_values_ignored",
        "The forward pass projects V without its adapter.",
        "https://github.com/unslothai/unsloth/issues/2142",
        hypotheses=("missing-lora-term",),
        outputs=("output", *_THROUGH_SCORES),
    ),
    _layer(
        "projections-mixed",
        "grad_k_and_grad_v_swapped",
        "The gradients of K and V are exchanged.",
        _MIXED,
        hypotheses=("swapped-projections",),
        outputs=(*_KEYS, *_VALUES),
    ),
    _layer(
        "wrong-sign",
        "grad_q_wrong_sign",
        "The gradients of the adapter of Q are negated.",
        "algebra: dL/dQ is not -dL/dQ",
        hypotheses=("wrong-sign",),
        outputs=_QUERIES,
    ),
    _layer(
        "zero-gradient",
        "grad_v_detached",
        "The gradients of the adapter of V are zeros.",
        _ZERO,
        hypotheses=("zero-gradient",),
        outputs=_VALUES,
    ),
    _layer(
        "term-missing-in-grad-x",
        "grad_x_without_values",
        "dX lacks what comes back through V.",
        "algebra: X makes Q, K and V, and its gradient is a sum of three",
        hypotheses=("missing-projection",),
        outputs=("grad_x",),
    ),
    _layer(
        "term-missing-in-grad-x",
        "grad_x_without_adapters",
        "dX has the terms of the frozen weights alone.",
        "algebra: dX = dQ W + s (dQ B) A, and so on",
        hypotheses=("missing-lora-term",),
        outputs=("grad_x",),
    ),
    _layer(
        "strides",
        "heads_not_moved_back",
        "(batch, heads, length, head_dim) is viewed as (batch, length, heads * head_dim).",
        "https://github.com/Dao-AILab/flash-attention/issues/355",
        hypotheses=("flattened-in-two-orders",),
        outputs=("output",),
    ),
    _layer(
        "rank-permuted",
        "key_rank_axis_permuted",
        "The rank axis of A_k is reversed, that of B_k is not.",
        "algebra: B P A differs from B A for a permutation P",
        hypotheses=("rank-axis-permuted",),
        outputs=_ALL_OUTPUTS,
    ),
    _layer(
        "batch-and-length",
        "first_sample_only",
        "The gradients of the adapters are sums over the first sample.",
        "https://github.com/linkedin/Liger-Kernel/pull/1298",
        hypotheses=("first-sample-only",),
        outputs=_ADAPTERS,
    ),
    _layer(
        "upstream-replaced",
        "upstream_taken_for_ones",
        "The gradient of the sum of the output.",
        "algebra: the gradient of <G, O> is that of sum O for G = 1 alone",
        hypotheses=("upstream-replaced",),
        outputs=_GRADIENTS,
    ),
    _layer(
        "input-changed",
        "x_overwritten",
        "dX is written into x.",
        "https://github.com/axolotl-ai-cloud/axolotl/pull/3800",
        hypotheses=("mutates-input",),
    ),
)
