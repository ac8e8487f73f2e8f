"""The oracle against its corpus, with default arguments: every wrong kernel is caught and named, no
right one is, and no exemption outlives its reason.

Without `-m deep` this is the short form of `loracle selftest`: each kernel in one dtype and with
one seed (the test's id says which), the same in every run. With it, the full form.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from _pytest.mark.structures import ParameterSet

from loracle.corpus.catalogue import RIGHT, WRONG
from loracle.corpus.defects import DEFECTS
from loracle.corpus.entry import ALL_DTYPES, WrongKernel
from loracle.selftest.outcome import judge
from loracle.selftest.plan import SEEDS, Claim, drawn, every


def _ids(claims: list[Claim]) -> list[ParameterSet]:
    return [pytest.param(claim, id=str(claim)) for claim in claims]


def _check(claim: Claim) -> None:
    outcome = judge(claim)
    told = [str(accusation) for accusation in outcome.accusations]
    assert not outcome.problem, f"{outcome.problem}\n{claim.entry.what}\n{told}"
    unnamed_in = claim.entry.unnamed_in if isinstance(claim.entry, WrongKernel) else ()
    if claim.expected == "caught" and outcome.hypotheses and claim.dtype not in unnamed_in:
        assert outcome.named, f"not named {outcome.hypotheses}\n{claim.entry.what}\n{told}"


@pytest.mark.parametrize("claim", _ids(drawn((*WRONG, *RIGHT), ALL_DTYPES, SEEDS)))
def test_corpus(claim: Claim) -> None:
    _check(claim)


@pytest.mark.deep
@pytest.mark.parametrize("claim", _ids(every((*WRONG, *RIGHT), ALL_DTYPES, SEEDS)))
def test_corpus_in_every_dtype(claim: Claim) -> None:
    _check(claim)


def test_there_are_as_many_kernels_and_classes_as_published() -> None:
    assert len(WRONG) >= 100
    assert len(RIGHT) >= 40
    classes = Counter(entry.defect for entry in WRONG)
    assert len(classes) >= 20
    assert max(classes.values()) <= 8, classes.most_common(3)


def test_every_class_is_explained_and_has_a_kernel() -> None:
    assert {entry.defect for entry in WRONG} == set(DEFECTS)
    assert all(sentence.endswith(".") for sentence in DEFECTS.values())
    assert all(n == n.lower() and n.replace("-", "").isalpha() for n in DEFECTS)


def test_every_source_is_an_address_or_names_what_it_follows_from() -> None:
    for entry in (*WRONG, *RIGHT):
        assert entry.source.startswith(
            ("https://", "algebra: ", "equation ", "Definition ", "Lemma", "torch.")
        ), entry.name


def test_an_exemption_that_is_not_needed_is_a_problem() -> None:
    """The mutant of the corpus itself: a kernel that is caught everywhere, exempted in float32."""
    entry = next(e for e in WRONG if e.name == "lora-linear-scaling-ignored")
    assert isinstance(entry, WrongKernel)
    exempted = replace(entry, dtypes=("float64",), left_out="it is not seen in float32")
    claim = Claim(exempted, "float32", (0, 1), "escapes")
    assert judge(claim).problem == "exemption expired: caught for every seed of 0, 1"
