"""The documentation names what there is: options, arguments, adapters, diagnoses, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import loracle
from loracle.adapters import ADAPTERS
from loracle.cli import validate
from loracle.contracts import CONTRACTS, Contract
from loracle.diagnosis.hypotheses import HYPOTHESES

ROOT = Path(__file__).parents[1]
VALIDATE = (ROOT / "docs/validate-a-kernel.md").read_text()


def test_every_option_of_validate_is_documented_and_none_that_is_not() -> None:
    options = {name for parameter in validate.params for name in parameter.opts if name[0] == "-"}
    documented = set(re.findall(r"^\| `(--[\w-]+)", VALIDATE, flags=re.MULTILINE))
    assert documented == options - {"--help"}


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.name)
def test_every_argument_and_output_is_documented(contract: Contract) -> None:
    section = VALIDATE.split(f"### {contract.name}\n")[1].split("\n## ")[0].split("\n### ")[0]
    names = set(re.findall(r"`(\w+)`", section))
    assert names == {*contract.parameters, *contract.outputs}


def test_every_adapter_is_documented() -> None:
    text = (ROOT / "docs/adapters.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, flags=re.MULTILINE)) == set(ADAPTERS)


def test_every_diagnosis_is_documented() -> None:
    text = (ROOT / "docs/how-verdicts-come-about.md").read_text().split("## Diagnosis")[1]
    documented = set(re.findall(r"`([\w-]+)`", text))
    assert {h.name for table in HYPOTHESES.values() for h in table} <= documented


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_what_a_page_links_to_exists(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    assert all((ROOT / link).exists() for link in links), links


def readme_kernel() -> str:
    readme = (ROOT / "README.md").read_text()
    return re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)[0]


def test_the_kernel_of_the_readme_is_short_wrong_and_easily_mended(tmp_path: Path) -> None:
    code = readme_kernel()
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
