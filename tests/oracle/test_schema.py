"""The published JSON Schema: every report follows it, and it leaves nothing out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from loracle.cli import main
from loracle.errors import UsageError
from loracle.report import OutputSummary, RegimeSummary, Report
from loracle.schema import schema_names, schema_text

from .validated import draws, forgets_scaling, raises, strict_json, validate

MakeReport = Callable[..., Report]

SCHEMA = json.loads(schema_text("report"))
VALIDATOR = Draft202012Validator(SCHEMA)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


def undescribed(data: Any, schema: dict[str, Any], where: str = "") -> Iterator[str]:
    """What the data have and the schema does not name; a schema itself lets it through, for
    readers of reports that are newer than they are."""
    schema = resolved(schema)
    if isinstance(data, list):
        for item in data:
            yield from undescribed(item, schema.get("items", {}), f"{where}[]")
    elif isinstance(data, dict):
        for name, value in data.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if inner is not None:
                yield from undescribed(value, inner, f"{where}.{name}")
            elif where != ".environment":
                yield f"{where}.{name}"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("kernel", ["autograd", forgets_scaling, raises, draws])
def test_reports_follow_it_and_it_names_all_that_they_have(kernel: Any) -> None:
    data = strict_json(validate(kernel, regimes=["designed", "tiny"], cases=2))
    VALIDATOR.validate(data)
    assert list(undescribed(data, SCHEMA)) == []


def test_made_up_reports_follow_it_too(make_failing: MakeReport, make_passing: MakeReport) -> None:
    regimes = {"tiny": RegimeSummary(1, 0, 0, 1, 0, math.inf, math.nan, 0)}
    regimes["tiny"].outputs["output"] = OutputSummary(0, 0, 1, 0, -math.inf, None)
    for report in (make_failing(regimes=regimes), make_passing(epsilon=0.5, plan="merged")):
        VALIDATOR.validate(strict_json(report))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "right"),
        (("schema",), "loracle-report/2"),
        (("cases",), -1),
        (("dtype",), "int8"),
        (("findings", 0, "error"), "Infinity"),
        (("findings", 0, "element"), [-1]),
        (("findings", 0, "diagnosis"), None),
        (("regimes", "designed", "pass"), 0.5),
        (("skipped", 0), {"what": "tiny"}),
    ],
)
def test_it_refuses_what_no_report_has(
    make_failing: MakeReport, path: tuple[Any, ...], value: Any
) -> None:
    data = strict_json(make_failing())
    *parents, last = path
    place = data
    for name in parents:
        place = place[name]
    place[last] = value
    assert not VALIDATOR.is_valid(data)


@pytest.mark.parametrize("name", list(SCHEMA["properties"]))
def test_nothing_may_be_missing(make_failing: MakeReport, name: str) -> None:
    data = strict_json(make_failing())
    del data[name]
    assert not VALIDATOR.is_valid(data)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["schema"], ["schema", "report"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code
        assert json.loads(capsys.readouterr().out) == SCHEMA
    with pytest.raises(SystemExit) as ended:
        main(["schema", "nonsense"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("Error: unknown schema 'nonsense'; known: ")


def test_a_name_is_not_a_path() -> None:
    assert "report" in schema_names()
    for name in ("", "../report", "report.schema.json", "__init__"):
        with pytest.raises(UsageError):
            schema_text(name)
