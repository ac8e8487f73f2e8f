"""`almost_linear.attention`: its value, its gradients and what is certified of them; training."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from loracle.errors import UsageError
from loracle.kernels import almost_linear
from loracle.kernels.almost_linear import AttentionRecord, expectations, function
from loracle.kernels.almost_linear.covariance import Expectations
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.results import Gradients
from loracle.kernels.almost_linear.solve import Prepared, Solution

from ..benchmarks import fine_tuning

ADAPTERS = ("a_q", "b_q", "a_k", "b_k", "a_v", "b_v")
SCALING = -0.75
DTYPES = (torch.float64, torch.float32, torch.bfloat16)
TO_ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2.0**-6}
"""What rounding may do to a gradient, relative to its largest entry."""
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
        ],
    ),
]
devices = pytest.mark.parametrize("device", DEVICES)


@dataclass(frozen=True)
class Layer:
    """Arguments of `attention`, an upstream gradient and a y, (..., L, d); M is not L."""

    frozen: dict[str, Tensor]
    adapters: dict[str, Tensor]
    beta: float
    upstream: Tensor
    y: Tensor

    def attend(self, record: AttentionRecord | None = None, **changes: Any) -> Tensor:
        """Z, differentiable in the layer's adapters."""
        given_: dict[str, Any] = {
            **self.frozen,
            **self.adapters,
            "scaling": SCALING,
            "beta": self.beta,
            "epsilon": 1e-2,
            "record": record,
        }
        return almost_linear.attention(**(given_ | changes))

    def gradients(self, value: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        """Of <upstream, value>, by adapter."""
        found = torch.autograd.grad(value, [*self.adapters.values()], upstream)
        return dict(zip(self.adapters, found, strict=True))

    def head(self, *index: int) -> Layer:
        """One head of a layer whose every tensor has the heads' dimensions."""
        frozen = {name: tensor[index] for name, tensor in self.frozen.items()}
        adapters = {n: t.detach()[index].requires_grad_() for n, t in self.adapters.items()}
        return Layer(frozen, adapters, self.beta, self.upstream[index], self.y[index])


def a_layer(
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    *,
    queries: int = 50,
    keys: int = 70,
    width: int = 4,
    rank: int = 2,
    heads: tuple[int, ...] = (),
    shared: bool = False,
) -> Layer:
    """The largest score of any head is 1. shared: weights and adapters have no heads."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    own = () if shared else heads
    lengths = {"q": queries, "k": keys, "v": keys}
    # A mean that is not zero, so that Z is not zero either.
    frozen = {f"x_{m}": normal(*heads, lengths[m], width) + normal(width) / 2 for m in "qkv"}
    frozen |= {f"w_{m}": normal(*own, width, width) / width**0.5 for m in "qkv"}
    adapters = {}
    for m in "qkv":
        adapters |= {f"a_{m}": normal(*own, rank, width) / width**0.5}
        adapters |= {f"b_{m}": normal(*own, width, rank) / rank}
    query, key = (projected(frozen, adapters, m) for m in "qk")
    return Layer(
        frozen={name: t.to(dtype).to(device) for name, t in frozen.items()},
        adapters={name: t.to(dtype).to(device).requires_grad_() for name, t in adapters.items()},
        beta=float(1 / (query @ key.mT).abs().max()),
        upstream=normal(*heads, queries, width).to(dtype).to(device),
        y=normal(*heads, queries, width).to(dtype).to(device),
    )


def projected(frozen: dict[str, Tensor], adapters: dict[str, Tensor], m: str) -> Tensor:
    update = SCALING * (adapters[f"b_{m}"] @ adapters[f"a_{m}"])
    return frozen[f"x_{m}"] @ (frozen[f"w_{m}"] + update)


def exactly(layer: Layer, upstream: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Z and the gradients of <upstream, Z>, by autograd in float64 on the CPU."""
    frozen = {name: t.double().cpu() for name, t in layer.frozen.items()}
    adapters = {n: t.detach().double().cpu().requires_grad_() for n, t in layer.adapters.items()}
    query, key, value = (projected(frozen, adapters, m) for m in "qkv")
    result = torch.softmax(layer.beta * (query @ key.mT), dim=-1) @ value
    found = torch.autograd.grad(result, [*adapters.values()], upstream.double().cpu())
    return result.detach(), dict(zip(adapters, found, strict=True))


def distance(found: dict[str, Tensor], truth: dict[str, Tensor]) -> float:
    """The largest error of a gradient, relative to its largest entry."""
    assert set(found) == set(truth)
    return max(
        float((found[name] - truth[name]).abs().max() / truth[name].abs().max()) for name in truth
    )


def gradient_share(layer: Layer, **changes: Any) -> float:
    """The largest error of a gradient for the layer's upstream, over its certificate."""
    record = AttentionRecord()
    found = layer.gradients(layer.attend(record, **changes), layer.upstream)
    _, truth = exactly(layer, layer.upstream)
    assert record.certificate is not None
    shares = []
    for name in ADAPTERS:
        error = (found[name].double().cpu() - truth[name]).abs().amax((-1, -2))
        share = error / record.certificate.errors[name].cpu()
        shares.append(torch.where(error == 0, 0.0, share).max())
    # Unlike Python's, this maximum is nan where one of them is.
    return float(torch.stack(shares).max())


def value_share(layer: Layer, **changes: Any) -> float:
    """The largest error of an entry of Z, over what is certified of its row."""
    record = AttentionRecord()
    value = layer.attend(record, **changes)
    exact, _ = exactly(layer, layer.upstream)
    assert record.value_error is not None
    assert record.value_error.dtype == torch.float64
    error = (value.detach().double().cpu() - exact).abs().amax(-1)
    return float((error / record.value_error.cpu()).max())


def kernel_gradients(layer: Layer) -> tuple[dict[str, Tensor], Gradients]:
    """Of 1/2 ||Z - y||^2, by `lora_attention_gradients`."""
    given_ = {name: t.detach() for name, t in (layer.frozen | layer.adapters).items()}
    result = almost_linear.lora_attention_gradients(
        **given_, scaling=SCALING, beta=layer.beta, y=layer.y, epsilon=1e-2
    )
    return {name: result.outputs[f"grad_{name}"] for name in ADAPTERS}, result


def residual_gradients(layer: Layer) -> dict[str, Tensor]:
    """The same by `attention`, whose upstream gradient is then Z - y."""
    value = layer.attend()
    return layer.gradients(value, value.detach() - layer.y)


# Wrong code that the comparisons below have to catch. Each is put into the kernel while it runs.

Wrong = Callable[[pytest.MonkeyPatch], None]


def forgets_beta(patch: pytest.MonkeyPatch) -> None:
    def wrong(problem: Problem, *rest: Any) -> Gradients:
        return function_gathered(replace(problem, beta=1.0), *rest)

    function_gathered = function.gathered
    patch.setattr(function, "gathered", wrong)


def forgets_the_correction(patch: pytest.MonkeyPatch) -> None:
    """Cov(x, v) c without E[x] <E[v], c>: p = f o q."""

    def wrong(self: Prepared, part: slice, sums: Tensor, upstream: Tensor) -> Expectations:
        width = self.problem.width
        divisor = sums[:, :1].double()
        mean_x = sums[:, 1 + width : 1 + 2 * width].double() * (self.columns.scale_x / divisor)
        right = expected(self, part, sums, upstream)
        correction = (right.residual * right.value).sum(1, keepdim=True)
        return replace(right, covariance=right.covariance + correction * mean_x)

    expected = Prepared.expected
    patch.setattr(Prepared, "expected", wrong)


def ignores_the_upstream(patch: pytest.MonkeyPatch) -> None:
    """The residual of the loss 1/2 ||Z - y||^2 whatever comes from above."""

    def wrong(self: Prepared, part: slice, sums: Tensor, upstream: Tensor) -> Expectations:
        return expected(self, part, sums, None)

    expected = Prepared.expected
    patch.setattr(Prepared, "expected", wrong)


def wrong_sign(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: function._Call, upstream: Tensor) -> dict[str, Tensor]:
        return backward(self, -upstream)

    backward = function._Call.backward
    patch.setattr(function._Call, "backward", wrong)


def transposes_the_gradient_of_k(patch: pytest.MonkeyPatch) -> None:
    """p^T where p belongs."""

    def wrong(problem: Problem, solutions: list[Solution], *rest: Any) -> Gradients:
        right = function_gathered(problem, solutions, *rest)
        turned = [replace(s, core_qk=s.core_qk.mT) for s in solutions]
        other = function_gathered(problem, turned, *rest)
        outputs = {n: (other if n[-1] == "k" else right).outputs[n] for n in right.outputs}
        return replace(right, outputs=outputs)

    function_gathered = function.gathered
    patch.setattr(function, "gathered", wrong)


def keeps_only_the_first_block(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: function._Head, *, keep: bool) -> tuple[Tensor, Tensor]:
        found = forward(self, keep=keep)
        del self._sums[1:]
        return found

    forward = function._Head.forward
    patch.setattr(function._Head, "forward", wrong)


WRONG = [
    forgets_beta,
    forgets_the_correction,
    ignores_the_upstream,
    wrong_sign,
    transposes_the_gradient_of_k,
]


@contextmanager
def put_in(wrong: Wrong) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        wrong(patch)
        yield


# Agreement with the kernel.


# Catches: every one of WRONG, which the test after it shows.
@devices
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(3))
def test_for_the_residual_as_upstream_it_is_the_kernels_gradient(
    seed: int, dtype: torch.dtype, device: str
) -> None:
    layer = a_layer(seed, dtype, device)
    found = residual_gradients(layer)
    truth, result = kernel_gradients(layer)
    record = AttentionRecord()
    layer.attend(record)
    assert (record.degree, record.rank) == (result.plan.degree, result.plan.rank)
    assert all(gradient.dtype == dtype for gradient in found.values())
    assert distance(found, truth) < TO_ROUNDING[dtype]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_code_is_not_the_kernels_gradient(wrong: Wrong) -> None:
    layer = a_layer()
    truth, _ = kernel_gradients(layer)
    with put_in(wrong):
        assert distance(residual_gradients(layer), truth) > 0.01


