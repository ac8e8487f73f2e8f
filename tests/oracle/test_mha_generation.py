"""What each regime of lora-mha promises, on the inputs it generates."""

from __future__ import annotations

import numpy as np
import pytest

from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.evaluation import bind_sizes, gradients
from loracle.generation import REGIMES, cases_of, generate, regimes_of
from loracle.generation.mha import _scores
from loracle.generation.sampling import Raw
from loracle_reference.arithmetic.rounding import Rounding
from loracle_reference.floating_point import FORMATS, machine_model, round_to_format

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
def test_inputs_are_exact_in_the_dtype(regime: str) -> None:
    """The truth is that of the rounded inputs; every dtype rounds the same numbers. Heads are
    integers and the mask is a bool: a kernel that is handed 2.0 heads cannot reshape."""
    for index in range(2):
        plain = inputs_of(regime, index=index)
        for dtype in DTYPES:
            case = a_case("lora-mha", dtype, regime, index)
            inputs, sizes = generate(case), dict(case.sizes)
            assert set(inputs.tensors) == set(MHA.tensors)
            assert set(inputs.scalars) == {*MHA.scalars, *MHA.options}
            bound = bind_sizes(MHA, inputs)
            assert bound["q_width"] == sizes["num_heads"] * sizes["head_dim"]
            assert bound["kv_width"] == sizes["num_kv_heads"] * sizes["head_dim"]
            for name in ("batch", "length", "model", "r"):
                assert bound[name] == sizes[name]
            for name in ("num_heads", "num_kv_heads"):
                assert type(inputs.scalars[name]) is int
                assert inputs.scalars[name] == sizes[name]
            assert type(inputs.scalars["causal"]) is bool
            for name, tensor in inputs.tensors.items():
                assert np.array_equal(tensor, round_to_format(plain.tensors[name], dtype))
            for name in MHA.scalars:
                value = inputs.scalars[name]
                assert value == plain.scalars[name] == float(round_to_format(value, dtype))


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


def test_a_case_is_the_same_whatever_else_is_run() -> None:
    """And fewer cases are a part of more; the contract has fewer by default where it says so."""
    everything = cases_of(MHA, "float32", 3, regimes_of(MHA), 4)
    assert cases_of(MHA, "float32", 3, ["typical"], 2) == everything[4:6]
    assert len(default_run("lora-mha", "float32", 0)) == sum(
        REGIMES[r].cases_of("lora-mha") for r in regimes_of(MHA)
    )
    assert REGIMES["averaging"].cases_of("lora-mha") < REGIMES["averaging"].cases_of("lora-linear")
    one, again = inputs_of("typical", index=3), inputs_of("typical", index=3)
    assert all(np.array_equal(one.tensors[n], again.tensors[n]) for n in one.tensors)
    other = inputs_of("typical", index=3, seed=1)
    assert not np.array_equal(one.tensors["grad_output"], other.tensors["grad_output"])


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


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_has_subnormal_tokens(dtype: str) -> None:
    inputs = inputs_of("extreme", dtype, 1)
    for name in ("x", "grad_output"):
        largest = np.abs(inputs.tensors[name]).reshape(-1, inputs.tensors[name].shape[-1]).max(1)
        subnormal = (largest > 0) & (largest < FORMATS[dtype].smallest_normal)
        assert subnormal.any()
        assert (largest > 0.01).any()


def test_structured_inputs() -> None:
    """Repeated tokens whose upstream gradients nearly cancel; integers with one empty token;
    adapters of deficient rank."""
    repeated, integers, deficient = (inputs_of("structured", index=i) for i in range(3))
    x, upstream = repeated.tensors["x"], repeated.tensors["grad_output"]
    assert np.array_equal(x[:, 0::2], x[:, 1::2])
    assert not repeated.scalars["causal"]
    assert np.allclose(upstream[:, 1::2], -15 / 16 * upstream[:, 0::2])
    for name, tensor in integers.tensors.items():
        assert np.array_equal(tensor * 8, np.rint(tensor * 8))
        empty = (tensor.reshape(-1, tensor.shape[-1]) == 0).all(axis=1).sum()
        assert empty == (name in ("x", "grad_output"))
    for m in "qkv":
        assert np.linalg.matrix_rank(deficient.tensors[f"lora_a_{m}"]) < 3
        assert np.linalg.matrix_rank(deficient.tensors[f"lora_b_{m}"]) < 3


def test_layouts_are_of_the_upstream_gradient() -> None:
    for index, layout in enumerate(("transposed", "sliced", "expanded")):
        case = a_case("lora-mha", "float32", "layouts", index)
        inputs = generate(case)
        assert dict(inputs.layouts) == {"grad_output": layout}
        assert dict(case.sizes)["batch"] > 1
        assert (len(np.unique(inputs.tensors["grad_output"])) == 1) == (layout == "expanded")


def test_lora_init_has_a_zero_b_alone() -> None:
    for name, tensor in inputs_of("lora-init").tensors.items():
        assert (not tensor.any()) if name.startswith("lora_b") else tensor.all(), name


@pytest.mark.parametrize("regime", regimes_of(MHA))
def test_no_input_leaves_the_range_of_float16(regime: str) -> None:
    """Tiny scores that are made large by a factor without limit did, once in a hundred draws."""
    for seed in range(40):
        for index in range(2):
            inputs = inputs_of(regime, "float16", index, seed)
            assert all(np.isfinite(tensor).all() for tensor in inputs.tensors.values()), seed
