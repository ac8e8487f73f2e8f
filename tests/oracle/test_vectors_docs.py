"""docs/vectors.md against what there is: options, members, flags, and the ten lines that judge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import loracle.vectors
from loracle.vectors.command import build, verify
from loracle.vectors.flags import PROPERTIES
from loracle.vectors.manifest import schema
from loracle.vectors.reading import shipped

PAGE = (Path(__file__).parents[2] / "docs" / "vectors.md").read_text()


def first_column(section: str) -> set[str]:
    text = PAGE.split(f"{section}\n", 1)[1].split("\n## ")[0]
    table = text[text.index("|") :].split("\n\n")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", table, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^` ]+)[^`]*`", cell)}


def test_every_option_is_documented() -> None:
    options = {name for parameter in build.params for name in parameter.opts if name[0] == "-"}
    assert first_column("## The commands") == options - {"--help"}
    assert [name for parameter in verify.params for name in parameter.opts] == ["folder", "--quick"]
    assert "--quick" in PAGE


def test_every_member_and_flag_is_documented() -> None:
    whole = schema()
    assert first_column("`loracle.vectors`:\n") == set(whole["properties"])
    assert first_column("Of each case:\n") == set(whole["$defs"]["case"]["properties"])
    assert all(f"`{name}`" in PAGE for name in whole["$defs"]["file"]["properties"])
    assert all(f"`{name}`" in PAGE for name in whole["$defs"]["output"]["properties"])
    assert first_column("The flags that are not regimes:\n") == set(PROPERTIES)


def rounded_once(*, scaling: float, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """lora-linear in float64, stored once in the dtype."""
    x, weight, a, b, grad = (
        inputs[name].astype("f8") for name in ("x", "weight", "lora_a", "lora_b", "grad_output")
    )
    flat_x, flat_grad = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
    exact = {
        "output": x @ weight.T + scaling * x @ a.T @ b.T,
        "grad_x": grad @ weight + scaling * grad @ b @ a,
        "grad_lora_a": scaling * (flat_grad @ b).T @ flat_x,
        "grad_lora_b": scaling * flat_grad.T @ (flat_x @ a.T),
    }
    return {name: value.astype(inputs["x"].dtype) for name, value in exact.items()}


def test_the_ten_lines_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = PAGE.split("```python\n")[1].split("```")[0]
    (tmp_path / "vectors").symlink_to(shipped())
    monkeypatch.chdir(tmp_path)
    code = compile(lines, "docs/vectors.md", "exec")
    exec(code, {"my_kernel": rounded_once})
    assert capsys.readouterr().out == ""

    def without_scaling(*, scaling: float, **inputs: np.ndarray) -> dict[str, Any]:
        right = rounded_once(scaling=scaling, **inputs)
        return right | {"grad_x": rounded_once(scaling=1.0, **inputs)["grad_x"]}

    exec(code, {"my_kernel": without_scaling})
    out = capsys.readouterr().out
    assert "proven wrong: bfloat16 designed:0 grad_x" in out
    assert "grad_lora_a" not in out


def test_the_lines_with_loracle_call_the_same_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    lines = PAGE.split("```python\n")[2].split("```")[0].replace('load("vectors")', "load()")
    exec(compile(lines, "docs/vectors.md", "exec"), {"my_kernel": rounded_once})
    out = capsys.readouterr().out
    assert "designed:0 grad_x pass" in out
    assert "fail" not in out


def test_the_lines_for_torch_lose_nothing() -> None:
    """Both conversions as the page has them, each on the dtypes it is for."""
    plain, of_bfloat16 = re.findall(r"`(torch\.from_numpy\([^`]*)`", PAGE)
    for dtype, line in (("float32", plain), ("float16", plain), ("bfloat16", of_bfloat16)):
        for vector in loracle.vectors.load().select(contract="lora-linear", dtype=dtype):
            for array in vector.tensors.values():
                tensor = eval(line, {"torch": torch, "array": array})
                assert str(tensor.dtype) == f"torch.{dtype}"
                assert np.array_equal(tensor.double().numpy(), array.astype(np.float64))