# Agreement with exact autograd, within the certificate.


# Catches: every one of WRONG; a certificate that forgets approximation or rounding.
@devices
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("heads", [(), (2, 3)])
def test_gradients_and_value_are_within_what_is_certified(
    heads: tuple[int, ...], dtype: torch.dtype, device: str
) -> None:
    layer = a_layer(0, dtype, device, heads=heads)
    assert gradient_share(layer) <= 1
    assert value_share(layer) <= 1


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.fixed_dictionaries(
        {
            "queries": st.integers(1, 60),
            "keys": st.integers(1, 60),
            "width": st.integers(1, 6),
            "rank": st.integers(1, 7),
        }
    ),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_what_is_certified_holds_for_any_shape(
    seed: int, sizes: dict[str, int], dtype: torch.dtype
) -> None:
    layer = a_layer(seed, dtype, **sizes)
    assert gradient_share(layer) <= 1
    assert value_share(layer) <= 1


# The keys are centred, so the correction that one of them forgets is a small one.
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_gradients_exceed_the_certificate(wrong: Wrong) -> None:
    layer = a_layer()
    assert gradient_share(layer, epsilon=1e-4) <= 1
    with put_in(wrong):
        assert gradient_share(layer, epsilon=1e-4) > 1


# Catches: sums of one block of queries kept for the backward pass, or taken for another's.
def test_several_blocks_of_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loracle.kernels.almost_linear.plan._LONGEST_BLOCK", 64)
    layer = a_layer(queries=150)
    assert gradient_share(layer) <= 1
    assert value_share(layer) <= 1
    with put_in(keeps_only_the_first_block):
        assert gradient_share(layer) > 1


