"""The truth: multiprecision lies in it, and no wrong closed form gets past the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from loracle.cases import Inputs
from loracle.contracts import CONTRACTS, Contract
from loracle.evaluation import gradients, output_shapes
from loracle.generation import generate
from loracle.judgement import reference as reference_module
from loracle.judgement import truth as truth_module
from loracle.judgement.reference import CaseReference, reference_of
from loracle.judgement.truth import DEFAULT_PRECISION, SpecificationError, enclose
from loracle_reference import gradient, lora_mha
from loracle_reference.arithmetic import Multiprecision
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import machine_model, round_to_format

from .core_cases import CONTRACT_NAMES, DTYPES, PAIRS, a_case, seeds

OUTPUTS = [(name, output) for name in CONTRACT_NAMES for output in CONTRACTS[name].outputs]

Gradient = Callable[..., dict[str, Any]]


def as_fraction(number: Any) -> Fraction:
    """An mpmath number, exactly."""
    sign, mantissa, exponent, _ = number._mpf_
    magnitude = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    return -magnitude if sign else magnitude


def outside(enclosure: Enclosure, values: Any) -> int:
    """How many of the multiprecision values are not enclosed."""
    parts = zip(
        enclosure.high.ravel().tolist(),
        enclosure.low.ravel().tolist(),
        enclosure.radius.ravel().tolist(),
        values.ravel(),
        strict=True,
    )
    return sum(
        abs(Fraction(high) + Fraction(low) - as_fraction(value)) > Fraction(radius)
        for high, low, radius, value in parts
    )


# Multiprecision takes seconds on large cases; balls are held to intervals there, below.
LARGE = ("ragged", "typical", "layouts", "structured")
"""Of lora-mha, seconds a case."""


@pytest.mark.parametrize(
    ("contract", "regime"),
    [
        pytest.param(*p, marks=[pytest.mark.deep] if p[0] == "lora-mha" and p[1] in LARGE else [])
        for p in PAIRS
        if p[1] not in ("long", "averaging")
    ],
)
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(seed=seeds, index=st.integers(0, 12), dtype=st.sampled_from(DTYPES))
def test_truth_encloses_multiprecision(
    contract: str, regime: str, seed: int, index: int, dtype: str
) -> None:
    """At four times the precision; and the loss agrees with the right closed form on every case."""
    known, inputs = CONTRACTS[contract], generate(a_case(contract, dtype, regime, index, seed))
    assume(sum(t.size for t in inputs.tensors.values()) < 800)  # mpmath takes seconds above
    enclosures = enclose(known, inputs, dtype)
    precise = Multiprecision(4 * DEFAULT_PRECISION)
    values = gradients(known, inputs, precise)
    shapes = output_shapes(known, inputs)
    # An output may be exactly zero (one key: no gradient in Q and K); the radius is then that of
    # the terms that cancel, which are of the size of the other outputs.
    largest = max(float(np.abs(enclosure.mid).max()) for enclosure in enclosures.values())
    for output, enclosure in enclosures.items():
        assert enclosure.shape == shapes[output]
        assert outside(enclosure, precise.array(values[output])) == 0
        # Containment alone is met by infinite radii.
        assert (enclosure.radius <= 2.0**-90 * max(largest, 2.0**-50)).all()


@pytest.mark.parametrize(("contract", "output"), OUTPUTS)
def test_enclosure_excludes_a_neighbour(contract: str, output: str) -> None:
    """Catches an `outside` that cannot fail: a truth moved by one part in 10^20 is outside."""
    inputs = generate(a_case(contract, "float64", "designed"))
    precise = Multiprecision(4 * DEFAULT_PRECISION)
    values = precise.array(gradients(CONTRACTS[contract], inputs, precise)[output])
    enclosure = enclose(CONTRACTS[contract], inputs, "float64")[output]
    assert outside(enclosure, values * (1 + precise.context.mpf(10) ** -20)) == values.size


def planted(contract: str, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Contract:
    """The contract with its outputs changed in place by `change(outputs, arguments)`."""
    right = CONTRACTS[contract].gradient

    def wrong(**arguments: Any) -> dict[str, Any]:
        outputs = right(**arguments)
        change(outputs, arguments)
        return outputs

    return replace(CONTRACTS[contract], gradient=wrong)


def refused(contract: Contract, inputs: Inputs) -> bool:
    try:
        enclose(contract, inputs, "float64")
    except SpecificationError:
        return True
    return False


def tame(contract: str, seed: int, index: int) -> Inputs:
    regime = {"lora-linear": "typical", "lora-mha": "designed"}.get(contract, "threshold")
    return generate(a_case(contract, "float32", regime, index, seed))


@pytest.mark.parametrize(("contract", "output"), OUTPUTS)
def test_a_factor_of_one_plus_1e9th_is_refused(contract: str, output: str) -> None:
    """In any one output, `output` of lora-linear included, by most cases of a run; the right closed
    form by none. (By most: a random direction may happen to be nearly orthogonal to one output.)"""

    def change(outputs: dict[str, Any], arguments: dict[str, Any]) -> None:
        outputs[output] = outputs[output].scale(1 + Fraction(1, 10**9))

    cases = [tame(contract, seed, index) for seed in range(2) for index in range(6)]
    wrong = planted(contract, change)
    assert sum(refused(wrong, inputs) for inputs in cases) >= 8
    assert not any(refused(CONTRACTS[contract], inputs) for inputs in cases)


def rescaled(by: Callable[[dict[str, Any]], float], *names: str) -> Callable[..., None]:
    def change(outputs: dict[str, Any], arguments: dict[str, Any]) -> None:
        for name in names:
            outputs[name] = outputs[name].scale(1 / Fraction(by(arguments)))

    return change


def swapped(one: str, other: str) -> Callable[..., None]:
    def change(outputs: dict[str, Any], arguments: dict[str, Any]) -> None:
        outputs[one], outputs[other] = outputs[other], outputs[one]

    return change


def transposed(name: str) -> Callable[..., None]:
    def change(outputs: dict[str, Any], arguments: dict[str, Any]) -> None:
        outputs[name] = outputs[name].T

    return change


WRONG = {
    "scale missing in K": (
        "lora-mha",
        rescaled(lambda k: k["softmax_scale"], "grad_lora_a_k", "grad_lora_b_k"),
    ),
    "scaling missing in B_Q": ("lora-mha", rescaled(lambda k: k["scaling_q"], "grad_lora_b_q")),
    "beta missing in Q": (
        "lora-attention",
        rescaled(lambda k: k["beta"], "grad_a_q", "grad_b_q"),
    ),
    "beta missing in K": (
        "lora-attention",
        rescaled(lambda k: k["beta"], "grad_a_k", "grad_b_k"),
    ),
    "scaling missing in V": ("lora-attention", rescaled(lambda k: k["scaling"], "grad_a_v")),
    "scaling missing": ("lora-linear", rescaled(lambda k: k["scaling"], "grad_lora_b")),
    "wrong sign": ("lora-linear", rescaled(lambda k: -1.0, "grad_x")),
    "factor two": ("aloragc", rescaled(lambda k: 0.5, "grad_a", "grad_b")),
    "Q and K swapped": ("lora-attention", swapped("grad_b_q", "grad_b_k")),
    "A_Q transposed": ("lora-attention", transposed("grad_a_q")),
    "B transposed": ("aloragc", transposed("grad_b")),
}


@pytest.mark.parametrize("wrong", WRONG)
@given(seed=seeds, index=st.sampled_from([0, 4, 8]))
def test_wrong_closed_form_is_refused(wrong: str, seed: int, index: int) -> None:
    """Every fourth attention case has r = d, where a transposed result has the right shape."""
    contract, change = WRONG[wrong]
    assert refused(planted(contract, change), tame(contract, seed, index))


@pytest.mark.parametrize("contract", ["aloragc", "lora-attention", "lora-mha"])
@given(seed=seeds, index=st.integers(0, 8))
def test_missing_softmax_correction_is_refused(contract: str, seed: int, index: int) -> None:
    """p1 in place of p = p1 - p2, and p transposed where L = M."""
    inputs = tame(contract, seed, index)
    with pytest.MonkeyPatch.context() as patch:
        for module in (gradient, lora_mha):
            patch.setattr(module, "score_gradient", lambda f, c, values: f * (c @ values.T))
        assert refused(CONTRACTS[contract], inputs)


@pytest.mark.parametrize("contract", ["lora-linear", "lora-attention"])
@given(seed=seeds)
def test_dropped_scaling_is_refused(contract: str, seed: int) -> None:
    """Everywhere at once: the forward pass in the closed form has no scaling either."""
    known = CONTRACTS[contract]
    wrong = replace(known, gradient=lambda **k: known.gradient(**{**k, "scaling": 1.0}))
    with pytest.raises(SpecificationError, match=f"^{contract}: .* defect of loracle"):
        enclose(wrong, tame(contract, seed, 1), "float32")


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
@given(seed=seeds, index=st.integers(0, 8))
def test_long_path_encloses_the_short_one(contract: str, seed: int, index: int) -> None:
    """The interval enclosure that serves long cases contains the ball's on the same inputs, and is
    tight enough to judge float32 (1e-8 of the largest entry)."""
    known, inputs = CONTRACTS[contract], tame(contract, seed, index)
    balls = enclose(known, inputs, "float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(truth_module, "_LONG", -1)
        intervals = enclose(known, inputs, "float32")
        in_float64 = enclose(known, inputs, "float64")
    for output, ball in balls.items():
        assert intervals[output].contains(ball)
        assert not ball.contains(intervals[output])
        assert intervals[output].radius.max() <= 1e-8 * np.abs(ball.mid).max()
        # float64 is too fine to be judged by a float64 interval: it keeps the balls.
        assert np.array_equal(in_float64[output].radius, ball.radius)


def test_a_long_case_takes_the_interval_path() -> None:
    """L M above 128^2, in a dtype coarser than float64: catches a ball truth that takes minutes."""
    generator = np.random.default_rng(0)
    shapes = {"L": 160, "M": 130, "d": 2, "r": 1}
    known = CONTRACTS["aloragc"]
    tensors = {}
    for name, shape in known.tensors.items():
        array = generator.standard_normal([shapes[symbol] for symbol in shape]) / 2
        tensors[name] = round_to_format(array, "float32")
    for enclosure in enclose(known, Inputs(tensors, {}), "float32").values():
        largest = float(np.abs(enclosure.mid).max())
        # A ball's radius would be some 2^-100 of the value.
        assert 2.0**-80 * largest < enclosure.radius.max() < 1e-8 * largest


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_higher_precision_is_finer_or_equal(contract: str) -> None:
    """The precision asked for is used: 40 bits cannot be as fine as 160."""
    inputs = tame(contract, 0, 0)
    coarse = enclose(CONTRACTS[contract], inputs, "float64", precision=40)
    fine = enclose(CONTRACTS[contract], inputs, "float64")
    for output, enclosure in fine.items():
        assert coarse[output].contains(enclosure)
        assert enclosure.radius.max() < 1e-6 * coarse[output].radius.max()


def with_radius(known: CaseReference, radius: float) -> CaseReference:
    """The reference with a truth that is known less precisely than it could be."""
    widened = {
        output: Enclosure(t.high, t.low, np.full_like(t.radius, radius))
        for output, t in known.truth.items()
    }
    return replace(known, truth=widened)


def coarse_balls(asked: list[int]) -> Callable[..., dict[str, Enclosure]]:
    """`enclose`, with the radius 2^(12 - bits / 16) that a cancelling sum might leave; notes the
    precisions it was asked for."""

    def coarse(contract: Contract, inputs: Inputs, dtype: str, *, precision: int) -> Any:
        asked.append(precision)
        truth = enclose(contract, inputs, dtype, precision=precision)
        radius = 2.0 ** (12 - precision / 16)
        return {n: Enclosure(t.high, t.low, np.maximum(t.radius, radius)) for n, t in truth.items()}

    return coarse


@pytest.mark.parametrize(
    ("needed", "asked"), [(1.0, [320]), (1e-6, [320, 640]), (1e-18, [320, 640, 1280])]
)
def test_the_precision_is_raised_until_decided(
    needed: float, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No further; catches a precision that is raised once, or always to the highest."""
    known = reference_of(
        a_case("aloragc", "float32", "threshold"), machine_model("widest", "float32")
    )
    seen: list[int] = []
    monkeypatch.setattr(reference_module, "enclose", coarse_balls(seen))

    def undecided(reference: CaseReference) -> bool:
        return any(t.radius.max() > needed for t in reference.truth.values())

    finer = with_radius(known, 1e3).decided(undecided)
    assert seen == asked
    assert not undecided(finer)
    assert finer.proven is known.proven
    seen.clear()
    assert finer.decided(undecided) is finer
    assert seen == []


@pytest.mark.parametrize("nothing_known", [False, True])
def test_what_no_precision_decides_ends(
    nothing_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an enclosure became no finer the precision is not raised further; where nothing at all
    is known yet it is, up to the highest."""
    known = reference_of(
        a_case("aloragc", "float32", "threshold"), machine_model("widest", "float32")
    )
    asked = list[int]()

    def counted(*arguments: Any, precision: int) -> dict[str, Enclosure]:
        asked.append(precision)
        truth = enclose(*arguments, precision=precision)
        return with_radius(replace(known, truth=truth), np.inf).truth if nothing_known else truth

    monkeypatch.setattr(reference_module, "enclose", counted)
    finer = with_radius(known, 1e-6).decided(lambda _: True)
    if nothing_known:
        assert asked == [320, 640, 1280, 2560, 5120, 10240]
        return
    assert asked == [320, 640]
    for output, enclosure in finer.truth.items():
        assert enclosure.radius.max() < 1e-30
        assert with_radius(known, 1e-6).truth[output].contains(enclosure)
