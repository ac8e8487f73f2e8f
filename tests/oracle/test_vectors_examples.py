"""The programs of docs/examples judge a right kernel and a wrong one, as an implementer would run
them."""

from __future__ import annotations

import os
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

import loracle.vectors as vectors
from loracle.vectors.reading import shipped
from loracle_reference.floating_point import FORMATS

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def compiled(folder: Path, *flags: str) -> Path:
    program = folder / "lora_linear"
    command = [os.environ.get("CXX", "c++"), "-std=c++17", "-Wall", "-Wextra", "-pedantic"]
    source = EXAMPLES / "cpp" / "lora_linear.cpp"
    built = subprocess.run(
        [*command, *flags, "-o", program, source], capture_output=True, text=True, check=False
    )
    assert (built.returncode, built.stderr) == (0, "")
    return program


def judged(program: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, folder], capture_output=True, text=True, check=False)


def test_the_cpp_program_passes_a_right_kernel(tmp_path: Path) -> None:
    program = compiled(tmp_path)
    result = judged(program, shipped())
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("PASS") >= 10
    assert result.stdout.endswith(" cases fail, 0 are suspect\n")
    nothing = judged(program, tmp_path)
    assert nothing.returncode == 2
    assert nothing.stderr.startswith("error: cannot read")
    (tmp_path / "manifest.json").write_text((shipped() / "manifest.json").read_text()[:5000])
    assert judged(program, tmp_path).stderr == "error: the manifest is no JSON\n"


def test_the_cpp_program_fails_a_wrong_kernel_and_says_what_it_may_be(tmp_path: Path) -> None:
    result = judged(compiled(tmp_path, "-DWRONG"), shipped())
    assert result.returncode == 1
    assert "PASS" not in result.stdout
    assert "FAIL    designed:0 grad_lora_b\n" in result.stdout
    assert "missing-scaling: the result lacks the scaling alpha / r" in result.stdout
    assert "wrong-sign: the result has the opposite sign" in result.stdout
    assert "missing-base-term" not in result.stdout


@pytest.fixture(scope="module")
def jax_example() -> Any:
    pytest.importorskip("jax")
    spec = spec_from_file_location("jax_lora_linear", EXAMPLES / "jax_lora_linear.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JAX compiles the kernel anew for every case, which takes half a second of each."""
    folder = tmp_path_factory.mktemp("jax") / "set"
    vectors.build(folder, contracts=["lora-linear"], regimes=["typical"], cases=1)
    return folder


def test_the_jax_program_passes_a_right_kernel(
    jax_example: Any, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jax_example.main(few) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        *([dtype, "typical:0", "pass"] for dtype in FORMATS),
        ["0", "cases", "fail"],
    ]


def test_the_jax_program_fails_a_wrong_kernel(
    jax_example: Any, few: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_scaling(x: Any, weight: Any, lora_a: Any, lora_b: Any, scaling: float) -> Any:
        return x @ weight.T + (x @ lora_a.T) @ lora_b.T

    monkeypatch.setattr(jax_example, "forward", without_scaling)
    jax_example.kernel.clear_cache()
    assert jax_example.main(few) == 1
    out = capsys.readouterr().out
    assert out.count("'grad_lora_b': ") == len(FORMATS)
    assert out.count("'grad_lora_b': 'fail'") >= 2


def test_the_jax_program_needs_nothing_of_loracle() -> None:
    text = (EXAMPLES / "jax_lora_linear.py").read_text()
    assert "import loracle" not in text
    assert "from loracle" not in text
