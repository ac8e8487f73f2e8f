"""lora-mha through the whole path: a kernel in, a verdict with enough evidence out."""

from __future__ import annotations

import json
from typing import Any

import pytest

import loracle
from loracle.contracts import CONTRACTS, infer_contract
from loracle.kernels.mha import lora_mha
from loracle.validation import ENOUGH_EVIDENCE

TARGET = "loracle.kernels.mha:lora_mha"
MHA = CONTRACTS["lora-mha"]


def _deep(dtype: str, machine: str | None) -> Any:
    return pytest.param(dtype, machine, marks=pytest.mark.deep)


@pytest.mark.parametrize(
    ("dtype", "machine"),
    [
        ("bfloat16", "hopper"),
        _deep("bfloat16", None),
        _deep("float16", None),
        _deep("float64", None),
        _deep("float32", "f32-accumulate"),
        _deep("float16", "hopper"),
    ],
)
def test_the_own_kernel_passes_with_evidence_for_every_output(
    dtype: str, machine: str | None
) -> None:
    """No finding on the widest machine nor on narrower ones."""
    report = loracle.validate(TARGET, dtype=dtype, machine=machine, seed=1)
    assert (report.verdict, report.findings) == ("pass", [])
    evidence = report.to_dict()["evidence"]
    assert set(evidence) == set(MHA.outputs)
    assert min(evidence.values()) >= 2 * ENOUGH_EVIDENCE


def counted(**call: Any) -> Any:
    """Refuses heads that are no integers and masks that are no truth values."""
    for name in ("num_heads", "num_kv_heads"):
        if type(call[name]) is not int:
            raise TypeError(f"{name} is a {type(call[name]).__name__}")
    if type(call["causal"]) is not bool:
        raise TypeError(f"causal is a {type(call['causal']).__name__}")
    return lora_mha(**call)


def without_mask(**call: Any) -> Any:
    if call["causal"]:
        raise loracle.Declined("no mask")
    return lora_mha(**call)


def always_masked(**call: Any) -> Any:
    return lora_mha(**{**call, "causal": True})


NARROW: dict[str, Any] = {
    "contract": "lora-mha",
    "regimes": ["typical", "tiny"],
    "dtype": "float64",
}


def test_options_arrive_as_what_they_are() -> None:
    """Integers and a bool, through the transport to the child. Catches floats in their place."""
    assert loracle.validate(counted, **NARROW).findings == []


def test_a_kernel_may_decline_masks() -> None:
    """Which is no pass of the masked cases, and no finding."""
    report = loracle.validate(without_mask, **NARROW)
    assert report.findings == []
    assert any("no mask" in str(skipped) for skipped in report.to_dict()["skipped"])


def test_a_wrong_mask_is_told_and_replayed() -> None:
    report = loracle.validate(always_masked, **NARROW)
    assert report.verdict == "fail"
    told = json.loads(json.dumps(report.to_dict()))
    assert {f["output"] for f in told["findings"]} == set(MHA.outputs)
    for finding in told["findings"]:
        assert "causal-alignment" in {d["hypothesis"] for d in finding["diagnosis"]}
        assert "lora-mha" in finding["replay"]


def test_the_contract_is_inferred() -> None:
    assert infer_contract(lora_mha) is MHA
