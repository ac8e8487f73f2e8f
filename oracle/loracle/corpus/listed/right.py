"""The right kernels of all contracts."""

from __future__ import annotations

from functools import partial

from loracle.corpus.entry import RightKernel, right

__all__ = ["RIGHT_KERNELS"]

_linear = partial(right, "lora-linear", "loracle.corpus.right.lora_linear")
_aloragc = partial(right, "aloragc", "loracle.corpus.right.aloragc")
_attention = partial(right, "lora-attention", "loracle.corpus.right.lora_attention")

_linear_sums = partial(right, "lora-linear", "loracle.corpus.right.lora_linear_sums")
_aloragc_orders = partial(right, "aloragc", "loracle.corpus.right.aloragc_orders")
_attention_orders = partial(right, "lora-attention", "loracle.corpus.right.lora_attention_orders")

_mha = partial(right, "lora-mha", "loracle.corpus.right.lora_mha")

_NOT_FLOAT64 = ("float32", "bfloat16", "float16")
_NOT_FLOAT16 = ("float64", "float32", "bfloat16")
_ASSOCIATION = "algebra: the product of matrices is associative"
_ONLINE = "algebra: exp(x - m) = exp(x - m') exp(m' - m)"
_SUMMATION = "algebra: sums may be taken in any order"
_CANCELLATION = "https://github.com/HazyResearch/HipKittens/pull/64"
_EXTRA_BITS = "https://github.com/sgl-project/sglang/pull/28226"
_ONE_ROUNDING = "https://github.com/sgl-project/sglang/pull/35795"
_FLUSH = "https://github.com/data-apis/array-api-tests/issues/42"
_ANY_ORDER = "https://github.com/ROCm/rocm-libraries/pull/4335"
_TRUNCATION = "https://arxiv.org/abs/2511.10909"
_RESULTS = "algebra: the contract promises values, not strides, graphs or the absence of extra keys"

