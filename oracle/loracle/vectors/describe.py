"""The manifest's words on files, cases and flags, from what was certified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loracle.cases import Case, Inputs
from loracle.vectors.certify import Certified
from loracle.vectors.container import PARTS, Span, input_tensor, output_tensor
from loracle.vectors.flags import flags_of, why
from loracle.vectors.mistakes import Revealed, explanations
from loracle.vectors.numbers import encoded_scalar

__all__ = ["CertifiedCase", "Revelations", "case_entry", "flag_entries", "mistake_entries"]

Row = dict[str, list[str]]


@dataclass(frozen=True)
class CertifiedCase:
    """One case with all that is certified of it."""

    case: Case
    inputs: Inputs
    outputs: Mapping[str, Certified]

    @property
    def flags(self) -> list[str]:
        """Why it is there."""
        return flags_of(self.case.regime, self.inputs, self.outputs, self.case.dtype)


class Revelations:
    """What outputs reveal, each different answer once: hundreds of outputs share a few."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.rows = list(rows)

    def number(self, revealed: Revealed) -> int:
        """The number of its row, which is added if there is none."""
        row = {"proves": list(revealed.proves), "suspects": list(revealed.suspects)}
        if row not in self.rows:
            self.rows.append(row)
        return self.rows.index(row)


def case_entry(
    certified: CertifiedCase, spans: Mapping[str, Span], revelations: Revelations
) -> dict[str, Any]:
    """The case in the manifest; spans: the tensors of its file."""
    key, inputs = certified.case.key, certified.inputs
    return {
        "case": key,
        "flags": certified.flags,
        "sizes": dict(certified.case.sizes),
        "scalars": {name: encoded_scalar(value) for name, value in inputs.scalars.items()},
        "layouts": dict(inputs.layouts),
        "inputs": {
            name: {
                "shape": list(tensor.shape),
                "offset": spans[input_tensor(key, name)].offset,
            }
            for name, tensor in inputs.tensors.items()
        },
        "outputs": {
            name: _output_entry(key, name, output, spans, revelations)
            for name, output in certified.outputs.items()
        },
    }


def _output_entry(
    key: str,
    name: str,
    output: Certified,
    spans: Mapping[str, Span],
    revelations: Revelations,
) -> dict[str, Any]:
    limits = output.limits
    return {
        "shape": list(output.truth.shape),
        **{part: spans[output_tensor(key, part, name)].offset for part in PARTS},
        "tolerance": None if limits.tolerance is None else encoded_scalar(limits.tolerance),
        "overflow_free": limits.overflow_free,
        "reveals": revelations.number(output.reveals),
    }


def flag_entries(files: Sequence[dict[str, Any]], rows: Sequence[Row]) -> dict[str, Any]:
    """Per flag of the cases: its sentence, and, per contract, the mistakes that cases with it
    reveal."""
    entries: dict[str, Any] = {}
    for file in files:
        for case in file["cases"]:
            revealed = _revealed_by(case, rows)
            for flag in case["flags"]:
                entry = entries.setdefault(flag, {"why": why(flag), "mistakes": {}})
                known = entry["mistakes"].get(file["contract"], [])
                entry["mistakes"][file["contract"]] = sorted({*known, *revealed})
    return entries


def mistake_entries(
    files: Sequence[dict[str, Any]], rows: Sequence[Row]
) -> dict[str, dict[str, str]]:
    """Per contract, what the mistakes are that its cases reveal."""
    found: dict[str, set[str]] = {}
    for file in files:
        names = found.setdefault(file["contract"], set())
        for case in file["cases"]:
            names.update(_revealed_by(case, rows))
    return {contract: dict(explanations(contract, names)) for contract, names in found.items()}


def _revealed_by(case: dict[str, Any], rows: Sequence[Row]) -> list[str]:
    """Raises IndexError if a row is not there."""
    of_outputs = [rows[output["reveals"]] for output in case["outputs"].values()]
    return [name for row in of_outputs for name in (*row["proves"], *row["suspects"])]
