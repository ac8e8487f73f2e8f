"""`loracle.validate` from end to end: right kernels pass, wrong and broken ones become the findings
that they deserve, and the run goes on."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import loracle
from loracle.adapters import autograd
from loracle.cli import main
from loracle.contracts import CONTRACTS
from loracle.generation import REGIMES, regimes_of
from loracle.report import Finding, Report

from .core_cases import default_run

Outputs = dict[str, Any]

LINEAR = CONTRACTS["lora-linear"]


def validate(kernel: Any, **arguments: Any) -> Report:
    return loracle.validate(kernel, **{"contract": "lora-linear", **arguments})


def forgets_scaling(**call: Any) -> Outputs:
    outputs = autograd.lora_linear(**call)
    return {**outputs, "grad_lora_b": outputs["grad_lora_b"] / call["scaling"]}


def changed(**change: Callable[[Any], Any]) -> Callable[..., Outputs]:
    """The right kernel with the named outputs put through a function."""

    def kernel(**call: Any) -> Outputs:
        outputs = autograd.lora_linear(**call)
        return {n: change[n](v) if n in change else v for n, v in outputs.items()}

    return kernel


def hypotheses(finding: Finding) -> list[str]:
    return [diagnosis.hypothesis for diagnosis in finding.diagnosis]


def strict_json(report: Report) -> Any:
    return json.loads(json.dumps(report.to_dict(), allow_nan=False))


def without_time(report: Report) -> dict[str, Any]:
    return {key: value for key, value in report.to_dict().items() if key != "seconds"}


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


def single(batch: int) -> bool:
    """The designed cases alternate between a batch of two and of one: every other one is bad."""
    return batch == 1


def raises(**call: Any) -> Outputs:
    if single(call["x"].shape[0]):
        raise ZeroDivisionError("no batch\nhere")
    return autograd.lora_linear(**call)


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
    assert any("stopped after 3 of 32 cases" in note for note in report.notes)


def always_dies(**call: Any) -> Outputs:
    os._exit(9)


def always_raises(**call: Any) -> Outputs:
    raise ZeroDivisionError


def test_a_kernel_whose_process_always_dies_is_given_up() -> None:
    report = validate(always_dies)
    assert (report.verdict, report.cases) == ("fail", 5)
    assert [hypotheses(finding) for finding in report.findings] == [["crash"]]
    assert "stopped after 5 of 32 cases: the process died 5 times" in report.notes


def test_the_last_case_is_not_told_as_a_stop() -> None:
    report = validate(always_dies, regimes=["designed"], cases=5)
    assert (report.verdict, report.cases, report.notes) == ("fail", 5, [])


def test_an_exception_in_every_case_costs_no_process_and_ends_nothing() -> None:
    report = validate(always_raises, regimes=["designed"], cases=7)
    assert (report.verdict, report.cases, report.notes) == ("fail", 7, [])


def writes_into_x(**call: Any) -> Outputs:
    outputs = autograd.lora_linear(**{**call, "x": call["x"].clone()})
    call["x"].mul_(2)
    return outputs


def flips_weight(**call: Any) -> Outputs:
    outputs = autograd.lora_linear(**call)
    call["weight"].t_()
    return outputs


def draws(**call: Any) -> Outputs:
    outputs = autograd.lora_linear(**call)
    return {**outputs, "grad_x": outputs["grad_x"] * (1 + torch.rand(()))}


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
    """Else the kernel would be judged in silence where it says that it should not be."""

    @loracle.declare(unsupported=["raged"])
    def kernel(**call: Any) -> Outputs:
        return autograd.lora_linear(**call)

    with pytest.raises(loracle.UsageError, match=r"'raged' unsupported, .*ragged"):
        validate(kernel)


@pytest.mark.parametrize(
    "choice",
    [
        {"cases": 1},
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


def namespace(kernel: Callable[..., Any]) -> dict[str, Any]:
    """What a reader of the replay has imported: loracle and the kernel's module."""
    found: Any = SimpleNamespace(**{kernel.__name__: kernel})
    first, *rest = kernel.__module__.split(".")
    for part in reversed(rest):
        found = SimpleNamespace(**{part: found})
    return {"loracle": loracle, first: found}


def numbers(finding: Finding) -> dict[str, Any]:
    """All but what a single case cannot know: counts, and the diagnosis over many."""
    plain = finding.to_dict()
    return {k: v for k, v in plain.items() if k not in ("count", "cases_total", "diagnosis")}


@pytest.mark.parametrize("kernel", [forgets_scaling, raises, writes_into_x, draws])
def test_replay_of_a_callable(kernel: Callable[..., Any]) -> None:
    """The text of the finding, executed, gives the finding again."""
    report = validate(kernel, dtype="float64", seed=5, cases=2)
    finding = report.findings[0]
    assert finding.replay is not None
    again = eval(finding.replay, namespace(kernel))
    assert again.cases == 1
    same = [f for f in again.findings if f.output == finding.output]
    assert numbers(finding) in [numbers(f) for f in same]
    assert set(hypotheses(same[0])) & set(hypotheses(finding))


def test_replay_of_a_callable_of_main(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raises, "__module__", "__main__")
    report = validate(raises, regimes=["designed"], cases=2)
    replay = report.findings[0].replay
    assert replay is not None
    assert replay.startswith("loracle.validate(raises, contract=")
    assert eval(replay, {"loracle": loracle, "raises": raises}).verdict == "fail"


