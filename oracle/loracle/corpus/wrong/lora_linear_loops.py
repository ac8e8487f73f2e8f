"""LoRA layers whose formulas are right and whose loops are not: rows, features and ranks that are
left out, read twice, or read from the wrong place."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from loracle.corpus.calls import LoraLinearCall, Outputs, kernel
from loracle.corpus.closed_form import Rows, lora_linear

__all__ = [
    "batch_stride_missing",
    "feature_tail_dropped",
    "last_block_overlaps",
    "length_mean",
    "odd_rank_dropped",
    "rows_beyond_grid_skipped",
    "upstream_read_as_contiguous",
    "upstream_read_with_strides_of_x",
    "upstream_viewed",
    "view_in_place_of_transpose",
]

_BLOCK = 16
_GRID = 128


@kernel
def length_mean(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA and dB are means over the length, as where the loss was averaged over tokens."""
    length = call["x"].shape[1]
    return lora_linear(
        call,
        grad_lora_a=lambda t: t.s * ((t.g @ t.b).T @ t.x) / length,
        grad_lora_b=lambda t: t.s * (t.g.T @ (t.x @ t.a.T)) / length,
    )


@kernel
def batch_stride_missing(**call: Unpack[LoraLinearCall]) -> Outputs:
    """In dB every sample of the batch reads the rows of X that belong to the first."""
    first = call["x"][:1].expand_as(call["x"]).flatten(0, 1)
    return lora_linear(call, grad_lora_b=lambda t: t.s * (t.g.T @ (first @ t.a.T)))


@kernel
def odd_rank_dropped(**call: Unpack[LoraLinearCall]) -> Outputs:
    """The output reads two ranks at a time and leaves out the last of an odd number of them."""

    def output(t: Rows) -> Tensor:
        even = len(t.a) // 2 * 2 or len(t.a)
        return t.x @ t.w.T + t.s * (t.x @ t.a[:even].T @ t.b[:, :even].T)

    return lora_linear(call, output=output)


@kernel
def feature_tail_dropped(**call: Unpack[LoraLinearCall]) -> Outputs:
    """X A^T in dB runs over whole blocks of 16 features (if there is one)."""

    def grad_lora_b(t: Rows) -> Tensor:
        width = t.x.shape[1]
        whole = width // _BLOCK * _BLOCK or width
        return t.s * (t.g.T @ (t.x[:, :whole] @ t.a[:, :whole].T))

    return lora_linear(call, grad_lora_b=grad_lora_b)


@kernel
def last_block_overlaps(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA sums blocks of 16 rows; the last is moved back to end with the rows, and those that the
    block before it has too are counted twice."""

    def grad_lora_a(t: Rows) -> Tensor:
        rows = len(t.x)
        whole = rows // _BLOCK * _BLOCK
        twice = slice(rows - _BLOCK, whole) if whole and whole < rows else slice(0, 0)
        x, g = torch.cat((t.x, t.x[twice])), torch.cat((t.g, t.g[twice]))
        return t.s * ((g @ t.b).T @ x)

    return lora_linear(call, grad_lora_a=grad_lora_a)


@kernel
def rows_beyond_grid_skipped(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dX is written by a grid of at most 128 programs, one a row; the rows beyond stay zero."""

    def grad_x(t: Rows) -> Tensor:
        result = torch.zeros_like(t.x)
        g = t.g[:_GRID]
        result[:_GRID] = g @ t.w + t.s * (g @ t.b @ t.a)
        return result

    return lora_linear(call, grad_x=grad_x)


@kernel
def view_in_place_of_transpose(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA is computed as (in, r) and its memory read as (r, in)."""
    return lora_linear(
        call, grad_lora_a=lambda t: t.s * (t.x.T @ (t.g @ t.b)).contiguous().view(t.a.shape)
    )


@kernel
def upstream_read_with_strides_of_x(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dB reads G with the row stride of X, which is right where W is square."""

    def grad_lora_b(t: Rows) -> Tensor:
        (rows, out), width = t.g.shape, t.x.shape[1]
        places = torch.arange(rows, device=t.g.device)[:, None] * width + torch.arange(
            out, device=t.g.device
        )
        g = t.g.flatten()[places % t.g.numel()]
        return t.s * (g.T @ (t.x @ t.a.T))

    return lora_linear(call, grad_lora_b=grad_lora_b)


@kernel
def upstream_read_as_contiguous(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dB reads G from its first element on as if it were contiguous, whatever its strides."""
    g = call["grad_output"]
    stored = g.untyped_storage().nbytes() // g.element_size()
    memory = torch.as_strided(g, (stored,), (1,), 0)
    places = (g.storage_offset() + torch.arange(g.numel(), device=g.device)) % stored
    read = memory[places].view(-1, g.shape[-1])
    return lora_linear(call, grad_lora_b=lambda t: t.s * (read.T @ (t.x @ t.a.T)))


@kernel
def upstream_viewed(**call: Unpack[LoraLinearCall]) -> Outputs:
    """G is viewed as a matrix of rows, which raises where its strides do not allow that."""
    g = call["grad_output"]
    return lora_linear({**call, "grad_output": g.view(-1, g.shape[-1]).view(g.shape)})
