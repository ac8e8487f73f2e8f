"""The guard of `make test` against silently skipped third parties, seen from outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
ALL_PRESENT = "def test_peft(): pass\ndef test_loralib(): pass\ndef test_sdpa(): pass\n"


def run_pytest(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_adapters.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        [*command, f"--rootdir={folder}", str(folder)], cwd=folder, capture_output=True, text=True
    )


def test_green_when_every_third_party_was_tested(tmp_path: Path) -> None:
    gpu = "import pytest\n@pytest.mark.gpu\n@pytest.mark.skip\ndef test_sdpa_cuda(): pass\n"
    result = run_pytest(tmp_path, ALL_PRESENT + gpu, "--require-third-party")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_red_when_one_was_skipped(tmp_path: Path, options: tuple[str, ...]) -> None:
    skipped = "import pytest\n" + ALL_PRESENT + "@pytest.mark.skip\ndef test_peft_bf16(): pass\n"
    result = run_pytest(tmp_path, skipped, "--require-third-party", *options)
    assert result.returncode == 1
    assert "tests of peft were skipped: test_adapters.py::test_peft_bf16" in result.stdout


def test_red_when_the_tests_of_one_are_gone(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, "def test_peft(): pass\n", "--require-third-party")
    assert result.returncode == 1
    assert "no test of loralib passed" in result.stdout


def test_a_skip_is_fine_without_the_option(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, "import pytest\n@pytest.mark.skip\ndef test_peft(): pass\n")
    assert result.returncode == 0, result.stdout
