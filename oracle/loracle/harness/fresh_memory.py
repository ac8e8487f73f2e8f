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

_COMPLEMENT_OF_ZERO = 0xFF


@contextmanager
def filled_fresh_memory(*, by_torch: bool, zeros: bool = False) -> Iterator[None]:
    """What torch.empty and its like return is NaN, if torch is to fill it (its deterministic mode,
    which may choose other algorithms and makes torch.compile compile anew); what the heap gives
    otherwise, to numpy, C and compiled code, is filled with a byte where the C library can. zeros:
    with zeros instead, for comparison."""
    fill = _DETERMINISTIC.fill_uninitialized_memory
    mode = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    with warnings.catch_warnings():
        # It warns of every operation that has no deterministic algorithm.
        warnings.simplefilter("ignore")
        _perturb(_COMPLEMENT_OF_ZERO if zeros else _BYTE)
        try:
            if by_torch:
                _DETERMINISTIC.fill_uninitialized_memory = True
                _set_deterministic(True, warn_only=True)
            yield
        finally:
            _perturb(0)
            _set_deterministic(mode[0], warn_only=mode[1])
            _DETERMINISTIC.fill_uninitialized_memory = fill


def _set_deterministic(on: bool, *, warn_only: bool) -> None:
    # torch.use_deterministic_algorithms tells the compiler too, for which it is imported: seconds.
    torch._C._set_deterministic_algorithms(on, warn_only=warn_only)


def _perturb(byte: int) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_PERTURB, byte)
