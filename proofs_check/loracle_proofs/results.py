"""The results of the last full run: where they lie, what they are results of, how they are read.

They ship with the package, stamped with a hash of the sources that they were obtained from. Nothing
here runs anything, so that reading the ledger costs no more than reading a file.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

__all__ = ["SCHEMA", "load_results", "results_path", "source_stamp", "to_document"]

SCHEMA = "loracle-ledger/1"

_RESULTS = "ledger.json"


def source_stamp() -> str:
    """A hash of the sources that the results depend on: the specification and the ledger.

    What checks and shows the Coq proofs (`coq`) has a record and a hash of its own.
    """
    digest = hashlib.sha256()
    for package in ("loracle_reference", "loracle_proofs"):
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*.py")):
            if path.parent == root / "coq":
                continue
            digest.update(f"{package}/{path.relative_to(root).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def to_document(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON document: the schema's name, the stamp of the sources, the records."""
    return {"schema": SCHEMA, "sources": source_stamp(), "records": records}


def load_results() -> dict[str, Any]:
    """The document of the last full run, as it ships with the package.

    Raises FileNotFoundError if the package holds none.
    """
    document: dict[str, Any] = json.loads(files("loracle_proofs").joinpath(_RESULTS).read_text())
    return document


def results_path() -> Path:
    """Where the document lies in a source checkout."""
    return Path(str(files("loracle_proofs"))) / _RESULTS
