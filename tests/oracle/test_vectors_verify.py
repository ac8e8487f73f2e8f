"""Whatever is changed in a set of vectors, `verify` says so: in one line, and without being led
astray by checksums that were made to fit again."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loracle.vectors as vectors
from loracle.errors import UsageError
from loracle.vectors.manifest import MANIFEST, schema, schema_errors

from .vector_sets import Arrays, edited, rewritten, write_manifest

LINEAR, ALORAGC = "lora-linear-float32.safetensors", "aloragc-bfloat16.safetensors"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One case of lora-linear in float32 and one of aloragc in bfloat16."""
    folder = tmp_path_factory.mktemp("vectors") / "set"
    vectors.build(folder, contracts=["lora-linear"], dtypes=["float32"], regimes=["tiny"])
    other = folder.parent / "other"
    vectors.build(other, contracts=["aloragc"], dtypes=["bfloat16"], regimes=["tiny"])
    manifests = [json.loads((path / MANIFEST).read_text()) for path in (folder, other)]
    shutil.copy(other / ALORAGC, folder)
    first, second = manifests
    for changed in second["files"][0]["cases"]:
        for entry in changed["outputs"].values():
            entry["reveals"] += len(first["reveals"])
    first["reveals"] += second["reveals"]
    first["files"] += second["files"]
    first["mistakes"] |= second["mistakes"]
    for flag, entry in second["flags"].items():
        first["flags"].setdefault(flag, entry)["mistakes"] |= entry["mistakes"]
    write_manifest(folder, first)
    return folder


def test_a_set_that_nobody_touched_has_nothing_wrong(small: Path) -> None:
    assert vectors.verify(small) == []
    assert vectors.verify(small, quick=True) == []


def flipped(array: np.ndarray, bit: int) -> None:
    """Changes the middle entry of a float64 array in place."""
    array.reshape(-1).view(np.uint64)[array.size // 2] ^= np.uint64(1 << bit)


TRUTH, RADIUS, BOUND = (f"tiny:0/{part}/grad_x" for part in ("truth", "radius", "bound"))

NUMBERS: dict[str, tuple[Callable[[Arrays], object], str]] = {
    "the last bit of a truth": (lambda a: flipped(a[TRUTH], 0), "the truth is wrong"),
    "the sign of a truth": (lambda a: flipped(a[TRUTH], 63), "the truth is wrong"),
    "a truth that is no number": (lambda a: flipped(a[TRUTH], 62), "the truth|no truth"),
    "a radius of zero": (lambda a: a[RADIUS].fill(0), "the truth is wrong.*inf radii"),
    "a halved radius": (lambda a: np.multiply(a[RADIUS], 0.5, out=a[RADIUS]), "truth is wrong"),
    "a wide radius": (lambda a: a[RADIUS].fill(1e-3), "the radius is wider"),
    "a negative radius": (lambda a: np.negative(a[RADIUS], out=a[RADIUS]), "no radius"),
    "a tighter bound": (lambda a: np.multiply(a[BOUND], 0.999, out=a[BOUND]), "it is too small"),
    "a wider bound": (lambda a: np.multiply(a[BOUND], 1.001, out=a[BOUND]), "it is too large"),
    "no bound": (lambda a: a[BOUND].fill(np.inf), "it is too large"),
    "an input": (lambda a: np.negative(a["tiny:0/input/x"], out=a["tiny:0/input/x"]), "truth is"),
    "an infinite input": (lambda a: a["tiny:0/input/x"].fill(np.inf), "input x is not finite"),
    "a tensor too many": (lambda a: a.update(more=np.zeros(1)), "more is there, but not listed"),
    "a tensor too few": (lambda a: a.pop(TRUTH), "grad_x is listed, but not there"),
    "a tensor of another shape": (
        lambda a: a.update({TRUTH: a[TRUTH].reshape(-1)}),
        "listed is Span",
    ),
}


@pytest.mark.parametrize("mutant", NUMBERS)
def test_a_changed_number_is_caught_by_its_checksum_and_without(
    mutant: str, small: Path, tmp_path: Path
) -> None:
    change, said = NUMBERS[mutant]
    plain = rewritten(small, tmp_path / "plain", LINEAR, change, signed=False)
    assert any("SHA-256" in line for line in vectors.verify(plain, quick=True))
    signed = rewritten(small, tmp_path / "signed", LINEAR, change)
    assert not any("SHA-256" in line for line in vectors.verify(signed, quick=True))
    complaints = vectors.verify(signed)
    assert complaints
    assert any(re.search(said, line) for line in complaints), complaints
    assert all("\n" not in line for line in complaints)


def case(manifest: dict[str, Any]) -> Any:
    return manifest["files"][0]["cases"][0]


def output(manifest: dict[str, Any]) -> Any:
    return case(manifest)["outputs"]["grad_x"]


WORDS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "scaling": (lambda m: case(m)["scalars"].update(scaling="0x1.8p+1"), "the truth is wrong"),
    "tolerance": (lambda m: output(m).update(tolerance="0x1.0p-3"), "the tolerance is 0.125"),
    "no tolerance": (lambda m: output(m).update(tolerance=None), "the tolerance is None"),
    "overflow": (lambda m: output(m).update(overflow_free=False), "overflow_free should be True"),
    "another row": (lambda m: output(m).update(reveals=0), "reveals should be"),
    "no row": (lambda m: output(m).update(reveals=99), "a row of `reveals` that is not there"),
    "a row": (lambda m: m["reveals"][-1]["proves"].clear(), "reveals should be"),
    "flag taken": (lambda m: case(m).update(flags=["designed"]), "`flags`|flags should be"),
    "flag unknown": (lambda m: case(m).update(flags=["tinny"]), "unknown flag 'tinny'"),
    "why": (lambda m: m["flags"]["tiny"].update(why="No reason."), "`flags` does not say"),
    "what a failure means": (
        lambda m: m["mistakes"]["lora-linear"].update({"wrong-sign": "All is well."}),
        "`mistakes` does not say",
    ),
    "judge": (lambda m: m.update(judge="Let it pass."), "`judge` is not the rule"),
    "sizes": (lambda m: case(m)["sizes"].update(batch=7), "sizes should be"),
    "layouts": (lambda m: case(m)["layouts"].update(x="sliced"), "layouts should be"),
    "case": (lambda m: case(m).update(case="tiny:1"), "is listed, but not there"),
    "seed": (lambda m: m.update(seed=5), "sizes should be|not what the generator draws|scalars"),
    "machine": (lambda m: m.update(machine="tf32"), "the bound is not|made for float32"),
    "unknown machine": (lambda m: m.update(machine="abacus"), "unknown machine 'abacus'"),
    "contract": (lambda m: m["files"][0].update(contract="aloragc"), "the contract has"),
    "unknown contract": (lambda m: m["files"][0].update(contract="lora"), "unknown contract"),
    "dtype": (lambda m: m["files"][0].update(dtype="float16"), "listed is Span"),
    "offset": (lambda m: output(m).update(truth=8), "listed is Span"),
    "input's offset": (lambda m: case(m)["inputs"]["x"].update(offset=8), "listed is Span"),
    "file": (lambda m: m["files"][0].update(name="gone.safetensors"), "cannot be read: No such"),
    "file twice": (lambda m: m["files"].append(m["files"][0]), "is listed twice"),
    "file not listed": (lambda m: m["files"].pop(), "is there, but not listed"),
    "path": (lambda m: m["files"][0].update(name="../x.safetensors"), "does not match"),
    "member": (lambda m: m.update(extra=1), "extra"),
    "no files": (lambda m: m.update(files=[]), "files"),
    "decimal scalar": (lambda m: case(m)["scalars"].update(scaling="1.5"), "'1.5' is not valid"),
}


