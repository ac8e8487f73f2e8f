"""Which term of which definition or lemma a hypothesis is about.

The attention contracts follow the paper (its labels stand in the ledger); `lora-linear` and
`lora-mha` have no lemma, there the equation of the output is written out and the term named.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LABELS", "term_of"]

_LINEAR_EQUATIONS: Mapping[str, str] = {
    "output": "y = x W^T + s (x A^T) B^T",
    "grad_x": "dX = G W + s (G B) A",
    "grad_lora_a": "dA = s (G B)^T X",
    "grad_lora_b": "dB = s G^T (X A^T)",
}

_LINEAR: Mapping[str, str] = {
    "whole": "{equation}",
    "half": "{equation}",
    "scaling": "s of {equation}",
    "base": "the term of W of {equation}",
    "lora": "the term of B A of {equation}",
    "weight": "W of {equation}",
    "delta": "B A of {equation}",
    "rank": "the product over the rank axis of {equation}",
    "sum": "the sum over rows of {equation}",
    "upstream": "G of {equation}",
}

_MHA_EQUATIONS: Mapping[str, str] = {
    "output": "O_h = f V_g",
    "grad_x": "dX = sum over q, k, v of G_m W_m + s_m (G_m B_m) A_m",
    "grad_lora_a_q": "dA_q = s_q (dQ B_q)^T X, dQ_h = p K_g",
    "grad_lora_b_q": "dB_q = s_q dQ^T (X A_q^T), dQ_h = p K_g",
    "grad_lora_a_k": "dA_k = s_k (dK B_k)^T X, dK_g = sum over h of p^T Q_h",
    "grad_lora_b_k": "dB_k = s_k dK^T (X A_k^T), dK_g = sum over h of p^T Q_h",
    "grad_lora_a_v": "dA_v = s_v (dV B_v)^T X, dV_g = sum over h of f^T G_h",
    "grad_lora_b_v": "dB_v = s_v dV^T (X A_v^T), dV_g = sum over h of f^T G_h",
}

_MHA: Mapping[str, str] = {
    "whole": "{equation}",
    "half": "{equation}",
    "scaling": "s of {equation}",
    "scale": "softmax_scale, of f = softmax(softmax_scale Q_h K_g^T) or of p, in {equation}",
    "heads": "g = h // (num_heads / num_kv_heads) of {equation}",
    "mask": "j <= i in f of {equation}",
    "f": "f of {equation}",
    "scores": "softmax_scale Q_h K_g^T of {equation}",
    "projection": "Q, K and V = X W^T + s (X A^T) B^T, in {equation}",
    "correction": "p = softmax_scale (f o q - diag(<f_i, q_i>) f) of {equation}",
    "weight": "W of Q, K and V = X W^T + s (X A^T) B^T, in {equation}",
    "delta": "A and B of Q, K and V = X W^T + s (X A^T) B^T, in {equation}",
    "adapter": "{equation}",
    "sum": "the sums over rows of {equation}",
    "upstream": "G, the upstream gradient, of {equation}",
}

_ALORAGC: Mapping[str, str] = {
    "whole": "equation (3.6)",
    "loss": "the sum of the loss, equation (3.3)",
    "half": "the factor 1/2 of the loss, equation (3.3)",
    "weight": "W* of W = W* + B A (Definition 1.1), in u of Definition 3.2",
    "delta": "B A of W = W* + B A (Definition 1.1), in u of Definition 3.2",
    "scores": "u = exp(C1 W C2^T) of Definition 3.2",
    "beta": "the exponent C1 W C2^T of u, Definition 3.2",
    "normalization": "alpha of Definition 3.3",
    "f": "f of Definition 3.4",
    "c": "c = f C3 - Y of Definition 3.5",
    "q": "q = C3 c^T of Lemma 3.2",
    "p": "p of Definition 3.6",
    "p2": "p2 of Definition 3.6 (Lemma 3.7)",
    "grad_w": "dL/dW = C1^T p C2 of Lemma 3.1",
    "operands": "C1, C2 and C3 of equation (3.3)",
    "adapter": "{jacobian} of Lemma E.1: {rule}",
    "sum": "the sum over j of Lemma 3.1",
}

_ATTENTION: Mapping[str, str] = {
    "whole": "{gradient}",
    "scaling": "alpha / r of Definition 1.1, in {gradient}",
    "loss": "the sum of the loss, Definition 1.2",
    "half": "the factor 1/2 of the loss, Definition 1.2",
    "weight": "W* of W = W* + (alpha / r) B A, Definition 1.1",
    "delta": "B A of W = W* + (alpha / r) B A, Definition 1.1",
    "scores": "u = exp(beta Q K^T) of Definition F.1",
    "beta": "beta in u of Definition F.1",
    "normalization": "alpha of Definition F.2",
    "f": "f of Definition F.3",
    "c": "c = Z - Y of Definition F.4",
    "q": "q = C3 c^T of Definition F.6",
    "p": "p of Definition F.7",
    "p2": "p2 of Definition F.8 (Lemma F.9)",
    "grad_w": "{gradient}",
    "operands": "the inputs of Q, K and V, Definition 2.5",
    "adapter": "{adapter}",
    "sum": "the sum over j of {gradient}",
}

LABELS: Mapping[str, Mapping[str, str]] = {
    "lora-linear": _LINEAR,
    "aloragc": _ALORAGC,
    "lora-attention": _ATTENTION,
    "lora-mha": _MHA,
}
"""Per contract, the terms that hypotheses name."""

_WEIGHT_GRADIENTS: Mapping[str, str] = {
    "q": "dL/dW_Q = beta X_Q^T p K of Lemma F.1",
    "k": "dL/dW_K = beta X_K^T p^T Q of Lemma F.1",
    "v": "dL/dW_V = X_V^T f^T c (Definition 1.2; in no lemma, as W_V is fixed there)",
}

_ADAPTER_LEMMAS: Mapping[str, str] = {
    "q": "{jacobian} of Lemma E.1: {rule}",
    "k": "{jacobian} of Lemma F.3: {rule}",
    "v": "{rule} (as in Lemma E.1)",
}


def term_of(contract: str, key: str, output: str) -> str:
    """The affected term in words, with its label; empty for a contract without labels."""
    label = LABELS.get(contract, {}).get(key, "")
    if contract == "lora-linear":
        return label.format(equation=_LINEAR_EQUATIONS[output])
    if contract == "lora-mha":
        return label.format(equation=_MHA_EQUATIONS[output])
    of_a = output.startswith("grad_a")
    words = {
        "jacobian": "J_B" if of_a else "J_A",
        "rule": "dL/dA = B^T dL/dW" if of_a else "dL/dB = dL/dW A^T",
    }
    if contract == "lora-attention":
        projection = output[-1]
        words["gradient"] = _WEIGHT_GRADIENTS[projection]
        words["adapter"] = _ADAPTER_LEMMAS[projection].format(**words)
    return label.format(**words)