# Catches: a certificate of Z before it is rounded to the dtype that is returned.
def test_the_rounding_of_the_value_is_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = a_layer(0, torch.bfloat16)
    layer.frozen["x_v"].add_(100)
    assert value_share(layer) <= 1
    monkeypatch.setattr(function, "_rounding_error", lambda value, dtype: 0.0)
    assert value_share(layer) > 1


def in_long_double(layer: Layer) -> np.ndarray[Any, np.dtype[np.longdouble]]:
    """Z in 64 bits of mantissa."""

    def wide(m: str) -> Any:
        x, w, a, b = (
            tensor.detach().numpy().astype(np.longdouble)
            for tensor in (
                layer.frozen[f"x_{m}"],
                layer.frozen[f"w_{m}"],
                layer.adapters[f"a_{m}"],
                layer.adapters[f"b_{m}"],
            )
        )
        return x @ (w + np.longdouble(SCALING) * (b @ a))

    query, key, value = (wide(m) for m in "qkv")
    scores = np.longdouble(layer.beta) * (query @ key.T)
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return (exponentials @ value) / exponentials.sum(-1, keepdims=True)


# Catches: a certificate without the float64 roundings of the mean that is taken off the values,
# which are all there is to Z where the values hardly differ.
@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no wider here")
def test_roundings_of_the_mean_value_are_certified() -> None:
    layer = a_layer(width=2)
    layer.frozen["x_v"].mul_(2.0**-40).add_(1)
    record = AttentionRecord()
    value = layer.attend(record, epsilon=1e-5).detach().numpy()
    error = np.abs(value.astype(np.longdouble) - in_long_double(layer)).max(-1)
    assert record.value_error is not None
    assert bool((error <= record.value_error.numpy()).all())
    assert error.max() > 2.0**-56, "something was rounded"


