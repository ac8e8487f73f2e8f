"""What the last `make coq` recorded, as the ledger shows it. Nothing here runs Coq."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from loracle_proofs.coq.sources import Theorem, coq_root, source_hash

__all__ = [
    "CLASSICAL",
    "CLOSED",
    "NOT_RUN",
    "PROVED",
    "SCHEMA",
    "STALE",
    "coq_evidence",
    "coq_lines",
    "load_recorded",
    "recorded_path",
    "to_document",
]

SCHEMA = "loracle-coq/1"

CLOSED, CLASSICAL = "closed under the global context", "three classical axioms"

PROVED, STALE, NOT_RUN = "proved for all dimensions", "stale", "not run here"

_RECORDED = "coq.json"

_WORDS = {
    "as printed": "printed form proved",
    "corrected": "corrected form proved",
    "vacuous": "printed form met by a trivial object",
    "refuted": "printed form refuted",
}


def to_document(
    theorems: Iterable[Theorem], analysis: Iterable[Theorem], *, sources: str, version: str
) -> dict[str, Any]:
    """The JSON document of a run in which every check held.

    theorems are closed under the global context; analysis rest on the three classical axioms, and
    are empty where that part was not run.
    """
    return {
        "schema": SCHEMA,
        "sources": sources,
        "coqc": version,
        "theorems": [_entry(one, CLOSED) for one in theorems]
        + [_entry(one, CLASSICAL) for one in analysis],
    }


def _entry(theorem: Theorem, assumptions: str) -> dict[str, Any]:
    return {
        "name": theorem.name,
        "labels": list(theorem.labels),
        "form": theorem.form,
        "says": theorem.text,
        "assumptions": assumptions,
    }


def recorded_path() -> Path:
    """Where the document lies in a source checkout."""
    return Path(str(files("loracle_proofs"))) / _RECORDED


def load_recorded() -> dict[str, Any] | None:
    """The document of the last successful `make coq`; None if there is none."""
    path = files("loracle_proofs").joinpath(_RECORDED)
    if not path.is_file():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def coq_evidence(
    label: str, document: dict[str, Any] | None, root: Path | None = None
) -> dict[str, Any] | None:
    """What Coq says of one statement: `status`, `coqc` and `theorems`; None if it says nothing.

    status: "proved for all dimensions"; "stale" if the Coq sources have changed since; "not run
    here" without a record, and then coqc is None and theorems is empty. root: where the Coq sources
    lie, by default those of this checkout; an installed package has none, and its record stands.
    """
    if document is None:
        return {"status": NOT_RUN, "coqc": None, "theorems": []}
    found = [one for one in document["theorems"] if label in one["labels"]]
    if not found:
        return None
    root = root or coq_root()
    stale = root.is_dir() and source_hash(root) != document["sources"]
    status = STALE if stale else PROVED
    return {"status": status, "coqc": document["coqc"], "theorems": found}


def coq_lines(evidence: dict[str, Any] | None) -> list[str]:
    """The same for a reader: a heading, then one line a theorem; empty if there is nothing."""
    if evidence is None:
        return []
    if evidence["status"] == NOT_RUN:
        return ["Coq, for all dimensions: not run here (`make coq`)"]
    heading = f"{PROVED[0].upper()}{PROVED[1:]}, by Coq {evidence['coqc']}:"
    if evidence["status"] == STALE:
        heading = "Coq, stale: the sources have changed since this was proved (`make coq`):"
    theorems = evidence["theorems"]
    return [heading, *map(_line, theorems)]


def _line(theorem: dict[str, Any]) -> str:
    rests = "no axiom" if theorem["assumptions"] == CLOSED else theorem["assumptions"]
    return f"{_WORDS[theorem['form']]}: {theorem['name']} ({rests}). {theorem['says']}"
