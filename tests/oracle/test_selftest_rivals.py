"""The rules in use elsewhere, on kernels of the corpus that they are known to see or to miss."""

from __future__ import annotations

import pytest

from loracle.corpus.catalogue import RIGHT, WRONG
from loracle.corpus.entry import ALL_DTYPES, Entry
from loracle.selftest.rivals.judge import judge_by_rivals
from loracle.selftest.rivals.result import RivalTask

ENTRIES = {entry.name: entry for entry in (*WRONG, *RIGHT)}


def rejected(name: str, dtype: str) -> dict[str, bool]:
    entry: Entry = ENTRIES[name]
    results = judge_by_rivals(RivalTask(entry, dtype, entry in WRONG))
    return {result.rule: result.rejected for result in results}


@pytest.mark.parametrize("contract", ["lora-linear", "aloragc", "lora-attention"])
@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_all_let_eager_torch_pass(contract: str, dtype: str) -> None:
    assert not any(rejected(f"{contract}-eager-autograd", dtype).values())


@pytest.mark.parametrize(
    "name",
    [
        "lora-linear-scaling-missing-in-grad-a",
        "lora-linear-output-without-lora-term",
        "lora-linear-grad-b-missing",
        "aloragc-softmax-correction-missing",
        "lora-attention-grad-k-and-grad-v-swapped",
    ],
)
def test_all_reject_what_is_plainly_wrong(name: str) -> None:
    assert rejected(name, "float64") == {"gradcheck": True, "assert_close": True}
    assert rejected(name, "float32") == {"assert_close": True, "twice-eager": True}


@pytest.mark.parametrize(
    "name",
    [
        "lora-linear-multiple-of-16-asserted",
        "lora-linear-scaling-of-first-call",
        "lora-linear-upstream-read-with-strides-of-x",
        "aloragc-self-attention-asserted",
        "aloragc-softmax-without-maximum",
    ],
)
def test_all_miss_what_a_typical_test_does_not_reach(name: str) -> None:
    assert not any(rejected(name, "float32").values())


def test_a_right_kernel_that_sums_in_another_order_is_rejected_by_a_fixed_tolerance() -> None:
    assert rejected("lora-linear-token-by-token", "bfloat16")["assert_close"]


def test_which_rule_applies_where() -> None:
    name = "lora-linear-eager-autograd"
    assert set(rejected(name, "float64")) == {"gradcheck", "assert_close"}
    assert set(rejected(name, "bfloat16")) == {"assert_close", "twice-eager"}


def test_each_rule_meets_a_kernel_that_remembers_nothing() -> None:
    """A kernel that keeps a sum from call to call is seen by whoever calls it a second time with
    the same sizes; a single call each is no reason to reject it."""
    name = "lora-linear-accumulates-across-calls"
    first, second = rejected(name, "float32"), rejected(name, "float32")
    assert first == second
