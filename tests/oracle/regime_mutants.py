"""Kernels with one defect each that a single regime shows: for every other input they are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from loracle.adapters import autograd
from loracle.corpus import closed_form

Outputs = dict[str, Any]
Kernel = Callable[..., Outputs]


@dataclass(frozen=True)
class Mutant:
    """kernel: wrong in the cases `cases` of one regime alone, in one dtype; all cases of the regime
    together if none is named."""

    contract: str
    regime: str
    kernel: Kernel
    cases: tuple[int, ...] = ()
    dtype: str = "float32"

    @property
    def name(self) -> str:
        """For the ids of tests."""
        return f"{self.regime}-{self.contract}-{self.kernel.__name__}"


# lora-linear.


def fast_path_without_scaling(**call: Any) -> Outputs:
    """The path for widths that are multiples of 8 forgets the scaling of dB."""
    outputs = autograd.lora_linear(**call)
    if call["x"].shape[-1] % 8 == 0:
        outputs["grad_lora_b"] = outputs["grad_lora_b"] / call["scaling"]
    return outputs


def idle_adapter_skipped(**call: Any) -> Outputs:
    """An adapter whose B is zero is left out of the graph, and B gets no gradient."""
    outputs = autograd.lora_linear(**call)
    if not call["lora_b"].any():
        outputs["grad_lora_b"] = torch.zeros_like(outputs["grad_lora_b"])
    return outputs


def tail_of_a_tile_dropped(**call: Any) -> Outputs:
    """The configuration with tiles of 16, for widths up to 64, drops what is left over in dA."""
    outputs = autograd.lora_linear(**call)
    width = call["x"].shape[-1]
    if 16 < width <= 64:
        outputs["grad_lora_a"] = outputs["grad_lora_a"].clone()
        outputs["grad_lora_a"][:, width // 16 * 16 :] = 0
    return outputs


def second_block_of_rows_skipped(**call: Any) -> Outputs:
    """dB is summed over the first 128 tokens alone."""
    x, upstream = (call[n].flatten(0, 1)[:128] for n in ("x", "grad_output"))
    grad_b = call["scaling"] * upstream.T @ (x @ call["lora_a"].T)
    return {**autograd.lora_linear(**call), "grad_lora_b": grad_b}


def decoding_without_adapter(**call: Any) -> Outputs:
    """A single token takes the path of decoding, which has no adapter."""
    outputs = autograd.lora_linear(**call)
    if call["x"].shape[1] == 1:
        outputs["output"] = call["x"] @ call["weight"].T
    return outputs


def tokens_looked_up_by_value(**call: Any) -> Outputs:
    """The upstream gradients are stored under their token, and of equal tokens the last one
    stays."""
    x, upstream = (call[n].flatten(0, 1) for n in ("x", "grad_output"))
    tokens, place = torch.unique(x, dim=0, return_inverse=True)
    stored = upstream.new_zeros(len(tokens), upstream.shape[1])
    stored[place] = upstream
    grad_b = call["scaling"] * stored.T @ (tokens @ call["lora_a"].T)
    return {**autograd.lora_linear(**call), "grad_lora_b": grad_b}


def zero_tokens_taken_for_padding(**call: Any) -> Outputs:
    """A token of zeros gets no gradient."""
    outputs = autograd.lora_linear(**call)
    real = call["x"].any(dim=-1, keepdim=True)
    return {**outputs, "grad_x": outputs["grad_x"] * real}


def zero_ranks_pruned(**call: Any) -> Outputs:
    """A row of A that is zero is taken for a pruned rank, and stays zero for ever."""
    outputs = autograd.lora_linear(**call)
    kept = call["lora_a"].any(dim=1, keepdim=True)
    return {**outputs, "grad_lora_a": outputs["grad_lora_a"] * kept}


def activations_clipped(**call: Any) -> Outputs:
    """Activations beyond 100 are clipped."""
    return autograd.lora_linear(**{**call, "x": call["x"].clamp(-100, 100)})


def _power_of_two(rows: Tensor) -> Tensor:
    """The reciprocal of each row's largest entry, to a power of two: exact, until it overflows."""
    largest = rows.abs().amax(dim=-1, keepdim=True)
    return torch.where(largest > 0, torch.exp2(-torch.log2(largest).floor()), 1)


