"""The file of expected failures: what it may say, what it excuses, and when it is wrong."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import loracle
from loracle.adapters import autograd
from loracle.cli import main
from loracle.errors import UsageError
from loracle.expectations.entries import read_entries
from loracle.expectations.hypotheses import known_hypotheses
from loracle.expectations.names import exists, same_kernel
from loracle.presentation.expected import outdated_lines
from loracle.presentation.junit import as_junit
from loracle.presentation.terminal import show
from loracle.report import ExpectedFailure, Report
from loracle.testing.kernel_tests import WHOLE, KernelTests
from loracle.testing.step_summary import markdown
from loracle.testing.words import failure_text

from .validated import changed, forgets_scaling, hypotheses, without_time


def forgets_when_short(**call: Any) -> Any:
    """grad_lora_b lacks the scaling where there is one row."""
    short = call["x"].shape[1] == 1
    return forgets_scaling(**call) if short else autograd.lora_linear(**call)


def written(folder: Path, *tables: dict[str, Any]) -> Path:
    """A file with these entries, of the kernel above unless they name another."""
    lines = []
    for table in tables:
        lines.append("[[expected]]")
        values = {"kernel": f"{forgets_when_short.__module__}:forgets_when_short", **table}
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    file = folder / "expected.toml"
    file.write_text("\n".join(lines))
    return file


def entry(**changes: Any) -> dict[str, Any]:
    return {"output": "grad_lora_b", "regime": "tiny", "reason": "issue 7"} | changes


def judged(
    file: Path, kernel: Any = forgets_when_short, regimes: Any = ("tiny", "designed"), **more: Any
) -> Report:
    return loracle.validate(kernel, "lora-linear", regimes=regimes, expected_failures=file, **more)


def states(report: Report) -> list[str]:
    return [expected.state for expected in report.expected_failures]


def shown(report: Report) -> str:
    console = Console(file=io.StringIO(), width=300)
    with console.capture() as captured:
        show(report, console)
    return captured.get()


def test_an_expected_failure_does_not_count_and_is_listed(tmp_path: Path) -> None:
    file = written(tmp_path, entry(hypothesis="missing-scaling"))
    report = judged(file)
    assert (report.verdict, report.findings) == ("pass", [])
    (expected,) = report.expected_failures
    assert expected.state == "failed"
    assert expected.finding is not None
    assert (expected.finding.output, expected.finding.regime) == ("grad_lora_b", "tiny")
    assert hypotheses(expected.finding)[0] == "missing-scaling"
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))["expected_failures"]
    assert data[0]["reason"] == "issue 7"
    assert data[0]["finding"]["output"] == "grad_lora_b"
    text = shown(report)
    assert "expected: grad_lora_b in tiny, fail in " in text
    assert f"(missing-scaling, constant-factor): issue 7 ({file}, entry 1)" in text
    assert "PASS: but for 1 expected failure, every error is" in text


def test_only_that_output_in_that_regime_is_excused(tmp_path: Path) -> None:
    """The wrong rule: a finding is excused if its worst case is in the regime of the entry, in
    whichever others it is wrong too."""
    file = written(tmp_path, entry(kernel=f"{forgets_scaling.__module__}:forgets_scaling"))
    report = judged(file, forgets_scaling)
    assert (report.verdict, states(report)) == ("fail", ["failed"])
    (finding,) = report.findings
    assert (finding.output, finding.regime, finding.cases_total) == ("grad_lora_b", "designed", 6)

    both = changed(grad_lora_b=lambda value: value / 3, grad_x=lambda value: -value)
    both.__module__, both.__qualname__ = "m", "both"
    file = written(tmp_path, entry(kernel="m:both", regime=["tiny", "designed"]))
    report = judged(file, both)
    assert (report.verdict, states(report)) == ("fail", ["failed", "failed"])
    (finding,) = report.findings
    assert (finding.output, finding.count, finding.cases_total) == ("grad_x", 12, 12)
    assert hypotheses(finding)[0] == "wrong-sign"


def test_another_diagnosis_is_another_failure(tmp_path: Path) -> None:
    report = judged(written(tmp_path, entry(hypothesis="dropped-tail")))
    assert (report.verdict, states(report)) == ("fail", ["differs"])
    assert [f.output for f in report.findings] == ["grad_lora_b"]
    assert "it fails otherwise: missing-scaling" in shown(report)


def test_what_no_mistake_explains_is_expected_as_that(tmp_path: Path) -> None:
    """And is another failure where a mistake is named."""
    odd = changed(grad_x=lambda value: value + 0.3 * value.abs().max() * value.sin())
    odd.__module__, odd.__qualname__ = "m", "odd"
    expected = entry(kernel="m:odd", output="grad_x", regime="designed")
    plain = loracle.validate(odd, "lora-linear", regimes=["designed"])
    assert [hypotheses(finding) for finding in plain.findings] == [[]]
    unexplained = written(tmp_path, expected | {"hypothesis": "unexplained"})
    assert states(judged(unexplained, odd, ["designed"])) == ["failed"]
    named = judged(written(tmp_path, expected | {"hypothesis": "transposed"}), odd, ["designed"])
    assert states(named) == ["differs"]
    assert "it fails otherwise: unexplained" in shown(named)


def test_every_diagnosis_that_a_finding_can_carry_may_be_expected() -> None:
    """All that the sources give a name to."""
    sources = [p.read_text() for p in Path(loracle.__file__).parent.rglob("*.py")]
    made = {
        name
        for text in sources
        for name in re.findall(r'(?:Diagnosis|Problem)\(\s*"([\w-]+)"', text)
    }
    assert {"crash", "beyond-plan", "low-precision", "non-finite"} <= made
    assert made <= known_hypotheses()


def test_one_misspelt_name_is_told_once(tmp_path: Path) -> None:
    """With the entries' numbers, however many outputs and regimes they are about."""
    wrong = f"{forgets_when_short.__module__}:forgets_when_shrot"
    every = ["output", "grad_x", "grad_lora_a"]
    tables = [
        entry(kernel=wrong, output=every, regime=["tiny", "long", "ragged"]),
        entry(),
        entry(kernel=wrong, regime=["long", "tiny"]),
    ]
    report = judged(written(tmp_path, *tables), regimes=["tiny"])
    assert len(report.expected_failures) == 12
    right = f"{forgets_when_short.__module__}.forgets_when_short"
    says = f"there is no kernel {wrong}; did you mean {right}?"
    says += f" ({tmp_path}/expected.toml, entries 1, 3)"
    assert outdated_lines(report.expected_failures) == [says]
    assert "2 entries of the expected failures must change" in shown(report)
    text = failure_text(report, WHOLE, report.expected_failures)
    assert text.splitlines()[0] == f"outdated expected failures: {says}"
    assert text.count("no kernel") == 2
    assert shown(report).count("no kernel") == 1
    junit = as_junit(report)
    assert junit.count("no kernel") == 1
    assert f"expected failures/{tmp_path}/expected.toml, entries 1, 3" in junit
    assert markdown([report.to_dict()], 1).count("no kernel") == 1


