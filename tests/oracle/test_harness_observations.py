"""What the harness sees when a kernel behaves, and when it does not. All kernels here run in a
forked child of this process, which has torch and has used its worker threads."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from loracle.adapters.autograd import aloragc
from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.declaration import declare
from loracle.errors import UsageError
from loracle.harness import KernelProcess
from loracle.harness.process import importable_target
from loracle.observation import FurtherRun, Observation, Problem

ALORAGC = CONTRACTS["aloragc"]
Outputs = dict[str, Any]


def inputs(seed: int = 0, **sizes: int) -> Inputs:
    """Multiples of 1/8, exact in every judged dtype."""
    sizes = {"L": 5, "M": 7, "d": 4, "r": 2, **sizes}
    random = np.random.default_rng(seed)
    tensors = {
        name: random.integers(-8, 9, [sizes[s] for s in shape]) / 8
        for name, shape in ALORAGC.tensors.items()
    }
    return Inputs(tensors, {})


def observe(kernel: Callable[..., Any], dtype: str = "float32", **sizes: int) -> Observation:
    with KernelProcess(kernel, contract=ALORAGC, dtype=dtype, timeout=20) as process:
        return process.observe(inputs(**sizes))


def problem(kernel: Callable[..., Any], dtype: str = "float32") -> Problem:
    """The one problem that is seen."""
    (found,) = observe(kernel, dtype).problems
    return found


def second(seen: Observation) -> FurtherRun:
    """The second of two equal calls."""
    (found,) = seen.repeats
    return found


def after(change: Callable[[dict[str, Tensor], Outputs], object]) -> Callable[..., Outputs]:
    """A right kernel, but for a change to its arguments or results."""

    def kernel(**tensors: Tensor) -> Outputs:
        results: Outputs = aloragc(**tensors)
        change(tensors, results)
        return results

    return kernel


@pytest.fixture(scope="module", autouse=True)
def _torch_threads_in_use() -> None:
    """A forked child of a process that has used torch's threads hangs unless it limits its own."""
    (torch.randn(400, 400) @ torch.randn(400, 400)).exp().sum()


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_right_kernel_is_observed_exactly(dtype: str) -> None:
    seen = observe(aloragc, dtype)
    given_ = {k: torch.tensor(v, dtype=getattr(torch, dtype)) for k, v in inputs().tensors.items()}
    expected = aloragc(**given_)
    assert seen.problems == ()
    assert seen.notes == ()
    assert second(seen).spread == {"grad_a": 0.0, "grad_b": 0.0}
    assert second(seen).outputs == {}
    assert seen.seconds > 0
    for name, value in expected.items():
        assert np.array_equal(seen.outputs[name], value.double().numpy())


@settings(max_examples=10)
@given(L=st.integers(1, 9), M=st.integers(1, 9), d=st.integers(1, 6), r=st.integers(1, 6))
def test_any_sizes(L: int, M: int, d: int, r: int) -> None:
    seen = observe(aloragc, L=L, M=M, d=d, r=r)
    assert {k: v.shape for k, v in seen.outputs.items()} == {"grad_a": (r, d), "grad_b": (d, r)}


def test_the_arguments_are_fresh_contiguous_leaves_of_the_dtype_in_grad_mode() -> None:
    def kernel(**tensors: Tensor) -> Outputs:
        for t in tensors.values():
            assert t.dtype == torch.bfloat16
            assert t.is_contiguous()
            assert t.is_leaf
            assert not t.requires_grad
        assert torch.is_grad_enabled()
        assert torch.get_num_threads() == 1
        return aloragc(**tensors)

    assert observe(kernel, "bfloat16").problems == ()


def test_what_is_allowed_is_no_problem() -> None:
    def change(tensors: dict[str, Tensor], results: Outputs) -> None:
        tensors["a"].requires_grad_()
        tensors["b"].grad = torch.ones_like(tensors["b"])
        results["grad_a"] = results["grad_a"].T.contiguous().T * tensors["a"].sum().exp().sign()
        assert results["grad_a"].requires_grad
        assert not results["grad_a"].is_contiguous()
        results["more"] = None

    seen = observe(after(change))
    assert seen.problems == ()
    assert seen.notes == ("the extra output 'more' is ignored",)
    assert set(seen.outputs) == {"grad_a", "grad_b"}


