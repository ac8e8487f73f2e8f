"""The published JSON Schema: every report follows it, and it leaves nothing out."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from loracle.bench.run import run_bench
from loracle.bench.transition import find_transition
from loracle.cli import main
from loracle.errors import UsageError
from loracle.presentation.ledger import print_ledger
from loracle.probe.observing import Observations
from loracle.probe.probing import Probed
from loracle.report import OutputSummary, RegimeSummary, Report
from loracle.resolving_power.measure import Power
from loracle.schema import schema_names, schema_text
from loracle.selftest.rivals.result import RivalResult, RivalTask
from loracle.selftest.summary import SelfTest
from loracle.sweep.run import orders_of, sweep
from loracle_proofs.relation import Outcome
from loracle_proofs.statement import Kind, Severity
from loracle_proofs.status import AsPrinted

from .bench_results import Machine, request
from .selftest_outcomes import FORGETFUL, HONEST, NAMED, SWAPPED, UNNAMED, outcome
from .validated import draws, forgets_scaling, raises, strict_json, validate

MakeReport = Callable[..., Report]

SCHEMA = json.loads(schema_text("report"))
VALIDATOR = Draft202012Validator(SCHEMA)


def undescribed(
    data: Any, schema: dict[str, Any], root: dict[str, Any] = SCHEMA, where: str = ""
) -> Iterator[str]:
    """What the data have and the schema does not name; a schema itself lets it through, for
    readers of reports that are newer than they are."""
    if schema.get("$ref") == SCHEMA["$id"]:
        schema = root = SCHEMA
    elif "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if isinstance(data, list):
        for item in data:
            yield from undescribed(item, schema.get("items", {}), root, f"{where}[]")
    elif isinstance(data, dict):
        for name, value in data.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if inner is not None:
                yield from undescribed(value, inner, root, f"{where}.{name}")
            elif not where.endswith(".environment"):
                yield f"{where}.{name}"


@pytest.mark.parametrize("name", schema_names())
def test_every_schema_is_one(name: str) -> None:
    schema = json.loads(schema_text(name))
    Draft202012Validator.check_schema(schema)
    if name != "vectors":
        # That one is known by the name that a manifest has for it.
        assert schema["$id"] == f"urn:loracle:{name}:1"


@pytest.mark.parametrize("kernel", ["autograd", forgets_scaling, raises, draws])
def test_reports_follow_it_and_it_names_all_that_they_have(kernel: Any) -> None:
    data = strict_json(validate(kernel, regimes=["designed", "tiny"], cases=2))
    VALIDATOR.validate(data)
    assert list(undescribed(data, SCHEMA)) == []


def a_sweep(make_failing: MakeReport) -> Any:
    def engine(orders: Sequence[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, order in enumerate(orders):
            yield index, strict_json(make_failing(seed=order["seed"]))

    return sweep(orders_of(["k.py:f"], ["bfloat16"], [0, 3], {}), engine)


def a_selftest(_: MakeReport) -> Any:
    outcomes = (
        outcome(FORGETFUL, NAMED, seeds=(0, 1)),
        outcome(SWAPPED, UNNAMED, expected="escapes"),
        outcome(HONEST, expected="passes"),
    )
    rivals = (RivalResult(RivalTask(HONEST, "float32", wrong=False), "gradcheck", rejected=False),)
    facts = {"torch": "2.13.0"}
    return SelfTest("loracle selftest", outcomes, 3, 1.5, 2, rivals=rivals, environment=facts)


def a_bench(_: MakeReport) -> Any:
    return run_bench(request(lengths="1000,2000,13107200", heads="1,2"), Machine())


def a_transition(_: MakeReport) -> Any:
    return find_transition([0.25, 4.0], length=4096, dim=8, adapter_rank=4, epsilon=0.01)


def a_probe(_: MakeReport) -> Any:
    from loracle.probe.command import _as_data

    seen = Observations("float32", 23, "nearest", 32, 24, 10, "truncation", True, False)
    return _as_data([Probed(seen, ("tf32", "widest"))], "cpu")


def a_resolving_power(_: MakeReport) -> Any:
    found = Power("aloragc", "grad_a", "float32", "widest", "exact", 1e-3, "tiny:0", 1e-5, "bias")
    return [asdict(found), asdict(replace(found, proven=None, case="", suspect_by="tolerance"))]


def a_ledger(_: MakeReport) -> Any:
    """As it is printed; with one label it is of one statement."""
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        print_ledger(None, form="json")
    return json.loads(written.getvalue())


OTHERS = {
    "sweep": a_sweep,
    "selftest": a_selftest,
    "bench": a_bench,
    "bench-transition": a_transition,
    "probe": a_probe,
    "resolving-power": a_resolving_power,
    "ledger": a_ledger,
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_follow_theirs(name: str, make_failing: MakeReport) -> None:
    """They are named by it, have nothing that it does not name, and all that it names."""
    made = OTHERS[name](make_failing)
    plain = made.to_dict() if hasattr(made, "to_dict") else made
    data = json.loads(json.dumps(plain, allow_nan=False))
    schema = json.loads(schema_text(name))
    Draft202012Validator(schema).validate(data)
    assert list(undescribed(data, schema, schema)) == []
    if isinstance(data, list):
        data, schema = data[0], schema["items"]
    else:
        assert data["schema"] == f"loracle-{name}/1"
    for field in schema["properties"]:
        without = {key: value for key, value in data.items() if key != field}
        assert not Draft202012Validator({**json.loads(schema_text(name)), **schema}).is_valid(
            without
        )


def test_the_ledgers_schema_has_the_words_of_the_ledger() -> None:
    """Also those that no statement of the paper happens to have."""
    definitions = json.loads(schema_text("ledger"))["$defs"]
    assert set(definitions["as_printed"]["enum"]) == {one.value for one in AsPrinted}
    assert set(definitions["severity"]["enum"]) == {*(one.value for one in Severity), None}
    record, part = (definitions[name]["properties"] for name in ("record", "part"))
    assert record["kind"]["enum"] == [one.value for one in Kind]
    outcomes = part["printed"]["items"]["properties"]["outcome"]["enum"]
    assert outcomes == [one.value for one in Outcome]


def test_a_sweep_has_reports_that_follow_theirs(make_failing: MakeReport) -> None:
    """The schema of a sweep is printed with that of its runs: it needs no file beside it."""
    data = a_sweep(make_failing)
    validator = Draft202012Validator(json.loads(schema_text("sweep")))
    assert validator.is_valid(data)
    data["runs"][1]["findings"][0]["verdict"] = "right"
    assert not validator.is_valid(data)


def test_every_schema_is_tried() -> None:
    assert {*OTHERS, "report", "vectors"} == set(schema_names())


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


def test_the_page_of_the_documentation_has_them_all() -> None:
    page = (Path(__file__).parents[2] / "docs/report-schema.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+)`", page, flags=re.MULTILINE)) == set(schema_names())
    shown = re.findall(r'"oracle/loracle/schema/([\w-]+)\.schema\.json"', page)
    assert set(shown) == set(schema_names()) - {"vectors"}