def test_a_crash_is_expected_of_the_call(tmp_path: Path) -> None:
    def raises(**call: Any) -> Any:
        if call["x"].shape[1] == 1:
            raise RuntimeError("one row")
        return autograd.lora_linear(**call)

    raises.__module__, raises.__qualname__ = "m", "raises"
    crash = entry(kernel="m:raises", output="the call", hypothesis="crash")
    report = judged(written(tmp_path, crash), raises)
    assert (report.verdict, states(report)) == ("pass", ["failed"])
    elsewhere = judged(written(tmp_path, crash | {"regime": "designed"}), raises)
    assert (elsewhere.verdict, states(elsewhere)) == ("fail", ["passes"])
    assert [hypotheses(f) for f in elsewhere.findings] == [["crash"]]


def test_a_bias_across_cases_is_expected_of_the_whole(tmp_path: Path) -> None:
    biased = changed(grad_x=lambda value: value * (1 + 2.0**-22))
    biased.__module__, biased.__qualname__ = "m", "biased"
    expected = entry(kernel="m:biased", output="grad_x", regime="whole")
    report = judged(written(tmp_path, expected), biased, ["averaging"])
    assert (report.verdict, states(report)) == ("pass", ["failed"])
    plain = loracle.validate(biased, "lora-linear", regimes=["averaging"])
    assert [f.output for f in plain.findings] == ["grad_x"]
    assert report.expected_failures[0].finding == plain.findings[0]


OUTDATED = {
    "it passes": (entry(output="grad_x"), "passes", "it passes now; remove the entry"),
    "no output": (
        entry(output="grad_y"),
        "unknown",
        "lora-linear has no output 'grad_y'; did you mean grad_x",
    ),
    "no regime": (
        entry(regime="tinny"),
        "unknown",
        "lora-linear has no regime 'tinny'; did you mean tiny?",
    ),
    "no diagnosis": (
        entry(output="grad_x", hypothesis="missing-softmax-correction"),
        "unknown",
        "lora-linear has no diagnosis 'missing-softmax-correction'",
    ),
    "no kernel": (entry(kernel="nowhere.py:f"), "unknown", "there is no kernel nowhere.py:f; this"),
}


