"""Statuses come from what ran."""

from __future__ import annotations

import dataclasses

from loracle_proofs.examination import QUICK
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_proofs.status import AsPrinted, PartResult, RecordResult, run_part, run_record

from . import toy_claims as toy

TRUE = Claim("", toy.transposed_product)
ILL_TYPED = Claim("", toy.transposed_product_in_order)
FALSE = Claim("", toy.symmetric_product)


def run(**part: object) -> PartResult:
    return run_part(Part("test", setting=toy.MATRICES, **part), QUICK, "test")  # type: ignore[arg-type]


def test_a_literal_text_that_holds() -> None:
    result = run(printed=(TRUE,))
    assert result.as_printed is AsPrinted.HOLDS
    assert result.corrected_status == "proved symbolically"
    assert result.mutation is not None
    assert result.mutation.complete


def test_a_reading_saves_a_text_that_fails_or_is_ill_typed() -> None:
    reading = dataclasses.replace(TRUE, reading="the factors change places")
    assert run(printed=(FALSE, reading)).as_printed is AsPrinted.READING
    assert run(printed=(ILL_TYPED, reading)).as_printed is AsPrinted.READING


def test_without_a_reading_it_fails_or_is_ill_typed() -> None:
    failing = run(printed=(FALSE,), corrected=TRUE)
    assert failing.as_printed is AsPrinted.FAILS
    assert failing.counterexample is not None
    assert run(printed=(FALSE, dataclasses.replace(FALSE, reading="x"))).as_printed is (
        AsPrinted.FAILS
    )
    # At the printed sizes (k = m) the printed product is typed at m = n = 1 only.
    assert run(printed=(ILL_TYPED,), corrected=TRUE).as_printed is AsPrinted.ILL_TYPED


def test_a_corrected_form_that_fails_is_refuted_and_never_known() -> None:
    result = run(printed=(ILL_TYPED,), corrected=FALSE)
    assert result.corrected_status == "refuted"
    record = Record("Lemma 3.2", "", Kind.LEMMA, "", (result.part,))
    assert not RecordResult(record, (result,)).known


def test_a_trivial_witness_makes_a_true_statement_vacuous() -> None:
    assert run(printed=(TRUE,), trivial=TRUE).as_printed is AsPrinted.VACUOUS
    assert run(printed=(TRUE,), trivial=FALSE).as_printed is AsPrinted.UNKNOWN


def test_nothing_to_run_is_cited_only_with_a_citation() -> None:
    assert run(cites="a theorem").as_printed is AsPrinted.CITED
    assert run().as_printed is AsPrinted.UNKNOWN


def test_a_record_is_as_its_worst_part() -> None:
    good = Part("good", setting=toy.MATRICES, printed=(TRUE,))
    bad = Part(
        "bad",
        setting=toy.MATRICES,
        printed=(FALSE,),
        corrected=TRUE,
        severity=Severity.FATAL_TO_STATEMENT,
        problem="It is not symmetric.",
    )
    typo = dataclasses.replace(bad, name="typo", severity=Severity.TYPO)
    result = run_record(Record("Lemma 3.2", "", Kind.LEMMA, "", (good, typo, bad)), QUICK)
    assert result.as_printed is AsPrinted.FAILS
    assert result.severity is Severity.FATAL_TO_STATEMENT
    assert result.known


def test_a_claim_that_cannot_be_decided_is_unknown() -> None:
    result = run(printed=(TRUE,), hypotheses=toy.three_is_four)
    assert result.as_printed is AsPrinted.UNKNOWN
    assert result.corrected_status == "unknown"
