"""What each regime of lora-mha promises, on the inputs it generates."""

from __future__ import annotations

import numpy as np
import pytest

from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.evaluation import gradients
from loracle.generation import REGIMES, generate, regimes_of
from loracle.generation.mha import _scores, _with_largest_score
from loracle.generation.sampling import Raw
from loracle_reference.arithmetic.rounding import Rounding
from loracle_reference.floating_point import machine_model

from .core_cases import DTYPES, a_case, default_run, in_double

MHA = CONTRACTS["lora-mha"]
SEEDS = range(5)


def inputs_of(regime: str, dtype: str = "float64", index: int = 0, seed: int = 0) -> Inputs:
    return generate(a_case("lora-mha", dtype, regime, index, seed))


def scores(inputs: Inputs) -> np.ndarray:
    return _scores(Raw(dict(inputs.tensors), dict(inputs.scalars)))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_default_run_has_every_shape(seed: int) -> None:
    """Catches heads that are always 2 over 1 (every wrong head map is the right one), a head_dim of
    1 or the width of the model, masks that are always or never on, one sample, one token."""
    sizes = [
        (dict(case.sizes), generate(case)) for case in default_run("lora-mha", "float32", seed)
    ]
    shapes = {
        "groups of three, two heads of keys": any(
            s["num_heads"] == 3 * s["num_kv_heads"] and s["num_kv_heads"] >= 2 for s, _ in sizes
        ),
        "the same with a mask": any(
            s["num_heads"] == 3 * s["num_kv_heads"] > 3 and i.scalars["causal"] for s, i in sizes
        ),
        "no groups": any(s["num_heads"] == s["num_kv_heads"] > 1 for s, _ in sizes),
        "one head of keys": any(s["num_heads"] > s["num_kv_heads"] == 1 for s, _ in sizes),
        "heads unlike the model": any(
            s["num_heads"] * s["head_dim"] != s["model"] for s, _ in sizes
        ),
        "head_dim beyond one": any(s["head_dim"] > 1 for s, _ in sizes),
        "causal": any(i.scalars["causal"] for _, i in sizes),
        "not causal": any(not i.scalars["causal"] for _, i in sizes),
        "samples": any(s["batch"] > 1 for s, _ in sizes),
        "one token": any(s["length"] == 1 for s, _ in sizes),
        "rank of one": any(s["r"] == 1 for s, _ in sizes),
        "beyond a block of 64": any(s["length"] > 64 for s, _ in sizes),
    }
    assert all(shapes.values()), shapes
    largest = [np.abs(scores(i)).max() for s, i in sizes if s["length"] > 1]
    assert min(largest) < 0.6
    assert max(largest) > 90


@pytest.mark.parametrize("regime", regimes_of(MHA))
def test_options_are_integers_and_a_truth_value(regime: str) -> None:
    """Those of the sizes: a kernel that is handed 2.0 heads cannot reshape. What is true of inputs
    of every contract is in test_generation.py."""
    for index in range(2):
        case = a_case("lora-mha", "float32", regime, index)
        inputs, sizes = generate(case), dict(case.sizes)
        for name in ("num_heads", "num_kv_heads"):
            assert type(inputs.scalars[name]) is int
            assert inputs.scalars[name] == sizes[name]
        assert type(inputs.scalars["causal"]) is bool


@pytest.mark.parametrize("regime", regimes_of(MHA))
def test_scalars_hide_nothing(regime: str) -> None:
    """Three scalings that differ from one another and from 1, 2, 1/2 and 1/r, and a scale that is
    neither 1 nor near what kernels take it for."""
    for index in range(REGIMES[regime].cases_of("lora-mha")):
        case = a_case("lora-mha", "float32", regime, index)
        sizes, scalars = dict(case.sizes), generate(case).scalars
        scalings = [scalars[f"scaling_{m}"] for m in "qkv"]
        assert len(set(scalings)) == 3
        assert not {1.0, 2.0, 0.5, 1 / sizes["r"]} & set(scalings)
        for width in (1, sizes["head_dim"], sizes["num_heads"] * sizes["head_dim"]):
            if width == 1 or width > 2:
                assert abs(scalars["softmax_scale"] * width**0.5 - 1) > 0.04, case


def test_a_default_run_has_its_own_numbers_of_cases() -> None:
    """Fewer than other contracts where the regime says so, and more in `averaging`."""
    assert len(default_run("lora-mha", "float32", 0)) == sum(
        REGIMES[r].cases_of("lora-mha") for r in regimes_of(MHA)
    )
    assert REGIMES["tiny"].cases_of("lora-mha") < REGIMES["tiny"].cases_of("lora-linear")
    assert REGIMES["averaging"].cases_of("lora-mha") > REGIMES["averaging"].cases_of("lora-linear")