@pytest.mark.parametrize(("wrong", "state", "says"), OUTDATED.values(), ids=OUTDATED)
def test_an_entry_that_matches_nothing_is_an_error(
    wrong: dict[str, Any], state: str, says: str, tmp_path: Path
) -> None:
    """Also where only what is proven is to count."""
    file = written(tmp_path, wrong)
    report = judged(file, autograd.lora_linear) if "kernel" in wrong else judged(file)
    (expected,) = report.expected_failures
    assert (expected.state, expected.outdated) == (state, True)
    assert report.reason == "outdated-expectations"
    assert report.verdict == ("suspect" if "kernel" in wrong else "fail")
    text = shown(report)
    assert f"outdated: {wrong['output']} in {wrong['regime']}: {says}" in text


def test_outdated_entries_alone_end_in_status_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "k.py").write_text("from loracle.adapters.autograd import lora_linear as f")
    target = f"{tmp_path}/k.py:f"
    file = written(tmp_path, entry(kernel=target))
    options = ["--contract", "lora-linear", "--regime", "tiny", "--only-proven"]
    with pytest.raises(SystemExit) as exit_:
        main(["validate", target, *options, "--expected-failures", str(file)])
    assert exit_.value.code == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "SUSPECT: nothing unexpected was found, but 1 entry of the expected failures" in text


def test_what_was_not_run_is_not_outdated(tmp_path: Path) -> None:
    """Other regimes, other dtypes, other kernels that exist, and a part of the regime's cases."""
    others = [
        entry(regime="long"),
        entry(output="grad_x", regime="designed", dtype="bfloat16"),
        entry(kernel="peft"),
        entry(kernel="loracle.adapters.autograd:lora_linear"),
    ]
    report = judged(written(tmp_path, entry(), *others))
    assert (report.verdict, states(report)) == ("pass", ["failed", "not-judged"])
    few = judged(written(tmp_path, entry()), regimes=["tiny"], cases=2, seed=11)
    assert states(few) in (["failed"], ["not-judged"])
    assert few.reason != "outdated-expectations"


def test_what_the_kernel_does_not_have_cannot_fail(tmp_path: Path) -> None:
    @loracle.declare(unsupported=["tiny"], outputs=["output", "grad_x"])
    def partial(**call: Any) -> Any:
        return autograd.lora_linear(**call)

    partial.__module__, partial.__qualname__ = "m", "partial"
    tables = [entry(kernel="m:partial", output="grad_x"), entry(kernel="m:partial", regime="long")]
    report = judged(written(tmp_path, *tables), partial)
    assert states(report) == ["unknown", "unknown"]
    problems = [expected.problem for expected in report.expected_failures]
    assert problems == [
        "the kernel declares that it does not have tiny",
        "the kernel declares that it does not have grad_lora_b",
    ]


def test_without_entries_for_it_nothing_changes(tmp_path: Path) -> None:
    file = written(tmp_path, entry(kernel="peft"))
    plain = loracle.validate(forgets_when_short, "lora-linear", regimes=["tiny"])
    assert without_time(judged(file, regimes=["tiny"])) == without_time(plain)


def test_in_pytest_each_test_answers_for_its_regime(tmp_path: Path) -> None:
    file = written(tmp_path, entry(), entry(output="grad_x", regime="designed"))
    options = {"regimes": ["tiny", "designed"], "expected_failures": file}
    tests = KernelTests(forgets_when_short, {"contract": "lora-linear", **options})
    assert states(tests.judge("tiny")) == ["failed", "not-judged"]
    assert states(tests.judge("designed")) == ["not-judged", "passes"]
    assert states(tests.judge(WHOLE)) == ["failed", "passes"]
    tests.close()


BAD_FILES = {
    "no toml": ("= 3", "cannot read the expected failures"),
    "no table": ("expected = 3", r"are tables \[\[expected\]\], and nothing else"),
    "something else": ("[other]\na = 1", r"are tables \[\[expected\]\], and nothing else"),
    "no reason": ('[[expected]]\nkernel="a"\noutput="b"\nregime="c"', "entry 1: reason is missing"),
    "empty": ('[[expected]]\nkernel="a"\noutput=[]\nregime="c"', "entry 1: output is missing"),
    "number": ('[[expected]]\nkernel=3\noutput="b"\nregime="c"\nreason="d"', "kernel is missing"),
    "dtype": ('[[expected]]\nkernel="a"\noutput="b"\nregime="c"\nreason="d"\ndtype=3', "not 3"),
    "key": ('[[expected]]\nregimes="c"', "unknown key 'regimes'; did you mean regime"),
    "no such key": (
        '[[expected]]\nxyz="c"',
        "unknown key 'xyz'; known: kernel, output, regime, reason",
    ),
    "hypothesis": (
        '[[expected]]\nkernel="a"\noutput="b"\nregime="c"\nreason="d"\nhypothesis="droped-tail"',
        "entry 1: unknown hypothesis 'droped-tail'; did you mean dropped-tail",
    ),
    "twice": (
        '[[expected]]\nkernel="a"\noutput="b"\nregime=["c", "e"]\nreason="d"\n'
        '[[expected]]\nkernel="a"\noutput="b"\nregime="e"\nreason="f"',
        "entry 2: b in e is in entry 1 too",
    ),
}


