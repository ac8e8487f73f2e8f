"""The pytest plugin, in a project of its own: what is collected, what passes, how it fails."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from loracle.errors import UsageError
from loracle.pytest_plugin import expected_failures_of
from loracle.report import Diagnosis, ExpectedFailure, Finding, Report
from loracle.testing.conformance import conformance
from loracle.testing.kernel_tests import told_by
from loracle.testing.outcome import untold
from loracle.testing.words import failure_text

from .conftest import passing_report
from .pytest_project import ROOTS, Run, run_pytest

pytest_plugins = ["pytester"]

# A run of pytest in this process forgets what it has loaded, and numpy cannot be loaded twice.
import_module("loracle.testing.items")

TESTS = """
import loracle
import my_kernels
import pytest

REGIMES = ["tiny", "designed"]

@loracle.conformance(my_kernels.right, regimes=REGIMES)
def test_right(report, tmp_path, request):
    assert report.verdict != "fail"
    assert request.node.name.startswith("test_right")

@loracle.conformance(my_kernels.wrong, regimes=REGIMES)
def test_wrong():
    raise AssertionError("not reached where the kernel fails, reached where it passes")

class TestOthers:
    @pytest.mark.filterwarnings("error")
    @loracle.conformance(my_kernels.partial, regimes=REGIMES)
    def test_partial(self, report):
        assert set(report.evidence) == {"output", "grad_x"}

    @loracle.conformance(
        my_kernels.imprecise, dtype=["bfloat16"], seed=[0], only_proven=True, regimes=["ragged"]
    )
    def test_only_proven(self): ...

@loracle.conformance(my_kernels.imprecise, "lora-linear", "bfloat16", regimes=["ragged"])
def test_imprecise(): ...

@loracle.conformance(my_kernels.imprecise, "lora-linear", "bfloat16", regimes=["ragged"])
def test_marked(): ...

@loracle.conformance(my_kernels.wrong, regimes=["tiny"], expected_failures="known.toml")
def test_known(): ...

@pytest.mark.parametrize("number", [1, 2])
def test_of_their_own(number): ...
"""

XFAIL = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "test_marked[ragged]":
            item.add_marker(pytest.mark.xfail)
"""

KNOWN = """
[[expected]]
kernel = "my_kernels.wrong"
output = "grad_lora_b"
regime = "tiny"
reason = "issue 7"
"""


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The tests above, spread over two workers, those of a kernel in one of them."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "test_kernels.py").write_text(TESTS)
    (folder / "known.toml").write_text(KNOWN)
    (folder / "conftest.py").write_text(XFAIL)
    return run_pytest(folder, "-n", "2", "--dist", "loadscope", "-rA")


def test_each_regime_is_a_test_and_so_is_the_whole(spread: Run) -> None:
    assert spread.status == 1
    assert spread.outcomes == {
        "test_right[tiny]": "passed",
        "test_right[designed]": "passed",
        "test_right[whole]": "passed",
        "test_wrong[tiny]": "failure",
        "test_wrong[designed]": "failure",
        "test_wrong[whole]": "skipped",
        "test_partial[tiny]": "skipped",
        "test_partial[designed]": "passed",
        "test_partial[whole]": "failure",
        "test_only_proven[bfloat16-seed0-ragged]": "passed",
        "test_only_proven[bfloat16-seed0-whole]": "passed",
        "test_imprecise[ragged]": "failure",
        "test_imprecise[whole]": "skipped",
        "test_marked[ragged]": "skipped",
        "test_marked[whole]": "failure",
        "test_known[tiny]": "skipped",
        "test_known[whole]": "failure",
        "test_of_their_own[1]": "passed",
        "test_of_their_own[2]": "passed",
    }


def test_a_failure_reads_as_on_the_command_line(spread: Run) -> None:
    text = spread.texts["test_wrong[tiny]"]
    assert text.startswith("Failed: fail: grad_lora_b (missing-scaling")
    assert re.search(r"FAIL  grad_lora_b  in [1-6] of 6 cases", text)
    assert "missing-scaling: grad_lora_b lacks the scaling" in text
    assert "replay      loracle.validate(my_kernels.wrong, contract='lora-linear'" in text
    assert "only_cases=['tiny:" in text
    assert "Traceback" not in text
    assert ".py:" not in text
    assert "settle(" not in spread.output


def test_the_body_is_a_part_of_the_test(spread: Run) -> None:
    assert "not reached where the kernel fails" in spread.texts["test_wrong[designed]"]
    assert "not reached where the kernel fails" not in spread.texts["test_wrong[tiny]"]