@pytest.mark.parametrize(
    ("change", "hypothesis", "explanation"),
    [
        (lambda t, r: r.pop("grad_b"), "missing-output", "was not returned"),
        (lambda t, r: r.update(grad_b=None), "missing-output", "was not returned"),
        (
            lambda t, r: r.update(gradb=r.pop("grad_b")),
            "missing-output",
            "grad_b was not returned; gradb was: is that it?",
        ),
        (
            lambda t, r: r.update(dB=r.pop("grad_b"), loss=r["grad_a"]),
            "missing-output",
            "grad_b was not returned; under no name of the contract: dB, loss",
        ),
        (
            lambda t, r: r.update(grad_b=[1.0]),
            "missing-output",
            "of type list, not a dense tensor",
        ),
        (
            lambda t, r: r.update(grad_b=r["grad_b"].to_sparse()),
            "missing-output",
            "not a dense tensor",
        ),
        (
            lambda t, r: r.update(grad_b=r["grad_b"].T),
            "wrong-shape",
            "has shape (2, 4), expected (4, 2)",
        ),
        (
            lambda t, r: r.update(grad_b=r["grad_b"].double()),
            "wrong-dtype",
            "is float64, expected float32",
        ),
    ],
)
def test_a_wrong_output_is_a_problem_of_this_output_alone(
    change: Callable[[dict[str, Tensor], Outputs], object], hypothesis: str, explanation: str
) -> None:
    seen = observe(after(change))
    (found,) = seen.problems
    assert (found.hypothesis, found.output) == (hypothesis, "grad_b")
    assert explanation in found.explanation
    assert set(seen.outputs) == {"grad_a"}


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        (lambda t, r: t["c1"].add_(1), "20 of 20 elements differ, by up to 1"),
        (lambda t, r: t["c1"][2, 3].mul_(-1), "1 of 20 elements differ"),
        (lambda t, r: t["c1"].t_(), "its shape is now"),
        (lambda t, r: t["c1"].resize_(4, 5), "its shape is now"),
        (lambda t, r: t["c1"].set_(t["c1"].T.contiguous().T), "its strides are now"),
        (lambda t, r: setattr(t["c1"], "data", t["c1"].double()), "it is now float64"),
        (lambda t, r: t["c1"].detach().numpy().__setitem__(0, np.nan), "4 of 20 elements differ"),
    ],
)
def test_a_changed_input_is_a_problem(
    change: Callable[[dict[str, Tensor], Outputs], object], explanation: str
) -> None:
    found = problem(after(change))
    assert (found.hypothesis, found.output) == ("mutates-input", "c1")
    assert explanation in found.explanation


def test_minus_zero_for_zero_is_a_change_and_an_unchanged_nan_is_none() -> None:
    def flip(tensors: dict[str, Tensor], results: Outputs) -> None:
        tensors["y"][0, 0] = -0.0

    given_ = inputs()
    given_.tensors["y"][0, 0] = 0.0
    with KernelProcess(after(flip), contract=ALORAGC) as process:
        (found,) = process.observe(given_).problems
    assert (found.hypothesis, found.output) == ("mutates-input", "y")
    given_ = inputs()
    given_.tensors["c3"][0, 0] = np.nan
    with KernelProcess(aloragc, contract=ALORAGC) as process:
        seen = process.observe(given_)
    assert seen.problems == ()
    assert np.isnan(seen.outputs["grad_a"]).all()
    assert second(seen).outputs == {}
    assert second(seen).spread["grad_a"] == 0.0


@pytest.mark.parametrize("result", [None, (1, 2), 3.0])
def test_no_mapping_is_a_problem_of_the_call(result: object) -> None:
    found = problem(lambda **tensors: result)
    assert (found.hypothesis, found.output) == ("missing-output", None)
    assert "not a mapping" in found.explanation


