"""Building a set of vectors: determinism, what is written and what is left alone, bad arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loracle.vectors as vectors
from loracle.contracts import CONTRACTS
from loracle.errors import UsageError
from loracle.generation import cases_of, generate
from loracle.judgement.truth import SpecificationError
from loracle.vectors import building
from loracle.vectors.certify import certified_truth, narrow_radii
from loracle.vectors.independent import distances_from_truth
from loracle.vectors.numbers import decoded_scalar, encoded_scalar, in_storage, rounded_up
from loracle_reference.arithmetic.ball import Ball

SMALL: dict[str, Any] = {
    "contracts": ["lora-linear", "aloragc"],
    "dtypes": ["float32", "float64"],
    "regimes": ["tiny", "typical"],
    "cases": 1,
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    vectors.build(tmp_path / "one", **SMALL)
    vectors.build(tmp_path / "two", **SMALL)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    vectors.build(tmp_path / "two", **SMALL, seed=1)
    assert contents(tmp_path / "one") != contents(tmp_path / "two")
    assert vectors.verify(tmp_path / "two") == []


def test_a_regime_is_for_the_contracts_that_have_it(tmp_path: Path) -> None:
    vectors.build(tmp_path / "set", **SMALL)
    found = {(v.contract, v.case) for v in vectors.load(tmp_path / "set")}
    assert found == {("lora-linear", "tiny:0"), ("lora-linear", "typical:0"), ("aloragc", "tiny:0")}


def test_other_ranks_and_machines_can_be_built_and_verified(tmp_path: Path) -> None:
    regimes = ["two-dimensional", "four-dimensional"]
    for machine, dtype in (("f32-accumulate", "bfloat16"), ("tf32", "float32")):
        folder = tmp_path / machine
        vectors.build(folder, dtypes=[dtype], regimes=regimes, cases=1, machine=machine)
        assert vectors.verify(folder) == []
    assert {v.tensors["x"].ndim for v in vectors.load(folder)} == {2, 4}


def test_a_narrower_machine_has_narrower_bounds(tmp_path: Path) -> None:
    chosen = {"contracts": ["lora-linear"], "dtypes": ["bfloat16"], "regimes": ["typical"]}
    vectors.build(tmp_path / "wide", **chosen)
    vectors.build(tmp_path / "narrow", **chosen, machine="f32-accumulate")
    wide, narrow = (vectors.load(tmp_path / name).vectors[0] for name in ("wide", "narrow"))
    for name in wide.outputs:
        assert (narrow.outputs[name].bound < wide.outputs[name].bound / 4).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"contracts": ["lora-lienar"]}, "unknown contract 'lora-lienar'"),
        ({"dtypes": ["int8"]}, "unknown dtype 'int8'"),
        ({"regimes": ["tinny"]}, "'tinny'"),
        ({"contracts": ["aloragc"], "regimes": ["typical"]}, "'typical' is not one of aloragc"),
        ({"cases": 0}, "cases must be a whole number"),
        ({"seed": -1}, "the seed must be"),
        ({"machine": "tf32"}, "machine 'tf32' is made for float32"),
        ({"dtypes": []}, "nothing to build"),
    ],
)
def test_bad_arguments_are_refused(arguments: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        vectors.build(tmp_path / "set", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_nothing_but_vectors_is_ever_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    with pytest.raises(UsageError, match=r"it holds thesis\.tex"):
        vectors.build(tmp_path / "mine", **SMALL)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.safetensors").write_text("expensive")
    with pytest.raises(UsageError, match=r"it holds model\.safetensors"):
        vectors.build(tmp_path / "weights", **SMALL)
    with pytest.raises(UsageError, match="it is a file"):
        vectors.build(tmp_path / "mine" / "thesis.tex", **SMALL)
    with pytest.raises(UsageError, match="there is no directory"):
        vectors.build(tmp_path / "no" / "set", **SMALL)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years"


def test_an_older_set_is_replaced_whole_and_survives_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    vectors.build(folder, **SMALL)
    before = contents(folder)
    narrower = {**SMALL, "contracts": ["aloragc"], "dtypes": ["bfloat16"], "regimes": ["tiny"]}
    with monkeypatch.context() as patch:
        patch.setattr(building, "certified_case", interrupted)
        with pytest.raises(KeyboardInterrupt):
            vectors.build(folder, **narrower)
    assert contents(folder) == before
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        with pytest.raises(UsageError, match="cannot write"):
            vectors.build(folder, **narrower)
    assert contents(folder) == before
    vectors.build(folder, **narrower)
    assert set(contents(folder)) == {"manifest.json", "aloragc-bfloat16.safetensors"}
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def refused(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_truth_that_is_wrong_by_its_last_bit_is_not_certified(contract: str) -> None:
    case = cases_of(CONTRACTS[contract], "float32", 0, ["designed"], 1)[0]
    inputs = generate(case)
    truths = certified_truth(CONTRACTS[contract], inputs)
    assert distances_from_truth(CONTRACTS[contract], inputs, truths) == {}
    for output, (truth, radius) in truths.items():
        wrong = np.nextafter(truth, np.inf)
        found = distances_from_truth(
            CONTRACTS[contract], inputs, {**truths, output: (wrong, radius)}
        )
        assert list(found) == [output]
        assert found[output][1] > 1


def test_a_build_whose_truth_is_contradicted_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closed form's own check of the loss is one; this one stands if that is passed by."""
    halved = Ball.enclosure

    def wrong(self: Ball, matrix: Any) -> Any:
        return halved(self, matrix.scale(1 + 2.0**-40))

    monkeypatch.setattr("loracle.judgement.truth.check_against_loss", lambda *_: None)
    monkeypatch.setattr(Ball, "enclosure", wrong)
    with pytest.raises(SpecificationError, match=r"lora-linear float32 tiny:0: output\["):
        vectors.build(tmp_path / "set", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_radius_is_narrow_if_it_is_that_of_one_rounding() -> None:
    truth = np.array([1.0, 2.0**-1074, 0.0])
    narrow, wide = np.array([2.0**-53, 2.0**-1074, 2.0**-151]), np.array([2.0**-51, 1e-44, 1e-44])
    found = narrow_radii({"narrow": (truth, narrow), "wide": (truth, wide)})
    assert found["narrow"].all()
    assert not found["wide"].any()


def test_the_radius_of_a_zero_output_is_held_to_the_other_outputs() -> None:
    zero, radius = np.zeros(2), np.array([2.0**-151, 2.0**-149])
    found = narrow_radii({"zero": (zero, radius), "other": (zero + 1, zero)})
    assert found["zero"].tolist() == [True, False]


@given(st.floats(min_value=0, allow_nan=False), st.integers(4, 24))
def test_rounding_up_never_goes_below_and_by_one_step_at_most(value: float, bits: int) -> None:
    rounded = float(rounded_up(np.array(value), bits))
    assert value <= rounded
    with np.errstate(over="ignore"):
        assert rounded <= np.float64(value) * (1 + 2.0 ** (1 - bits)) + 2.0**-1074


@given(st.floats(allow_nan=False) | st.integers() | st.booleans())
def test_scalars_come_back_as_they_were(value: float | int | bool) -> None:
    back = decoded_scalar(encoded_scalar(value))
    assert back == value
    assert type(back) is type(value)


def test_what_is_not_exact_in_the_dtype_is_not_stored() -> None:
    assert in_storage(np.array([1.5]), "bfloat16").dtype.name == "bfloat16"
    for value, dtype in ((1 + 2.0**-8, "bfloat16"), (1e5, "float16"), (1 + 2.0**-24, "float32")):
        with pytest.raises(ValueError, match=f"not exact in {dtype}"):
            in_storage(np.array([value]), dtype)