def test_what_is_found_is_told_once(spread: Run) -> None:
    """Where the tests of its regimes have shown it, the whole does not repeat it."""
    text = spread.texts["test_wrong[whole]"]
    assert text.startswith("nothing to add to the tests of tiny: fail: grad_lora_b (missing-sc")
    assert "replay" not in text
    assert spread.output.count("replay      loracle.validate(my_kernels.wrong,") == 1


def test_what_is_marked_as_failing_its_regime_has_not_told(spread: Run) -> None:
    """Else all of it would be green."""
    assert "XFAIL test_kernels.py::test_marked[ragged]" in spread.output
    assert spread.texts["test_marked[whole]"].startswith("Failed: suspect: grad_lora_b")


def test_alone_the_whole_shows_all_of_it(tmp_path: Path) -> None:
    """Its regimes' tests have not shown it here, be they deselected or in another worker."""
    options = ["--loracle-contract=lora-linear", "--loracle-regime=tiny"]
    run = run_pytest(tmp_path, "--loracle", "my_kernels.py:wrong", *options, "-k", "whole")
    assert run.outcomes == {"my_kernels.py:wrong[whole]": "failure"}
    text = run.texts["my_kernels.py:wrong[whole]"]
    assert "FAIL: proven wrong" in text
    assert re.search(r"FAIL  grad_lora_b  in [1-6] of 6 cases", text)
    assert "error /" in text
    assert "pytest-xdist" not in text


def test_in_another_worker_the_whole_tells_it_again(tmp_path: Path) -> None:
    """Spread as pytest-xdist does by itself: here the whole and `tiny` go to different workers."""
    options = ["--loracle-contract=lora-linear", "--loracle-regime=tiny"]
    run = run_pytest(tmp_path, "--loracle", "my_kernels.py:wrong", *options, "-n", "2")
    assert run.outcomes == {
        "my_kernels.py:wrong[tiny]": "failure",
        "my_kernels.py:wrong[whole]": "failure",
    }
    text = run.texts["my_kernels.py:wrong[whole]"]
    assert re.search(r"FAIL  grad_lora_b  in", text)
    said = "note: tiny may have been tested in another worker of pytest-xdist, and told there:"
    assert f"{said} --dist loadfile keeps" in text
    assert "pytest-xdist" not in run.texts["my_kernels.py:wrong[tiny]"]


def test_loadfile_keeps_the_tests_of_a_kernel_together(tmp_path: Path) -> None:
    """Also those that lie in no file; the whole has nothing to add then."""
    options = ["--loracle-contract=lora-linear", "--loracle-regime=tiny", "-n", "2"]
    run = run_pytest(tmp_path, "--loracle", "my_kernels.py:wrong", *options, "--dist", "loadfile")
    assert run.outcomes == {
        "my_kernels.py:wrong[tiny]": "failure",
        "my_kernels.py:wrong[whole]": "skipped",
    }


def found(verdict: Any = "fail", count: int = 2, **changes: Any) -> Finding:
    return Finding(verdict, "grad_x", "tiny", "tiny:0", count, 18, (), error=1.0, **changes)


def structural(hypothesis: str, verdict: Any = "fail", count: int = 2) -> Finding:
    diagnosis = (Diagnosis(hypothesis, "it is so"),)
    return Finding(verdict, "grad_x", "tiny", "tiny:0", count, 18, diagnosis)


def with_findings(*findings: Finding, **changes: Any) -> Report:
    verdict = "fail" if "fail" in {finding.verdict for finding in findings} else "suspect"
    return passing_report(verdict=verdict, findings=list(findings), **changes)


BIAS = found("suspect", across_cases=True, reason="biased upwards")


@pytest.mark.parametrize(
    ("whole", "tiny", "left"),
    [
        (found(), found(), "pass"),
        (found("suspect"), found("suspect"), "pass"),
        (found(count=3), found(), "fail"),
        (found("suspect"), found(), "suspect"),
        (structural("crash"), structural("crash"), "pass"),
        (structural("crash"), structural("stale-cache"), "fail"),
        (structural("nondeterministic"), structural("nondeterministic", "suspect", 1), "fail"),
        (structural("nondeterministic"), structural("nondeterministic", "suspect"), "pass"),
        (BIAS, found("suspect"), "suspect"),
    ],
)
def test_the_whole_tells_what_no_regimes_test_has(whole: Finding, tiny: Finding, left: str) -> None:
    """A bias across cases, and whatever has cases in a regime whose test has not failed here, be
    the one that is shown another one's."""
    rest = untold(with_findings(whole), {"tiny": told_by(with_findings(tiny))})
    assert rest.verdict == left
    assert rest.findings == ([] if left == "pass" else [whole])


