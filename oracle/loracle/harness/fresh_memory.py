"""Fresh memory that nobody can mistake for zeros. Runs in the child; needs torch."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.deterministic

__all__ = ["filled_fresh_memory"]

_DETERMINISTIC: Any = torch.utils.deterministic

_M_PERTURB = -6
"""Of glibc's mallopt: fresh memory is filled with the complement of a byte."""

_BYTE = 0x01
"""Its complement, repeated, is -1.7e38 in float32 and bfloat16, -5e303 in float64 and a NaN in
float16."""


@contextmanager
def filled_fresh_memory(*, by_torch: bool) -> Iterator[None]:
    """What torch.empty and its like return is NaN, if torch is to fill it (its deterministic mode,
    which may choose other algorithms and makes torch.compile compile anew); what the heap gives
    otherwise, to numpy, C and compiled code, is filled with a byte where the C library can."""
    fill = _DETERMINISTIC.fill_uninitialized_memory
    mode = torch.get_deterministic_debug_mode()
    with warnings.catch_warnings():
        # It warns of every operation that has no deterministic algorithm.
        warnings.simplefilter("ignore")
        _perturb(_BYTE)
        try:
            if by_torch:
                _DETERMINISTIC.fill_uninitialized_memory = True
                torch.use_deterministic_algorithms(True, warn_only=True)
            yield
        finally:
            _perturb(0)
            torch.set_deterministic_debug_mode(mode)
            _DETERMINISTIC.fill_uninitialized_memory = fill


def _perturb(byte: int) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_PERTURB, byte)
