"""The documentation names what there is: options, arguments, adapters, diagnoses, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import loracle
from loracle.adapters import ADAPTERS
from loracle.cli import validate
from loracle.contracts import CONTRACTS, Contract
from loracle.diagnosis.hypotheses import NAMES
from loracle.expectations.entries import CALL, OPTIONAL, REQUIRED, WHOLE, read_entries
from loracle.generation import REGIMES
from loracle.replay.command import command as replay
from loracle.report import BEYOND_PLAN, STRUCTURAL, Diagnosis, Finding, RegimeSummary, Report

ROOT = Path(__file__).parents[1]
VALIDATE = (ROOT / "docs/validate-a-kernel.md").read_text()
REPORTS = (ROOT / "docs/reports.md").read_text()


def test_every_option_of_validate_is_documented_and_none_that_is_not() -> None:
    options = {name for parameter in validate.params for name in parameter.opts if name[0] == "-"}
    documented = set(re.findall(r"^\| `(--[\w-]+)", VALIDATE, flags=re.MULTILINE))
    assert documented == options - {"--help"}


def test_every_option_of_replay_is_documented_and_none_that_is_not() -> None:
    options = {name for parameter in replay.params for name in parameter.opts if name[0] == "-"}
    cells = re.findall(r"^\| (`--[^|]+) \|", section(REPORTS, "Replay"), flags=re.MULTILINE)
    documented = {name for cell in cells for name in re.findall(r"`(--[\w-]+)", cell)}
    assert documented == options


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.name)
def test_every_argument_and_output_is_documented(contract: Contract) -> None:
    section = VALIDATE.split(f"### {contract.name}\n")[1].split("\n## ")[0].split("\n### ")[0]
    names = set(re.findall(r"`(\w+)`", section))
    assert names == {*contract.parameters, *contract.outputs}


def test_every_adapter_is_documented() -> None:
    text = (ROOT / "docs/adapters.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, flags=re.MULTILINE)) == set(ADAPTERS)


def rows(text: str) -> set[str]:
    """The names in the first column of the tables of a page."""
    cells = re.findall(r"^\| ([^|]+) \|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)}


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_diagnosis_is_documented_and_none_that_is_not() -> None:
    text = (ROOT / "docs/diagnosis.md").read_text()
    assert rows(section(text, "Mistakes in the formulas")) == set().union(*NAMES.values())
    seen = rows(section(text, "What is seen without a closed form"))
    assert seen == STRUCTURAL | {BEYOND_PLAN}


def test_the_keys_of_expected_failures_are_documented_and_the_example_is_read() -> None:
    text = section((ROOT / "docs/continuous-integration.md").read_text(), "Expected failures")
    keys = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", text, flags=re.MULTILINE))
    assert keys == dict.fromkeys(REQUIRED, "required") | dict.fromkeys(OPTIONAL, "optional")
    (example,) = re.findall(r'^--8<-- "(.*)"', text, flags=re.MULTILINE)
    entries = read_entries(ROOT / example)
    contract = CONTRACTS["lora-linear"]
    assert {entry.regime for entry in entries} - {WHOLE} < set(REGIMES)
    assert {entry.output for entry in entries} - {CALL} < set(contract.outputs)
    assert {entry.hypothesis for entry in entries} == {None, "dropped-tail"}
    assert {entry.dtype for entry in entries} == {None, "bfloat16", "float16"}


def test_what_is_structural() -> None:
    assert {
        "crash",
        "timeout",
        "missing-output",
        "wrong-shape",
        "wrong-dtype",
        "mutates-input",
        "invalid-certificate",
        "false-certificate",
        "nondeterministic",
        "non-finite",
        "second-backward",
        "stale-cache",
        "uninitialised-memory",
        "writes-out-of-bounds",
    } == STRUCTURAL


def test_every_field_of_the_report_is_documented() -> None:
    crash = Finding("fail", None, "tiny", "tiny:0", 1, 1, (Diagnosis("crash", "it died"),))
    tiny = {"tiny": RegimeSummary()}
    report = Report("fail", "f", "aloragc", "float32", "cpu", "widest", 0, 1, tiny, [crash])
    data = report.to_dict()
    whole, regime, finding = section(REPORTS, "JSON").split("\nOf each ")
    assert rows(whole) == set(data)
    assert rows(regime) == set(data["regimes"]["tiny"])
    assert rows(finding) == set(data["findings"][0])
    assert all(f"`{name}`" in finding for name in data["findings"][0]["diagnosis"][0])


def test_the_default_number_of_cases_is_documented() -> None:
    others = {"averaging": 12, "long": 2, "extreme": 2, "structured": 3, "layouts": 3}
    assert {name: r.cases for name, r in REGIMES.items() if r.cases != 6} == others
    text = "by default 6; 12 of `averaging`, 3 of `structured` and `layouts`, 2 of"
    assert f"{text} `long` and `extreme`" in VALIDATE


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_what_a_page_links_to_exists(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    assert all((ROOT / link).exists() for link in links), links


def first_kernel(page: str) -> str:
    found = re.search(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_the_kernel_of_the_readme_is_short_wrong_and_easily_mended(tmp_path: Path) -> None:
    code = first_kernel("README.md")
    assert len(code.splitlines()) <= 10
    file = tmp_path / "my_kernels.py"
    file.write_text(code)
    report = loracle.validate(f"{file}:lora_linear")
    assert report.verdict == "fail"
    (finding,) = report.findings
    assert finding.output == "grad_lora_b"
    assert "missing-scaling" in {diagnosis.hypothesis for diagnosis in finding.diagnosis}

    file.write_text(code.replace("upstream.T @ (rows", "scaling * upstream.T @ (rows"))
    assert loracle.validate(f"{file}:lora_linear", dtype="bfloat16").verdict == "pass"


def test_the_attention_kernel_of_the_guide_passes_and_its_correction_is_needed(
    tmp_path: Path,
) -> None:
    code = first_kernel("docs/validate-a-kernel.md")
    file = tmp_path / "my_kernels.py"
    file.write_text(code)
    assert loracle.validate(f"{file}:lora_attention").verdict == "pass"

    correction = " - (grad_p * p).sum(-1, keepdim=True)"
    assert correction in code
    file.write_text(code.replace(correction, ""))
    report = loracle.validate(f"{file}:lora_attention", regimes=["designed", "tiny"])
    wrong = {finding.output: finding for finding in report.findings if finding.verdict == "fail"}
    assert set(wrong) == {"grad_a_q", "grad_b_q", "grad_a_k", "grad_b_k"}
    for finding in wrong.values():
        assert finding.diagnosis[0].hypothesis == "missing-softmax-correction"


def test_every_regime_is_in_the_table_of_inputs() -> None:
    text = (ROOT / "docs/how-verdicts-come-about.md").read_text()
    table = section(text, "Cases").split("### Regimes")[1]
    named = re.findall(r"^\|[^|]+\|([^|]+)\|$", table, flags=re.MULTILINE)
    assert {name for cell in named for name in re.findall(r"`([\w-]+)`", cell)} == set(REGIMES)
