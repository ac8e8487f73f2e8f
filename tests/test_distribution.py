"""What is built to be installed: wheel and sdist hold what they must, and work elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import loracle

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "loracle": ROOT / "oracle",
    "loracle_reference": ROOT / "reference",
    "loracle_proofs": ROOT / "proofs_check",
}
NOT_COPIED = shutil.ignore_patterns(
    ".git",
    ".venv*",
    "build",
    "dist",
    "site",
    ".*_cache",
    "__pycache__",
    "*.egg-info",
    ".hypothesis",
)
NO_SOURCES = {".vo", ".vok", ".vos", ".glob", ".aux", ".pyc"}

KERNEL = """
def kernel(*, x, weight, lora_a, lora_b, scaling, grad_output):
    rows, upstream = x.flatten(0, -2), grad_output.flatten(0, -2)
    through_b = scaling * upstream @ lora_b
    return {
        "output": x @ weight.T + scaling * (x @ lora_a.T) @ lora_b.T,
        "grad_x": (upstream @ weight + through_b @ lora_a).view_as(x),
        "grad_lora_a": through_b.T @ rows,
        "grad_lora_b": upstream.T @ (rows @ lora_a.T),
    }
"""

BUILD = """
import os, sys
from setuptools import build_meta
_, tree, out = sys.argv  # which setuptools changes
os.chdir(tree)
build_meta.build_sdist(out)
build_meta.build_wheel(out)
"""


def built(folder: Path) -> tuple[Path, Path]:
    """The sdist and the wheel, built from a copy of the tree, so that nothing is left in it."""
    copy, out = folder / "tree", folder / "out"
    shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BUILD, copy, out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


def sources(folder: Path) -> set[str]:
    """Relative to the root, without what is made from them."""
    return {
        str(path.relative_to(ROOT))
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in NO_SOURCES
        and not {"__pycache__", ".mypy_cache"} & set(path.parts)
        and not any(part.endswith(".egg-info") for part in path.parts)
    }


def python_of(environment: Path) -> Path:
    return environment / "bin" / "python"


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """In another folder, without the variables that would lead back to this tree."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COVERAGE"))}
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def install(folder: Path, wheel: Path, *options: str | Path) -> Path:
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", python_of(environment), "install", "-q"]
    done = run(folder, *pip, *options, wheel)
    assert done.returncode == 0, done.stderr
    return environment


def test_the_distributions_are_whole_and_the_wheel_works_elsewhere(tmp_path: Path) -> None:
    sdist, wheel = built(tmp_path)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = set().union(*(sources(ROOT / f) for f in ("docs", "tests", *PACKAGES.values())))
    assert wanted - names == set()
    assert {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "constraints.txt"} <= names
    assert not any(Path(name).suffix in NO_SOURCES for name in names)

    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = message_from_bytes(archive.read(metadata))
    for package, root in PACKAGES.items():
        files = {str(Path(name).relative_to(root.name)) for name in sources(root / package)}
        assert files - names == set()
        assert f"{package}/py.typed" in names
    assert {"loracle_proofs/ledger.json", "loracle/schema/report.schema.json"} <= names
    assert {name.partition("/")[0] for name in names} == {*PACKAGES, metadata.partition("/")[0]}
    assert fields["Version"] == loracle.__version__

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = install(tmp_path, wheel, "--no-deps", "--no-index")
    # The dependencies are those of the environment that runs this.
    (site,) = environment.glob("lib/python*/site-packages")
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(others))
    where = run(elsewhere, python_of(environment), "-c", "import loracle; print(loracle.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(environment)

    (elsewhere / "kernels.py").write_text(KERNEL)
    command = environment / "bin" / "loracle"
    options = ["--case", "designed:0", "--json", "r.json", "--html", "r.html", "--junit", "r.xml"]
    done = run(elsewhere, command, "validate", "kernels.py:kernel", *options)
    assert done.returncode == 1, done.stderr
    assert "FAIL  grad_lora_b" in done.stdout
    data = json.loads((elsewhere / "r.json").read_text())
    assert data["schema"] in run(elsewhere, command, "schema").stdout
    assert (elsewhere / "r.html").read_text().startswith("<!doctype html>")
    assert run(elsewhere, command, "ledger", "Lemma 3.2").returncode == 0


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_the_wheel_installs_into_a_clean_environment_and_the_demo_runs(tmp_path: Path) -> None:
    """With everything it needs from the package index, at the versions of constraints.txt."""
    _, wheel = built(tmp_path)
    adapters = wheel.parent / f"{wheel.name}[adapters]"
    environment = install(tmp_path, adapters, "-c", ROOT / "constraints.txt")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = run(elsewhere, environment / "bin" / "loracle", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "peft" in done.stdout
