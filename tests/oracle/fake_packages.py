"""Stand-ins for packages that a test environment does not have: the signatures of their kernels
around a few lines of torch, in packages that refuse to be imported as a whole."""

from __future__ import annotations

from pathlib import Path

__all__ = ["install"]

_REFUSES = 'raise ImportError("no GPU here")\n'

_LINEAR = """
import torch

def forward(x, w, a, b, s):
    return x @ w.T + s * (x @ a.T @ b.T)

def backward(g, x, w, a, b, s):
    flat_g, flat_x = g.reshape(-1, g.shape[-1]), x.reshape(-1, x.shape[-1])
    hidden = s * (flat_g @ b)
    grad_x = (flat_g @ w + hidden @ a).reshape(x.shape)
    return grad_x, hidden.T @ flat_x, s * (flat_g.T @ (flat_x @ a.T))
"""

_UNSLOTH = """
import os
import torch
from unsloth_zoo.utils import Version
from .linear import backward, forward

assert os.environ["UNSLOTH_ALLOW_CPU"] == "1"

class LoRA_W(torch.autograd.Function):
    @staticmethod
    def forward(ctx, X, W, W_quant, A, B, S):
        ctx.save_for_backward(X, W, A, B)
        ctx.S = S
        return forward(X, W, A, B, S)

    @staticmethod
    def backward(ctx, dY):
        dX, dA, dB = backward(dY, *ctx.saved_tensors, ctx.S)
        return dX, None, None, dA, dB, None

class LoRA_QKV(torch.autograd.Function):
    @staticmethod
    def forward(ctx, X, QW, QQ, QA, QB, QS, KW, KQ, KA, KB, KS, VW, VQ, VA, VB, VS, inplace=True):
        ctx.save_for_backward(X, QW, QA, QB, KW, KA, KB, VW, VA, VB)
        ctx.scales, ctx.inplace = (QS, KS, VS), inplace
        places = ((QW, QA, QB, QS), (KW, KA, KB, KS), (VW, VA, VB, VS))
        return tuple(forward(X, *place) for place in places)

    @staticmethod
    def backward(ctx, *grads):
        X, *rest = ctx.saved_tensors
        own = X.clone()
        dX, results = torch.zeros_like(X), []
        for i, (g, s) in enumerate(zip(grads, ctx.scales)):
            part, dA, dB = backward(g, own, *rest[3 * i : 3 * i + 3], s)
            dX += part
            results += [None, None, dA, dB, None]
        if ctx.inplace:
            X.data.copy_(dX)
        return dX, *results, None

class LoRA_MLP(torch.autograd.Function):
    @staticmethod
    def forward(ctx, X, *rest):
        gW, _, gA, gB, gS, uW, _, uA, uB, uS, dW, _, dA, dB, dS, act, back, inplace = rest
        e, g = forward(X, gW, gA, gB, gS), forward(X, uW, uA, uB, uS)
        ctx.save_for_backward(X, gW, gA, gB, uW, uA, uB, dW, dA, dB, e, g)
        ctx.rest = gS, uS, dS, back
        return forward(act(e, g), dW, dA, dB, dS)

    @staticmethod
    def backward(ctx, dY):
        X, gW, gA, gB, uW, uA, uB, dW, dA, dB, e, g = ctx.saved_tensors
        gS, uS, dS, back = ctx.rest
        e, g, dY = e.flatten(0, 1), g.flatten(0, 1), dY.reshape(-1, dY.shape[-1])
        DW = dY @ dW + dS * (dY @ dB @ dA)
        h, df, de = back(DW, e, g)
        _, d_downA, d_downB = backward(dY, h, dW, dA, dB, dS)
        x_up, d_upA, d_upB = backward(df, X.flatten(0, 1), uW, uA, uB, uS)
        x_gate, d_gateA, d_gateB = backward(de, X.flatten(0, 1), gW, gA, gB, gS)
        dX = (x_up + x_gate).reshape(X.shape)
        none = None, None
        return (
            dX, *none, d_gateA, d_gateB, None, *none, d_upA, d_upB, None,
            *none, d_downA, d_downB, None, None, None, None,
        )
"""

_AXOLOTL = """
import torch
from .linear import backward, forward

class LoRA_O(torch.autograd.Function):
    @staticmethod
    def forward(ctx, X, X_drop, W, b, W_quant, A, B, s, lora_bias, magnitude):
        ctx.save_for_backward(X, W, A, B)
        ctx.s = s
        return forward(X, W, A, B, s)

    @staticmethod
    def backward(ctx, dY):
        dX, dA, dB = backward(dY, *ctx.saved_tensors, ctx.s)
        return dX, None, None, None, None, dA, dB, None, None, None

class LoRA_QKV(torch.autograd.Function):
    @staticmethod
    def forward(ctx, X, X_drop, *rest):
        places = [rest[8 * i : 8 * i + 8] for i in range(3)]
        ctx.scales = [place[5] for place in places]
        used = [(place[0], place[3], place[4]) for place in places]
        ctx.save_for_backward(X, *(tensor for three in used for tensor in three))
        return tuple(forward(X, *three, s) for three, s in zip(used, ctx.scales))

    @staticmethod
    def backward(ctx, dQ, dK, dV):
        X, *rest = ctx.saved_tensors
        dX, results = torch.zeros_like(X), []
        dQ = dQ.view(-1, dQ.shape[-1]).view(dQ.shape)
        for i, g in enumerate((dQ, dK, dV)):
            part, dA, dB = backward(g, X, *rest[3 * i : 3 * i + 3], ctx.scales[i])
            dX += part
            results += [None, None, None, dA, dB, None, None, None]
        return dX, None, *results
"""

_FILES = {
    "unsloth/__init__.py": _REFUSES,
    "unsloth/kernels/__init__.py": _REFUSES,
    "unsloth/kernels/linear.py": _LINEAR,
    "unsloth/kernels/fast_lora.py": _UNSLOTH,
    "unsloth_zoo/__init__.py": _REFUSES,
    "unsloth_zoo/utils.py": "Version = float\n",
    "axolotl/__init__.py": _REFUSES,
    "axolotl/kernels/__init__.py": _REFUSES,
    "axolotl/kernels/linear.py": _LINEAR,
    "axolotl/kernels/lora.py": _AXOLOTL,
}

_DISTRIBUTIONS = {"unsloth": "7.1", "unsloth_zoo": "7.2", "axolotl": "7.3"}


def install(folder: Path) -> None:
    """Writes the fakes into the folder as pip would: packages, and their metadata."""
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, version in _DISTRIBUTIONS.items():
        metadata = folder / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