# Catches: products of float32 in bfloat16, which the certificate does not know of.
def test_autocast_changes_nothing() -> None:
    layer = a_layer(0, torch.float32)
    plain = layer.attend()
    truth = layer.gradients(plain, layer.upstream)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = layer.attend()
        found = layer.gradients(value, layer.upstream)
    assert torch.equal(value, plain)
    assert all(torch.equal(found[name], truth[name]) for name in ADAPTERS)
    with put_in(lets_autocast_in), torch.autocast("cpu", dtype=torch.bfloat16):
        assert not torch.equal(layer.attend(), plain)


def lets_autocast_in(patch: pytest.MonkeyPatch) -> None:
    outside = torch.autocast("cpu", dtype=torch.bfloat16)
    patch.setattr(expectations, "_own_precision", lambda like: outside)


# Catches: an upstream gradient outside the range of float32 rounded to zeros or infinities.
@pytest.mark.parametrize("scale", [0.0, 2.0**-500, 2.0**-140, 2.0**140, 2.0**500])
def test_an_upstream_gradient_of_any_size(scale: float) -> None:
    layer = a_layer()
    layer.upstream.mul_(scale)
    assert gradient_share(layer, features=torch.float32) <= 1
    if scale in (2.0**-500, 2.0**500):
        with put_in(takes_the_upstream_as_it_is):
            assert not gradient_share(layer, features=torch.float32) <= 1


