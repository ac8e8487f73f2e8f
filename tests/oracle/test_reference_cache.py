"""The cache of references: what it gives is what would be computed, and it can never harm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import flint
import ml_dtypes
import numpy as np
import pytest

import loracle
import loracle_reference
from loracle.judgement import reference as module
from loracle.judgement.reference import CaseReference, reference_of
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.floating_point import machine_model

from .core_cases import CONTRACT_NAMES, DTYPES, a_case


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORACLE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def same(one: CaseReference, other: CaseReference) -> bool:
    """Bit for bit, NaN and infinities included."""
    if one.case != other.case or list(one.truth) != list(other.truth):
        return False
    arrays = []
    for known in (one, other):
        arrays.append([*known.inputs.tensors.values()])
        for output, enclosure in known.truth.items():
            proven, null = known.proven[output], known.null[output]
            arrays[-1] += [enclosure.high, enclosure.low, enclosure.radius, proven.bound]
            arrays[-1] += [np.array(proven.overflow_free), null.biases]
            arrays[-1] += [] if proven.unplanned is None else [proven.unplanned]
            arrays[-1] += [np.array([null.tolerance, null.systematic])]
            arrays[-1] += [np.array([null.bias_deviation, null.allowed_bias])]
    return len(arrays[0]) == len(arrays[1]) and all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for a, b in zip(arrays[0], arrays[1], strict=True)
    )


def forbid_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object, **keywords: object) -> None:
        raise AssertionError("computed in spite of the cache")

    for name in ("enclose", "proven_bounds", "calibrate"):
        monkeypatch.setattr(module, name, never)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("contract", "plan"),
    [(name, None) for name in CONTRACT_NAMES] + [(name, "merged") for name in PLANS],
)
def test_from_the_cache_as_computed(
    contract: str, dtype: str, plan: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without computing anything; catches a file that loses low words or infinities."""
    case, machine = a_case(contract, dtype, "designed", 1), machine_model("widest", dtype)
    computed = reference_of(case, machine, plan)
    assert len(entries(folder)) == 1
    forbid_computation(monkeypatch)
    loaded = reference_of(case, machine, plan)
    assert same(computed, loaded)


def test_the_key_has_everything_that_matters(folder: Path) -> None:
    """Catches a truth of one seed, dtype, index, regime or contract served to another, or a bound
    of another machine or evaluation plan."""
    case = a_case("lora-linear", "bfloat16", "tiny")
    machine = machine_model("widest", "bfloat16")
    asked = [
        (case, machine),
        (replace(case, seed=1), machine),
        (replace(case, index=1, sizes=a_case("lora-linear", "bfloat16", "tiny", 1).sizes), machine),
        (a_case("lora-linear", "bfloat16", "designed"), machine),
        (a_case("aloragc", "bfloat16", "tiny"), machine),
        (a_case("lora-linear", "float32", "tiny"), machine_model("widest", "float32")),
        (case, machine_model("f32-accumulate", "bfloat16")),
        (case, machine_model("f32-accumulate:4", "bfloat16")),
    ]
    paths = {module._path(known, model) for known, model in asked}
    assert len(paths) == len(asked)
    assert None not in paths
    planned = {module._path(case, machine, plan) for plan in ("merged", "unmerged")}
    assert len(paths | planned) == len(asked) + 2
    for known, model in asked:
        reference_of(known, model)
    assert len(entries(folder)) == len(asked)
    wide, narrow = reference_of(*asked[0]), reference_of(*asked[6])
    assert narrow.proven["output"].bound.max() < wide.proven["output"].bound.max()