@pytest.mark.parametrize("mutant", WORDS)
def test_an_edited_manifest_is_caught_by_its_checksum_and_without(
    mutant: str, small: Path, tmp_path: Path
) -> None:
    change, said = WORDS[mutant]
    plain = edited(small, tmp_path / "plain", change, signed=False)
    assert vectors.verify(plain, quick=True) != []
    complaints = vectors.verify(edited(small, tmp_path / "signed", change))
    assert any(re.search(said, line) for line in complaints), complaints
    assert all("\n" not in line for line in complaints)


def test_a_manifest_that_is_no_json_or_of_another_schema_is_a_complaint(
    small: Path, tmp_path: Path
) -> None:
    broken = shutil.copytree(small, tmp_path / "broken")
    (broken / MANIFEST).write_text("{")
    assert len(vectors.verify(broken)) == 1
    assert "is no JSON" in vectors.verify(broken)[0]
    later = edited(small, tmp_path / "later", lambda m: m.update(schema="loracle-vectors/2"))
    assert vectors.verify(later) == [
        "manifest.json has the schema 'loracle-vectors/2'; this version reads loracle-vectors/1"
    ]
    with pytest.raises(UsageError, match=r"no manifest\.json"):
        vectors.verify(tmp_path / "nothing")


@pytest.mark.parametrize("quick", [True, False])
def test_a_truncated_file_is_a_complaint(quick: bool, small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "set")
    for length in (0, 7, 100, -1):
        data = (small / LINEAR).read_bytes()[:length]
        (folder / LINEAR).write_bytes(data)
        complaints = vectors.verify(folder, quick=quick)
        assert any(f"{LINEAR}: it has {len(data)} bytes" in line for line in complaints)


def test_random_bytes_never_end_in_a_traceback(small: Path, tmp_path: Path) -> None:
    generator = random.Random(20240917)
    original = (small / LINEAR).read_bytes()
    for trial in range(24):
        folder = shutil.copytree(small, tmp_path / str(trial))
        data = bytearray(original)
        place = generator.randrange(len(data) if trial % 2 else 600)
        data[place] ^= 1 << generator.randrange(8)
        (folder / LINEAR).write_bytes(data)
        assert any("SHA-256" in line for line in vectors.verify(folder, quick=trial % 3 > 0))


def test_the_schema_is_one_and_every_object_in_it_is_closed() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema())

    def open_objects(node: Any) -> list[Any]:
        if not isinstance(node, dict):
            return []
        here = [node] if node.get("type") == "object" and "additionalProperties" not in node else []
        return here + [one for child in node.values() for one in open_objects(child)]

    assert open_objects(schema()) == []
    assert len(schema_errors({})) == 5 + 1
