"""Nothing numbered is left out: the labels are counted independently of the ledger's own list."""

from __future__ import annotations

from loracle_proofs.coverage import LABELS, SECTIONS, section_of
from loracle_proofs.records import all_records
from loracle_proofs.status import AsPrinted, final_claim


def numbered(kind: str, *spans: str) -> set[str]:
    """`Lemma`, "3.1-7" gives Lemma 3.1 to Lemma 3.7."""
    labels = set()
    for span in spans:
        prefix, _, last = span.rpartition(".")
        first, _, end = last.partition("-")
        labels |= {f"{kind} {prefix}.{i}" for i in range(int(first), int(end or first) + 1)}
    return labels


REQUIRED = (
    numbered("Definition", "1.1-2", "2.1-5", "3.1-6", "B.1", "F.1-8", "G.1", "H.1")
    | numbered("Lemma", "1.1", "2.1", "3.1-7", "E.1", "F.1-9", "G.1")
    | numbered("Theorem", "1.1-2", "3.1", "A.1", "B.1", "F.1", "H.1")
    | {f"Problem {i}" for i in (1, 2, 3)}
    | {"Hypothesis 1", "Hypothesis 2", "Notation", "Table 1"}
    | numbered("Remark", "1.1", "2.1", "3.1-2", "A.1-2", "B.1", "C.1-3", "H.1")
    | {f"Equation ({n})" for n in ("1.1", "1.2", "2.1", "E.1", "E.2", "B.1", "B.2", "F.1", "F.2")}
    | {f"Equation (3.{i})" for i in range(1, 7)}
    | {f"Simplification (S{i})" for i in range(1, 5)}
    | {"Scenario (C1)", "Scenario (C2)"}
    | {f"Proof of Lemma {n}" for n in ("3.1", "3.2", "3.4", "3.5", "3.6", "3.7", "F.2", "F.4")}
    | {f"Proof of Theorem {n}" for n in ("3.1", "B.1", "A.1", "H.1")}
)


def test_every_numbered_statement_is_on_the_list() -> None:
    assert sorted(REQUIRED - set(LABELS)) == []
    assert len(LABELS) == len(set(LABELS))


def test_every_label_of_the_list_has_one_record() -> None:
    assert tuple(record.label for record in all_records()) == LABELS
    assert {section_of(label) for label in LABELS} == set(SECTIONS)


def test_uses_name_records() -> None:
    for record in all_records():
        assert not set(record.uses) - set(LABELS), record.label
        assert record.label not in record.uses


def test_records_say_what_is_wrong_where_something_is() -> None:
    for record in all_records():
        assert record.title, record.label
        assert record.printed, record.label
        for part in record.parts:
            assert bool(part.problem) == (part.severity is not None), (record.label, part.name)
            if final_claim(part) is None:
                assert part.cites, (record.label, part.name)


def test_prose_is_plain_text() -> None:
    """It is read on the terminal and on a page: formulas have fields of their own."""
    for record in all_records():
        prose = [record.title, record.ocr, record.remark]
        for part in record.parts:
            prose += [part.name, part.problem, part.cites]
            prose += [claim.reading for claim in part.printed]
        assert not [text for text in prose if "\\" in text or "$" in text], record.label


def test_statuses_are_the_issue_s_own_words() -> None:
    assert {status.value for status in AsPrinted} == {
        "holds",
        "holds under a stated reading",
        "fails",
        "ill-typed",
        "vacuous",
        "cited",
        "unknown",
    }
