"""From observations to findings: worst cases, counts, order, structural problems, spread, bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from loracle.cases import Case
from loracle.contracts import CONTRACTS
from loracle.generation import REGIMES
from loracle.judgement.findings import Collector
from loracle.judgement.reference import CaseReference
from loracle.observation import FurtherRun, Observation, Problem
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import round_to_format

from .core_cases import default_run, reference

Array = npt.NDArray[np.float64]
Change = Callable[[CaseReference, str, Array], Array]

LINEAR = CONTRACTS["lora-linear"]


def collector(epsilon: float | None = None) -> Collector:
    def replay(case: Case | None) -> str:
        return "again all" if case is None else f"again {case.key}"

    return Collector(LINEAR, tuple(LINEAR.outputs), epsilon, replay)


def right(known: CaseReference) -> dict[str, Array]:
    """The truth, rounded to the dtype once."""
    return {n: round_to_format(t.mid, known.case.dtype) for n, t in known.truth.items()}


def with_tolerance(known: CaseReference, output: str, share: float) -> CaseReference:
    """The same with a tolerance of that share of the largest proven bound of the output."""
    tolerance = share * float(known.proven[output].bound.max())
    null = {**known.null, output: replace(known.null[output], tolerance=tolerance)}
    return replace(known, null=null)


IN_SECOND = "in the second of two calls with equal inputs"


def unchanged(known: CaseReference, output: str, value: Array) -> Array:
    return value


def collected(change: Change, epsilon: float | None = None, dtype: str = "float32") -> Collector:
    """A default run of a kernel that returns the rounded truth, changed."""
    result = collector(epsilon)
    for case in default_run("lora-linear", dtype, 0):
        known = reference(case)
        outputs = {name: change(known, name, value) for name, value in right(known).items()}
        result.add(known, Observation(outputs=outputs))
    return result


def only(output: str, factor: float) -> Change:
    return lambda known, name, value: value * factor if name == output else value


def a_reference() -> CaseReference:
    return reference(default_run("lora-linear", "float32", 0)[1])


def test_a_right_kernel() -> None:
    run = collected(unchanged)
    assert run.findings() == []
    assert run.worst == "pass"
    assert run.cases == len(default_run("lora-linear", "float32", 0))
    assert set(run.evidence) == set(LINEAR.outputs)
    assert min(run.evidence.values()) >= 8
    for name, summary in run.regimes.items():
        assert summary.cases == REGIMES[name].cases
        assert summary.passed + summary.no_evidence == summary.cases * len(LINEAR.outputs)
        assert (summary.suspect, summary.fail) == (0, 0)
        assert summary.worst_error_to_bound is not None
        assert 0 <= summary.worst_error_to_bound <= 1
    # lora_b = 0 makes grad_lora_a zero, which is evidence of nothing.
    assert run.regimes["lora-init"].no_evidence >= 6


def test_one_finding_for_an_output_with_its_worst_case() -> None:
    """Catches a finding per case, a first instead of a worst case, and counts of other outputs."""

    def change(known: CaseReference, name: str, value: Array) -> Array:
        if name != "grad_x":
            return value
        # Wrong in two regimes, far more so in one case.
        factor = {"typical": 1.01, "ragged": 1.01}.get(known.case.regime, 1.0)
        return value * (3.0 if known.case.key == "typical:4" else factor)

    run = collected(change)
    (finding,) = run.findings()
    assert (finding.verdict, finding.output, finding.regime) == ("fail", "grad_x", "typical")
    assert finding.case.startswith("typical:4 (")
    assert (finding.count, finding.cases_total) == (12, run.cases)
    assert finding.replay == "again typical:4"
    assert finding.error is not None
    assert finding.bound is not None
    assert finding.truth is not None
    assert finding.error > finding.bound
    assert finding.error == pytest.approx(2 * abs(finding.truth), rel=1e-6)
    assert finding.computed == pytest.approx(3 * finding.truth, rel=1e-6)
    assert run.regimes["typical"].fail == 6
    assert run.regimes["designed"].fail == 0
    assert run.worst == "fail"


def test_order_and_diagnosis_of_each_output() -> None:
    """Fails before suspects, worst first; two bugs are named each for itself."""

    run = collector()
    for case in default_run("lora-linear", "float32", 0):
        known = with_tolerance(reference(case), "output", 0.5)
        outputs = right(known)
        outputs["grad_lora_a"] *= -1
        outputs["grad_lora_b"] /= known.inputs.scalars["scaling"]
        if case.regime == "typical":
            outputs["output"] = known.truth["output"].mid + 0.75 * known.proven["output"].bound
        run.add(known, Observation(outputs=outputs))
    findings = run.findings()
    assert [f.verdict for f in findings] == ["fail", "fail", "suspect"]
    named = {f.output: [d.hypothesis for d in f.diagnosis][:1] for f in findings}
    assert named == {
        "grad_lora_a": ["wrong-sign"],
        "grad_lora_b": ["missing-scaling"],
        "output": [],
    }
    ratios = [f.error / f.bound for f in findings[:2] if f.error and f.bound]
    assert ratios == sorted(ratios, reverse=True)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_is_named_first(value: float) -> None:
    def change(known: CaseReference, name: str, values: Array) -> Array:
        return np.full_like(values, value) if name == "output" else values

    (finding,) = collected(change).findings()
    assert (finding.verdict, finding.count) == ("fail", finding.cases_total)
    assert [d.hypothesis for d in finding.diagnosis] == ["non-finite"]
    assert finding.error == np.inf


@pytest.mark.parametrize(
    ("problem", "outputs_lost"),
    [
        (Problem("crash", None, "boom"), 4),
        (Problem("timeout", None, "late"), 4),
        (Problem("missing-output", "grad_x", "None"), 1),
        (Problem("wrong-shape", "grad_x", "(1,)"), 1),
        (Problem("wrong-dtype", "grad_x", "float64"), 1),
        (Problem("mutates-input", "weight", "changed"), 0),
    ],
    ids=lambda value: value.hypothesis if isinstance(value, Problem) else "",
)
def test_structural_problems(problem: Problem, outputs_lost: int) -> None:
    """One finding, one diagnosis, no numbers, counted over cases; what was lost counts as failed,
    never as passed; what was returned is judged all the same."""
    run, known = collector(), a_reference()
    outputs = right(known) if outputs_lost < 4 else {}
    if outputs_lost == 1:
        del outputs["grad_x"]
    broken = Observation(outputs=outputs, problems=(problem,))
    latest = run.add(known, broken)
    assert run.worst == "fail"
    assert latest is not None
    run.add(known, broken)
    run.add(known, Observation(outputs=right(known)))
    (finding,) = run.findings()
    assert latest.diagnosis == finding.diagnosis
    assert (finding.verdict, finding.output) == ("fail", problem.output)
    assert (finding.count, finding.cases_total) == (2, 3)
    (diagnosis,) = finding.diagnosis
    assert (diagnosis.hypothesis, diagnosis.explanation) == (
        problem.hypothesis,
        problem.explanation,
    )
    assert finding.error is finding.bound is finding.tolerance is None
    assert finding.replay is not None
    summary = run.regimes[known.case.regime]
    assert summary.fail == 2 * max(outputs_lost, 1)
    assert summary.passed == 4 + 2 * (4 - outputs_lost)
    assert run.evidence["grad_x"] == (3 if outputs_lost == 0 else 1)


def test_spread() -> None:
    """Bitwise differences alone are no finding; beyond twice the tolerance they are, beyond twice
    the bound they prove the kernel wrong."""
    known = with_tolerance(a_reference(), "output", 0.5)
    tolerance = known.null["output"].tolerance
    bound = float(known.proven["output"].bound.max())
    for spread, verdict in (
        (0.0, None),
        (tolerance, None),
        (2.1 * tolerance, "suspect"),
        (2.1 * bound, "fail"),
    ):
        run = collector()
        seen = right(known)
        second = FurtherRun(None, IN_SECOND, {"output": seen["output"]}, {"output": spread})
        run.add(known, Observation(outputs=seen, further=(second,)))
        findings = run.findings()
        assert [f.verdict for f in findings] == ([verdict] if verdict else [])
        for finding in findings:
            assert finding.output == "output"
            assert [d.hypothesis for d in finding.diagnosis] == ["nondeterministic"]


def twice(known: CaseReference, output: str, first: Array, second: Array) -> Observation:
    """Two calls that agree in all but one output."""
    spread = float(np.abs(first - second).max())
    outputs = {**right(known), output: first}
    again = FurtherRun(None, IN_SECOND, {output: second}, {output: spread})
    return Observation(outputs=outputs, further=(again,))


@pytest.mark.parametrize(
    ("shares", "verdict", "reason"),
    [
        ((0.0, 0.4), None, ""),
        ((0.0, 0.8), "suspect", IN_SECOND),
        ((0.8, 0.0), "suspect", ""),
        ((0.0, 1.9), "fail", IN_SECOND),
        ((1.9, 0.0), "fail", ""),
        ((0.8, 1.9), "fail", IN_SECOND),
        ((1.9, 0.8), "fail", ""),
        ((1.9, 1.5), "fail", ""),
        ((1.5, 1.9), "fail", IN_SECOND),
        ((0.7, 0.8), "suspect", IN_SECOND),
        # The suspect is further beyond its limit than the fail beyond its own.
        ((0.99, 1.9), "fail", IN_SECOND),
    ],
)
def test_the_worse_of_two_calls_is_judged(
    shares: tuple[float, float], verdict: str | None, reason: str
) -> None:
    """Errors in shares of the bound, the tolerance being half of it. The spread shows none of them:
    it is allowed twice the bound."""
    known = with_tolerance(a_reference(), "output", 0.5)
    truth, bound = known.truth["output"].mid, float(known.proven["output"].bound.min())
    known = replace(
        known,
        proven={
            **known.proven,
            "output": replace(known.proven["output"], bound=np.full_like(truth, bound)),
        },
        null={**known.null, "output": replace(known.null["output"], tolerance=0.5 * bound)},
    )
    first, second = (truth + share * bound for share in shares)
    run = collector()
    run.add(known, twice(known, "output", first, second))
    found = [f for f in run.findings() if f.error is not None]
    assert [f.verdict for f in found] == ([verdict] if verdict else [])
    summary = run.regimes[known.case.regime]
    counts = {"fail": summary.fail, "suspect": summary.suspect, None: 0}
    assert counts[verdict] == (1 if verdict else 0), "a case counts once"
    assert summary.passed + summary.suspect + summary.fail + summary.no_evidence == 4
    assert run.evidence["output"] == 1
    if verdict:
        (finding,) = found
        worse = max(shares)
        assert (finding.count, finding.reason) == (1, reason)
        assert finding.error == pytest.approx(worse * bound, rel=1e-6)
        assert finding.element is not None
        assert finding.computed == (second if reason else first)[finding.element]
        assert summary.worst_error_to_bound == pytest.approx(worse, rel=1e-6)


def test_a_second_call_is_decided_with_a_finer_truth() -> None:
    """The first, which is the truth, is decided with any."""
    known = a_reference()
    truth, bound = known.truth["output"], known.proven["output"].bound
    widened = replace(
        known, truth={**known.truth, "output": Enclosure(truth.high, truth.low, bound / 4)}
    )
    run = collector()
    run.add(widened, twice(widened, "output", truth.mid, truth.mid + 1.1 * bound))
    assert [f.verdict for f in run.findings() if f.error is not None] == ["fail"]


def test_the_worse_call_is_diagnosed_and_the_worst_case_says_which_it_was() -> None:
    """Every second call lacks the scaling; in the worst case the first one does."""
    run = collector()
    cases = [c for c in default_run("lora-linear", "float32", 0) if c.regime == "typical"]
    for case in cases:
        known = reference(case)
        good = right(known)["grad_lora_b"]
        run.add(known, twice(known, "grad_lora_b", good, good / known.inputs.scalars["scaling"]))
    judged, spread = run.findings()
    if judged.error is None:
        judged, spread = spread, judged
    assert (judged.verdict, judged.output, judged.count) == ("fail", "grad_lora_b", len(cases))
    assert judged.reason == IN_SECOND
    assert [d.hypothesis for d in judged.diagnosis][:1] == ["missing-scaling"]
    assert (spread.verdict, spread.count) == ("fail", len(cases))
    assert [d.hypothesis for d in spread.diagnosis] == ["nondeterministic"]
    worst = reference(next(c for c in cases if str(c) == judged.case))
    again = right(worst)["grad_lora_b"]
    run.add(worst, twice(worst, "grad_lora_b", again * 1e3, again))
    assert [f.reason for f in run.findings() if f.error is not None] == [""]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("claimed", [True, False])
def test_a_second_call_that_is_not_finite(value: float, claimed: bool) -> None:
    """Where nothing is claimed of overflow, that one of two calls overflows is still told."""
    known = a_reference()
    if not claimed:
        proven, null = known.proven["output"], known.null["output"]
        boundless = replace(proven, bound=np.full_like(proven.bound, np.inf), overflow_free=False)
        known = replace(
            known,
            proven={**known.proven, "output": boundless},
            null={**known.null, "output": replace(null, tolerance=np.inf)},
        )
    good = right(known)["output"]
    bad = good.copy()
    bad.flat[-1] = value
    again = FurtherRun(None, IN_SECOND, {"output": bad}, {"output": np.inf})
    seen = Observation(right(known), further=(again,))
    run = collector()
    run.add(known, seen)
    found = {d.hypothesis: f.verdict for f in run.findings() for d in f.diagnosis}
    if claimed:
        assert found == {"non-finite": "fail", "nondeterministic": "fail"}
    else:
        assert found == {"nondeterministic": "suspect"}
        assert run.evidence["output"] == 0


def test_a_bias_is_a_finding_of_all_cases() -> None:
    """4e-7 too large everywhere, within every tolerance."""
    run = collected(only("grad_lora_b", 1 + 4e-7))
    (finding,) = run.findings()
    assert (finding.verdict, finding.output) == ("suspect", "grad_lora_b")
    assert "biased across cases" in finding.reason
    assert [d.hypothesis for d in finding.diagnosis] == ["constant-factor"]
    assert finding.count >= 8
    # No single case shows it.
    assert finding.replay == "again all"
    # `worst` is asked while cases run; bias is only known at the end.
    assert run.worst == "pass"


@pytest.mark.parametrize("second", [True, False])
def test_a_bias_of_one_of_the_two_calls(second: bool) -> None:
    """4e-7 too large in every second call, or in every first one alone."""
    run = collector()
    for case in default_run("lora-linear", "float32", 0):
        known = reference(case)
        calls = [right(known)["grad_lora_b"]] * 2
        calls[second] = calls[second] * (1 + 4e-7)
        run.add(known, twice(known, "grad_lora_b", *calls))
    (finding,) = run.findings()
    assert (finding.verdict, finding.output) == ("suspect", "grad_lora_b")
    assert "biased across cases" in finding.reason
    assert (IN_SECOND in finding.reason) is second


def test_an_output_that_is_found_wrong_needs_no_bias() -> None:
    run = collected(only("grad_lora_b", 1.5))
    assert [f.reason for f in run.findings()] == [""]


def test_epsilon_allows_a_bias() -> None:
    """What is promised is the largest error, nothing about its sign."""
    assert collected(only("grad_lora_b", 1 + 4e-7), epsilon=1e-2).findings() == []
    assert collected(only("grad_lora_b", 1.5), epsilon=1e-2).findings() != []


def test_an_undecided_case_is_decided_with_a_finer_truth() -> None:
    """An error of twice the bound under a truth too wide to tell is a fail in the end; one within
    the bound is not."""
    known = a_reference()
    bound = known.proven["output"].bound
    widened = replace(
        known,
        truth={
            name: Enclosure(t.high, t.low, np.full_like(t.radius, 4 * float(bound.max())))
            for name, t in known.truth.items()
        },
    )
    for factor, verdicts in ((2.0, ["fail"]), (0.0, [])):
        run = collector()
        outputs = right(known)
        outputs["output"] = known.truth["output"].mid + factor * bound
        run.add(widened, Observation(outputs=outputs))
        assert [f.verdict for f in run.findings()] == verdicts


def test_outputs_that_are_not_declared_are_not_judged() -> None:
    run = Collector(LINEAR, ("output",), None, str)
    known = a_reference()
    run.add(known, Observation(outputs={"output": right(known)["output"]}))
    assert run.findings() == []
    assert run.evidence == {"output": 1}


def test_the_latest_finding_is_the_worst_of_the_case() -> None:
    """For the progress bar: a fail is not hidden by a later suspect."""
    known = with_tolerance(a_reference(), "grad_lora_b", 0.5)
    outputs = right(known)
    outputs["output"] = outputs["output"] + 10.0
    truth, proven = known.truth["grad_lora_b"], known.proven["grad_lora_b"]
    outputs["grad_lora_b"] = truth.mid + 0.75 * proven.bound
    run = collector()
    latest = run.add(known, Observation(outputs=outputs))
    assert latest is not None
    assert (latest.verdict, latest.output) == ("fail", "output")
    assert {f.verdict for f in run.findings()} == {"fail", "suspect"}


def test_replay_is_asked_for_the_case_itself() -> None:
    asked: list[Case | None] = []

    def replay(case: Case | None) -> str:
        asked.append(case)
        return "again"

    run, known = Collector(LINEAR, tuple(LINEAR.outputs), None, replay), a_reference()
    run.add(known, Observation(problems=(Problem("crash", None, "boom"),)))
    run.findings()
    assert set(asked) == {known.case}


def test_an_error_that_is_its_limit_is_no_fail_and_is_noted() -> None:
    """The result is the truth plus the limit, to all digits that an enclosure has: nothing proves
    it to be more, and the run goes on and says so."""
    known = a_reference()
    outputs, truth = right(known), known.truth["output"]
    limit = float(np.abs(outputs["output"] - truth.high).max())
    blurred = Enclosure(truth.high, 0 * truth.low, np.full_like(truth.radius, 2.0**-90))
    run = collector(epsilon=limit)
    unchanging = replace(known, truth={**known.truth, "output": blurred})
    object.__setattr__(unchanging, "decided", lambda undecided: unchanging)
    run.add(unchanging, Observation(outputs={"output": outputs["output"]}))
    assert [finding.verdict for finding in run.findings()] == []
    assert run.undecided == [f"output of {known.case.key}"]


def test_a_diagnosis_counts_the_suspect_cases_that_it_explains_too() -> None:
    """Twice the truth, beyond the bound in some cases, by a wide bound beyond the tolerance alone
    in the others: the counts of the findings are less than that of the explanation, which says of
    what."""
    result = collector()
    for number, case in enumerate(default_run("lora-linear", "float32", 0)[:24]):
        known = reference(case)
        if number % 2:
            proven = {n: replace(p, bound=1e9 + 0 * p.bound) for n, p in known.proven.items()}
            known = replace(known, proven=proven)
        values = {name: 2 * value for name, value in right(known).items()}
        result.add(known, Observation(outputs=values))
    for finding in result.findings():
        (named,) = (d for d in finding.diagnosis if d.hypothesis == "factor-two")
        assert "failing or suspect cases, to" in named.explanation
    assert {f.verdict for f in result.findings()} == {"fail", "suspect"}