@pytest.mark.parametrize("index", range(6))
def test_designed_inputs_do_not_cancel_somewhere(index: int) -> None:
    """In every output some entry is a quarter of its natural scale at least: there the proven bound
    is narrow enough for a wrong sign in 16 bits. Gaussian inputs are not so."""
    inputs = inputs_of("designed", "bfloat16", index)
    rounding = Rounding(machine_model("widest", "float64"))
    natural = gradients(MHA, inputs, rounding)
    for name, truth in in_double(MHA, inputs).items():
        scale = natural[name].natural_scale.reshape(truth.shape)
        assert (scale <= 4 * np.abs(truth)).any(), name
    # The same without the design.
    gaussian = inputs_of("typical", "float64", 0)
    scale = gradients(MHA, gaussian, rounding)["grad_lora_a_k"].natural_scale
    assert (scale > 4 * np.abs(in_double(MHA, gaussian)["grad_lora_a_k"])).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_saturated_scores_reach_a_hundred(seed: int) -> None:
    """With neighbours whose scores are near: a softmax that rounds them picks the wrong key."""
    values = scores(inputs_of("saturated", seed=seed))
    assert np.abs(values).max() == pytest.approx(100, rel=1e-9)
    pairs = values.shape[-1] // 2 * 2
    gaps = np.abs(values[..., 1:pairs:2] - values[..., 0:pairs:2])
    assert 0 < gaps.max() < 40


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_massive_query_picks_one_key(seed: int, dtype: str) -> None:
    """Its largest score is thousands in one head at least, and stands out in each by more than the
    roundings of 16 bits; those of the others are of order one."""
    inputs = inputs_of("extreme", dtype, 0, seed)
    values = scores(inputs)
    ordered = np.sort(values[0, :, -1], axis=1)
    assert 1500 < ordered[:, -1].max() < 2500
    assert (ordered[:, -1] - ordered[:, -2] > 40).all()
    assert np.abs(values[0, :, :-1]).max() < 60


def test_structured_inputs() -> None:
    """Repeated tokens whose upstream gradients nearly cancel, and integers with an empty one."""
    repeated, integers = (inputs_of("structured", index=i) for i in range(2))
    x, upstream = repeated.tensors["x"], repeated.tensors["grad_output"]
    assert np.array_equal(x[:, 0::2], x[:, 1::2])
    assert not repeated.scalars["causal"]
    assert np.allclose(upstream[:, 1::2], -15 / 16 * upstream[:, 0::2])
    assert not integers.tensors["x"].any(axis=-1).all()


def test_layouts_are_of_the_upstream_gradient() -> None:
    for index, layout in enumerate(("transposed", "sliced", "expanded")):
        case = a_case("lora-mha", "float32", "layouts", index)
        inputs = generate(case)
        assert dict(inputs.layouts) == {"grad_output": layout}
        assert dict(case.sizes)["batch"] > 1
        assert (len(np.unique(inputs.tensors["grad_output"])) == 1) == (layout == "expanded")


@pytest.mark.parametrize("regime", regimes_of(MHA))
def test_no_input_leaves_the_range_of_float16(regime: str) -> None:
    """Tiny scores that are made large by a factor without limit did, once in a hundred draws."""
    for seed in range(40):
        for index in range(2):
            inputs = inputs_of(regime, "float16", index, seed)
            assert all(np.isfinite(tensor).all() for tensor in inputs.tensors.values()), seed


def test_scores_that_are_zero_are_made_no_larger() -> None:
    """Q of a width of one reads no channel: the factor is the largest there is, without a warning
    of a division by zero, and so it is of scores that are tiny; of others the largest becomes the
    one asked for."""
    inputs = inputs_of("typical")
    for size, factor in ((0.0, 256.0), (2.0**-1000, 256.0)):
        raw = Raw({n: t.copy() for n, t in inputs.tensors.items()}, dict(inputs.scalars))
        raw.tensors["x"][:] *= size
        with np.errstate(all="raise", under="ignore"):
            changed = _with_largest_score(raw, 2.0)
        for name in ("weight_q", "lora_b_q"):
            assert np.array_equal(changed.tensors[name], factor * inputs.tensors[name])
        assert np.array_equal(changed.tensors["weight_k"], inputs.tensors["weight_k"])
    raw = Raw({n: t.copy() for n, t in inputs.tensors.items()}, dict(inputs.scalars))
    assert np.abs(_scores(_with_largest_score(raw, 3.0))).max() == pytest.approx(3.0, rel=1e-12)
