"""What a method returned against the truth, against its certificate, and that against epsilon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loracle.bench.messages import Certificate, FloatArray, Truth

__all__ = ["OutputAccuracy", "accuracies", "worst"]


@dataclass(frozen=True)
class OutputAccuracy:
    """One output of one head, all numbers absolute and in the max norm, None where unknown.

    max_error: an upper bound where the truth is an enclosure. within_certificate: whether max_error
    is at most the certificate. within_epsilon: whether the certificate is at most epsilon times
    natural_scale. largest: entry of the output.
    """

    output: str
    head: int
    max_error: float | None
    certificate: float | None
    natural_scale: float | None
    gradient_max: float | None
    within_certificate: bool | None
    within_epsilon: bool | None
    largest: float

    @property
    def weight(self) -> float:
        """What makes one output worse than another: its error, or where that is unknown its
        certificate, relative to its natural scale, or where that is unknown to the output."""
        size = self.natural_scale or self.largest
        error = self.max_error if self.max_error is not None else self.certificate
        return 0.0 if error is None else error / size if size else float(error > 0)


def accuracies(
    outputs: Mapping[str, FloatArray],
    truths: Sequence[Truth | None],
    *,
    copies: int,
    certificate: Certificate | None,
    scales: Certificate | None,
    epsilon: float,
) -> list[OutputAccuracy]:
    """One for each output and head.

    outputs: (H, ...) by name, for rows repeated `copies` times, whose gradients are `copies` times
    those of the distinct rows that the truths, one for each head, belong to. certificate: of this
    method; scales: where natural scales are taken from, the certificate of another if it has none.
    """
    found = []
    for name, heads in outputs.items():
        for head, output in enumerate(heads):
            error = _error(output, truths[head], name, copies)
            claimed = None if certificate is None else certificate.errors[name][head]
            natural = None if scales is None else scales.natural_scale[name][head]
            largest = None if scales is None else scales.gradient_max[name][head]
            within_epsilon = None
            if claimed is not None and natural is not None:
                within_epsilon = claimed <= epsilon * natural
            within_certificate = None
            if claimed is not None and error is not None:
                within_certificate = error <= claimed
            found.append(
                OutputAccuracy(
                    name,
                    head,
                    error,
                    claimed,
                    natural,
                    largest,
                    within_certificate,
                    within_epsilon,
                    float(np.abs(output).max()),
                )
            )
    return found


def worst(found: Sequence[OutputAccuracy]) -> OutputAccuracy:
    """The one of the largest weight; one that is not a number is larger than any."""
    return max(found, key=lambda one: np.inf if np.isnan(one.weight) else one.weight)


def _error(output: FloatArray, truth: Truth | None, name: str, copies: int) -> float | None:
    if truth is None:
        return None
    difference = np.abs(output - copies * truth.values[name]).max()
    return float(difference + copies * truth.radius[name])
