"""What no right kernel sees: bands around its arguments, NaN in fresh memory, inputs changed in
place, a second backward, more equal calls, and what it leaves behind in the process around it. Each
with a kernel that does see it. All run in forked children."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo import utils as dynamo

import loracle
from loracle.adapters.autograd import aloragc
from loracle.adapters.differentiation import gradients, with_grad
from loracle.harness import KernelProcess
from loracle.observation import CONDITIONS, Observation

from .test_harness_observations import ALORAGC, after, inputs, observe
from .validated import hypotheses, strict_json

Outputs = dict[str, Any]
Kernel = Callable[..., Outputs]


def observed(kernel: Kernel, dtype: str = "float32", **options: Any) -> Observation:
    """Under all conditions."""
    with KernelProcess(kernel, contract=ALORAGC, dtype=dtype, timeout=30, **options) as process:
        return process.observe(inputs(), CONDITIONS)


def judged(kernel: Kernel, dtype: str = "float32", **options: Any) -> loracle.Report:
    """One case of every kind of input that is quick."""
    chosen = {"regimes": ["designed", "sub-threshold"], "cases": 1, **options}
    return loracle.validate(kernel, "aloragc", dtype, **chosen)


def differing(seen: Observation) -> dict[str | None, set[str]]:
    """Per condition, the outputs that differ under it."""
    return {run.condition: set(run.outputs) for run in seen.further}


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_right_kernel_is_the_same_under_every_condition(dtype: str) -> None:
    seen = observed(aloragc, dtype)
    assert (seen.problems, seen.notes) == ((), ())
    assert differing(seen) == {None: set(), **{name: set() for name in CONDITIONS}}


def test_no_condition_unless_asked() -> None:
    assert [run.condition for run in observe(aloragc).further] == [None]


def beyond(tensors: dict[str, Tensor], results: Outputs) -> None:
    end = tensors["a"].data_ptr() + tensors["a"].nbytes
    ctypes.memset(end + 4, 0, 6)
    ctypes.memset(tensors["w"].data_ptr() - 8, 1, 1)


def reads_beyond(tensors: dict[str, Tensor], results: Outputs) -> None:
    c1 = tensors["c1"]
    behind = ctypes.c_float.from_address(c1.data_ptr() + c1.nbytes).value
    results["grad_a"] = results["grad_a"] + behind


def test_what_is_written_beside_an_argument_is_told() -> None:
    """In each of the two calls, which is one problem an argument."""
    found = {p.output: (p.hypothesis, p.explanation) for p in observe(after(beyond)).problems}
    assert found == {
        "a": ("writes-out-of-bounds", "a was written out of bounds: 6 bytes up to 10 past its end"),
        "w": ("writes-out-of-bounds", "w was written out of bounds: 1 byte up to 8 before w"),
    }

    def raises(**tensors: Tensor) -> Outputs:
        beyond(tensors, {})
        raise ValueError("too late")

    kinds = [problem.hypothesis for problem in observe(raises).problems]
    assert kinds == ["crash", "writes-out-of-bounds", "writes-out-of-bounds"]


def test_what_is_read_beside_an_argument_is_nan() -> None:
    assert np.isnan(observe(after(reads_beyond)).outputs["grad_a"]).all()


def test_what_was_compiled_before_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forked process inherits the count of its parent, where anything may have been compiled; of
    a kernel that compiles, two conditions are left out or weaker."""
    monkeypatch.setitem(dynamo.counters["stats"], "unique_graphs", 1)
    assert set(differing(observed(aloragc))) == {None, *CONDITIONS}


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_arguments_between_bands_are_ordinary_tensors(dtype: str) -> None:
    """What honest kernels ask of them: where they begin, what owns them, what can be done."""

    def kernel(**tensors: Tensor) -> Outputs:
        for tensor in tensors.values():
            assert tensor.data_ptr() % 64 == 0
            assert tensor.storage_offset() == 0
            assert tensor.untyped_storage().nbytes() == tensor.nbytes
            assert not tensor._is_view()
            assert tensor.is_leaf
            assert tensor.T.contiguous().T.equal(tensor)
        return aloragc(**tensors)

    assert observe(kernel, dtype).problems == ()


def half_written(results: Outputs, fresh: Callable[[Tensor], Tensor]) -> None:
    """All rows but the last are written."""
    whole = fresh(results["grad_a"])
    whole[:-1] = results["grad_a"][:-1]
    results["grad_a"] = whole


def torch_memory(tensors: dict[str, Tensor], results: Outputs) -> None:
    half_written(results, torch.empty_like)


def numpy_memory(tensors: dict[str, Tensor], results: Outputs) -> None:
    empty = np.empty(30_000, np.float32)
    results["grad_a"] = results["grad_a"] + float(empty[20_000])


