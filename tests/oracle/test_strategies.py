"""The Hypothesis strategies: planted bugs shrink to the least that shows them, and the line that
is printed shows them again."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings

import loracle
from loracle import strategies
from loracle.adapters import autograd
from loracle.cases import Case
from loracle.contracts import CONTRACTS
from loracle.errors import Declined, UsageError
from loracle.evaluation import bind_sizes
from loracle.generation import generate, regimes_of
from loracle.generation.generate import case_of, resized

SMALL = {"in": (1, 3), "out": (1, 3), "batch": (1, 2)}

found = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def counterexample(kernel: Callable[..., Any], *contract: str, **choice: Any) -> tuple[Case, str]:
    """The case to which a failure shrinks, and what is printed of it."""
    last: list[Case] = []

    @found
    @given(case=strategies.cases(*contract, **choice))
    def test(case: Case) -> None:
        last.append(case)
        strategies.assert_conforms(kernel, case)

    with pytest.raises(AssertionError) as error:
        test()
    return last[-1], "\n".join([str(error.value), *error.value.__notes__])


def drops_the_tail(**call: Any) -> Any:
    """grad_lora_b knows 16 rows of the length, which is every row of a short input."""
    results = autograd.lora_linear(**call)
    gradient = call["grad_output"].clone()
    gradient[..., 16:, :] = 0
    few = autograd.lora_linear(**{**call, "grad_output": gradient})
    return {**results, "grad_lora_b": few["grad_lora_b"]}


def test_a_dropped_tail_shrinks_to_the_first_row_that_is_dropped() -> None:
    case, printed = counterexample(drops_the_tail, "lora-linear", sizes=SMALL)
    assert dict(case.sizes) == {"batch": 1, "length": 17, "in": 1, "out": 1, "r": 1}
    assert (case.regime, case.index, case.seed) == ("designed", 0, 0)
    line = re.search(r"replay +loracle\.validate\(.*?, (contract=.*)\)", printed)
    assert line is not None
    report = eval(f"loracle.validate(drops_the_tail, {line[1]})")
    assert report.verdict == "fail"
    assert [f.output for f in report.findings] == ["grad_lora_b"]
    shown = re.search(r"case=(Case\(.*?\)),\n\)", printed, flags=re.DOTALL)
    assert shown is not None
    assert eval(shown[1], {"Case": loracle.Case}) == case


def test_a_bug_of_ranks_beyond_one_shrinks_to_rank_two() -> None:
    def first_rank_only(**call: Any) -> Any:
        results = autograd.lora_linear(**call)
        results["grad_lora_a"][1:] = 0
        return results

    limits = {**SMALL, "length": (1, 3)}
    case, _ = counterexample(first_rank_only, "lora-linear", sizes=limits)
    assert dict(case.sizes) == {"batch": 1, "length": 1, "in": 1, "out": 1, "r": 2}


def test_a_bug_of_one_regime_shrinks_to_it() -> None:
    """A kernel that leaves out an adapter that does nothing yet."""

    def leaves_out(**call: Any) -> Any:
        results = autograd.lora_linear(**call)
        if not call["lora_b"].any():
            results["grad_lora_b"] = torch.zeros_like(results["grad_lora_b"])
        return results

    few = {**SMALL, "length": (1, 2), "r": (1, 2)}
    regimes = ["designed", "lora-init"]
    case, printed = counterexample(leaves_out, "lora-linear", regimes=regimes, sizes=few)
    assert (case.regime, set(dict(case.sizes).values())) == ("lora-init", {1})
    assert "FAIL  grad_lora_b" in printed


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=strategies.cases("aloragc", "float16", sizes={"L": (1, 9), "M": 5}))
def test_a_right_kernel_conforms(case: Case) -> None:
    report = strategies.assert_conforms(autograd.aloragc, case)
    assert (report.cases, report.findings) == (1, [])
    assert dict(case.sizes)["M"] == 5


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_regime_can_be_drawn_with_inputs_of_these_sizes(contract: str) -> None:
    for regime in regimes_of(CONTRACTS[contract]):

        @settings(found, max_examples=4, phases=[Phase.generate])
        @given(case=strategies.cases(contract, regimes=[regime]))
        def draws(case: Case) -> None:
            bound = bind_sizes(CONTRACTS[contract], generate(case))
            common = bound.keys() & dict(case.sizes).keys()
            assert len(common) > 2
            assert all(bound[symbol] == dict(case.sizes)[symbol] for symbol in common)

        draws()


def test_inputs_are_printed_as_the_call_that_makes_them() -> None:
    kept: list[strategies.Arguments] = []

    @settings(found, max_examples=5, phases=[Phase.generate])
    @given(call=strategies.inputs("lora-linear", torch.bfloat16, regimes=["layouts"]))
    def runs(call: strategies.Arguments) -> None:
        kept.append(call)
        assert call["x"].dtype == torch.bfloat16
        assert set(autograd.lora_linear(**call)) == set(CONTRACTS["lora-linear"].outputs)

    runs()
    for call in kept:
        again = eval(repr(call))
        assert again.case == call.case
        assert set(again) == set(CONTRACTS["lora-linear"].parameters)
        assert all(torch.equal(torch.as_tensor(again[n]), torch.as_tensor(call[n])) for n in call)


def test_what_the_kernel_does_not_support_is_no_example() -> None:
    def declines(**call: Any) -> Any:
        if call["lora_a"].shape[0] > 1:
            raise Declined("never")
        return autograd.lora_linear(**call)

    judged: list[int] = []

    @settings(found, max_examples=3, phases=[Phase.generate])
    @given(case=strategies.cases("lora-linear", sizes={**SMALL, "length": 1, "r": (1, 2)}))
    def test(case: Case) -> None:
        strategies.assert_conforms(declines, case)
        judged.append(dict(case.sizes)["r"])

    test()
    assert set(judged) == {1}
    case = case_of(CONTRACTS["lora-linear"], "float32", 0, "tiny", 0)
    case = resized(case, {"r": 2})
    with pytest.raises(UsageError, match=r"tiny:0.*: never"):
        strategies.assert_conforms(declines, case)


def test_suspect_is_a_failure_unless_only_what_is_proven_is_one() -> None:
    contract = CONTRACTS["lora-linear"]
    case = next(
        case
        for index in range(6)
        for case in [case_of(contract, "bfloat16", 0, "ragged", index)]
        if dict(case.sizes)["length"] == 17
    )

    def forgets(**call: Any) -> Any:
        results = autograd.lora_linear(**call)
        return {**results, "grad_lora_b": results["grad_lora_b"] / call["scaling"]}

    with pytest.raises(AssertionError, match="suspect: grad_lora_b") as error:
        strategies.assert_conforms(forgets, case)
    assert strategies.assert_conforms(forgets, case, only_proven=True).verdict == "suspect"
    # pytest shows the test, and none of loracle's own lines.
    assert error.traceback.filter(error)[-1].path == Path(__file__)


def test_a_case_with_sizes_of_its_own() -> None:
    plain = case_of(CONTRACTS["lora-linear"], "float32", 3, "tiny", 2)
    assert resized(plain, dict(plain.sizes)) == plain
    other = resized(plain, {"r": 5, "length": 7})
    assert other.key == "tiny:2@" + ",".join(f"{s}={n}" for s, n in other.sizes)
    assert generate(other).tensors["lora_a"].shape[0] == 5
    report = loracle.validate(
        autograd.lora_linear, "lora-linear", seed=3, only_cases=["tiny:2@r=5,length=7"]
    )
    assert report.cases == 1


BAD = {
    "symbol": ("tiny:0@L=3", "lora-linear has no size 'L'; it has: batch, length, in, out, r"),
    "zero": ("tiny:0@r=0", "the sizes of a case are given as in @r=1,d=4"),
    "huge": ("tiny:0@r=99999", "from 1 to 4096"),
    "words": ("tiny:0@r", "not as in 'tiny:0@r'"),
    "empty": ("tiny:0@", "not as in 'tiny:0@'"),
    "structure": ("structured:2@r=1", "structured cannot be made of the sizes of structured:2@"),
}


@pytest.mark.parametrize(("key", "says"), BAD.values(), ids=BAD)
def test_bad_sizes_of_a_case(key: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        loracle.validate(autograd.lora_linear, "lora-linear", only_cases=[key])
    assert says in str(error.value)


@pytest.mark.parametrize(
    "choice",
    [
        {"contract": "lora"},
        {"dtype": "float9"},
        {"regimes": ["saturated"]},
        {"regimes": []},
        {"sizes": {"L": 3}},
        {"sizes": {"r": 0}},
        {"sizes": {"r": (3, 2)}},
    ],
)
def test_bad_choices(choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        strategies.cases(**{"contract": "lora-linear", **choice})
