"""The GitHub Action: its inputs, and its steps run by bash as a runner would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from loracle.cli import validate
from loracle.report import Report
from loracle.testing.step_summary import markdown, worst_verdict

from .pytest_project import KERNELS, ROOTS

ROOT = ROOTS[0].parent
TEXT = (ROOT / "action.yml").read_text()
ACTION: dict[str, Any] = yaml.safe_load(TEXT)
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}


def test_every_input_is_used_and_what_is_used_is_an_input() -> None:
    used = set(re.findall(r"\binputs\.([\w-]+)", json.dumps(ACTION["runs"])))
    assert used == set(ACTION["inputs"])


def test_every_output_comes_from_the_step() -> None:
    script = STEPS["Judge"]["run"]
    assert {o["value"] for o in ACTION["outputs"].values()} == {
        f"${{{{ steps.judge.outputs.{name} }}}}" for name in ACTION["outputs"]
    }
    assert 'echo "reports=' in script
    assert '--verdict "$GITHUB_OUTPUT"' in script


def test_no_input_is_pasted_into_a_script() -> None:
    """A script sees inputs as variables alone: pasted in, they would be run."""
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")


def test_what_the_script_passes_are_options_of_validate() -> None:
    options = {name for parameter in validate.params for name in parameter.opts}
    script = STEPS["Judge"]["run"].partition("python -m loracle.testing")[0]
    passed = set(re.findall(r"(?<=[\s(])--[\w-]+", script))
    assert passed <= options
    assert {"--dtype", "--seed", "--json", "--expected-failures", "--only-proven"} <= passed


class Runner:
    """What a step finds: a folder with kernels, `loracle` and `python` to call, files to write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "my_kernels.py").write_text(KERNELS)
        programs = folder / "bin"
        programs.mkdir()
        for name, command in (("loracle", "-m loracle"), ("python", "")):
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
            (programs / name).chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": ":".join(map(str, ROOTS)),
            "RUNNER_TEMP": str(folder),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        }

    def judge(self, **inputs: str) -> subprocess.CompletedProcess[str]:
        """The step with these inputs (their dashes as underscores), the others as by default."""
        values = {n: str(i.get("default", "")) for n, i in ACTION["inputs"].items()}
        values |= {name.replace("_", "-"): value for name, value in inputs.items()}
        step = STEPS["Judge"]
        assert set(inputs) <= {name.replace("-", "_") for name in ACTION["inputs"]}
        environment = {
            variable: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: values[m[1]], text)
            for variable, text in step["env"].items()
        }
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    @property
    def outputs(self) -> dict[str, str]:
        lines = (self.folder / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def summary(self) -> str:
        return (self.folder / "summary.md").read_text()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_the_step_judges_every_target_in_every_dtype(runner: Runner) -> None:
    done = runner.judge(
        target="my_kernels.py:right\nmy_kernels.py:wrong",
        contract="lora-linear",
        dtype="float32",
        only_proven="true",
        html="true",
        junit="true",
        arguments="--regime tiny",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert runner.outputs["verdict"] == "fail"
    folder = Path(runner.outputs["reports"])
    names = {f"{number}.{form}" for number in (1, 2) for form in ("json", "html", "xml")}
    assert {file.name for file in folder.iterdir()} == names
    reports = sorted(folder.glob("*.json"))
    verdicts = [json.loads(report.read_text())["verdict"] for report in reports]
    assert verdicts == ["suspect", "fail"]
    assert "::group::my_kernels.py:right, float32, seed 0" in done.stdout
    assert "::error title=loracle::my_kernels.py:wrong" in done.stdout
    assert "| ❌ fail | `my_kernels.py:wrong` | lora-linear | float32 | 0 | 6 |" in runner.summary
    assert "- **missing-scaling**: grad\\_lora\\_b lacks the scaling" in runner.summary
    assert "loracle validate my_kernels.py:wrong --contract lora-linear" in runner.summary


def test_what_cannot_be_judged_is_an_error(runner: Runner) -> None:
    done = runner.judge(target="my_kernels.py:rigth $(touch pasted)", expected_failures="none.toml")
    assert done.returncode == 2
    assert runner.outputs["verdict"] == "error"
    assert "3 runs have no report" in runner.summary
    assert not (runner.folder / "pasted").exists()


@pytest.mark.parametrize("name", ["Install loracle", "Judge"])
def test_the_scripts_are_scripts(name: str) -> None:
    subprocess.run(["bash", "-n", "-c", STEPS[name]["run"]], check=True)


def test_a_summary_shows_findings_and_expected_failures(
    make_failing: Callable[..., Report], make_passing: Callable[..., Report]
) -> None:
    failing, passing = make_failing().to_dict(), make_passing().to_dict()
    passing["expected_failures"] = [
        {"output": "grad_x", "regime": "tiny", "state": "failed", "reason": "a|b", "problem": ""},
        {"output": "grad_x", "regime": "long", "state": "passes", "reason": "", "problem": "gone"},
    ]
    text = markdown([passing, failing], 3)
    assert "1 run has no report" in text
    assert "### fail: `the call` in 1 of 8 cases" in text
    assert "- **crash**: RuntimeError: \\[bad\\] shapes" in text
    assert "- expected failure: `grad_x` in `tiny`: a\\|b" in text
    assert "- ❌ outdated: `grad_x` in `long`: gone" in text
    assert [worst_verdict([passing, failing], n) for n in (2, 3)] == ["fail", "error"]
    assert worst_verdict([passing], 1) == "pass"
    assert worst_verdict([], 0) == "error"


@pytest.mark.parametrize(
    ("few", "cases_total", "told"),
    [
        (False, 8, "none of the known mistakes explains it"),
        (True, 2, "too few numbers for a diagnosis: judge more cases"),
        (True, 8, "too few numbers are far enough beyond rounding to tell a mistake by"),
    ],
)
def test_a_summary_says_why_nothing_is_named(
    make_failing: Callable[..., Report], few: bool, cases_total: int, told: str
) -> None:
    """More cases are asked for only where all that were judged failed."""
    unnamed = replace(
        make_failing().findings[2],
        diagnosis=(),
        too_few_numbers=few,
        count=2,
        cases_total=cases_total,
    )
    report = make_failing(findings=[unnamed])
    lines = markdown([report.to_dict()], 1).splitlines()
    assert f"- {told}" in lines
    assert sum("known mistakes" in line or "too few" in line for line in lines) == 1


def test_the_example_of_a_workflow_gives_inputs_that_there_are() -> None:
    text = (ROOT / "docs/examples/loracle.yml").read_text()
    (job,) = yaml.safe_load(text)["jobs"].values()
    (step,) = [s for s in job["steps"] if s.get("uses", "").startswith("loracle/loracle@")]
    required = {name for name, value in ACTION["inputs"].items() if value.get("required")}
    assert required <= set(step["with"]) <= set(ACTION["inputs"])


def test_inputs_and_outputs_are_documented() -> None:
    page = (ROOT / "docs/continuous-integration.md").read_text()
    inputs, _, outputs = page.partition("| input | meaning |")[2].partition("| output | meaning |")

    def names(table: str) -> set[str]:
        cells = re.findall(r"^\| ([^|]+) \|", table.partition("\n\n")[0], flags=re.MULTILINE)
        return {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)}

    assert names(inputs) == set(ACTION["inputs"])
    assert names(outputs) == set(ACTION["outputs"])
