"""What the child of a benchmark does, here in this process: methods, truths, times, memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from loracle.adapters import autograd
from loracle.bench import almost_linear, child, measuring, memory, peers, stopwatch, truth
from loracle.bench.catalogue import METHODS
from loracle.bench.data import SCALING, query_factor, softmax_scale, stacked_inputs
from loracle.bench.measuring import measure
from loracle.bench.memory import PeakMemory
from loracle.bench.messages import (
    Environment,
    EnvironmentOrder,
    Failed,
    Measured,
    MeasureOrder,
    Scaled,
    ScaleOrder,
    Setting,
    TooLong,
    TooMuchMemory,
    Truth,
    TruthOrder,
    Unsupported,
)
from loracle.bench.stopwatch import repeated, too_long
from loracle.bench.tensors import tensors_of
from loracle.bench.truth import find_truth
from loracle.errors import UsageError

SETTING = Setting(
    dim=8,
    rank=4,
    data="correlated",
    max_score=1.0,
    epsilon=1e-2,
    seed=0,
    dtype="float32",
    device="cpu",
)
DISTINCT = 160
LENGTH = 2 * DISTINCT


@pytest.fixture(autouse=True)
def _small_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measuring._MATMUL, "cpu", 64)


@pytest.fixture(scope="module")
def factors() -> tuple[float, ...]:
    return tuple(query_factor(SETTING, DISTINCT, head) for head in range(2))


@pytest.fixture(scope="module")
def truths(factors: tuple[float, ...]) -> list[Truth]:
    orders = [TruthOrder(SETTING, DISTINCT, head, f, 60.0) for head, f in enumerate(factors)]
    found = [find_truth(order) for order in orders]
    assert all(isinstance(one, Truth) for one in found)
    return found  # type: ignore[return-value]


def order(method: str, factors: tuple[float, ...], **changes: Any) -> MeasureOrder:
    given = MeasureOrder(SETTING, method, LENGTH, DISTINCT, factors, limit=60.0, block=64)
    return replace(given, **changes)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_gradients_of_every_head(
    method: str, factors: tuple[float, ...], truths: list[Truth]
) -> None:
    """Rows come twice, so the gradients are twice those of the distinct rows."""
    found = measure(order(method, factors))
    assert isinstance(found, Measured)
    assert len(found.seconds) >= 3
    assert min(found.seconds) > 0
    assert found.peak_bytes >= 0
    assert set(found.outputs) == set(truths[0].values)
    allowed = 1e-2 if method.startswith("almost-linear") else 3e-2 if "bf16" in method else 1e-4
    for name, heads in found.outputs.items():
        for head, output in enumerate(heads):
            expected = 2 * truths[head].values[name]
            error = np.abs(output - expected).max()
            scale = np.abs(expected).max()
            if found.certificate is not None:
                assert error <= found.certificate.errors[name][head]
                scale = found.certificate.natural_scale[name][head]
            assert error <= allowed * scale


def test_a_certified_method_brings_its_plan_and_the_rate_of_the_machine(
    factors: tuple[float, ...],
) -> None:
    found = measure(order("almost-linear", factors))
    assert isinstance(found, Measured)
    assert found.certificate is not None
    assert found.certificate.rank > found.certificate.degree > 0
    assert found.certificate.operations > 0
    assert len(found.certificate.errors["grad_a_q"]) == 2
    assert found.facts["matmul_flops"] > 0
    assert found.facts["matmul_size"] == 64


def test_what_the_kernel_is_asked(
    factors: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def refuse(**call: Any) -> None:
        asked.append(call)
        raise UsageError("epsilon = 0.01 is out of reach:\nrank 7 is the most")

    monkeypatch.setattr(almost_linear, "lora_attention_gradients", refuse)
    for method, promise in (
        ("almost-linear", "probabilities"),
        ("almost-linear-gradient", "gradient"),
    ):
        answer = child.answer_to(order(method, factors))
        assert answer == Unsupported("epsilon = 0.01 is out of reach: rank 7 is the most")
        assert (asked[-1]["promise"], asked[-1]["epsilon"]) == (promise, 1e-2)
        assert asked[-1]["x_q"].shape == (2, LENGTH, 8)
        assert (asked[-1]["scaling"], asked[-1]["beta"]) == (SCALING, softmax_scale(8))
    # A warm-up that is refused does not end the attempt.
    assert len(asked) == 4


def test_the_peers_are_autograds_gradients(factors: tuple[float, ...]) -> None:
    tensors = tensors_of(stacked_inputs(SETTING, DISTINCT, factors), 1, "float64", "cpu")
    beta = softmax_scale(8)
    found = {
        "eager": peers.eager(tensors, SCALING, beta),
        "fused": peers.sdpa(tensors, SCALING, beta)[0],
        "streamed": peers.streamed(tensors, SCALING, beta, 50),
    }
    for head in range(2):
        alone = {name: tensor[head] for name, tensor in tensors.items()}
        expected = autograd.lora_attention(**alone, scaling=SCALING, beta=beta)
        for outputs in found.values():
            for name, tensor in expected.items():
                assert torch.allclose(outputs[name][head], tensor, rtol=1e-9, atol=1e-12)


def test_the_backend_of_sdpa_is_named(factors: tuple[float, ...]) -> None:
    tensors = tensors_of(stacked_inputs(SETTING, DISTINCT, factors), 1, "float32", "cpu")
    assert peers.sdpa(tensors, SCALING, 0.3)[1] == "FlashAttentionForCpu"
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        assert peers.sdpa(tensors, SCALING, 0.3)[1] == "math"


def test_the_streaming_kernel_gets_the_fastest_block(
    factors: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(measuring._BLOCKS, "cpu", (10, 160))
    monkeypatch.setitem(measuring._BLOCK_TRIAL, "cpu", 400)
    found = measure(order("streaming", factors, block=None))
    assert isinstance(found, Measured)
    assert found.facts["block"] == 160


def test_a_method_that_would_take_too_long_is_not_run(
    factors: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(measuring._WARM_UP, "cpu", 64)
    found = measure(order("eager", factors, limit=1e-9))
    assert isinstance(found, TooLong)
    assert found.at == 64
    assert found.predicted == pytest.approx(found.seconds * 25)
    assert isinstance(measure(order("almost-linear", factors, limit=1e-9)), Measured)


def test_both_truths_agree(
    factors: tuple[float, ...], truths: list[Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert truths[0].kind == "interval"
    monkeypatch.setattr(truth, "LONGEST_ENCLOSED", 10)
    streamed = find_truth(TruthOrder(SETTING, DISTINCT, 0, factors[0], 60.0))
    assert isinstance(streamed, Truth)
    assert streamed.kind == "float64 streaming"
    for name, enclosed in truths[0].values.items():
        size = np.abs(enclosed).max()
        assert 0 < truths[0].radius[name] < 1e-8 * size
        assert (
            np.abs(streamed.values[name] - enclosed).max() < truths[0].radius[name] + 1e-11 * size
        )


def test_a_truth_that_would_take_too_long_is_left_out(
    factors: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truth, "LONGEST_ENCLOSED", 10)
    monkeypatch.setattr(truth, "_TRIAL", 40)
    found = find_truth(TruthOrder(SETTING, DISTINCT, 0, factors[0], 0.0))
    assert isinstance(found, TooLong)
    assert found.at == 40


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (1000.0, None),  # 100 tokens take 1 s, so 3200 take 1024 s by the square law ...
        (10.0, (1024.0, 100)),  # ... and a trial of 400 would take more than an eighth of this
        (900.0, None),  # at 400 the overhead counts less
        (200.0, (844.8, 400)),
    ],
)
def test_short_trials_that_exaggerate_are_repeated_longer(
    limit: float, expected: tuple[float, int] | None
) -> None:
    def seconds_at(tokens: int) -> float:
        return {100: 1.0, 400: 13.2, 1600: 190.0}[tokens]

    found = too_long(seconds_at, length=3200, limit=limit, start=100)
    if limit == 1000.0:
        assert seconds_at(100) * 32**2 > limit
    assert (None if found is None else (pytest.approx(found.predicted), found.at)) == expected


def test_a_length_within_the_warm_up_is_simply_run() -> None:
    assert too_long(lambda n: 1e9, length=100, limit=1, start=100) is None


@pytest.mark.parametrize(("seconds", "calls"), [(0.0625, 12), (0.5, 4), (1.0, 3), (11.0, 1)])
def test_short_calls_are_repeated_more_often_than_long_ones(
    seconds: float, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: seconds * next(clock))
    found, result = repeated(lambda: "result", "cpu")
    assert found == (seconds,) * calls
    assert result == "result"


def test_the_peak_of_memory_is_seen() -> None:
    with PeakMemory("cpu") as seen:
        torch.ones(2**25).add_(1)
    if seen.source == "VmHWM":
        assert 2**27 - 2**22 < seen.bytes < 2**27 + 2**25
    with PeakMemory("cpu") as little:
        torch.ones(2**10)
    if little.source == "VmHWM":
        assert little.bytes < 2**25


def test_without_a_way_to_reset_it_the_largest_peak_so_far_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "missing" / "clear_refs")
    with PeakMemory("cpu") as seen:
        pass
    assert (seen.bytes, seen.source) == (0, "ru_maxrss")


def test_the_scale_needs_no_torch_and_the_machine_is_described() -> None:
    assert child.answer_to(ScaleOrder(SETTING, 50, 0)) == Scaled(query_factor(SETTING, 50, 0))
    found = child.answer_to(EnvironmentOrder(SETTING))
    assert isinstance(found, Environment)
    assert found.facts["torch"] == torch.__version__
    assert found.facts["device_name"]
    assert found.free_bytes is None or found.free_bytes > 2**20


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused() -> None:
    found = child.answer_to(EnvironmentOrder(replace(SETTING, device="cuda")))
    assert found == Unsupported("torch finds no CUDA device for --device cuda; try cpu")


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (UsageError("rank 9\nat most"), Unsupported("rank 9 at most")),
        (MemoryError(), TooMuchMemory("no room on cpu: MemoryError")),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes\nStack:"),
            TooMuchMemory(
                "no room on cpu: DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"
            ),
        ),
        (KeyError("x"), Failed("KeyError: 'x'")),
    ],
)
def test_what_is_raised_becomes_an_answer_in_one_line(
    error: Exception, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(child, "_carry_out", fail)
    assert child.answer_to(ScaleOrder(SETTING, 50, 0)) == answer
