"""A report that was written by `--json`, read back. What is not one is a UsageError in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from loracle import __version__
from loracle.errors import UsageError
from loracle.report import SCHEMA
from loracle.schema import schema_text

__all__ = ["finding_of", "read_report"]

_LONGEST = 160
"""Characters of a complaint: those of the schema quote what they complain of."""


def read_report(path: str) -> dict[str, Any]:
    """The data of the report, which follow the schema.

    Raises UsageError if the file cannot be read, is no JSON, no report, one of another schema, or
    broken.
    """
    data = _parsed(path)
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, str) or not schema.startswith("loracle-"):
        raise UsageError(f"{path} is no report of loracle; name a file that --json wrote")
    if schema != SCHEMA:
        raise UsageError(
            f"{path} has the schema {schema[:40]}, and loracle {__version__} replays {SCHEMA} alone"
        )
    _check(path, data)
    assert isinstance(data, dict)
    return data


def finding_of(path: str, data: dict[str, Any], number: int) -> dict[str, Any]:
    """Finding `number` of the report, counted from 1; raises UsageError, with the list of what
    there is, if there is none."""
    findings: list[dict[str, Any]] = data["findings"]
    if not findings:
        raise UsageError(f"{path} has no findings, so that there is nothing to replay")
    if not 1 <= number <= len(findings):
        listed = "; ".join(f"{n}: {_named(finding)}" for n, finding in enumerate(findings, start=1))
        raise UsageError(f"{path} has no finding {number}; it has {listed}")
    return findings[number - 1]


def _named(finding: dict[str, Any]) -> str:
    what = finding["output"] or "the call"
    return f"{finding['verdict']} {what} ({finding['case'].partition(' ')[0]})"


def _parsed(path: str) -> object:
    try:
        text = Path(path).read_bytes().decode("utf-8")
        return json.loads(text, parse_constant=_refuse)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{path} is no report: it is no JSON ({error.msg}, {place})") from None
    # Bytes that are no text, numbers that JSON does not have, and braces without end.
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no report: it is no JSON ({_short(str(error))})") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _check(path: str, data: object) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(json.loads(schema_text("report"))).iter_errors(data))
    if error is not None:
        where = error.json_path.removeprefix("$").removeprefix(".") or "the whole"
        raise UsageError(f"{path} is a broken report: {where}: {_short(error.message)}")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
