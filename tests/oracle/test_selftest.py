"""What a self-test runs, how it judges an outcome, what it counts and shows."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from loracle.bench.sheet import markdown
from loracle.corpus.catalogue import RIGHT, WRONG
from loracle.corpus.entry import ALL_DTYPES
from loracle.errors import UsageError
from loracle.selftest.comparison import OURS, behind, judged, scores, tasks
from loracle.selftest.outcome import Accusation, Outcome
from loracle.selftest.plan import SEEDS, Claim, claims_of, drawn, drawn_seed, every, selected
from loracle.selftest.rivals.result import RivalResult, RivalTask
from loracle.selftest.summary import SelfTest
from loracle.selftest.tables import sheets, verdict

from .selftest_outcomes import (
    FORGETFUL,
    HONEST,
    INNOCENT,
    MISNAMED,
    NAMED,
    SWAPPED,
    UNNAMED,
    outcome,
)

# What is run.


def test_a_wrong_kernel_is_claimed_wrong_right_or_exempt_in_each_dtype() -> None:
    claims = claims_of(FORGETFUL, ALL_DTYPES, (0, 1))
    assert [(c.dtype, c.seeds, c.expected) for c in claims] == [
        ("float64", (0,), "caught"),
        ("float64", (1,), "caught"),
        ("float32", (0,), "passes"),
        ("float32", (1,), "passes"),
        ("bfloat16", (0,), "caught"),
        ("bfloat16", (1,), "caught"),
        ("bfloat16", (0, 1), "unnamed"),
        ("float16", (0, 1), "escapes"),
    ]


def test_a_right_kernel_claims_nothing_where_it_is_not_listed() -> None:
    assert {c.dtype for c in claims_of(HONEST, ALL_DTYPES, (0,))} == {"float64", "float32"}
    assert {c.expected for c in claims_of(HONEST, ALL_DTYPES, (0,))} == {"passes"}


def test_the_short_plan_has_every_kernel_once_and_every_exemption() -> None:
    short = drawn((*WRONG, *RIGHT), ALL_DTYPES, SEEDS)
    main = [c for c in short if c.dtype in c.entry.dtypes and not c.is_exemption]
    assert sorted(c.entry.name for c in main) == sorted(e.name for e in (*WRONG, *RIGHT))
    assert {c.dtype for c in main} == set(ALL_DTYPES)
    seeds = {(c.entry.contract, c.dtype): c.seeds for c in main}
    assert len({seeds["aloragc", dtype] for dtype in ALL_DTYPES}) > 1
    assert len({seed for (_, dtype), seed in seeds.items() if dtype == "float32"}) > 1
    exempt = {(c.entry.name, c.dtype) for c in short if c.expected == "escapes"}
    assert exempt == {(e.name, d) for e in WRONG for d in e.exempt}
    unnamed = {(c.entry.name, c.dtype) for c in short if c.expected == "unnamed"}
    assert unnamed == {(e.name, d) for e in WRONG for d in e.unnamed_in}
    # With the seed of its contract and dtype first, and all the others after it.
    for claim in short:
        if claim.is_exemption:
            assert claim.seeds[0] == drawn_seed(claim.entry.contract, claim.dtype, SEEDS)
            assert sorted(claim.seeds) == list(SEEDS)
    right_somewhere = {c.entry.name for c in short if c.dtype in getattr(c.entry, "right_in", ())}
    assert right_somewhere == {e.name for e in WRONG if e.right_in}


def test_the_full_plan_has_all_claims_and_keeps_shared_references_together() -> None:
    full = every((*WRONG, *RIGHT), ALL_DTYPES, SEEDS)
    assert len(set(full)) == len(full)
    groups = [(c.entry.contract, c.dtype, c.seeds[0]) for c in full]
    changes = sum(a != b for a, b in pairwise(groups))
    assert changes == len(set(groups)) - 1


def test_a_selection_is_of_one_contract_and_of_what_there_is() -> None:
    claims = selected("aloragc", ("float32",), (3,), full=False)
    assert {(c.entry.contract, c.dtype, c.seeds) for c in claims} == {("aloragc", "float32", (3,))}
    whole_corpus = selected(None, ("float32",), (0, 1), full=True)
    assert whole_corpus == every((*WRONG, *RIGHT), ("float32",), (0, 1))
    assert selected(None, ("float32",), (0, 1), full=False) != whole_corpus
    known = "unknown contract 'mlp'; known: lora-linear, aloragc, lora-attention"
    with pytest.raises(UsageError, match=known):
        selected("mlp", ("float32",), (0,), full=False)
    with pytest.raises(UsageError, match=r"; did you mean lora-linear\?$"):
        selected("lora-liner", ("float32",), (0,), full=False)
    with pytest.raises(UsageError, match="unknown dtype 'int8'"):
        selected(None, ("int8",), (0,), full=False)


# What an outcome means.


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (outcome(FORGETFUL, NAMED), ""),
        (outcome(FORGETFUL, UNNAMED), ""),
        (outcome(FORGETFUL), "missed: verdict pass"),
        (outcome(FORGETFUL, verdict="suspect"), "missed: verdict suspect"),
        (outcome(FORGETFUL, MISNAMED), "suspected, not proven"),
        (outcome(FORGETFUL, MISNAMED, dtype="bfloat16"), "wrong name: suspect grad_x (transposed)"),
        (outcome(FORGETFUL, NAMED, MISNAMED), "wrong name"),
        (outcome(FORGETFUL, NAMED, INNOCENT), "blames a right output: fail output"),
        (outcome(SWAPPED, MISNAMED, dtype="bfloat16"), "blames a right output"),
        (outcome(HONEST, expected="passes"), ""),
        (outcome(HONEST, UNNAMED, expected="passes"), "accused: verdict fail: fail grad_x"),
        (outcome(HONEST, expected="passes", verdict="suspect"), "accused: verdict suspect"),
        (outcome(FORGETFUL, dtype="float16", expected="escapes"), ""),
        (
            outcome(FORGETFUL, NAMED, dtype="float16", seeds=(0, 1), expected="escapes"),
            "exemption expired: caught for every seed of 0, 1",
        ),
        (outcome(FORGETFUL, UNNAMED, dtype="bfloat16", expected="unnamed"), ""),
        (
            outcome(FORGETFUL, NAMED, dtype="bfloat16", seeds=(0, 1), expected="unnamed"),
            "exemption expired: named for every seed of 0, 1",
        ),
    ],
)
def test_the_problem_of_an_outcome(found: Outcome, problem: str) -> None:
    assert found.problem.startswith(problem)
    assert bool(found.problem) == bool(problem)


def test_a_name_among_several_counts_and_a_finding_with_wrong_ones_alone_does_not() -> None:
    assert outcome(FORGETFUL, UNNAMED, NAMED).named
    assert not outcome(FORGETFUL, UNNAMED, MISNAMED).named
    assert outcome(FORGETFUL, NAMED, MISNAMED).misnamed == (MISNAMED,)
    assert not outcome(FORGETFUL, NAMED, Accusation("fail", "grad_x", ("non-finite",))).misnamed
    both = Accusation("fail", "grad_x", ("non-finite", "transposed"))
    assert outcome(FORGETFUL, NAMED, both).misnamed == (both,)
    assert not outcome(SWAPPED, NAMED).named, "there is no class for it"
    assert outcome(SWAPPED, NAMED).misnamed == (NAMED,)


# What is counted.


def whole(*outcomes: Outcome, **changes: Any) -> SelfTest:
    values: dict[str, Any] = {
        "command": "loracle selftest",
        "outcomes": outcomes,
        "planned": len(outcomes),
        "wall": 12.3,
        "jobs": 2,
    }
    return SelfTest(**(values | changes))


GOOD = (
    outcome(FORGETFUL, NAMED),
    outcome(FORGETFUL, NAMED, seeds=(1,)),
    outcome(FORGETFUL, dtype="float16", expected="escapes"),
    outcome(FORGETFUL, dtype="float32", expected="passes"),
    outcome(SWAPPED, UNNAMED.__class__("fail", "grad_a", ())),
    outcome(HONEST, expected="passes"),
)


def test_all_as_required() -> None:
    result = whole(*GOOD)
    counts = result.counts
    assert (counts.wrong, counts.caught, counts.right, counts.accused) == (3, 3, 2, 0)
    assert (counts.nameable, counts.named, counts.misnamed) == (2, 2, 0)
    assert counts.seconds == 12.0
    assert result.ok
    assert verdict(result).startswith("as required: 3 of 3 runs on wrong kernels caught, 0 of 2")


@pytest.mark.parametrize(
    "bad",
    [
        outcome(SWAPPED),
        outcome(HONEST, UNNAMED, expected="passes"),
        outcome(FORGETFUL, NAMED, dtype="float16", seeds=(0, 1), expected="escapes"),
        outcome(FORGETFUL, MISNAMED, dtype="bfloat16"),
    ],
)
def test_one_of_them_is_enough_to_fail(bad: Outcome) -> None:
    result = whole(*GOOD, bad)
    assert not result.ok
    assert result.problems == (bad,)
    assert verdict(result).startswith("NOT AS REQUIRED")


def test_nine_in_ten_must_be_named() -> None:
    named = [outcome(FORGETFUL, NAMED, seeds=(seed,)) for seed in range(9)]
    unnamed = [outcome(FORGETFUL, UNNAMED, seeds=(seed,)) for seed in (9, 10)]
    assert whole(*named, unnamed[0]).ok
    assert not whole(*named, *unnamed).ok


def test_an_interrupted_run_is_not_as_required() -> None:
    result = whole(*GOOD, planned=9, interrupted=True)
    assert not result.ok
    assert verdict(result) == "interrupted after 6 of 9 runs"


def test_groups_by_contract_dtype_and_defect() -> None:
    result = whole(*GOOD)
    by_contract = result.by(lambda o: o.claim.entry.contract)
    assert {name: (c.wrong, c.right) for name, c in by_contract.items()} == {
        "lora-linear": (2, 1),
        "aloragc": (1, 1),
    }
    assert {name: c.wrong for name, c in result.by_defect().items()} == {
        "projections-mixed": 1,
        "scale-missing": 2,
    }


def test_the_result_is_plain_data() -> None:
    data = json.loads(json.dumps(whole(*GOOD, outcome(SWAPPED)).to_dict(), allow_nan=False))
    assert data["schema"] == "loracle-selftest/1"
    assert data["ok"] is False
    assert data["counts"]["caught"] == 3
    assert data["runs"][-1] == {
        "kernel": "swapped",
        "contract": "aloragc",
        "defect": "projections-mixed",
        "dtype": "float64",
        "seeds": [0],
        "expected": "caught",
        "verdict": "pass",
        "problem": "missed: verdict pass",
        "named": None,
        "findings": [],
        "seconds": 2.0,
    }


# The rules of others.


def rival(rule: str, entry: Any, dtype: str, *, wrong: bool, rejected: bool) -> RivalResult:
    return RivalResult(RivalTask(entry, dtype, wrong), rule, rejected)


RIVALS = (
    rival("gradcheck", FORGETFUL, "float64", wrong=True, rejected=True),
    rival("gradcheck", SWAPPED, "float64", wrong=True, rejected=False),
    rival("assert_close", FORGETFUL, "float64", wrong=True, rejected=True),
    rival("assert_close", SWAPPED, "float64", wrong=True, rejected=True),
    rival("assert_close", HONEST, "float64", wrong=False, rejected=True),
)


def test_rivals_are_asked_where_something_is_claimed() -> None:
    asked = {(t.dtype, t.wrong) for t in tasks([FORGETFUL], ALL_DTYPES)}
    assert asked == {("float64", True), ("bfloat16", True), ("float32", False)}


def test_scores_count_kernels_and_take_our_seeds_together() -> None:
    missed_once = outcome(FORGETFUL, seeds=(1,))
    everything = judged([outcome(FORGETFUL, NAMED), missed_once, *GOOD[2:]], RIVALS)
    missed = scores(everything, wrong=True)
    assert str(missed[OURS]["float64"]) == "1 of 2"
    assert str(missed["gradcheck"]["float64"]) == "1 of 2"
    assert str(missed["assert_close"]["all"]) == "0 of 2"
    assert str(missed["twice-eager"]["all"]) == "-"
    rejected = scores(everything, wrong=False)
    assert str(rejected[OURS]["float64"]) == "0 of 1"
    assert str(rejected["assert_close"]["float64"]) == "1 of 1"


def test_the_output_says_where_loracle_is_behind() -> None:
    assert behind(judged(GOOD, RIVALS)) == []
    lost = behind(judged((*GOOD[:4], outcome(SWAPPED), GOOD[5]), RIVALS))
    assert "wrong kernels missed, float64: loracle 1 of 2, assert_close 0 of 2" in lost
    assert not any("gradcheck" in line for line in lost)


def test_the_tables() -> None:
    bad = outcome(SWAPPED, seeds=(4,))
    text = markdown(sheets(whole(*GOOD, bad, rivals=RIVALS)), "loracle selftest --compare")
    assert "| lora-linear | 2 | 2 | 1 | 0 | 2 | 2 | 0 | 8 |" in text
    assert "| **projections-mixed** | **2** | **1** |" in text
    assert "| swapped | float64 | 4 | missed: verdict pass |" in text
    assert "| gradcheck | 1 of 2 | - | - | - | 1 of 2 |" in text
    assert "- 1 exemptions tried, 0 of them no longer needed" in text
    assert "- NOT AS REQUIRED: 3 of 4 runs on wrong kernels caught" in text
    assert "- loracle is behind: wrong kernels missed, float64: loracle 1 of 2" in text
    good = markdown(sheets(whole(*GOOD, rivals=RIVALS)), "loracle selftest --compare")
    assert "Not as claimed" not in good
    assert "no rule makes a smaller share of mistakes than loracle in any column" in good


def test_a_claim_tells_what_it_is() -> None:
    assert str(Claim(HONEST, "float32", (2,), "passes")) == "honest-float32-seed2-passes"
    assert str(Claim(SWAPPED, "float32", (0, 1), "escapes")) == "swapped-float32-seed0,1-escapes"