RIGHT_KERNELS: tuple[RightKernel, ...] = (
    _linear("eager_autograd", "Plain torch, differentiated by autograd.", _ASSOCIATION),
    _linear("merged_weight", "W + s B A first, adapters' gradients through dW.", _ASSOCIATION),
    _linear("scaling_folded_into_b", "s B once, used everywhere.", "algebra: (s B) A = s (B A)"),
    _linear("token_by_token", "One row at a time, partial sums in the dtype.", _ONE_ROUNDING),
    _linear("split_k_in_reverse", "Blocks of rows, the last first.", _SUMMATION),
    _linear("float64_inside", "Everything in float64.", _EXTRA_BITS),
    _linear("float32_inside", "Everything in float32.", _EXTRA_BITS, dtypes=_NOT_FLOAT64),
    _linear(
        "honest_certificate",
        "A bound on its own error, which it keeps.",
        "algebra: a sum of n products errs by at most gamma_n times that of absolute values",
    ),
    _linear("non_contiguous_results", "Results with every kind of strides.", _RESULTS),
    _linear("results_require_grad", "Results that hang on a graph.", _RESULTS),
    _linear("extra_keys", "More results than promised.", _RESULTS),
    _linear_sums("pairwise_sums", "A tree over the rows.", _SUMMATION),
    _linear_sums("compensated_sums", "Kahan's summation over the rows.", _SUMMATION),
    _linear_sums("atomics_in_any_order", "Rows in another order at every call.", _ANY_ORDER),
    _linear_sums("update_by_rank_one", "One rank after the other.", _SUMMATION),
    _linear_sums(
        "stacked_projection", "One product with [W; s A].", "algebra: blocks of a product"
    ),
    _linear_sums(
        "rounded_twice",
        "From float64 to float32 to the dtype.",
        _ONE_ROUNDING,
        dtypes=_NOT_FLOAT64,
    ),
    _linear_sums(
        "flushed_to_zero",
        "Subnormal numbers are zero; no machine but `+ftz` does that to those of float16.",
        _FLUSH,
        dtypes=_NOT_FLOAT16,
    ),
    _linear_sums(
        "truncating_tensor_cores",
        "Products are cut off after 25 fraction bits, sixteen at a time.",
        _TRUNCATION,
        dtypes=("bfloat16", "float16"),
    ),
    _aloragc(
        "closed_form", "The printed formulas, step by step.", "equation (3.6), Definition 3.6"
    ),
    _aloragc("eager_autograd", "Plain torch, differentiated by autograd.", "equation (3.3)"),
    _aloragc("exp2_softmax", "Softmax in base two.", "algebra: e^x = 2^(x log2 e)"),
    _aloragc(
        "log_sum_exp_recomputed",
        "Probabilities recomputed from the log-sum-exp.",
        "algebra: f = exp(S - log(exp(S) 1))",
    ),
    _aloragc("normalised_last", "Z = D^-1 (exp(S) C3).", "algebra: (D^-1 X) Y = D^-1 (X Y)"),
    _aloragc(
        "correction_from_output",
        "Delta = rowsum(dO o O), as flash kernels have it.",
        "algebra: <f_j, q_j> = <f_j, C3 c_j> = <C3^T f_j, c_j>",
    ),
    _aloragc("weight_applied_to_keys", "W C2^T and p C2 first.", _ASSOCIATION),
    _aloragc("low_rank_unmerged", "Every product goes through the rank.", _ASSOCIATION),
    _aloragc("partial_sums_stored", "Every partial sum stored in the dtype.", _CANCELLATION),
    _aloragc("online_softmax_in_dtype", "Running softmax, stored in the dtype.", _ONLINE),
    _aloragc("streaming_forward", "The oracle's own streaming kernel.", _SUMMATION),
    _aloragc("streaming_reverse", "The same, last block first.", _SUMMATION),
    _aloragc_orders("float64_inside", "Everything in float64.", _EXTRA_BITS),
    _aloragc_orders("float32_inside", "Everything in float32.", _EXTRA_BITS, dtypes=_NOT_FLOAT64),
    _aloragc_orders("keys_in_reverse", "Queries and keys, the last first.", _SUMMATION),
    _aloragc_orders(
        "log_sum_exp_stored", "f made again from stored maxima and normalisers.", _ONLINE
    ),
    _aloragc_orders("one_query_at_a_time", "Partial sums of dL/dW stored.", _SUMMATION),
    _aloragc_orders(
        "two_sums_of_definition", "p_1 and p_2 subtracted at the end.", "Definition 3.6"
    ),
    _attention("closed_form", "The printed formulas, step by step.", "Lemmas E.1, F.1 and F.3"),
    _attention("eager_autograd", "Plain torch, differentiated by autograd.", "Definition 1.2"),
    _attention("sdpa_math", "torch's unfused attention.", "torch.nn.attention.SDPBackend.MATH"),
    _attention(
        "sdpa_flash",
        "torch's flash attention with its own backward pass.",
        "torch.nn.attention.SDPBackend.FLASH_ATTENTION",
    ),
    _attention("query_key_weights_premultiplied", "W_Q W_K^T first.", _ASSOCIATION),
    _attention(
        "root_beta_on_both_sides", "sqrt(beta) on X_Q and X_K.", "algebra: beta = sqrt(beta)^2"
    ),
    _attention("beta_folded_into_queries", "beta on X_Q.", "algebra: beta (Q K^T) = (beta Q) K^T"),
    _attention("scaling_folded_into_b", "s B first.", "algebra: (s B) A = s (B A)"),
    _attention("float64_inside", "Everything in float64.", _EXTRA_BITS),
    _attention("float32_inside", "Everything in float32.", _EXTRA_BITS, dtypes=_NOT_FLOAT64),
    _attention("streaming_forward", "The oracle's own streaming kernel.", _SUMMATION),
    _attention("streaming_reverse", "The same, last block first.", _SUMMATION),
    _attention_orders(
        "correction_from_output",
        "Delta = rowsum(dO o O), as flash kernels have it.",
        "algebra: <f_j, q_j> = <f_j, V c_j> = <V^T f_j, c_j>",
    ),
    _attention_orders("exp2_softmax", "Softmax in base two.", "algebra: e^x = 2^(x log2 e)"),
    _attention_orders("online_softmax_in_dtype", "Running softmax in the dtype.", _ONLINE),
    _attention_orders("keys_in_reverse", "Keys and values, the last first.", _SUMMATION),
    _attention_orders("beta_last", "beta at the very end.", "algebra: X^T (beta p) = beta X^T p"),
    _attention_orders("adapters_unmerged", "X W + s (X B) A.", _ASSOCIATION),
    _attention_orders("through_the_rank", "Every product from the ranks' side.", _ASSOCIATION),
    _attention_orders("non_contiguous_results", "Transposed results on a graph.", _RESULTS),
    _mha("explicit_steps", "The closed form, step by step.", "algebra: docs/specification.md"),
    _mha("kernel_of_loracle", "The oracle's own kernel.", "algebra: docs/specification.md"),
    _mha("repeat_kv", "Eager attention on repeated heads.", "torch.repeat_interleave"),
    _mha("merged_weights", "W + s B A first.", _ASSOCIATION),
    _mha("sdpa_math", "torch's unfused attention.", "torch.nn.attention.SDPBackend.MATH"),
    _mha("sdpa_grouped", "The same with enable_gqa.", "torch.nn.attention.SDPBackend.MATH"),
    _mha(
        "sdpa_flash",
        "torch's flash attention with its own backward pass.",
        "torch.nn.attention.SDPBackend.FLASH_ATTENTION",
    ),
    _mha("scale_on_queries", "softmax_scale on Q.", "algebra: s (Q K^T) = (s Q) K^T"),
    _mha("root_scale_on_both_sides", "Its root on Q and K.", "algebra: s = sqrt(s)^2"),
    _mha("float64_inside", "Everything in float64.", _EXTRA_BITS),
    _mha("online_softmax", "Blocks of four keys.", _ONLINE),
    _mha("heads_one_by_one", "Groups added up last head first.", _SUMMATION),
)
