"""Reads the certificate that a kernel may return beside its outputs. Runs in the child; needs
torch."""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from loracle.harness.words import in_one_line
from loracle.observation import Problem

__all__ = ["CERTIFICATE", "Certificate", "read_certificate"]

CERTIFICATE = "certificate"
"""The key under which it is returned."""


@dataclass
class Certificate:
    """What one call certifies. bounds: per output, on its largest absolute error. problems: of what
    means nothing, with the output's name, or None for the certificate as a whole."""

    bounds: dict[str, float] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_certificate(value: object, outputs: Collection[str]) -> Certificate:
    """The certificate, if there is one (None is none).

    value: a mapping from names of `outputs`, the ones that are judged, to non-negative numbers or
    0-d tensors, infinity included. Other names are noted; a mapping must have one that is judged.
    """
    if value is None:
        return Certificate()
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        text = f"the certificate is of type {kind}, not a mapping from outputs to bounds"
        return Certificate(problems=[Problem("invalid-certificate", None, text)])
    if not any(name in value for name in outputs):
        named = ", ".join(map(repr, value))
        text = in_one_line(f"the certificate names {named or 'nothing'}, not {', '.join(outputs)}")
        return Certificate(problems=[Problem("invalid-certificate", None, text)])
    found = Certificate()
    for name, stated in value.items():
        if name not in outputs:
            found.notes.append(f"the certificate of {name!r} is ignored: no such output is judged")
            continue
        bound = _number(stated)
        if bound is None or not bound >= 0:
            text = f"the certificate of {name} is {_said(stated, bound)}, not a number from 0 up"
            found.problems.append(Problem("invalid-certificate", name, text))
        else:
            found.bounds[name] = bound
    return found


def _number(value: Any) -> float | None:
    """The value as a float, never less than it was; None if it is no real number."""
    if isinstance(value, torch.Tensor) and value.ndim == 0:
        value = value.item()
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real:
        return None
    try:
        number = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return math.nextafter(number, math.inf) if number < value else number


def _said(value: object, number: float | None) -> str:
    if number is not None:
        return f"{number:g}"
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    return f"a value of type {type(value).__name__}"