def luckily_zero(tensors: dict[str, Tensor], results: Outputs) -> None:
    """As good as right as long as its memory is fresh from the system: an accumulator that is not
    set to zero."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    total = torch.empty_like(results["grad_b"])
    if not deterministic:
        total.zero_()
    results["grad_b"] = total + results["grad_b"]


def into_written_memory(tensors: dict[str, Tensor], results: Outputs) -> None:
    """The nearest right kernel."""
    results["grad_a"] = torch.empty_like(results["grad_a"]).copy_(results["grad_a"])
    results["grad_b"] = torch.zeros_like(results["grad_b"]) + results["grad_b"]


@pytest.mark.parametrize(
    ("change", "output"),
    [(torch_memory, "grad_a"), (numpy_memory, "grad_a"), (luckily_zero, "grad_b")],
)
def test_a_result_that_depends_on_fresh_memory_is_named(
    change: Callable[[dict[str, Tensor], Outputs], None], output: str
) -> None:
    report = judged(after(change))
    assert report.verdict == "fail"
    named = {name: f for f in report.findings for name in hypotheses(f)}
    finding = named["uninitialised-memory"]
    assert (finding.verdict, finding.output) == ("fail", output)
    (diagnosis,) = finding.diagnosis
    assert "with fresh memory filled with NaN: it depends on memory that the kernel has not wr" in (
        diagnosis.explanation
    )
    assert "stale-cache" not in named
    strict_json(report)


def test_memory_that_is_written_before_it_is_read_is_no_finding() -> None:
    seen = observed(after(into_written_memory))
    assert (seen.problems, seen.notes) == ((), ())
    assert differing(seen)["uninitialised-memory"] == set()


def test_a_refusal_of_the_condition_itself_is_noted() -> None:
    """As by an operation that has no deterministic algorithm; the mode is off again afterwards."""

    def kernel(**tensors: Tensor) -> Outputs:
        if torch.are_deterministic_algorithms_enabled():
            raise RuntimeError("no deterministic algorithm")
        return aloragc(**tensors)

    with KernelProcess(kernel, contract=ALORAGC, timeout=30) as process:
        for _ in range(2):
            seen = process.observe(inputs(), CONDITIONS)
            assert seen.problems == ()
            (note,) = seen.notes
            assert note.startswith("not seen with fresh memory filled with NaN: RuntimeError: no d")


def cached(key: Callable[[Tensor], object]) -> Kernel:
    """Keeps the product of the adapters for as long as it takes them for the same."""
    kept: dict[object, tuple[Tensor, Tensor]] = {}

    def kernel(**tensors: Tensor) -> Outputs:
        b = tensors["b"]
        # The tensor itself is kept, so that its address is not given to another one.
        copy, _ = kept.setdefault(key(b), (b.clone(), b))
        return aloragc(**{**tensors, "b": copy})

    return kernel


CACHES: dict[str, tuple[Callable[[Tensor], object], str | None]] = {
    "by object": (id, "after its inputs were changed in place: "),
    "by address": (lambda t: t.data_ptr(), "after its inputs were changed in place: "),
    "by version": (lambda t: (id(t), t._version), "in place through .data, which torch does not"),
    "by value": (lambda t: t.numpy().tobytes(), None),
}


@pytest.mark.parametrize("kind", CACHES)
def test_a_stale_cache_is_named(kind: str) -> None:
    key, words = CACHES[kind]
    report = judged(cached(key))
    if words is None:
        assert report.findings == []
        return
    assert report.verdict == "fail"
    named = {name: f for f in report.findings for name in hypotheses(f)}
    assert set(named) == {"stale-cache"}
    assert words in named["stale-cache"].diagnosis[0].explanation


_called: list[Tensor] = []


def refuses_changed(**tensors: Tensor) -> Outputs:
    """Raises when it is called again with tensors that it has had before."""
    if any(tensors["y"] is earlier for earlier in _called):
        raise ValueError("changed")
    _called.append(tensors["y"])
    return aloragc(**tensors)


def test_an_exception_after_the_change_alone_is_a_stale_cache() -> None:
    (found,) = observed(refuses_changed).problems
    assert (found.hypothesis, found.output) == ("stale-cache", None)
    assert "ValueError: changed" in found.explanation


class _Square(torch.autograd.Function):
    """x^2; the backward writes its result into what the forward saved."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, spoil: bool) -> Tensor:
        ctx.save_for_backward(x.clone())
        ctx.spoil = spoil
        return x.square()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        slope = 2 * x
        if ctx.spoil:
            x.data.mul_(2)
        return slope * grads[0], None


def of_squares(spoil: bool) -> Kernel:
    def kernel(**tensors: Tensor) -> Outputs:
        c1, c2, c3, w, a, b, y = (tensors[name] for name in ALORAGC.tensors)
        leaves = with_grad(a=a, b=b)
        scores = c1 @ (w + leaves["b"] @ leaves["a"]) @ c2.T
        residual = torch.softmax(scores, dim=-1) @ c3 - y
        return gradients(0.5 * _Square.apply(residual, spoil).sum(), leaves)

    return kernel


def test_a_backward_that_works_only_once_is_named() -> None:
    assert judged(of_squares(spoil=False)).findings == []
    report = judged(of_squares(spoil=True))
    assert {name for f in report.findings for name in hypotheses(f)} == {"second-backward"}
    assert {finding.output for finding in report.findings} == {"grad_a", "grad_b"}
    assert "the first one changes what the graph has saved" in (
        report.findings[0].diagnosis[0].explanation
    )