@pytest.mark.parametrize(("text", "says"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "expected.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=says) as error:
        read_entries(file)
    assert "\n" not in str(error.value)


def test_no_file_and_an_unknown_dtype(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        judged(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="unknown dtype 'float9'"):
        judged(written(tmp_path, entry(dtype="float9")))


def test_names_of_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k.py").write_text("from a import b as c\nd = 1\ndef e(): ...\nclass F: ...\n")
    assert same_kernel("a.b:c", "a.b.c")
    assert same_kernel("./k.py:e", f"{tmp_path}/k.py:e")
    assert not same_kernel("k.py:e", "k.py:d")
    assert all(map(exists, ["k.py:c", "k.py:d", "k.py:e", "k.py:F.g", "peft", "json:loads"]))
    assert not any(map(exists, ["k.py:b", "l.py:e", "pefd", "no_such_module_at_all:f", "a b:c"]))


def test_the_ways_to_name_one_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A callable's dotted name, a TARGET of its module and one of its file."""
    monkeypatch.chdir(tmp_path)
    for one, other in (
        ("k.py:f", "k.f"),
        ("k.py:f", "k:f"),
        ("src/pkg/k.py:F.g", "pkg.k.F.g"),
        ("pkg/__init__.py:f", "pkg:f"),
    ):
        assert same_kernel(one, other)
        assert same_kernel(other, one)
    for one, other in (
        ("k.py:f", "l.f"),
        ("k.py:f", "f"),
        ("k.py:f", "k"),
        ("pkg/k.py:f", "other.k.f"),
        ("a/k.py:f", "b/k.py:f"),
        ("a.k:f", "k.f"),
        ("k.py:F.g", "F.g"),
    ):
        assert not same_kernel(one, other)
        assert not same_kernel(other, one)


def test_kernels_that_their_modules_do_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt function of a module that is there; modules that make their names by code are
    believed."""
    monkeypatch.chdir(tmp_path)
    for path, text in {
        "right_kernels.py": "def lora_linear(): ...",
        "bundle/__init__.py": "",
        "bundle/deep/__init__.py": "from .inner import *",
        "bundle/deep/inner.py": "def f(): ...",
        "bundle/lazy.py": "def __getattr__(name): ...",
        "bundle/made.py": "globals()['g'] = 1",
        "plain/folder/inner.py": "def f(): ...",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    there = [
        "right_kernels.lora_linear",
        "right_kernels:lora_linear",
        "right_kernels.py:lora_linear",
    ]
    there += ["bundle.deep.f", "bundle.deep.inner:f", "bundle.lazy.f", "bundle.made:g"]
    there += ["plain.folder.inner.f", "loracle.adapters.autograd.lora_linear", "os.path:join"]
    assert [name for name in there if not exists(name)] == []
    absent = ["right_kernels.lora_lineal", "right_kernels:lora_lineal", "right_kernels"]
    absent += ["bundle.f", "bundle.made.f", "bundle.deep.inner.g", "bundle.dep:f"]
    absent += ["plain.folder.f", "plain.folder"]
    assert [name for name in absent if exists(name)] == []


def test_an_entry_may_name_the_kernel_otherwise_but_not_twice(tmp_path: Path) -> None:
    dotted = f"{forgets_when_short.__module__}.forgets_when_short"
    by_file = f"{__file__}:forgets_when_short"
    report = judged(written(tmp_path, entry(kernel=by_file)), regimes=["tiny"])
    assert states(report) == ["failed"]
    with pytest.raises(UsageError, match="entry 2: grad_lora_b in tiny is in entry 1 too"):
        judged(written(tmp_path, entry(kernel=by_file), entry(kernel=dotted)), regimes=["tiny"])
    (misspelt,) = judged(
        written(tmp_path, entry(kernel="loracle.adapters.autograd.lora_lineal")), regimes=["tiny"]
    ).expected_failures
    assert misspelt.problem.startswith("there is no kernel loracle.adapters.autograd.lora_lineal;")


def test_an_expected_failure_as_data() -> None:
    expected = ExpectedFailure("f, entry 1", "k", "o", "r", None, None, "why", "not-judged")
    assert expected.to_dict()["finding"] is None
    assert not expected.outdated
