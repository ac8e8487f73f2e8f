"""The wrong kernels of the contract lora-attention."""

from __future__ import annotations

from functools import partial

from loracle.corpus.entry import WrongKernel, wrong

__all__ = ["WRONG_LORA_ATTENTION"]

_QUERIES = ("grad_a_q", "grad_b_q")
_KEYS = ("grad_a_k", "grad_b_k")
_VALUES = ("grad_a_v", "grad_b_v")
_ALL_OUTPUTS = (*_QUERIES, *_KEYS, *_VALUES)
_SCALE = ("wrong-softmax-scale",)

_wrong = partial(wrong, "lora-attention", "loracle.corpus.wrong.lora_attention")

WRONG_LORA_ATTENTION: tuple[WrongKernel, ...] = (
    _wrong(
        "scale-missing",
        "scaling_missing_in_grad_b_q",
        "dB_Q lacks s.",
        "algebra: dL/dB = s dL/dW A^T (Lemmas E.1, F.3)",
        hypotheses=("missing-scaling",),
        outputs=("grad_b_q",),
    ),
    _wrong(
        "scale-wrong",
        "scaling_squared_in_grad_a_k",
        "dA_K has s twice.",
        "algebra: dL/dA = s B^T dL/dW (Lemmas E.1, F.3)",
        hypotheses=("squared-scaling",),
        outputs=("grad_a_k",),
    ),
    _wrong(
        "softmax-scale",
        "beta_missing_in_grad_k",
        "The factor beta of the scores is missing in dK alone.",
        "algebra: dL/dW_K = beta X_K^T p^T Q (Lemma F.1)",
        hypotheses=("constant-factor", *_SCALE),
        outputs=_KEYS,
    ),
    _wrong(
        "softmax-scale",
        "beta_twice_in_grad_q",
        "The factor beta of the scores is applied twice in dQ alone.",
        "https://github.com/NVIDIA/TransformerEngine/issues/3216",
        hypotheses=("constant-factor", *_SCALE),
        outputs=_QUERIES,
    ),
    _wrong(
        "softmax-scale",
        "beta_ignored",
        "beta = 1, the default of jax.experimental.pallas.ops.gpu.attention.mha.",
        "algebra: f = softmax(beta Q K^T)",
        hypotheses=_SCALE,
        outputs=_ALL_OUTPUTS,
    ),
    _wrong(
        "softmax-scale",
        "beta_is_one_over_root_d",
        "beta = 1 / sqrt(d), whatever the caller says.",
        "algebra: f = softmax(beta Q K^T)",
        hypotheses=_SCALE,
        outputs=_ALL_OUTPUTS,
    ),
    _wrong(
        "softmax-backward",
        "softmax_correction_missing",
        "p = f o q: the correction <f_j, q_j> f_j of the softmax is missing.",
        "https://github.com/aws-neuron/nki-samples/pull/81",
        hypotheses=("missing-softmax-correction",),
        outputs=(*_QUERIES, *_KEYS),
    ),
    _wrong(
        "softmax-backward",
        "correction_from_residual_alone",
        "D = rowsum(dO o dO) in place of rowsum(dO o O).",
        "https://github.com/NVIDIA/TransformerEngine/issues/3216",
        hypotheses=("wrong-softmax-correction",),
        outputs=(*_QUERIES, *_KEYS),
    ),
    _wrong(
        "overflow-guard",
        "softmax_without_maximum",
        "exp of scores without subtraction of the row's maximum.",
        "https://github.com/pytorch/pytorch/issues/41508",
        hypotheses=("no-max-subtraction", "non-finite"),
        outputs=_ALL_OUTPUTS,
    ),
    _wrong(
        "mask",
        "causal_mask_left_on",
        "A causal mask that nobody asked for.",
        "https://github.com/pytorch/pytorch/issues/41508",
        hypotheses=("unrequested-mask",),
        outputs=_ALL_OUTPUTS,
    ),
    _wrong(
        "transposed",
        "score_gradient_not_transposed",
        "dK takes p in place of p^T wherever L = M.",
        "algebra: dL/dW_K = beta X_K^T p^T Q (Lemma F.1)",
        hypotheses=("transposed",),
        outputs=_KEYS,
    ),
    _wrong(
        "target-ignored",
        "target_ignored",
        "y = 0 in the residual.",
        "algebra: c = Z - y (Definition 1.2)",
        hypotheses=("target-ignored",),
        outputs=_ALL_OUTPUTS,
    ),
    _wrong(
        "mean-for-sum",
        "mean_squared_error",
        "The loss is a mean over the length.",
        "algebra: Definition 1.2 sums",
        hypotheses=("mean-instead-of-sum",),
        outputs=_ALL_OUTPUTS,
    ),
    _wrong(
        "wrong-sign",
        "grad_k_wrong_sign",
        "dA_K and dB_K have the wrong sign.",
        "algebra: dL/dW_K = beta X_K^T p^T Q (Lemma F.1)",
        hypotheses=("wrong-sign",),
        outputs=_KEYS,
    ),
    _wrong(
        "zero-gradient",
        "grad_v_detached",
        "dA_V and dB_V are exactly zero.",
        "https://github.com/unslothai/unsloth-zoo/issues/606",
        hypotheses=("zero-gradient",),
        outputs=_VALUES,
    ),
    _wrong(
        "adapters-mixed",
        "adapter_of_q_used_for_k",
        "K is adapted with the factors of Q.",
        "https://github.com/unslothai/unsloth-zoo/issues/941",
        hypotheses=("swapped-projections",),
        outputs=_ALL_OUTPUTS,
    ),
    _wrong(
        "projections-mixed",
        "grad_k_and_grad_v_swapped",
        "The gradients of K and V are exchanged.",
        "https://github.com/unslothai/unsloth-zoo/issues/941",
        hypotheses=("swapped-projections",),
        outputs=(*_KEYS, *_VALUES),
    ),
    _wrong(
        "projections-mixed",
        "values_taken_from_keys",
        "V is projected from the input of K.",
        "algebra: V = X_V W_V (Definition 2.5)",
        hypotheses=("swapped-projections",),
        outputs=_ALL_OUTPUTS,
    ),
    _wrong(
        "term-missing",
        "frozen_value_weight_ignored",
        "The backward pass of Q and K sees V without its frozen weight.",
        "algebra: V = X_V (W_V + s B_V A_V) (Definition 1.2)",
        hypotheses=("frozen-weight-ignored",),
        outputs=(*_QUERIES, *_KEYS),
    ),
    _wrong(
        "input-changed",
        "merged_in_place",
        "s B_Q A_Q is added into the caller's W_Q.",
        "https://github.com/linkedin/Liger-Kernel/issues/272",
        hypotheses=("mutates-input",),
    ),
)
