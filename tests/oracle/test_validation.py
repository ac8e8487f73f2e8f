"""`loracle.validate` from end to end: right kernels pass, wrong and broken ones become the findings
that they deserve, and the run goes on."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import loracle
from loracle.adapters import autograd
from loracle.generation import REGIMES, regimes_of
from loracle.presentation.wording import meaning

from .core_cases import default_run
from .validated import (
    LINEAR,
    Outputs,
    changed,
    draws,
    forgets_scaling,
    hypotheses,
    raises,
    single,
    strict_json,
    validate,
    without_time,
    writes_into_x,
)


def test_a_right_kernel_passes() -> None:
    report = loracle.validate(autograd.lora_linear)
    assert (report.verdict, report.reason, report.findings) == ("pass", "", [])
    assert (report.contract, report.dtype, report.device) == ("lora-linear", "float32", "cpu")
    assert (report.machine, report.seed, report.epsilon) == ("widest", 0, None)
    assert list(report.regimes) == list(regimes_of(LINEAR))
    assert report.cases == sum(REGIMES[name].cases for name in report.regimes)
    assert report.false_alarm_probability == 1e-6
    assert report.skipped == []
    assert set(report.evidence) == set(LINEAR.outputs)
    assert min(report.evidence.values()) >= 8
    plain = strict_json(report)
    assert plain["schema"] == "loracle-report/1"
    assert plain["verdict"] == "pass"
    assert plain["regimes"]["designed"]["cases"] == REGIMES["designed"].cases
    assert plain["environment"]["torch"] == torch.__version__


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_forgotten_scaling_is_named(dtype: str) -> None:
    report = validate(forgets_scaling, dtype=dtype)
    assert report.verdict == "fail"
    assert {finding.output for finding in report.findings} == {"grad_lora_b"}
    assert hypotheses(report.findings[0])[0] == "missing-scaling"
    plain = strict_json(report)
    assert plain["findings"][0]["diagnosis"][0]["hypothesis"] == "missing-scaling"
    assert plain["findings"][0]["cases_total"] == report.cases


def test_dtype_of_torch() -> None:
    by_name = validate(forgets_scaling, dtype="bfloat16", cases=1)
    by_type = validate(forgets_scaling, dtype=torch.bfloat16, cases=1)
    assert without_time(by_name) == without_time(by_type)


def exits(**call: Any) -> Outputs:
    if single(call["x"].shape[0]):
        sys.exit(3)
    return autograd.lora_linear(**call)


def dies(**call: Any) -> Outputs:
    if single(call["x"].shape[0]):
        os._exit(7)
    return autograd.lora_linear(**call)


def loops(**call: Any) -> Outputs:
    while single(call["x"].shape[0]):
        pass
    return autograd.lora_linear(**call)


@pytest.mark.parametrize(
    ("kernel", "hypothesis", "words"),
    [
        (raises, "crash", "ZeroDivisionError"),
        (exits, "crash", "3"),
        (dies, "crash", "7"),
        (loops, "timeout", "1 s"),
    ],
    ids=["raise", "sys.exit", "os._exit", "endless loop"],
)
def test_a_broken_call_is_a_finding_and_the_run_goes_on(
    kernel: Callable[..., Outputs], hypothesis: str, words: str
) -> None:
    report = validate(kernel, regimes=["designed"], cases=4, timeout=1)
    assert report.verdict == "fail"
    assert report.cases == 4
    (finding,) = report.findings
    assert (finding.verdict, finding.output, finding.error) == ("fail", None, None)
    assert (finding.count, finding.cases_total) == (2, 4)
    (diagnosis,) = finding.diagnosis
    assert diagnosis.hypothesis == hypothesis
    assert words in diagnosis.explanation
    assert "\n" not in diagnosis.explanation
    # The two cases that ran are judged, the two that did not are failed, not passed.
    summary = report.regimes["designed"]
    assert summary.passed + summary.no_evidence == 2 * len(LINEAR.outputs)
    assert summary.fail == 2 * len(LINEAR.outputs)
    assert report.evidence["output"] <= 2
    strict_json(report)


def always_loops(**call: Any) -> Outputs:
    while True:
        pass


def test_a_kernel_that_always_hangs_is_given_up() -> None:
    started = time.monotonic()
    report = validate(always_loops, timeout=0.05)
    assert time.monotonic() - started < 60
    assert report.cases == 3
    assert [hypotheses(finding) for finding in report.findings] == [["timeout"]]
    assert any("stopped after 3 of 52 cases" in note for note in report.notes)
    # Else the replay would wait for a minute a case.
    assert "timeout=0.05" in str(report.findings[0].replay)


def always_dies(**call: Any) -> Outputs:
    os._exit(9)


def always_raises(**call: Any) -> Outputs:
    raise ZeroDivisionError


def test_a_kernel_whose_process_always_dies_is_given_up() -> None:
    report = validate(always_dies)
    assert (report.verdict, report.cases) == ("fail", 5)
    assert [hypotheses(finding) for finding in report.findings] == [["crash"]]
    assert "stopped after 5 of 52 cases: the process died 5 times" in report.notes


def test_the_last_case_is_not_told_as_a_stop() -> None:
    report = validate(always_dies, regimes=["designed"], cases=5)
    assert (report.verdict, report.cases, report.notes) == ("fail", 5, [])


def test_an_exception_in_every_case_costs_no_process_and_ends_nothing() -> None:
    report = validate(always_raises, regimes=["designed"], cases=7)
    assert (report.verdict, report.cases, report.notes) == ("fail", 7, [])


def flips_weight(**call: Any) -> Outputs:
    outputs = autograd.lora_linear(**call)
    call["weight"].t_()
    return outputs


def first_row_nan(value: Any) -> Any:
    value = value.detach().clone()
    value[0] = float("nan")
    return value


BROKEN: dict[str, tuple[Callable[..., Outputs], str, str]] = {
    "changed input": (writes_into_x, "x", "mutates-input"),
    "changed strides": (flips_weight, "weight", "mutates-input"),
    "dtype": (changed(grad_x=lambda v: v.double()), "grad_x", "wrong-dtype"),
    "shape": (changed(grad_x=lambda v: v.flatten()), "grad_x", "wrong-shape"),
    "one axis more": (changed(grad_x=lambda v: v[None]), "grad_x", "wrong-shape"),
    "None": (changed(grad_x=lambda v: None), "grad_x", "missing-output"),
    "numpy": (changed(grad_x=lambda v: v.detach().numpy()), "grad_x", "missing-output"),
    "random": (draws, "grad_x", "nondeterministic"),
    "NaN": (changed(grad_x=first_row_nan), "grad_x", "non-finite"),
    "infinity": (changed(grad_x=lambda v: v / 0), "grad_x", "non-finite"),
    "zeros": (changed(grad_x=torch.zeros_like), "grad_x", "zero-gradient"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_result_is_a_finding(what: str) -> None:
    kernel, output, hypothesis = BROKEN[what]
    report = validate(kernel, cases=2)
    assert report.verdict == "fail"
    assert {finding.output for finding in report.findings} == {output}
    assert hypothesis in [name for finding in report.findings for name in hypotheses(finding)]
    worst = report.findings[0]
    assert worst.verdict == "fail"
    assert worst.count >= report.cases - 2
    assert report.cases == worst.cases_total == 2 * len(regimes_of(LINEAR))
    # The other outputs are judged as if nothing were wrong.
    assert report.evidence["grad_lora_b"] >= 8
    strict_json(report)


def test_no_mapping_at_all() -> None:
    report = validate(lambda **call: None, cases=1)
    assert [hypotheses(finding) for finding in report.findings] == [["missing-output"]]
    assert report.findings[0].output is None


def test_extra_outputs_are_noted_and_ignored() -> None:
    report = validate(lambda **call: {**autograd.lora_linear(**call), "cache": 1}, cases=2)
    assert report.verdict == "pass"
    assert any("'cache'" in note for note in report.notes)


def test_what_is_declared_missing_is_skipped_out_loud() -> None:
    @loracle.declare(outputs=["output", "grad_x"], unsupported=["ragged"])
    def part(**call: Any) -> Outputs:
        outputs = autograd.lora_linear(**call)
        return {name: outputs[name] for name in ("output", "grad_x")}

    report = validate(part)
    assert report.verdict == "pass"
    skipped = {entry["what"]: entry["reason"] for entry in report.skipped}
    assert set(skipped) == {"grad_lora_a", "grad_lora_b", "ragged"}
    assert all("declares" in reason for reason in skipped.values())
    assert "ragged" not in report.regimes
    assert report.cases == len(default_run("lora-linear", "float32", 0)) - REGIMES["ragged"].cases
    assert set(report.evidence) == {"output", "grad_x"}


def test_an_undeclared_missing_output_is_not_skipped() -> None:
    """The counterpart of the above: silence is no declaration."""
    report = validate(lambda **call: {"output": autograd.lora_linear(**call)["output"]}, cases=1)
    assert report.verdict == "fail"
    lost = {finding.output for finding in report.findings}
    assert lost == {"grad_x", "grad_lora_a", "grad_lora_b"}


def test_an_unsupported_dtype_passes_nothing() -> None:
    @loracle.declare(unsupported=["float16"])
    def kernel(**call: Any) -> Outputs:
        return autograd.lora_linear(**call)

    report = validate(kernel, dtype="float16")
    assert (report.verdict, report.reason) == ("suspect", "insufficient-evidence")
    assert [entry["what"] for entry in report.skipped] == ["float16"]
    assert report.cases == 0
    assert validate(kernel, dtype="float32", cases=2).verdict == "pass"


def test_a_misspelt_declaration_is_told() -> None:
    """Else the kernel would be judged in silence where it says that it should not be; `declare`
    refuses it, and so does the run, where a declaration came otherwise."""
    with pytest.raises(loracle.UsageError, match="did you mean ragged"):
        loracle.declare(unsupported=["raged"])

    def kernel(**call: Any) -> Outputs:
        return autograd.lora_linear(**call)

    kernel.__loracle__ = loracle.Declaration(("raged",))  # type: ignore[attr-defined]
    with pytest.raises(
        loracle.UsageError, match=r"as unsupported: 'raged' is neither .* mean ragged\?$"
    ):
        validate(kernel)


@pytest.mark.parametrize(
    "choice",
    [
        {"cases": 1, "regimes": ["designed", "typical", "ragged"]},
        {"regimes": ["tiny"]},
        {"only_cases": ["tiny:0"]},
        # One case is no more evidence for being named often.
        {"only_cases": ["designed:0", "designed:00"] * 4},
    ],
)
def test_a_narrow_choice_is_no_pass(choice: dict[str, Any]) -> None:
    report = validate(autograd.lora_linear, **choice)
    assert (report.verdict, report.reason) == ("suspect", "insufficient-evidence")
    assert report.findings == []


def test_an_epsilon_beyond_the_truth_is_told_with_one_that_would_do() -> None:
    """Judging more cases, as is advised elsewhere, would not help."""
    lost = validate(autograd.lora_linear, regimes=["tiny"], epsilon=1e6)
    assert (lost.verdict, lost.reason) == ("suspect", "insufficient-evidence")
    assert "1e6, exceeds the true values themselves" in meaning(lost)
    (note,) = lost.notes
    assert note.startswith("epsilon 1e6 is at least as large as every true value of output, grad_x")
    assert "in 6 of 6 cases, so that zeros would pass there" in note
    found = re.search("below (.*) it tells in 6 cases of each output", note)
    assert found is not None
    # What is advised helps, and not much more would.
    advised = float(found[1])
    told = validate(autograd.lora_linear, regimes=["tiny"], epsilon=advised * 0.999)
    assert min(told.evidence.values()) == 6
    assert told.notes == []
    assert "too few for a verdict (judge all regimes)" in meaning(told)
    assert (
        min(
            validate(
                autograd.lora_linear, regimes=["tiny"], epsilon=advised * 1.2
            ).evidence.values()
        )
        < 6
    )


def test_where_the_truth_is_zero_no_epsilon_tells() -> None:
    """Of a fresh adapter, whose B is zero, grad_lora_a is."""
    report = validate(autograd.lora_linear, regimes=["lora-init"], epsilon=1e-3)
    (note,) = report.notes
    assert note.endswith("where the true value is zero no epsilon tells: judge other regimes")


def test_epsilon_replaces_bound_and_tolerance() -> None:
    """An approximation that errs by up to 1e-3 of everything: wrong without a promise, right with
    one that it keeps, wrong with one that it breaks."""
    approximate = changed(grad_x=lambda v: v * 1.001)
    assert validate(approximate, cases=2).verdict == "fail"
    kept = validate(approximate, epsilon=0.5)
    assert (kept.verdict, kept.epsilon, kept.false_alarm_probability) == ("pass", 0.5, None)
    broken = validate(approximate, epsilon=1e-5, cases=2)
    assert broken.verdict == "fail"
    assert {finding.bound for finding in broken.findings} == {1e-5}

    @loracle.declare(epsilon=0.5)
    def promising(**call: Any) -> Outputs:
        return approximate(**call)

    declared = validate(promising)
    assert (declared.verdict, declared.epsilon) == ("pass", 0.5)
    # What is asked for on the call stands above what is declared.
    assert validate(promising, epsilon=1e-5, cases=2).verdict == "fail"


def every_second(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., Outputs]:
    """A right kernel, but for all outputs of every second call."""
    calls: list[int] = []

    def kernel(**call: Any) -> Outputs:
        outputs = autograd.lora_linear(**call)
        calls.append(1)
        return outputs if len(calls) % 2 else {n: change(v) for n, v in outputs.items()}

    return kernel


def test_a_promise_is_kept_by_every_call() -> None:
    """Every second call errs by 1.9 epsilon: less than twice that apart from the first."""

    @loracle.declare(epsilon=1e-3)
    def kernel(**call: Any) -> Outputs:
        return flawed(**call)

    flawed = every_second(lambda v: v + 1.9e-3)
    report = validate(kernel, dtype="float64", cases=2)
    assert report.verdict == "fail"
    assert {f.output for f in report.findings} == set(LINEAR.outputs)
    for finding in report.findings:
        assert finding.error == pytest.approx(1.9e-3, rel=1e-6)
        assert finding.reason == "in the second of two calls with equal inputs"
        assert finding.count == report.cases


@pytest.mark.parametrize(("factor", "verdict"), [(1.02, "fail"), (1.004, "suspect")])
def test_every_second_call_is_a_little_too_large(factor: float, verdict: str) -> None:
    """Within twice the tolerance of the first; by 1.004, within the tolerance of the truth too."""
    report = validate(every_second(lambda v: (v.float() * factor).to(v.dtype)), dtype="bfloat16")
    assert report.verdict == verdict
    assert report.findings
    for finding in report.findings:
        assert "in the second of two calls with equal inputs" in finding.reason


@pytest.mark.filterwarnings("error")
def test_the_largest_float64_is_wrong_and_not_only_suspect() -> None:
    """Its distance to anything overflows with the least slack."""
    report = validate(
        changed(grad_x=lambda v: torch.full_like(v, torch.finfo(v.dtype).max)),
        dtype="float64",
        cases=1,
    )
    assert report.verdict == "fail"
    assert {f.output for f in report.findings} == {"grad_x"}
    strict_json(report)


def sums_in_storage(**call: Any) -> Outputs:
    """Token by token, every partial sum rounded to the storage dtype."""
    outputs = autograd.lora_linear(**call)
    x = call["x"].flatten(0, 1)
    g = call["grad_output"].flatten(0, 1)
    total = torch.zeros_like(call["lora_b"])
    for row in range(x.shape[0]):
        total = total + call["scaling"] * torch.outer(g[row], call["lora_a"] @ x[row])
    return {**outputs, "grad_lora_b": total}


def test_a_machine_that_accumulates_in_float32_is_held_to_it() -> None:
    """The same errors, of sums kept in bfloat16, are more of what is allowed where float32 sums are
    promised."""
    wide = validate(sums_in_storage, dtype="bfloat16")
    held = validate(sums_in_storage, dtype="bfloat16", machine="f32-accumulate")
    assert (wide.verdict, wide.machine, held.machine) == ("pass", "widest", "f32-accumulate")
    for regime in ("typical", "ragged"):
        for ratio in ("worst_error_to_bound", "worst_error_to_tolerance"):
            assert getattr(held.regimes[regime], ratio) > 1.2 * getattr(wide.regimes[regime], ratio)

    @loracle.declare(accumulate="float32")
    def promising(**call: Any) -> Outputs:
        return sums_in_storage(**call)

    declared = validate(promising, dtype="bfloat16")
    assert declared.machine == "f32-accumulate"
    assert declared.regimes == held.regimes
    # What is asked for on the call stands above what is declared.
    asked = validate(promising, dtype="bfloat16", machine="widest")
    assert asked.regimes == wide.regimes
    honest = validate(autograd.lora_linear, dtype="bfloat16", machine="f32-accumulate")
    assert honest.verdict == "pass"


def test_numbers_of_a_report_are_plain() -> None:
    """Catches numpy scalars, which json refuses or writes oddly."""
    report = validate(changed(grad_x=first_row_nan), cases=1)

    def plain(value: Any) -> bool:
        if isinstance(value, dict):
            return all(isinstance(k, str) and plain(v) for k, v in value.items())
        if isinstance(value, list):
            return all(plain(entry) for entry in value)
        return value is None or type(value) in (str, int, float, bool)

    assert plain(report.to_dict())
    assert not plain({"numpy": np.float64(1)})
