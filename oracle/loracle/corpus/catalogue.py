"""What the corpus holds; importing it does not import torch."""

from __future__ import annotations

from loracle.corpus.entry import RightKernel, WrongKernel
from loracle.corpus.listed.right import RIGHT_KERNELS
from loracle.corpus.listed.wrong_aloragc import WRONG_ALORAGC
from loracle.corpus.listed.wrong_aloragc_more import WRONG_ALORAGC_MORE
from loracle.corpus.listed.wrong_lora_attention import WRONG_LORA_ATTENTION
from loracle.corpus.listed.wrong_lora_attention_more import WRONG_LORA_ATTENTION_MORE
from loracle.corpus.listed.wrong_lora_linear import WRONG_LORA_LINEAR
from loracle.corpus.listed.wrong_lora_linear_more import WRONG_LORA_LINEAR_MORE
from loracle.corpus.listed.wrong_lora_mha import WRONG_LORA_MHA

__all__ = ["RIGHT", "WRONG", "RightKernel", "WrongKernel"]

WRONG: tuple[WrongKernel, ...] = (
    *WRONG_LORA_LINEAR,
    *WRONG_LORA_LINEAR_MORE,
    *WRONG_ALORAGC,
    *WRONG_ALORAGC_MORE,
    *WRONG_LORA_ATTENTION,
    *WRONG_LORA_ATTENTION_MORE,
    *WRONG_LORA_MHA,
)
"""Kernels with one defect each, which must be caught."""

RIGHT: tuple[RightKernel, ...] = RIGHT_KERNELS
"""Kernels that keep their contract, which must pass."""
