"""The truth piece by piece: which path is taken, and what the check against the loss lets pass."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.evaluation import output_shapes
from loracle.generation import generate
from loracle.judgement import truth as truth_module
from loracle.judgement.truth import (
    SpecificationError,
    _argument_of,
    _score_entries,
    check_against_loss,
    enclose,
)
from loracle_reference.enclosure import Enclosure

from .core_cases import CONTRACT_NAMES, a_case, in_double


def small(contract: str) -> Inputs:
    return generate(a_case(contract, "float32", "tiny", 3))


def test_the_argument_of_every_output() -> None:
    """That in which an output is the derivative of the loss; the output itself is that in the
    upstream gradient."""
    found = {c: [_argument_of(CONTRACTS[c], o) for o in CONTRACTS[c].outputs] for c in CONTRACTS}
    linear, mha = CONTRACTS["lora-linear"], CONTRACTS["lora-mha"]
    assert found["lora-linear"] == ["grad_output", "x", "lora_a", "lora_b"]
    assert list(linear.outputs) == ["output", "grad_x", "grad_lora_a", "grad_lora_b"]
    assert found["aloragc"] == ["a", "b"]
    assert found["lora-attention"] == ["a_q", "b_q", "a_k", "b_k", "a_v", "b_v"]
    assert found["lora-mha"][:2] == ["grad_output", "x"]
    assert found["lora-mha"][2:] == [o.removeprefix("grad_") for o in list(mha.outputs)[2:]]


def test_only_the_contracts_of_one_head_have_long_cases() -> None:
    """The entries of the score matrix, L M; the others have none that is as large."""
    sizes = dict(a_case("lora-attention", "float32", "ragged", 1).sizes)
    inputs = generate(a_case("lora-attention", "float32", "ragged", 1))
    assert sizes["L"] != sizes["M"]
    assert _score_entries(CONTRACTS["lora-attention"], inputs) == sizes["L"] * sizes["M"]
    assert _score_entries(CONTRACTS["lora-linear"], small("lora-linear")) == 0
    assert truth_module._LONG == 128 * 128


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_the_path_follows_size_and_dtype(contract: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Balls of 160 bits, so fine that rounding to 106 bits is all of the radius, but for cases
    beyond the limit in dtypes coarser than float64. Whatever the path, the values and the shapes
    are those of the outputs, and both paths agree."""
    known, inputs = CONTRACTS[contract], small(contract)
    entries = _score_entries(known, inputs)
    expected = in_double(known, inputs)
    for limit, dtype, interval in (
        (entries, "float32", False),
        (entries - 1, "float32", True),
        (entries - 1, "float64", False),
    ):
        monkeypatch.setattr(truth_module, "_LONG", limit)
        truth = enclose(known, inputs, dtype)
        assert list(truth) == list(known.outputs)
        for name, shape in output_shapes(known, inputs).items():
            assert truth[name].shape == shape
            largest = np.abs(expected[name]).max()
            assert np.allclose(truth[name].mid, expected[name], rtol=0, atol=1e-12 * (1 + largest))
        finest = max(float((t.radius / (np.abs(t.mid) + 1e-6)).max()) for t in truth.values())
        assert (finest > 2.0**-80) == interval


def test_the_precision_of_the_balls_is_the_one_asked_for() -> None:
    coarse = enclose(CONTRACTS["aloragc"], small("aloragc"), "float32", precision=40)
    default = enclose(CONTRACTS["aloragc"], small("aloragc"), "float32")
    finest = enclose(CONTRACTS["aloragc"], small("aloragc"), "float32", precision=4 * 160)
    for name in default:
        assert coarse[name].radius.max() > 1e12 * default[name].radius.max()
        # 160 bits less what the sums cost, and no fewer.
        assert default[name].radius.max() < 2.0**-90 * np.abs(default[name].mid).max()
        assert finest[name].radius.max() <= default[name].radius.max()


def moved(truth: Enclosure, by: np.ndarray, radius: float = 0.0) -> Enclosure:
    return Enclosure(truth.high + by, truth.low, truth.radius + radius)


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_a_gradient_that_is_off_is_refused(contract: str) -> None:
    """One entry of one output, by 10^-9: far less than any wrong term moves it, and far more than
    all roundings of the check together. Catches an allowance that forgives."""
    known, inputs = CONTRACTS[contract], small(contract)
    truth = enclose(known, inputs, "float32")
    check_against_loss(known, inputs, truth)
    for name, enclosure in truth.items():
        one = np.zeros(enclosure.shape)
        one.flat[-1] = 1e-9 * max(1.0, *(float(np.abs(t.mid).sum()) for t in truth.values()))
        for by in (one, -one):
            with pytest.raises(SpecificationError, match=f"^{contract}: the derivative"):
                check_against_loss(known, inputs, {**truth, name: moved(enclosure, by)})
        # With a radius that says as much it is no contradiction, and with half of it, it is.
        allowed = float(one.flat[-1]) / one.size
        check_against_loss(known, inputs, {**truth, name: moved(enclosure, one, 1.001 * allowed)})
        with pytest.raises(SpecificationError):
            check_against_loss(known, inputs, {**truth, name: moved(enclosure, one, allowed / 2)})


def test_what_contradicts_is_said_with_its_size() -> None:
    """One number off by one: the direction has entries +-1, so that the derivative is off by as
    much; the allowance is what the radii add up to."""
    known, inputs = CONTRACTS["aloragc"], small("aloragc")
    truth = enclose(known, inputs, "float32")
    one = np.zeros(truth["grad_a"].shape)
    one.flat[0] = 1.0
    radius = 0.125 / one.size
    with pytest.raises(SpecificationError) as error:
        check_against_loss(known, inputs, {**truth, "grad_a": moved(truth["grad_a"], one, radius)})
    assert str(error.value) == (
        "aloragc: the derivative of the loss along a random direction differs from the closed form"
        " by 1, more than the radius 0.125; this is a defect of loracle: please report it with the"
        " case"
    )


def test_the_direction_is_the_same_in_every_run() -> None:
    """One contradiction, one message: catches a direction that is drawn anew, with which a check
    fails for one user and not for the next."""
    known, inputs = CONTRACTS["aloragc"], small("aloragc")
    truth = enclose(known, inputs, "float32")
    wrong = {
        name: moved(enclosure, 1.5 ** np.arange(enclosure.high.size).reshape(enclosure.shape))
        for name, enclosure in truth.items()
    }
    said = set()
    for _ in range(8):
        with pytest.raises(SpecificationError) as error:
            check_against_loss(known, inputs, wrong)
        said.add(str(error.value))
    assert len(said) == 1


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_enclose_makes_the_check(contract: str) -> None:
    """On either path."""
    known = CONTRACTS[contract]
    output = list(known.outputs)[-1]

    def wrong(**arguments: object) -> dict[str, object]:
        results = known.gradient(**arguments)
        return {**results, output: results[output] + results[output]}

    for dtype in ("float32", "float64"):
        with pytest.raises(SpecificationError, match=re.escape(contract)):
            enclose(replace(known, gradient=wrong), small(contract), dtype)
