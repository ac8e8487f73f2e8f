"""The classes of defects in the corpus, each in one sentence."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["DEFECTS"]

DEFECTS: Mapping[str, str] = {
    "scale-missing": "The factor alpha / r is left out of the output or of one gradient.",
    "scale-wrong": "Another number stands where alpha / r belongs, or it stands in a wrong place.",
    "softmax-scale": "beta is missing, doubled or replaced, in both passes or in one gradient.",
    "scale-in-one-branch": "The softmax's scale is missing, or there twice, in dQ or dK alone.",
    "softmax-forward": "The probabilities are those of another function, axis or base.",
    "softmax-backward": "The correction <f, q> f of the softmax's derivative is missing or wrong.",
    "softmax-correction-misplaced": "The softmax's correction is another row's, axis's or block's.",
    "overflow-guard": "The row's maximum is not what is subtracted from the scores before exp.",
    "division-by-zero": "Zeros that are legal are divided by, or their logarithm is taken.",
    "mask": "A causal mask or a window is applied that nobody asked for.",
    "causal-alignment": "The causal mask is ignored, shifted, transposed or not in both passes.",
    "head-map": "Query heads read, or add their gradients to, other heads of keys than theirs.",
    "dropout": "Dropout is on, or its scale is, where there is none.",
    "target-ignored": "The target of the loss does not enter, or with the wrong sign.",
    "wrong-sign": "A gradient, or the residual that all gradients come from, is negated.",
    "counted-twice": "A term, or the whole of a gradient, is added twice.",
    "mean-for-sum": "A mean over batch, length or elements is taken where a sum is meant.",
    "term-missing": "The frozen weight's term or the adapter's is absent from a formula.",
    "term-missing-in-grad-x": "What a path through x contributes is absent from its gradient.",
    "zero-gradient": "A gradient that is not zero comes back as zeros.",
    "upstream-replaced": "The upstream gradient is taken to be constant, or constant in each row.",
    "transposed": "A matrix is used in the other orientation, where its shape allows it.",
    "rank-permuted": "The ranks of A and of B are not in the same order.",
    "projections-mixed": "What belongs to Q, K or V is used for, or returned as, another of them.",
    "adapters-mixed": "The adapter or the scaling of one projection is used for another.",
    "batch-and-length": "Rows of the batch are left out, repeated or paired with others'.",
    "strides": "Memory is read with strides that are not its own.",
    "tail": "What is beyond the last whole block, or the last one, is left out.",
    "tail-of-width": "What is beyond the last whole block of the rank or of a width is left out.",
    "tail-doubled": "What is beyond the last whole block, or the last one, is taken twice.",
    "block-skipped": "Whole blocks beyond the first, or beyond a grid, are never visited.",
    "uninitialised": "Memory that was never written is returned.",
    "precision": "An intermediate is stored with fewer bits than the dtype of the call has.",
    "argument-rounded": "An argument is read with fewer bits than the dtype of the call has.",
    "wrong-result-type": "A result comes back in another dtype or layout than promised.",
    "result-missing": "A promised result is None.",
    "size-refused": "A legal size is refused with an exception.",
    "input-changed": "A tensor of the caller is overwritten.",
    "stale-state": "A value of an earlier call is used in a later one.",
    "lost-update": "Part of a sum is missing in some calls and not in others.",
    "false-certificate": "The error that a kernel certifies is smaller than the one it makes.",
}
"""Class to sentence; every wrong kernel is of one of them."""