def test_an_exception_is_told_in_one_line_with_the_place_in_the_kernel() -> None:
    def kernel(**tensors: Tensor) -> Outputs:
        return {"grad_a": torch.stack([tensors["a"], tensors["b"]])}

    found = problem(kernel)
    line = inspect.getsourcelines(kernel)[1] + 1
    assert found.hypothesis == "crash"
    assert found.explanation.startswith("RuntimeError: stack expects each tensor")
    assert found.explanation.endswith(f"test_harness_observations.py:{line}")
    assert "\n" not in found.explanation


def test_a_kernel_that_leaves_by_sys_exit_is_a_crash() -> None:
    def kernel(**tensors: Tensor) -> Outputs:
        raise SystemExit(0)

    assert problem(kernel).explanation.startswith("SystemExit: 0 at ")


def test_a_kernel_that_differs_from_call_to_call_has_spread() -> None:
    def change(tensors: dict[str, Tensor], results: Outputs) -> None:
        results["grad_a"] += torch.randint(1, 1000, ()).float()
        results["grad_b"][0, 0] = torch.nan if torch.rand(()) < 0.5 else 0.0

    with KernelProcess(after(change), contract=ALORAGC) as process:
        seen = [process.observe(inputs(seed)) for seed in range(8)]
        again = process.observe(inputs(0))
    assert all(s.problems == () for s in seen)
    assert all(second(s).spread["grad_a"] >= 1 for s in seen)
    assert {second(s).spread["grad_b"] for s in seen} == {0.0, np.inf}
    assert second(again).spread == second(seen[0]).spread, "a replay sees other random numbers"


@pytest.mark.parametrize("change", [3.0, float("inf"), float("nan")])
def test_what_the_second_call_returned_is_seen(change: float) -> None:
    """As far as it differs from the first: the one output, with the values of both calls."""
    calls: list[int] = []

    def every_second(tensors: dict[str, Tensor], results: Outputs) -> None:
        calls.append(1)
        results["grad_b"][0, 0] += change if len(calls) % 2 == 0 else 0.0

    expected = observe(aloragc).outputs
    seen = observe(after(every_second))
    assert seen.problems == ()
    assert set(second(seen).outputs) == {"grad_b"}
    for name, value in expected.items():
        assert np.array_equal(seen.outputs[name], value)
    wrong = expected["grad_b"].astype(np.float32)
    wrong[0, 0] += np.float32(change)
    assert np.array_equal(second(seen).outputs["grad_b"], wrong, equal_nan=True)
    assert second(seen).spread["grad_a"] == 0.0
    assert second(seen).spread["grad_b"] == (pytest.approx(3.0) if change == 3.0 else np.inf)


def test_a_failure_of_the_second_call_alone_is_seen() -> None:
    calls: list[int] = []

    def change(tensors: dict[str, Tensor], results: Outputs) -> None:
        calls.append(1)
        if len(calls) % 2 == 0:
            results.pop("grad_b")

    found = problem(after(change))
    assert found.hypothesis == "missing-output"
    assert "second of two calls" in found.explanation


def test_the_results_of_the_first_call_survive_the_second() -> None:
    buffer = torch.zeros(2, 4)

    def change(tensors: dict[str, Tensor], results: Outputs) -> None:
        results["grad_a"] = buffer.copy_(results["grad_a"] + buffer.sum().sign())

    assert second(observe(after(change))).spread["grad_a"] > 0.5


def test_declared_outputs_are_the_only_ones_expected() -> None:
    @declare(outputs=["grad_b"], epsilon=0.5)
    def kernel(**tensors: Tensor) -> Mapping[str, Tensor]:
        return {"grad_b": aloragc(**tensors)["grad_b"]}

    with KernelProcess(kernel, contract=ALORAGC) as process:
        loaded = process.start()
        seen = process.observe(inputs())
    assert loaded.outputs == ("grad_b",)
    assert loaded.declaration.epsilon == 0.5
    assert (seen.problems, set(seen.outputs)) == ((), {"grad_b"})


def test_the_contract_is_told_from_the_parameters() -> None:
    with KernelProcess(functools.partial(aloragc)) as process:
        loaded = process.start()
    assert loaded.contract is ALORAGC
    assert loaded.name == "loracle.adapters.autograd.aloragc"
    assert loaded.environment["torch"] == torch.__version__
    assert loaded.environment["threads"] == 1