def test_what_several_regimes_have_told_is_told() -> None:
    told = {name: told_by(with_findings(found(count=3))) for name in ("tiny", "ragged")}
    assert untold(with_findings(found(count=6)), told).verdict == "pass"
    # Two of one kind, as where an expected failure is another one: the cases of both count.
    both = with_findings(found(count=6), found(count=1))
    assert untold(both, told).findings == both.findings


def test_a_name_that_only_all_cases_give_is_told() -> None:
    """As where the tests of the regimes have too few numbers for it, and say `unexplained`."""

    def named(*hypotheses: str) -> Report:
        diagnosis = tuple(Diagnosis(name, "it is so") for name in hypotheses)
        return with_findings(replace(found(count=3), diagnosis=diagnosis))

    whole = named("dropped-tail")
    told = {name: told_by(replace(whole, findings=[found(count=2)])) for name in ("tiny", "long")}
    assert untold(whole, told).findings == whole.findings
    told["tiny"] = told_by(named("dropped-tail"))
    assert untold(whole, told).verdict == "pass"
    assert untold(named("dropped-tail", "constant-factor"), told).verdict == "fail"


def test_what_the_whole_adds_reads_as_a_regimes_report_does() -> None:
    """A sentence on the verdict of the whole would be false of what is left of it."""
    report = replace(with_findings(BIAS), plan="merged")
    text = failure_text(report, "whole", (), ["tiny"])
    heading = "peft against lora-linear, bfloat16, cpu, widest machine, plan merged, seed 0, whole"
    assert text.startswith(f"suspect: grad_x (unexplained)\n\n{heading}\n")
    assert "biased upwards" in text
    assert text.endswith("note: what else was found the tests of tiny show")
    assert "SUSPECT: " not in text
    assert "SUSPECT: " in failure_text(report, "whole")


def test_an_entry_that_no_regimes_test_answers_for_is_left() -> None:
    def entry(regime: str, state: str) -> ExpectedFailure:
        return ExpectedFailure("known.toml", "k", "grad_x", regime, None, None, "", state)

    entries = [entry("tiny", "passes"), entry("whole", "passes"), entry("tiny", "unknown")]
    report = with_findings(found(), expected_failures=entries)
    rest = untold(report, {"tiny": told_by(report)})
    assert rest.verdict == "suspect"
    assert rest.expected_failures == entries[1:]


def test_suspect_fails_unless_only_what_is_proven_is_to(spread: Run) -> None:
    text = spread.texts["test_imprecise[ragged]"]
    assert text.startswith("Failed: suspect: grad_lora_b")
    assert any(
        line.startswith(
            "only suspect: my_kernels.imprecise, bfloat16-seed0-ragged: suspect: grad_lora_b"
        )
        for line in spread.summary()
    )


def test_what_is_declared_unsupported_is_skipped_aloud(spread: Run) -> None:
    reason = "tiny: the kernel declares that it does not support this regime"
    assert spread.texts["test_partial[tiny]"].startswith(reason)
    assert f"not judged: my_kernels.partial: {reason}" in spread.summary()
    outputs = [line for line in spread.summary() if "does not have this output" in line]
    assert len(outputs) == 2


def test_too_little_evidence_is_for_the_whole_alone(spread: Run) -> None:
    """Six cases are too few, in whichever regime; the test of one regime does not ask."""
    assert spread.outcomes["test_partial[designed]"] == "passed"
    assert spread.texts["test_partial[whole]"].startswith("Failed: suspect: insufficient-evidence")
    assert "too few for a verdict" in spread.texts["test_partial[whole]"]


def test_what_is_expected_to_fail_is_so_in_pytest_too(spread: Run) -> None:
    assert spread.texts["test_known[tiny]"] == "issue 7"
    assert "XFAIL test_kernels.py::test_known[tiny] - issue 7" in spread.output
    (line,) = [line for line in spread.summary() if line.startswith("expected: ")]
    assert line.startswith("expected: my_kernels.wrong, float32: grad_lora_b in tiny, fail in ")
    assert line.endswith("issue 7 (known.toml, entry 1)")


def test_the_file_of_expected_failures(pytester: pytest.Pytester) -> None:
    """Of the command line, else of the ini file, where it is seen from the root."""
    plugin = ["-p", "loracle.pytest_plugin"]
    assert expected_failures_of(pytester.parseconfig(*plugin)) == ""
    pytester.makeini("[pytest]\nloracle_expected_failures = known.toml\n")
    configured = expected_failures_of(pytester.parseconfig(*plugin))
    assert configured == str(pytester.path / "known.toml")
    option = "--loracle-expected-failures=other.toml"
    assert expected_failures_of(pytester.parseconfig(*plugin, option)) == "other.toml"