def tokens_scaled_to_one(**call: Any) -> Outputs:
    """Each token is scaled to about one by a reciprocal, and its output back."""
    factor = _power_of_two(call["x"])
    scaled = autograd.lora_linear(**{**call, "x": call["x"] * factor})["output"]
    return {**autograd.lora_linear(**call), "output": scaled / factor}


def _contiguous_strides(tensor: Tensor) -> tuple[int, ...]:
    return torch.empty(tensor.shape, device="meta").stride()


def upstream_read_as_contiguous(**call: Any) -> Outputs:
    """The strides of the upstream gradient are not looked at."""
    upstream = call["grad_output"]
    read = upstream.as_strided(upstream.shape, _contiguous_strides(upstream))
    return autograd.lora_linear(**{**call, "grad_output": read})


def upstream_viewed_as_rows(**call: Any) -> Outputs:
    """`.view`, which raises where batch and length do not lie in memory as one axis."""
    upstream = call["grad_output"]
    rows = upstream.view(-1, upstream.shape[-1])
    return autograd.lora_linear(**{**call, "grad_output": rows.reshape(upstream.shape)})


def upstream_taken_for_dense(**call: Any) -> Outputs:
    """Any order of axes and a stride of zero are seen to, but not a gap after each row."""
    upstream = call["grad_output"]
    if 0 not in upstream.stride():
        batch, length, width = upstream.shape
        outer = (width, batch * width) if upstream.stride(0) < upstream.stride(1) else None
        strides = (*outer, 1) if outer else (length * width, width, 1)
        upstream = upstream.as_strided(upstream.shape, strides)
    return autograd.lora_linear(**{**call, "grad_output": upstream})


def upstream_with_a_last_stride_of_one(**call: Any) -> Outputs:
    """All strides are passed to the kernel but the last, which is taken for one."""
    upstream = call["grad_output"]
    read = upstream.as_strided(upstream.shape, (*upstream.stride()[:-1], 1))
    return autograd.lora_linear(**{**call, "grad_output": read})


# aloragc.


def idle_attention_adapter_skipped(**call: Any) -> Outputs:
    """An adapter whose B is zero is left out of the graph, and B gets no gradient."""
    outputs = autograd.aloragc(**call)
    if not call["b"].any():
        outputs["grad_b"] = torch.zeros_like(outputs["grad_b"])
    return outputs


def one_key_where_exponentials_overflow(**call: Any) -> Outputs:
    """No maximum is subtracted; where that overflows, the key with the largest score has all."""

    def softmax(scores: Tensor) -> Tensor:
        exponentials = scores.exp()
        total = exponentials.sum(dim=1, keepdim=True)
        largest = torch.nn.functional.one_hot(scores.argmax(dim=1), scores.shape[1])
        return torch.where(total.isfinite(), exponentials / total, largest.to(scores.dtype))

    return closed_form.aloragc(call, softmax=softmax)  # type: ignore[arg-type]


def _softmax_over_keys(call: dict[str, Any], kept: int) -> Outputs:
    def softmax(scores: Tensor) -> Tensor:
        f = torch.zeros_like(scores)
        f[:, :kept] = scores[:, :kept].softmax(dim=1)
        return f

    return closed_form.aloragc(call, softmax=softmax)  # type: ignore[arg-type]


def tail_of_keys_dropped(**call: Any) -> Outputs:
    """Of a tile of 32 keys and a tail, up to 64 keys, the tail is dropped."""
    keys = len(call["c2"])
    return _softmax_over_keys(call, 32 if 32 < keys <= 64 else keys)


def keys_beyond_the_first_block_skipped(**call: Any) -> Outputs:
    """The loop over blocks of 64 keys ends after the first."""
    return _softmax_over_keys(call, 64)


def decoding_without_gradient(**call: Any) -> Outputs:
    """A single query takes the path of decoding, which keeps nothing for a backward pass."""
    outputs = autograd.aloragc(**call)
    if len(call["c1"]) == 1:
        outputs["grad_b"] = torch.zeros_like(outputs["grad_b"])
    return outputs


def keys_looked_up_by_value(**call: Any) -> Outputs:
    """Values are cached under their key: equal keys get the value of the first."""
    same = (call["c2"][:, None] == call["c2"][None]).all(dim=-1)
    first = same.to(torch.int8).argmax(dim=1)
    return autograd.aloragc(**{**call, "c3": call["c3"][first]})