def without_y(*, c1: Any, c2: Any, c3: Any, w: Any, a: Any, b: Any) -> None:
    """Cannot be called with the contract's arguments."""


def of_linear(x: Any, weight: Any, lora_a: Any, lora_b: Any) -> None:
    """Lacks two of another contract's arguments."""


class Module:
    """Its parameters are those of its construction."""

    def __init__(self, rank: int) -> None:
        """Nothing."""


def with_more(*, c1: Any, c2: Any, c3: Any, w: Any, a: Any, b: Any, y: Any, more: Any) -> None:
    """Cannot be called with the contract's arguments either."""


@declare(outputs=["grad_c"])
def with_unknown_output(**tensors: Any) -> None:
    """Declares what the contract does not have."""


@pytest.mark.parametrize(
    ("kernel", "named", "complaint"),
    [
        (without_y, False, r"from the parameters \(.*\): closest is aloragc; missing: y$"),
        (of_linear, False, "closest is lora-linear; missing: grad_output, scaling$"),
        (Module, False, r"\(rank\): kernels are called by name, .* wrap it in a function"),
        (
            without_y,
            True,
            r"without_y does not take y, which aloragc passes; \D*has these parameters$",
        ),
        (with_more, True, "requires more, which aloragc does not pass"),
        (lambda **tensors: None, False, r"\(none named\): name it with contract=... or --contr"),
        (with_unknown_output, True, "declares the output 'grad_c'; aloragc has grad_a, grad_b"),
    ],
)
def test_a_kernel_that_cannot_be_called_is_refused(
    kernel: Callable[..., Any], named: bool, complaint: str
) -> None:
    with (
        KernelProcess(kernel, contract=ALORAGC if named else None) as process,
        pytest.raises(UsageError, match=complaint),
    ):
        process.start()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"dtype": "float8"}, "unknown dtype 'float8'; known: float64"),
        ({"device": "gpu"}, "unknown device 'gpu'; known: cpu, cuda"),
        ({"timeout": 0}, "timeout must be a positive number"),
        ({"timeout": float("nan")}, "timeout must be a positive number"),
        ({"timeout": float("inf")}, r"at most 86400 \(a day\), not inf"),
        ({"timeout": 1e300}, r"at most 86400 \(a day\), not 1e\+300"),
        ({"timeout": 10**400}, r"at most 86400 \(a day\)"),
        ({"timeout": 86401}, "not 86401"),
    ],
)
def test_arguments_that_mean_nothing(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        KernelProcess(aloragc, **arguments)
    with pytest.raises(UsageError, match="not of type int"):
        KernelProcess(3)  # type: ignore[arg-type]


def test_the_longest_timeout_can_be_waited_for() -> None:
    with KernelProcess(aloragc, timeout=86400) as process:
        assert process.observe(inputs()).problems == ()


def test_inputs_of_other_shapes_are_refused() -> None:
    given_ = inputs()
    wrong = Inputs({**given_.tensors, "c2": given_.tensors["c1"]}, {})
    with (
        KernelProcess(aloragc, contract=ALORAGC) as process,
        pytest.raises(ValueError, match="c3 has M = 7, others 5"),
    ):
        process.observe(wrong)


def test_only_what_a_new_process_can_import_is_importable() -> None:
    found = importable_target(aloragc)
    assert found is not None
    assert found.text == "loracle.adapters.autograd:aloragc"
    assert importable_target(lambda: None) is None
    assert importable_target(functools.partial(aloragc)) is None


def test_a_device_that_is_not_there_is_refused() -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for kernel in (aloragc, lambda **tensors: None):
        with (
            KernelProcess(kernel, contract=ALORAGC, device=f"cuda:{count}") as process,
            pytest.raises(UsageError, match=r"no (CUDA )?device"),
        ):
            process.start()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("isolated", [True, False])
def test_a_callable_on_cuda(isolated: bool) -> None:
    kernel = aloragc if isolated else after(lambda tensors, results: None)
    with KernelProcess(kernel, contract=ALORAGC, device="cuda") as process:
        loaded = process.start()
        seen = process.observe(inputs())
    assert seen.problems == ()
    assert bool(loaded.notes) is not isolated
    assert "cuda_device" in loaded.environment