def every(n: int) -> Kernel:
    """Wrong in every n-th call."""
    calls: list[int] = []

    def kernel(**tensors: Tensor) -> Outputs:
        calls.append(1)
        results: Outputs = aloragc(**tensors)
        wrong = len(calls) % n == 0
        return {**results, "grad_a": results["grad_a"] * 2} if wrong else results

    return kernel


def test_more_repeats_see_what_is_rarer() -> None:
    """Wrong in the fifth call, of which two are not seen and five are."""
    chosen = {"regimes": ["designed"], "cases": 1}
    with KernelProcess(every(5), contract=ALORAGC, repeats=4, timeout=30) as process:
        assert not any(run.outputs for run in process.observe(inputs()).further)
    report = judged(every(5), repeats=5, **chosen)
    plain = strict_json(report)
    assert (plain["repeats"], plain["compiled"], report.verdict) == (5, False, "fail")
    (wrong,) = [f for f in report.findings if f.error is not None]
    assert wrong.reason == "in call 5 of 5 with equal inputs"
    assert "repeats=5" in str(wrong.replay)
    for bad in (1, 1001, True, 2.5):
        with pytest.raises(loracle.UsageError, match="repeats must be a whole number from 2"):
            judged(aloragc, repeats=bad)


@pytest.mark.parametrize("n", [3, 5])
def test_what_happens_now_and_then_is_not_put_down_to_a_condition(n: int) -> None:
    """Wrong in the third call, which is the one with NaN in fresh memory, or in the fifth, which is
    the one after the inputs were changed; not again in the next such call."""
    report = judged(every(n), regimes=["designed"], cases=1)
    found = {name for finding in report.findings for name in hypotheses(finding)}
    assert "nondeterministic" in found
    assert not found & set(CONDITIONS)
    assert any(finding.reason.endswith(", by chance") for finding in report.findings)


def disturbs(**tensors: Tensor) -> Outputs:
    results: Outputs = aloragc(**tensors)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    torch._C._set_deterministic_algorithms(True, warn_only=False)
    torch.set_float32_matmul_precision("medium")
    torch.set_autocast_enabled("cpu", True)
    torch.set_flush_denormal(True)
    torch.manual_seed(3)
    np.random.seed(3)
    np.seterr(all="raise")
    random.seed(3)
    os.environ["LORACLE_TEST"] = "1"
    os.chdir("/")
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    warnings.simplefilter("error")
    return results


def test_what_a_kernel_changes_around_it_is_set_back_and_noted() -> None:
    found: list[str] = []

    def kernel(**tensors: Tensor) -> Outputs:
        now = (
            torch.get_default_dtype(),
            torch.get_default_device().type,
            torch.is_grad_enabled(),
            torch.get_num_threads(),
            torch.get_deterministic_debug_mode(),
            torch.get_float32_matmul_precision(),
            torch.is_autocast_enabled("cpu"),
            "LORACLE_TEST" in os.environ,
            os.getcwd(),
            signal.getsignal(signal.SIGUSR1),
            np.geterr()["divide"],
            np.float64(2.0**-1022) / 2 == 0,
            "error" in {action for action, *_ in warnings.filters[:1]},
        )
        found.append(repr(now))
        results = disturbs(**tensors)
        torch.set_default_device(None)
        assert found[0] == found[-1], found
        torch.set_default_device("meta")
        return results

    seen = observe(kernel)
    assert seen.problems == ()
    noted = " / ".join(seen.notes)
    for what in (
        "default dtype, from torch.float32 to torch.float64; it was set back",
        "default device, from cpu to meta; it was set back",
        "grad mode, from True to False",
        "number of threads, from 1 to 2",
        "deterministic mode, from 0 to 2",
        "precision of float32 products, from highest to medium",
        "autocast (cpu)",
        "flushing of subnormals",
        "numpy's handling of errors",
        "environment variables (LORACLE_TEST)",
        "working directory",
        "signal handlers (SIGUSR1)",
        "seed of torch's random numbers",
        "numpy's global random numbers",
        "Python's global random numbers",
    ):
        assert what in noted
    assert len(seen.notes) == 15


def test_random_numbers_come_from_no_earlier_case() -> None:
    """Neither torch's nor numpy's nor Python's, whatever a kernel seeds; drawing torch's is no
    note."""

    def kernel(**tensors: Tensor) -> Outputs:
        results: Outputs = aloragc(**tensors)
        drawn = random.random() + np.random.random() + float(torch.rand(()))
        results["grad_a"] = results["grad_a"] + drawn
        if tensors["y"].shape[0] == 5:
            random.seed(1)
            np.random.seed(1)
        return results

    with KernelProcess(kernel, contract=ALORAGC, timeout=30) as process:
        alone = process.observe(inputs(L=4))
        process.observe(inputs(L=5))
        again = process.observe(inputs(L=4))
    assert np.array_equal(alone.outputs["grad_a"], again.outputs["grad_a"])
    assert not any("torch" in note for note in alone.notes)
