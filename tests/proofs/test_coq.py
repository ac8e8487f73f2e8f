"""The Coq sources as data, the record of what was proved, how the ledger shows it; without Coq."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loracle.cli import main
from loracle_proofs.coq.check import CLASSICAL, CheckFailed, assumptions, check_text
from loracle_proofs.coq.evidence import (
    NOT_RUN,
    PROVED,
    STALE,
    coq_evidence,
    coq_lines,
    load_recorded,
    to_document,
)
from loracle_proofs.coq.instances import coq_text, instances, wrong
from loracle_proofs.coq.mutants import MUTANTS, Mutant, mutated, proof_lines
from loracle_proofs.coq.readme import table
from loracle_proofs.coq.sources import (
    FORMS,
    coq_root,
    forbidden_words,
    read_analysis,
    read_theorems,
    source_hash,
)
from loracle_proofs.coverage import LABELS
from loracle_proofs.results import load_results

ROOT = coq_root()
THEOREMS = read_theorems(ROOT)
ANALYSIS = read_analysis(ROOT)
CLOSED = "Closed under the global context\n"


def test_every_theorem_is_about_a_statement_of_the_paper() -> None:
    both = [*THEOREMS, *ANALYSIS]
    assert {label for theorem in both for label in theorem.labels} <= set(LABELS)
    assert {theorem.form for theorem in THEOREMS} == set(FORMS)
    assert len({theorem.name for theorem in THEOREMS}) == len(THEOREMS)


SUBJECTS = """Definition 2.1, Definition 2.2, Definition 2.3, Definition 2.4, Lemma 2.1, Lemma 3.1,
Lemma 3.2, Lemma 3.4, Lemma 3.5, Lemma 3.6, Lemma 3.7, Equation (E.1), Theorem 3.1, Theorem B.1,
Lemma E.1, Lemma F.1, Lemma F.2, Lemma F.3, Lemma F.4, Proof of Theorem A.1"""


@pytest.mark.parametrize("label", [" ".join(one.split()) for one in SUBJECTS.split(",")])
def test_the_subjects_are_there(label: str) -> None:
    assert any(label in theorem.labels for theorem in THEOREMS)


def test_what_coq_refutes_or_corrects_does_not_hold_as_printed_in_the_ledger() -> None:
    status = {record["label"]: record["as_printed"] for record in load_results()["records"]}
    for theorem in THEOREMS:
        if theorem.form in ("refuted", "vacuous"):
            assert all(status[label] != "holds" for label in theorem.labels), theorem


def test_nothing_is_left_unproved() -> None:
    for path in ROOT.rglob("*.v"):
        assert forbidden_words(path.read_text()) == [], path


@pytest.mark.parametrize("word", ["Axiom", "Admitted", "admit", "Parameter", "Abort"])
def test_what_leaves_something_unproved_is_found(word: str) -> None:
    assert forbidden_words(f"Lemma a : 1 = 1. {word} b.") == [word]
    assert forbidden_words(f"(* no {word} here *) Lemma a : 1 = 1.") == []


def test_a_theorem_without_a_label_is_refused(tmp_path: Path) -> None:
    for path in ROOT.glob("*.v"):
        (tmp_path / path.name).write_text(path.read_text())
    with (tmp_path / "Vec.v").open("a") as file:
        file.write("Theorem nameless : 1 = 1.\n")
    with pytest.raises(ValueError, match="nameless"):
        read_theorems(tmp_path)


def test_the_checked_theorems_are_those_of_the_sources() -> None:
    assert (ROOT / "Check.v").read_text() == check_text(THEOREMS)
    assert (ROOT / "Analysis/Check.v").read_text() == check_text(ANALYSIS)
    assert table([*THEOREMS, *ANALYSIS]) in (ROOT / "README.md").read_text()


def test_the_record_is_of_these_sources() -> None:
    recorded = load_recorded()
    assert recorded is not None
    hashed, version = source_hash(ROOT), recorded["coqc"]
    again = to_document(THEOREMS, ANALYSIS, sources=hashed, version=version)
    assert recorded == again, "run `make coq`"


def test_an_axiom_is_seen() -> None:
    two = THEOREMS[:2]
    assert assumptions(two, CLOSED * 2) == [frozenset(), frozenset()]
    printed = "Axioms:\nA : False\nboolp.B\n  : forall x : nat,\n    x = x\n" + CLOSED
    assert assumptions(two, printed) == [frozenset({"A", "boolp.B"}), frozenset()]
    with pytest.raises(CheckFailed, match="2 theorems, 1 answers"):
        assumptions(two, CLOSED)
    assert len(CLASSICAL) == 3


def test_the_definitions_are_all_computed() -> None:
    names = {one.definition for one in instances()}
    assert {"vec", "kron", "T", "normalize", "p_of", "max_norm", "C1", "B_Q"} <= names
    first = instances()[0]
    assert coq_text([first]) != coq_text([wrong(first)])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.theorem)
def test_a_mutant_changes_the_statement_alone(mutant: Mutant) -> None:
    source = (ROOT / f"{mutant.file}.v").read_text()
    changed = mutated(mutant, source)
    lines = proof_lines(mutant, changed)
    assert changed != source
    assert changed.splitlines()[lines[0] - 1].startswith("Proof.")
    proof = changed.split(f"Theorem {mutant.theorem} ")[1].split("Proof.")[1]
    assert proof == source.split(f"Theorem {mutant.theorem} ")[1].split("Proof.")[1]


def test_a_mutant_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="not there once"):
        mutated(Mutant("F", "t", "x", "y", ""), "Theorem t : z.\nProof. by []. Qed.")
    with pytest.raises(ValueError, match="no theorem"):
        mutated(Mutant("F", "u", "x", "y", ""), "Theorem t : z.\nProof. by []. Qed.")


DOCUMENT: dict[str, Any] = to_document(
    THEOREMS, ANALYSIS, sources=source_hash(ROOT), version="8.16.1"
)


def test_evidence_is_proved_stale_or_not_run(tmp_path: Path) -> None:
    proved = coq_evidence("Lemma 2.1", DOCUMENT)
    assert proved is not None
    assert proved["status"] == PROVED
    assert [one["name"] for one in proved["theorems"]] == ["Vec.tensor_trick"]
    assert coq_lines(proved)[0].startswith("Proved for all dimensions, by Coq 8.16.1")
    assert "Vec.tensor_trick (no axiom)" in coq_lines(proved)[1]
    real = coq_lines(coq_evidence("Lemma 3.2", DOCUMENT))
    assert any("Analysis.Loss.loss_in_adapters (three classical axioms)" in line for line in real)
    (tmp_path / "Vec.v").write_text("")
    stale = coq_evidence("Lemma 2.1", DOCUMENT, tmp_path)
    assert stale is not None
    assert stale["status"] == STALE
    assert "changed since" in coq_lines(stale)[0]
    installed = coq_evidence("Lemma 2.1", DOCUMENT, tmp_path / "nowhere")
    assert installed is not None
    assert installed["status"] == PROVED
    missing = coq_evidence("Lemma 2.1", None)
    assert missing is not None
    assert missing["status"] == NOT_RUN
    assert coq_lines(missing) == ["Coq, for all dimensions: not run here (`make coq`)"]
    assert coq_evidence("Table 1", DOCUMENT) is None
    assert coq_lines(None) == []


def test_the_ledger_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["Lemma 2.1"], ["Lemma 2.1", "--markdown"], ["Lemma 2.1", "--json"]):
        with pytest.raises(SystemExit):
            main(["ledger", *arguments])
        assert "Vec.tensor_trick" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["ledger", "Table 1", "--json"])
    assert json.loads(capsys.readouterr().out)["records"][0]["coq"] is None
