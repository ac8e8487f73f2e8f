"""`loracle ledger`: the table, one record, JSON, Markdown, and what is refused."""

from __future__ import annotations

import json

import pytest

from loracle.cli import main
from loracle_proofs import results
from loracle_proofs.coverage import LABELS


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["ledger", *arguments])
    output = capsys.readouterr()
    return int(ended.value.code or 0), output.out, output.err


def test_the_table_has_a_line_for_every_statement(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys)
    assert status == 0
    assert err == ""
    words = " ".join(out.split())
    for label in ("Lemma 3.2", "Equation (E.1)", "Simplification (S4)", "Table 1"):
        assert label in words
    assert f"{len(LABELS)} statements" in words


def test_one_record_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "lemma  e.1")
    assert status == 0
    assert out.startswith("Lemma E.1")
    assert "smallest counterexample" in out
    assert "Corrected:" in out


def test_json_has_the_promised_fields(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--json")
    document = json.loads(out)
    assert document["schema"] == results.SCHEMA
    assert [record["label"] for record in document["records"]] == list(LABELS)
    fields = {"label", "as_printed", "severity", "printed", "problem", "corrected", "evidence"}
    for record in document["records"]:
        assert fields | {"uses"} <= set(record)
    _, out, _ = run(capsys, "Lemma 3.2", "--json")
    assert [record["label"] for record in json.loads(out)["records"]] == ["Lemma 3.2"]


def test_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--markdown")[1].startswith("# Ledger")
    assert run(capsys, "Lemma 3.2", "--markdown")[1].startswith("## Lemma 3.2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Lemma 3.9",), "no statement labelled 'Lemma 3.9'; did you mean Lemma "),
        (("zzz",), "`loracle ledger` lists them"),
        (("--json", "--markdown"), "exclude each other"),
    ],
)
def test_bad_usage_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_results_of_other_sources_are_said_to_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loracle.presentation.ledger.source_stamp", lambda: "another")
    status, out, err = run(capsys)
    assert status == 0
    assert "run `make proofs`" in err
    assert "Lemma 3.2" in out