def test_a_target_needs_no_file(tmp_path: Path) -> None:
    """And what else lies there is not collected."""
    (tmp_path / "test_broken.py").write_text("raise RuntimeError('not to be imported')")
    options = [
        "--loracle-contract=lora-linear",
        "--loracle-regime=tiny",
        "--loracle-regime=extreme",
    ]
    run = run_pytest(tmp_path, "--loracle", "my_kernels.py:wrong", *options)
    assert run.status == 1
    assert run.outcomes == {
        "my_kernels.py:wrong[tiny]": "failure",
        "my_kernels.py:wrong[extreme]": "passed",
        "my_kernels.py:wrong[whole]": "skipped",
    }
    assert "  replay      loracle validate my_kernels.py:wrong --contract" in run.output
    assert "FAILED loracle::my_kernels.py:wrong[tiny] - Failed: fail: grad_lora_b" in run.output


def test_beside_paths_they_are_collected_too_and_chosen_from(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_other(): ...")
    options = [
        "--loracle-contract=lora-linear",
        "--loracle-dtype=float64",
        "--loracle-dtype=float32",
    ]
    targets = ["--loracle", "my_kernels.py:right", "--loracle", "peft"]
    run = run_pytest(
        tmp_path, "test_other.py", *targets, *options, "--collect-only", "-k", "tiny or other"
    )
    lines = [line for line in run.output.splitlines() if "::" in line]
    assert lines == [
        "test_other.py::test_other",
        *(
            f"loracle::{target}[{dtype}-tiny]"
            for target in ("my_kernels.py:right", "peft")
            for dtype in ("float64", "float32")
        ),
    ]


BAD = {
    "target": (["nowhere.py:f"], "--loracle: no file nowhere.py"),
    "form": (["a:b:c"], "--loracle: cannot read the target 'a:b:c'"),
    "dtype": (["peft", "--loracle-dtype=float9"], "--loracle: unknown dtype 'float9'"),
    "contract": (["peft", "--loracle-contract=lora"], "--loracle: unknown contract 'lora'"),
    "regime": (["peft", "--loracle-regime=tinny"], "unknown regime 'tinny'; did you mean tiny?"),
    "expected": (["peft", "--loracle-expected-failures=none.toml"], "expected failures none.toml"),
    "machine": (["peft", "--loracle-machine=abacus", "--loracle-regime=tiny"], "abacus"),
    "plan": (["peft", "--loracle-plan=mergd"], "--loracle: unknown plan 'mergd'; known: merged"),
}


@pytest.fixture(autouse=True)
def _only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.mark.parametrize(("arguments", "says"), BAD.values(), ids=BAD)
def test_bad_usage_is_one_line(arguments: list[str], says: str, pytester: pytest.Pytester) -> None:
    plugins = ["-p", "loracle.pytest_plugin", "-p", "no:warnings"]
    run = pytester.runpytest_inprocess(*plugins, "--loracle", *arguments)
    assert run.ret != 0
    printed = run.stdout.str() + run.stderr.str()
    assert says in printed
    assert "Traceback" not in printed
    assert "site-packages" not in printed


def test_a_bad_decorator_is_one_line_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import loracle\n@loracle.conformance(len)\ndef test_it(): ...\n")
    run = pytester.runpytest_inprocess("-p", "loracle.pytest_plugin")
    assert run.ret == 2
    assert "cannot tell the contract from the parameters" in run.stdout.str()
    assert "Traceback" not in run.stdout.str()


AT_DECORATION = {
    "bare": ("conformance", "write @loracle.conformance(kernel, ...) before test_it: which kernel"),
    "number": ("conformance(3)", "a kernel is a callable or a TARGET, not 3"),
    "dtype": ("conformance(len, 'lora-linear', dtype=['fp8'])", "unknown dtype 'fp8'; known"),
    "keyword": (
        "conformance(len, 'lora-linear', dtypes=['float32'])",
        "conformance has no argument 'dtypes'; did you mean dtype?",
    ),
}


@pytest.mark.parametrize(("written", "says"), AT_DECORATION.values(), ids=AT_DECORATION)
def test_a_decorator_that_is_written_wrongly_names_its_line(
    written: str, says: str, pytester: pytest.Pytester
) -> None:
    file = pytester.makepyfile(f"import loracle\n@loracle.{written}\ndef test_it(): ...\n")
    run = pytester.runpytest_inprocess("-p", "loracle.pytest_plugin")
    assert run.ret == 2
    said = [line for line in run.outlines if says in line]
    assert said[0].startswith(f"{file.name}:2: ")
    assert "conformance.py" not in run.stdout.str()
    with pytest.raises(UsageError, match=re.escape(says)):
        exec(file.read_text(), {})


AT_COLLECTION = {
    "regime": (
        "len, 'lora-linear', regimes=['tinny']",
        "unknown regime 'tinny'; did you mean tiny?",
    ),
    "target": ("'nowhere.py:f'", "no file nowhere.py"),
    "adapter": ("'pefd'", "'pefd' is no adapter"),
    "contract": ("len", "cannot tell the contract from the parameters"),
    "expected": ("'peft', expected_failures='none.toml'", "expected failures none.toml: No such"),
    "plan": ("'peft', plan='mergd'", "unknown plan 'mergd'; known: merged"),
    "declared": (
        "loracle.declare(plan='merged-flash')(lambda **call: call), 'lora-linear'",
        "declare: lora-linear has no plan 'merged-flash'; it has: merged, unmerged",
    ),
}


@pytest.mark.parametrize(("written", "says"), AT_COLLECTION.values(), ids=AT_COLLECTION)
def test_what_is_seen_at_collection_alone_names_its_line_too(
    written: str, says: str, pytester: pytest.Pytester
) -> None:
    text = f"import loracle\nclass TestIt:\n    @loracle.conformance({written})\n"
    file = pytester.makepyfile(text + "    def test_it(self, report): ...\n")
    run = pytester.runpytest_inprocess("-p", "loracle.pytest_plugin")
    assert run.ret == 2
    said = [line for line in run.outlines if says in line]
    assert said[0].startswith(f"{file.name}:3: ")
    assert len([line for line in said if not line.startswith("ERROR ")]) == 1
    assert "conformance.py" not in run.stdout.str()


def test_what_only_the_loaded_kernel_shows_is_told_by_its_first_test(
    pytester: pytest.Pytester,
) -> None:
    """The file is loaded for its first test, as the contract is named; no other tells it again."""
    kernel = "@loracle.declare(plan='merged-flash')\ndef kernel(**call): ...\n"
    pytester.makepyfile(declaring=f"import loracle\n{kernel}")
    options = ["--loracle-contract=lora-linear", "--loracle-regime=tiny", "--loracle-timeout=9"]
    run = pytester.runpytest_inprocess(
        "-p", "loracle.pytest_plugin", "--loracle", "declaring.py:kernel", *options
    )
    run.assert_outcomes(failed=2)
    says = "declares: lora-linear has no plan 'merged-flash'; it has: merged, unmerged, none"
    said = [line for line in run.outlines if says in line and not line.startswith("FAILED ")]
    assert len(said) == 1
    assert "During handling" not in run.stdout.str()


def test_a_kernel_may_be_named_as_a_test_is() -> None:
    """It is told from a forgotten pair of parentheses by its parameters, or by its contract."""

    def test_kernel(**call: object) -> None: ...

    def tested(x, weight, lora_a, lora_b, scaling, grad_output): ...  # type: ignore[no-untyped-def]

    assert callable(conformance(test_kernel, "lora-linear"))
    assert callable(conformance(tested))


def test_the_plugin_is_an_entry_point_and_loads_nothing() -> None:
    """It is in every pytest of whoever has loracle installed."""
    project = tomllib.loads((ROOTS[0].parent / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"loracle": "loracle.pytest_plugin"}
    script = (
        "import sys, pytest; before = set(sys.modules); import loracle.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(map(str, ROOTS))},
    )
    assert set(done.stdout.split()) <= {
        "loracle",
        "loracle.pytest_plugin",
        "importlib",
        "typing",
        "__future__",
    }


def test_the_example_of_the_documentation_collects(tmp_path: Path) -> None:
    example = ROOTS[0].parent / "docs/examples/test_kernels.py"
    (tmp_path / "test_kernels.py").write_text(example.read_text())
    run = run_pytest(tmp_path, "--collect-only", "-k", "whole or designed")
    lines = [line for line in run.output.splitlines() if "::" in line]
    assert lines == [
        f"test_kernels.py::test_lora_linear[{dtype}-{part}]"
        for dtype in ("float32", "bfloat16")
        for part in ("designed", "whole")
    ]


def test_the_options_are_documented() -> None:
    page = (ROOTS[0].parent / "docs/continuous-integration.md").read_text()
    plugin = Path(ROOTS[2] / "loracle/pytest_plugin.py").read_text()
    options = set(re.findall(r'"(--loracle[\w-]*)"', plugin))
    assert options == set(re.findall(r"--loracle(?:-[\w-]+)?", page))
