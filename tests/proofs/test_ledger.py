"""The results that ship: of these sources, complete, and obtained again by a quick run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loracle_proofs.coverage import LABELS
from loracle_proofs.examination import FULL, QUICK
from loracle_proofs.ledger import to_dict
from loracle_proofs.markdown import index_page, record_section, section_file, section_page
from loracle_proofs.records import all_records
from loracle_proofs.results import SCHEMA, load_results, source_stamp
from loracle_proofs.status import run_record

DOCUMENT = load_results()
RECORDS = {record["label"]: record for record in DOCUMENT["records"]}

USERS_FIVE = {
    "tensor trick": "Lemma 2.1",
    "Jacobians": "Lemma E.1",
    "T permutation": "Lemma F.2",
    "cost": "Theorem H.1",
    "reduction": "Proof of Theorem A.1",
}


def test_the_results_are_of_these_sources() -> None:
    assert DOCUMENT["schema"] == SCHEMA
    assert DOCUMENT["sources"] == source_stamp(), "run `make proofs`"
    assert tuple(RECORDS) == LABELS


@pytest.mark.parametrize("label", LABELS)
def test_a_record_is_settled(label: str) -> None:
    record = RECORDS[label]
    assert record["known"]
    assert record["as_printed"] != "unknown"
    assert record["evidence"]["corrected"] not in ("unknown", "refuted")
    rate = record["evidence"]["kill_rate"]
    assert rate is None or rate == 1
    if record["as_printed"] in ("fails", "ill-typed", "vacuous", "holds under a stated reading"):
        assert record["problem"]
        assert record["severity"]
    if record["as_printed"] in ("fails", "ill-typed"):
        assert record["corrected"]


@pytest.mark.parametrize("label", LABELS)
def test_a_failure_comes_with_what_shows_it(label: str) -> None:
    for part in RECORDS[label]["parts"]:
        literal = part["printed"][0] if part["printed"] else None
        if literal is not None and literal["outcome"] == "fails":
            assert part["counterexample"] or literal["detail"], part["name"]
        if literal is not None and literal["outcome"] == "ill-typed":
            assert literal["detail"], part["name"]


@pytest.mark.parametrize("subject", USERS_FIVE)
def test_the_five_subjects_have_symbolic_rational_and_ball_evidence(subject: str) -> None:
    evidence = [part["evidence"] for part in RECORDS[USERS_FIVE[subject]]["parts"]]
    runs = [run for run in evidence if run is not None]
    assert any(run["symbolic_sizes"] or run["status"] == "proved symbolically" for run in runs)
    assert any(run["rational_cases"] for run in runs)
    assert any(run["ball_cases"] >= 200 for run in runs)


@pytest.mark.parametrize("label", LABELS)
def test_a_quick_run_gives_the_same_statuses(label: str) -> None:
    record = next(record for record in all_records() if record.label == label)
    again = to_dict(run_record(record, QUICK, mutation=False))
    stored = RECORDS[label]
    assert again["as_printed"] == stored["as_printed"]
    assert statuses(again) == statuses(stored)


def statuses(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (part["as_printed"], part["status"].split(" on ")[0].split(" at ")[0])
        for part in record["parts"]
    ]


@pytest.mark.deep
@pytest.mark.parametrize("label", LABELS)
def test_a_full_run_gives_the_stored_record(label: str) -> None:
    record = next(record for record in all_records() if record.label == label)
    assert to_dict(run_record(record, FULL)) == RECORDS[label]


def pages() -> Iterator[str]:
    yield index_page(DOCUMENT)
    for section in {record["section"] for record in RECORDS.values()}:
        yield section_page(DOCUMENT, section)


def test_pages_hold_every_record() -> None:
    text = "\n".join(pages())
    for label in LABELS:
        assert f"## {label} {{" in text
        assert f"[{label}](" in text
    assert section_file("H Quadratic time") == "h-quadratic-time.md"


def test_the_readme_quotes_the_counts() -> None:
    found: dict[str, int] = {}
    for record in RECORDS.values():
        found[record["as_printed"]] = found.get(record["as_printed"], 0) + 1
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"{len(RECORDS)} statements as printed: " in text
    for status, count in found.items():
        assert f"{count} {status}" in text


def test_a_counterexample_is_shown_in_full() -> None:
    text = record_section(RECORDS["Lemma E.1"])
    assert "Smallest counterexample:" in text
    assert "Corrected:" in text