def slightly_too_large(**call: Any) -> Outputs:
    outputs = autograd.lora_linear(**call)
    return {**outputs, "grad_lora_b": outputs["grad_lora_b"] * (1 + 4e-7)}


def test_replay_of_a_bias() -> None:
    """No single case shows it: the whole run is replayed, with the regimes that were chosen, also
    if they came from an iterator."""
    report = validate(slightly_too_large, regimes=iter(["typical", "ragged"]), cases=7)
    (finding,) = report.findings
    assert report.verdict == finding.verdict == "suspect"
    assert finding.reason.startswith("biased across cases")
    assert finding.replay is not None
    again = eval(finding.replay, namespace(slightly_too_large))
    assert again.cases == 14
    assert [f.to_dict() for f in again.findings] == [finding.to_dict()]


TARGET = """
import torch


def kernel(*, x, weight, lora_a, lora_b, scaling, grad_output):
    n = x.shape[0] * x.shape[1]
    rows, g = x.reshape(n, -1), grad_output.reshape(n, -1)
    output = rows @ weight.T + scaling * (rows @ lora_a.T) @ lora_b.T
    return {
        "output": output.reshape(grad_output.shape),
        "grad_x": (g @ weight + scaling * (g @ lora_b) @ lora_a).reshape(x.shape),
        "grad_lora_a": scaling * (g @ lora_b).T @ rows,
        "grad_lora_b": g.T @ (rows @ lora_a.T),
    }
"""


def test_replay_of_a_target(tmp_path: Path) -> None:
    """The command of the finding, run, gives the finding again, in a path with a space."""
    path = tmp_path / "my kernels.py"
    path.write_text(TARGET)
    report = loracle.validate(
        f"{path}:kernel", dtype="bfloat16", seed=3, cases=2, machine="f32-accumulate"
    )
    (finding,) = report.findings
    assert (finding.output, report.verdict) == ("grad_lora_b", "fail")
    assert hypotheses(finding)[0] == "missing-scaling"
    assert finding.replay is not None
    program, *words = shlex.split(finding.replay)
    assert program == "loracle"
    written = tmp_path / "again.json"
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json", str(written)])
    assert ended.value.code == 1
    plain = json.loads(written.read_text())
    assert plain["machine"] == "f32-accumulate"
    (again,) = plain["findings"]
    assert {key: again[key] for key in numbers(finding)} == numbers(finding)


def test_progress() -> None:
    """Called after every case, in order, with the worst verdict so far and the new finding."""
    seen: list[tuple[int, int, str, str, Finding | None]] = []

    def on_progress(done: int, total: int, regime: str, worst: str, latest: Finding | None) -> None:
        seen.append((done, total, regime, worst, latest))

    report = validate(raises, regimes=["designed", "tiny"], cases=2, on_progress=on_progress)
    assert [done for done, *_ in seen] == [1, 2, 3, 4]
    assert {total for _, total, *_ in seen} == {4}
    assert [regime for _, _, regime, *_ in seen] == ["designed", "designed", "tiny", "tiny"]
    assert [worst for *_, worst, _ in seen] == ["pass", "fail", "fail", "fail"]
    first = seen[1][4]
    assert seen[0][4] is None
    assert first is not None
    assert hypotheses(first) == hypotheses(report.findings[0]) == ["crash"]


def test_an_interrupt_ends_the_run_with_what_is_known() -> None:
    def on_progress(done: int, *rest: Any) -> None:
        if done == 2:
            raise KeyboardInterrupt

    report = validate(autograd.lora_linear, on_progress=on_progress)
    assert (report.verdict, report.reason, report.cases) == ("suspect", "interrupted", 2)
    assert any("interrupted after 2 of 32 cases" in note for note in report.notes)
    wrong = validate(forgets_scaling, on_progress=on_progress)
    assert (wrong.verdict, wrong.reason) == ("fail", "interrupted")


@pytest.mark.parametrize("contract", CONTRACTS)
def test_cold_and_warm_are_the_same(
    contract: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a cache, filling it, and from it; another seed differs."""
    kernel = getattr(autograd, contract.replace("-", "_"))
    reports = []
    for folder in ("", str(tmp_path), str(tmp_path)):
        monkeypatch.setenv("LORACLE_CACHE_DIR", folder)
        reports.append(loracle.validate(kernel, dtype="bfloat16", cases=2))
    cold, filling, warm = map(without_time, reports)
    assert cold == filling == warm
    assert without_time(loracle.validate(kernel, dtype="bfloat16", cases=2, seed=1)) != cold


SCRIPT = """
import os, sys, time
started = time.monotonic()
import loracle
first = []
def progress(*arguments):
    first.append(time.monotonic() - started)
report = loracle.validate("autograd", contract=sys.argv[1], on_progress=progress)
assert report.verdict == "pass", report
assert "torch" not in sys.modules and "hypothesis" not in sys.modules
used = os.times()
print(first[0], used.user + used.system + used.children_user + used.children_system)
"""


def run_script(script: str, *arguments: str) -> list[float]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "LORACLE_CACHE_DIR": "",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_default_run_is_fast(contract: str) -> None:
    """Cold: at most 10 s of processor time with the child's import of torch, the first case judged
    within 2 s beside that import. The parent imports neither torch nor hypothesis.

    Processor time, and three times the import's wall time, because other tests may be running.
    """
    first, used = run_script(SCRIPT, contract)
    clock = "import time; t = time.monotonic(); import torch; print(time.monotonic() - t)"
    (importing,) = run_script(clock)
    assert used < 10
    assert first < 2 + 3 * importing


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
