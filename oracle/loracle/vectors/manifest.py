"""The manifest: what the files hold, in JSON, with a schema and checksums."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

from loracle.errors import UsageError

__all__ = [
    "JUDGE",
    "MANIFEST",
    "SCHEMA",
    "as_text",
    "checksum_of",
    "digest",
    "parsed",
    "schema",
    "schema_errors",
]

MANIFEST = "manifest.json"

SCHEMA = "loracle-vectors/1"

JUDGE = (
    "A result r of an output is proven wrong if |r - truth| > bound + radius in any entry, or if it"
    " is not finite and overflow_free is true. If its largest |r - truth| exceeds the tolerance it"
    " is suspect: that limit is calibrated, by statistics, and proves nothing. Everything may be"
    " evaluated in float64."
)

_MOST_ERRORS = 5

_CASE = 4
"""How deep in the manifest a case lies."""


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def checksum_of(manifest: dict[str, Any]) -> str:
    """SHA-256 of the manifest without its checksum: keys sorted, no white space, ASCII."""
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return digest(text.encode())


def as_text(manifest: dict[str, Any]) -> str:
    """The manifest as it is written: one line for each case."""
    return _laid_out(manifest, 0) + "\n"


def _laid_out(value: Any, depth: int) -> str:
    if depth == _CASE or not value or not isinstance(value, dict | list):
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    if isinstance(value, dict):
        members = [
            f"{json.dumps(key)}: {_laid_out(member, depth + 1)}" for key, member in value.items()
        ]
        opening, closing = "{}"
    else:
        members = [_laid_out(member, depth + 1) for member in value]
        opening, closing = "[]"
    margin = "\n" + depth * " "
    return opening + ",".join(f"{margin} {member}" for member in members) + margin + closing


def parsed(text: str) -> dict[str, Any]:
    """The manifest as it was written; raises UsageError, in one line, if it is none."""
    try:
        manifest = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{MANIFEST} is no JSON: {error}") from None
    if not isinstance(manifest, dict) or "schema" not in manifest:
        raise UsageError(f"{MANIFEST} is no manifest of vectors: it has no schema")
    if manifest["schema"] != SCHEMA:
        raise UsageError(
            f"{MANIFEST} has the schema {manifest['schema']!r}; this version reads {SCHEMA}"
        )
    return manifest


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a manifest."""
    text = files("loracle.vectors").joinpath("schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def schema_errors(manifest: dict[str, Any]) -> list[str]:
    """Where the manifest is not of its schema, one line each, the first few."""
    from jsonschema import Draft202012Validator

    found = sorted(Draft202012Validator(schema()).iter_errors(manifest), key=lambda e: e.json_path)
    lines = [f"{error.json_path}: {_short(error.message)}" for error in found[:_MOST_ERRORS]]
    if len(found) > _MOST_ERRORS:
        lines.append(f"and {len(found) - _MOST_ERRORS} more places against the schema")
    return lines


def _short(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= 200 else line[:197] + "..."