def takes_the_upstream_as_it_is(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(function, "_power_of_two", lambda magnitude: 1.0)


# Heads.


# Catches: heads mixed up when flattened, or one head's upstream or certificate for another's.
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_heads_in_one_call_are_those_of_a_loop(dtype: torch.dtype) -> None:
    layer = a_layer(1, dtype, heads=(2, 3))
    record = AttentionRecord()
    value = layer.attend(record)
    found = layer.gradients(value, layer.upstream)
    assert record.certificate is not None
    assert record.value_error is not None
    assert value.shape == (2, 3, 50, 4)
    for index in np.ndindex(2, 3):
        one, alone = layer.head(*index), AttentionRecord()
        one_value = one.attend(alone)
        gradients = one.gradients(one_value, one.upstream)
        assert alone.certificate is not None
        assert alone.value_error is not None
        assert torch.equal(value[index], one_value)
        assert torch.equal(record.value_error[index], alone.value_error)
        for name in ADAPTERS:
            assert torch.equal(found[name][index], gradients[name])
            errors = (record.certificate.errors[name], alone.certificate.errors[name])
            assert torch.equal(errors[0][index], errors[1])


# Catches: the gradient of the first head, or of the last, for adapters that all of them share.
def test_adapters_shared_between_heads_get_the_sum() -> None:
    layer = a_layer(2, heads=(2, 3), shared=True)
    found = layer.gradients(layer.attend(), layer.upstream)
    _, truth = exactly(layer, layer.upstream)
    total = {name: torch.zeros_like(t) for name, t in layer.adapters.items()}
    for index in np.ndindex(2, 3):
        frozen = {n: t[index] if n[0] == "x" else t for n, t in layer.frozen.items()}
        one = replace(layer, frozen=frozen)
        for name, gradient in one.gradients(one.attend(), layer.upstream[index]).items():
            total[name] += gradient
    assert distance(found, total) < 1e-13
    # The error is that of the approximation: the heads' certificates are of what is summed.
    assert distance(found, truth) < 0.01


# As a function of torch's.


@pytest.mark.parametrize("name", ["x_q", "x_k", "x_v", "w_q", "w_k", "w_v"])
def test_an_input_that_wants_a_gradient_is_refused(name: str) -> None:
    # Catches: no gradient, or a wrong one, for the frozen inputs, without a word.
    layer = a_layer()
    layer.frozen[name].requires_grad_()
    with pytest.raises(UsageError, match=f"^{name} requires a gradient: .*detach it$") as raised:
        layer.attend()
    assert len(str(raised.value).splitlines()) == 1
    with torch.no_grad():
        layer.attend()


class SumsAlive:
    """Of the sums of the blocks of queries, how many are in memory; `most` of them at once."""

    def __init__(self) -> None:
        self._made: list[weakref.ref[Tensor]] = []
        self.most = 0

    def add(self, sums: Tensor) -> None:
        self._made.append(weakref.ref(sums))
        self.most = max(self.most, self.now())

    def now(self) -> int:
        return sum(reference() is not None for reference in self._made)


@pytest.fixture
def sums_alive(monkeypatch: pytest.MonkeyPatch) -> SumsAlive:
    def seen(problem: Problem, columns: Any, sums: Tensor) -> tuple[Tensor, Tensor]:
        alive.add(sums)
        return expected_values(problem, columns, sums)

    alive, expected_values = SumsAlive(), function.expected_values
    monkeypatch.setattr(function, "expected_values", seen)
    return alive


def test_the_sums_of_every_query_are_kept_for_the_backward_pass(sums_alive: SumsAlive) -> None:
    value = a_layer(heads=(3,)).attend()
    assert sums_alive.now() == 3
    # Catches: a graph that refers to itself, and lives until somebody collects garbage.
    del value
    assert sums_alive.now() == 0


# Catches: (1 + d)^2 numbers for each query kept where nobody will ask for them.
@pytest.mark.parametrize("wanted", [True, False])
def test_without_a_backward_pass_to_come_nothing_is_kept(
    wanted: bool, sums_alive: SumsAlive
) -> None:
    layer = a_layer(heads=(3,))
    expected = layer.attend().detach()
    sums_alive.most = 0
    if wanted:
        with torch.no_grad():
            value = layer.attend()
    else:
        for adapter in layer.adapters.values():
            adapter.requires_grad_(False)
        value = layer.attend()
    assert torch.equal(value, expected)
    assert not value.requires_grad
    assert sums_alive.most == 1
    assert sums_alive.now() == 0


# Catches: sums that the first backward pass overwrites, as `expectations` does.
def test_a_second_backward_pass_gives_the_same() -> None:
    layer = a_layer()

    def twice() -> list[tuple[Tensor, ...]]:
        value, adapters = layer.attend(), [*layer.adapters.values()]
        return [
            torch.autograd.grad(value, adapters, layer.upstream, retain_graph=True)
            for _ in range(2)
        ]

    assert all(torch.equal(*pair) for pair in zip(*twice(), strict=True))
    with put_in(overwrites_its_sums):
        assert not all(torch.equal(*pair) for pair in zip(*twice(), strict=True))


def overwrites_its_sums(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tensor, "clone", lambda self: self)


# Catches: gradients at adapters that are no longer those of Z.
def test_an_adapter_changed_in_place_is_noticed() -> None:
    layer = a_layer()
    value = layer.attend()
    with torch.no_grad():
        layer.adapters["b_k"].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward(layer.upstream)


# Catches: a backward pass that is taken for differentiable, and has zeros for derivatives.
def test_there_is_no_second_derivative() -> None:
    layer = a_layer()
    adapters = [*layer.adapters.values()]
    first = torch.autograd.grad(layer.attend().square().sum(), adapters, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first[0].sum().backward()


# Catches: gradients handed to the wrong adapter where some want none.
def test_only_some_adapters_may_want_a_gradient() -> None:
    layer = a_layer()
    truth = layer.gradients(layer.attend(), layer.upstream)
    for name in ("b_q", "a_k", "b_v"):
        layer.adapters[name].requires_grad_(False)
    layer.attend().backward(layer.upstream)
    for name, adapter in layer.adapters.items():
        if name in ("b_q", "a_k", "b_v"):
            assert adapter.grad is None
        else:
            assert adapter.grad is not None
            assert torch.equal(adapter.grad, truth[name])


# Catches: an upstream gradient that is not contiguous read as if it were.
def test_an_expanded_upstream_gradient() -> None:
    layer = a_layer(heads=(2,))
    found = torch.autograd.grad(layer.attend().sum(), [*layer.adapters.values()])
    truth = layer.gradients(layer.attend(), torch.ones_like(layer.upstream))
    assert distance(dict(zip(ADAPTERS, found, strict=True)), truth) < 1e-13


# Training.


def check_training(length: int, steps: int, every: int) -> fine_tuning.Comparison:
    """What holds of a run that the kernel is right in."""
    found = fine_tuning.compare(fine_tuning.make_layer(length), steps, every)
    assert found.certified
    assert found.within == steps
    return found


# Catches: those of WRONG that the test after it shows.
def test_a_short_training_run_stays_within_what_is_certified() -> None:
    found = check_training(length=256, steps=30, every=3)
    above = [loss - found.layer.floor for loss in found.almost.losses]
    assert above[-1] < above[0] / 10, "there was something to learn, and it was learnt"
    # The certificate is not vacuous: it is far below what was learnt.
    assert max(found.checks.loss_error) < (above[0] - above[-1]) / 10
    assert len(found.checks.gradient_shares) == 10


@pytest.mark.parametrize("wrong", [w for w in WRONG if w is not forgets_the_correction])
def test_training_with_wrong_gradients_is_noticed(wrong: Wrong) -> None:
    with put_in(wrong):
        found = fine_tuning.compare(fine_tuning.make_layer(256), steps=20, every=1)
    assert not found.certified
    # The value is right, so its certificate holds; the curve has left that of exact gradients.
    pairs = zip(found.measured, found.checks.loss_error, strict=True)
    assert all(error <= certified for error, certified in pairs)


# Catches: a wrong Z, the gradients being right for what comes from above.
def test_training_with_a_wrong_value_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(problem: Problem, columns: Any, sums: Tensor) -> tuple[Tensor, Tensor]:
        mean_z, value = expected_values(problem, columns, sums)
        return mean_z, value + 0.1

    expected_values = function.expected_values
    monkeypatch.setattr(function, "expected_values", wrong)
    found = fine_tuning.compare(fine_tuning.make_layer(256), steps=5, every=5)
    assert not found.certified
    assert found.within < 5


@pytest.mark.deep
def test_the_training_run_of_the_docs_stays_within_what_is_certified() -> None:
    found = check_training(length=4096, steps=200, every=20)
    losses = found.almost.losses
    assert losses[-1] - found.layer.floor < (losses[0] - found.layer.floor) / 100


# Catches: a page that shows what does not run.
def test_the_code_of_the_docs_runs() -> None:
    page = (Path(__file__).parents[2] / "docs/fine-tuning.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    layer = a_layer()
    inputs = {**layer.frozen, **layer.adapters}
    exec(code, {"inputs": inputs, "beta": layer.beta, "y": layer.y})
    assert all(adapter.grad is not None for adapter in layer.adapters.values())


# Catches: a plot of other bytes each time, and figures that are not those of the run.
def test_the_script_prints_a_table_and_draws_the_same_plot_every_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    options = ["--steps", "3", "--length", "64", "--every", "2", "--longer", "96"]
    drawn = []
    for name in ("first", "second"):
        page = tmp_path / f"{name}.md"
        images = tmp_path / name
        assert fine_tuning.main([str(images), *options, "--markdown", str(page)]) == 0
        drawn.append((images / "fine-tuning.svg").read_bytes())
        printed = capsys.readouterr().out
        assert "| steps at which the curves are within the certified error | 3 of 3 |" in printed
        assert page.read_text().endswith(printed)
    assert drawn[0] == drawn[1]
    assert b"<dc:date>" not in drawn[0]


def test_the_script_says_what_is_wrong_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(tmp_path), "--steps", "3", "--length", "64", "--longer", "96"]
    monkeypatch.setattr(fine_tuning, "draw", lambda found, path: None)
    with put_in(wrong_sign):
        assert fine_tuning.main(arguments) == 1
    assert capsys.readouterr().err == "An error exceeds what is certified.\n"

    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert fine_tuning.main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "matplotlib is missing" in line