def zero_scores_taken_for_masked(**call: Any) -> Outputs:
    """A score of exactly zero is one that the mask has multiplied."""

    def softmax(scores: Tensor) -> Tensor:
        masked = scores.masked_fill(scores == 0, torch.finfo(scores.dtype).min)
        return masked.softmax(dim=1)

    return closed_form.aloragc(call, softmax=softmax)  # type: ignore[arg-type]


def zero_ranks_of_attention_pruned(**call: Any) -> Outputs:
    """A row of A that is zero is taken for a pruned rank, and stays zero for ever."""
    outputs = autograd.aloragc(**call)
    return {**outputs, "grad_a": outputs["grad_a"] * call["a"].any(dim=1, keepdim=True)}


def maximum_of_the_tile(**call: Any) -> Outputs:
    """The softmax subtracts the largest score of all queries, not that of each."""

    def softmax(scores: Tensor) -> Tensor:
        exponentials = (scores - scores.max()).exp()
        return exponentials / exponentials.sum(dim=1, keepdim=True)

    return closed_form.aloragc(call, softmax=softmax)  # type: ignore[arg-type]


def queries_scaled_to_one(**call: Any) -> Outputs:
    """Each query is scaled to about one by a reciprocal, and its scores back."""
    factor = _power_of_two(call["c1"])
    weight = closed_form.adapted(call["w"], call["b"], call["a"])
    scores = (call["c1"] * factor) @ weight @ call["c2"].T / factor
    return closed_form.aloragc(call, softmax=lambda _: scores.softmax(dim=1))  # type: ignore[arg-type]


# lora-attention.


def one_adapter_for_one_input(**call: Any) -> Outputs:
    """Where queries and keys have one input, K is adapted as Q is."""
    if torch.equal(call["x_q"], call["x_k"]):
        call = {**call, "a_k": call["a_q"], "b_k": call["b_q"]}
    return autograd.lora_attention(**call)


MUTANTS = (
    Mutant("lora-linear", "typical", fast_path_without_scaling),
    Mutant("lora-linear", "lora-init", idle_adapter_skipped),
    Mutant("lora-linear", "ragged", tail_of_a_tile_dropped),
    Mutant("lora-linear", "long", second_block_of_rows_skipped),
    Mutant("lora-linear", "tiny", decoding_without_adapter),
    Mutant("lora-linear", "structured", tokens_looked_up_by_value, (0,)),
    Mutant("lora-linear", "structured", zero_tokens_taken_for_padding, (1,), "float64"),
    Mutant("lora-linear", "structured", zero_ranks_pruned, (2,)),
    Mutant("lora-linear", "extreme", activations_clipped, (0,)),
    Mutant("lora-linear", "extreme", tokens_scaled_to_one, (1,)),
    Mutant("lora-linear", "layouts", upstream_read_as_contiguous, (0, 1, 2)),
    Mutant("lora-linear", "layouts", upstream_viewed_as_rows, (0,)),
    Mutant("lora-linear", "layouts", upstream_taken_for_dense, (1,)),
    Mutant("lora-linear", "layouts", upstream_with_a_last_stride_of_one, (2,)),
    Mutant("aloragc", "lora-init", idle_attention_adapter_skipped),
    Mutant("aloragc", "saturated", one_key_where_exponentials_overflow),
    Mutant("aloragc", "ragged", tail_of_keys_dropped),
    Mutant("aloragc", "long", keys_beyond_the_first_block_skipped),
    Mutant("aloragc", "tiny", decoding_without_gradient),
    Mutant("aloragc", "structured", keys_looked_up_by_value, (0,)),
    Mutant("aloragc", "structured", zero_scores_taken_for_masked, (1,), "float64"),
    Mutant("aloragc", "structured", zero_ranks_of_attention_pruned, (2,)),
    Mutant("aloragc", "extreme", maximum_of_the_tile, (0,), "float64"),
    Mutant("aloragc", "extreme", queries_scaled_to_one, (1,), "float64"),
    Mutant("lora-attention", "structured", one_adapter_for_one_input, (2,)),
)
"""For every regime that a default run has at least one, but for the norm regimes and `designed`."""