def test_other_code_has_other_entries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed bound must not be hidden by an old file."""
    case, machine = a_case("lora-linear", "float32", "tiny"), machine_model("widest", "float32")
    before = module._path(case, machine)
    monkeypatch.setattr(module, "_code_hash", lambda: "another")
    assert module._path(case, machine) != before


def code_hash(root: Path) -> str:
    """Of the packages in that folder, computed in a new process that imports them from there."""
    program = "from loracle.judgement.reference import _code_hash; print(_code_hash())"
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, env=environment, cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def copy_packages(root: Path) -> Path:
    for package in (loracle, loracle_reference):
        source = Path(str(package.__file__)).parent
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, root / source.name, ignore=ignored)
    return root


def test_the_hash_is_of_the_specification_wherever_it_lies(tmp_path: Path) -> None:
    """Folders above the packages may have the names of those inside that do not count."""
    here = module._code_hash()
    roots = [copy_packages(tmp_path / name / "lib") for name in ("kernels", "demo")]
    assert [code_hash(root) for root in roots] == [here, here]
    root, other = roots
    kernel = root / "loracle" / "kernels" / "exact.py"
    kernel.write_text(kernel.read_text() + "# changed\n")
    assert code_hash(root) == here
    changed = set()
    for file in (
        root / "loracle_reference" / "attention.py",
        root / "loracle_reference" / "arithmetic" / "interval.py",
        other / "loracle" / "judgement" / "bounds.py",
    ):
        file.write_text(file.read_text() + "# changed\n")
        changed.add(code_hash(root if root in file.parents else other))
    assert len(changed) == 3
    assert here not in changed


@pytest.mark.parametrize("library", [np, flint, ml_dtypes])
def test_the_hash_is_of_the_libraries_too(
    library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A radius of another python-flint must not be served by this one."""
    compute = module._code_hash.__wrapped__
    before = compute()
    assert compute() == before
    monkeypatch.setattr(library, "__version__", "0.0.0")
    assert compute() != before


@pytest.mark.parametrize("damage", ["empty", "garbage", "half", "flipped", "no entries", "array"])
def test_a_damaged_file_is_ignored_and_replaced(damage: str, folder: Path) -> None:
    case, machine = a_case("lora-linear", "float32", "tiny"), machine_model("widest", "float32")
    computed = reference_of(case, machine)
    (path,) = entries(folder)
    whole = path.read_bytes()
    if damage == "no entries":
        np.savez(path, index=np.array('{"outputs": ["output"], "shapes": {}}'), numbers=np.ones(3))
    elif damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        middle = len(whole) // 2
        path.write_bytes(
            {
                "empty": b"",
                "garbage": b"no archive at all " * 40,
                "half": whole[:middle],
                "flipped": whole[:middle] + bytes(b ^ 255 for b in whole[middle:]),
            }[damage]
        )
    assert same(reference_of(case, machine), computed)
    assert entries(folder) == [path]
    assert same(reference_of(case, machine), computed)
    assert path.stat().st_size == len(whole)


def test_a_file_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again when it is another, or was damaged; catches a memory of what no longer is."""
    case, machine = a_case("lora-linear", "float32", "tiny"), machine_model("widest", "float32")
    computed = reference_of(case, machine)
    (path,) = entries(folder)
    opened = []
    load = np.load
    monkeypatch.setattr(np, "load", lambda *a, **k: (opened.append(a), load(*a, **k))[1])
    first, second = reference_of(case, machine), reference_of(case, machine)
    assert len(opened) == 1
    assert same(computed, first)
    assert same(first, second)
    wrong = replace(computed.proven["output"], bound=computed.proven["output"].bound * 2)
    module._store(path, (computed.truth, {**computed.proven, "output": wrong}, computed.null))
    assert not same(reference_of(case, machine), computed)
    path.unlink()
    assert same(reference_of(case, machine), computed)
    assert len(opened) == 2
    assert reference_of(replace(case, seed=1), machine).case.seed == 1


def test_what_was_read_is_of_limited_size_and_cannot_be_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the last case stays; no judgement of one kernel can alter that of the next."""
    monkeypatch.setattr(module, "_MOST_BYTES", 1)
    machine = machine_model("widest", "float32")
    for index in (0, 1):
        case = a_case("lora-linear", "float32", "tiny", index)
        reference_of(case, machine)
        found = reference_of(case, machine)
        assert list(module._read) == [module._path(case, machine)]
    known = [found.truth["output"].high, found.proven["output"].bound, found.null["output"].biases]
    assert not any(array.flags.writeable for array in known)


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where the folder would be: even root cannot write there."""
    (tmp_path / "cache").write_text("in the way")
    monkeypatch.setenv("LORACLE_CACHE_DIR", str(tmp_path / "cache"))
    case, machine = a_case("lora-linear", "float32", "tiny"), machine_model("widest", "float32")
    assert same(reference_of(case, machine), reference_of(case, machine))


def test_a_full_disk_is_no_error_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    case, machine = a_case("lora-linear", "float32", "tiny"), machine_model("widest", "float32")
    reference_of(case, machine)
    assert entries(folder) == []


def test_an_empty_variable_switches_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written, not in the working folder either."""
    monkeypatch.setenv("LORACLE_CACHE_DIR", "")
    monkeypatch.chdir(tmp_path)
    case, machine = a_case("lora-linear", "float32", "tiny"), machine_model("widest", "float32")
    assert module._path(case, machine) is None
    reference_of(case, machine)
    assert entries(tmp_path) == []
