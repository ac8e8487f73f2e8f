"""The vectors that ship with the package, and what they say of kernels that are right or wrong."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import loracle.vectors as vectors
from loracle.contracts import CONTRACTS
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypotheses import NAMES, table_of
from loracle.errors import UsageError
from loracle.evaluation import bind_sizes
from loracle.generation import REGIMES, regimes_of
from loracle.vectors.reading import Vector, VectorSet, shipped
from loracle.vectors.selection import LEFT_OUT
from loracle_reference.floating_point import FORMATS, round_to_format

from .vector_sets import part_of_shipped

SHIPPED = vectors.load()


def test_the_shipped_set_has_every_contract_dtype_and_regime_and_is_small() -> None:
    for contract in CONTRACTS.values():
        wanted = set(regimes_of(contract)) - set(LEFT_OUT)
        for dtype in FORMATS:
            chosen = SHIPPED.select(contract=contract.name, dtype=dtype)
            assert {vector.flags[0] for vector in chosen} == wanted
    assert sum(path.stat().st_size for path in shipped().iterdir()) < 2_000_000


def test_schema_and_checksums_of_the_shipped_set_are_right() -> None:
    assert vectors.verify(shipped(), quick=True) == []


def test_numbers_of_the_shipped_set_are_right(tmp_path: Path) -> None:
    names = {
        "lora-linear-float64.safetensors",
        "aloragc-float32.safetensors",
    }
    assert vectors.verify(part_of_shipped(tmp_path / "part", names)) == []


@pytest.mark.deep
def test_all_numbers_of_the_shipped_set_are_right() -> None:
    assert vectors.verify(shipped()) == []


def test_a_shipped_file_is_what_its_command_builds(tmp_path: Path) -> None:
    vectors.build(tmp_path / "set", contracts=["lora-linear"], dtypes=["bfloat16"])
    name = "lora-linear-bfloat16.safetensors"
    assert (tmp_path / "set" / name).read_bytes() == (shipped() / name).read_bytes()
    same_vectors(vectors.load(tmp_path / "set"))


@pytest.mark.parametrize("contract", CONTRACTS)
def test_shipped_cases_are_what_the_command_builds(contract: str, tmp_path: Path) -> None:
    """In float64 the last digits of some inputs depend on the BLAS: there `verify` alone tells."""
    regimes = ["designed", "tiny"]
    vectors.build(tmp_path / "set", contracts=[contract], dtypes=["float32"], regimes=regimes)
    assert same_vectors(vectors.load(tmp_path / "set")) == 3


@pytest.mark.deep
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_every_shipped_file_is_what_its_command_builds(dtype: str, tmp_path: Path) -> None:
    vectors.build(tmp_path / "set", dtypes=[dtype])
    for path in (tmp_path / "set").glob("*.safetensors"):
        assert path.read_bytes() == (shipped() / path.name).read_bytes()
    same_vectors(vectors.load(tmp_path / "set"))


def same_vectors(built: VectorSet) -> int:
    """How many there are, all of them in the shipped set, bit for bit."""
    known = {str(vector): vector for vector in SHIPPED}
    for vector in built:
        other = known[str(vector)]
        assert (vector.flags, vector.sizes, vector.scalars, vector.layouts) == (
            other.flags,
            other.sizes,
            other.scalars,
            other.layouts,
        )
        for name, tensor in vector.tensors.items():
            assert tensor.tobytes() == other.tensors[name].tobytes()
        for name, output in vector.outputs.items():
            for part, value in vars(output).items():
                np.testing.assert_array_equal(value, getattr(other.outputs[name], part))
    return len(built)


def test_flags_and_mistakes_are_words_of_generator_and_diagnosis() -> None:
    for flag, entry in SHIPPED.manifest["flags"].items():
        if flag in REGIMES:
            assert entry["why"] == REGIMES[flag].reveals
    for contract, mistakes in SHIPPED.manifest["mistakes"].items():
        assert set(mistakes) <= NAMES[contract]
        assert all("{" not in words for words in mistakes.values())


def as_tensors(vector: Vector) -> dict[str, torch.Tensor]:
    dtype = getattr(torch, vector.dtype)
    return {n: torch.from_numpy(t).to(dtype) for n, t in vector.inputs.tensors.items()}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_right_kernels_pass_and_are_told_from_the_same_with_another_sign(contract: str) -> None:
    kernels = import_module(f"loracle.corpus.right.{contract.replace('-', '_')}")
    kernel = kernels.repeat_kv if contract == "lora-mha" else kernels.eager_autograd
    told = 0
    for vector in SHIPPED.select(contract=contract):
        results = kernel(**as_tensors(vector), **vector.scalars)
        judged = vector.judge(results)
        assert {j.verdict for j in judged.values()} <= {"pass", "no_evidence"}, vector
        negated = vector.judge({name: -result for name, result in results.items()})
        for name, judgement in negated.items():
            output = vector.outputs[name]
            if (np.abs(output.truth) > output.bound + output.radius).any():
                assert judgement.verdict == "fail", (vector, name)
                told += 1
    assert told >= 40


@pytest.mark.parametrize(
    ("contract", "dtype", "regimes"),
    [
        ("lora-linear", "float32", {"designed", "tiny"}),
        ("aloragc", "bfloat16", {"designed", "tiny", "saturated"}),
        ("lora-attention", "bfloat16", {"designed"}),
        ("lora-mha", "float16", {"tiny"}),
    ],
)
def test_every_mistake_that_a_vector_proves_has_a_form_that_fails_it(
    contract: str, dtype: str, regimes: set[str]
) -> None:
    claimed = 0
    for vector in SHIPPED.select(contract=contract, dtype=dtype):
        if not regimes & set(vector.flags):
            continue
        for name, output in vector.outputs.items():
            verdicts = verdicts_on_mistakes(vector, name)
            assert {m for m in output.proves if "fail" not in verdicts[m]} == set(), vector
            seen = {m for m, found in verdicts.items() if found & {"suspect", "fail"}}
            assert set(output.suspects) <= seen, vector
            claimed += len(output.proves)
    assert claimed > 40


def verdicts_on_mistakes(vector: Vector, name: str) -> dict[str, set[str]]:
    contract, inputs, output = CONTRACTS[vector.contract], vector.inputs, vector.outputs[name]
    zero = np.zeros_like(output.truth)
    evidence = Evidence(contract, inputs, name, zero, output.truth, 0.0, vector.dtype)
    found: dict[str, set[str]] = {}
    table = table_of(contract.name)
    for hypothesis in (*table.mistakes, *table.non_finite):
        with np.errstate(all="ignore"):
            wrong = hypothesis.wrong_truth(evidence)
        if wrong is not None:
            stored = np.broadcast_to(round_to_format(wrong, vector.dtype), output.truth.shape)
            found.setdefault(hypothesis.name, set()).add(output.judge(stored).verdict)
    return found


def test_the_truth_itself_passes_and_one_bound_away_it_does_not() -> None:
    for vector in SHIPPED.select(dtype="float64"):
        for name, output in vector.outputs.items():
            assert vector.judge({name: output.truth})[name].verdict != "fail"
            beyond = output.truth + 1.01 * output.bound + 2 * output.radius
            if (beyond != output.truth).any():
                assert vector.judge({name: beyond})[name].verdict == "fail", (vector, name)


def test_a_result_that_is_not_finite_fails_where_nothing_overflows() -> None:
    vector = next(v for v in SHIPPED if v.case == "tiny:0" and v.dtype == "float16")
    output = vector.outputs["output"]
    assert output.overflow_free
    assert output.judge(np.full_like(output.truth, np.nan)).verdict == "fail"


def test_results_that_cannot_be_judged_are_refused_in_one_line() -> None:
    vector = SHIPPED.vectors[0]
    truth = vector.outputs["output"].truth
    with pytest.raises(UsageError, match=r"shape \(1, 2\)"):
        vector.judge({"output": np.zeros((1, 2))})
    with pytest.raises(UsageError, match=r"no output 'outptu'; lora-linear has: output, grad_x"):
        vector.judge({"outptu": truth})
    with pytest.raises(UsageError, match="no result"):
        vector.judge({})
    with pytest.raises(UsageError, match="must be an array of numbers, not str"):
        vector.judge({"output": "nothing"})


def test_inputs_are_stored_in_their_dtype_and_sizes_are_theirs() -> None:
    for vector in SHIPPED:
        assert {tensor.dtype.name for tensor in vector.tensors.values()} == {vector.dtype}
        bound = bind_sizes(CONTRACTS[vector.contract], vector.inputs)
        shared = set(bound) & set(vector.sizes)
        assert "r" in shared
        assert all(bound[symbol] == vector.sizes[symbol] for symbol in shared)


def test_floats_are_hexadecimal_in_the_manifest() -> None:
    cases = [case for file in SHIPPED.manifest["files"] for case in file["cases"]]
    texts = {v for case in cases for v in case["scalars"].values() if isinstance(v, str)}
    assert (1.5).hex() in texts
    assert all(text.startswith(("0x1.", "-0x1.")) for text in texts)


def test_truth_that_is_wrong_in_its_last_bit_is_not_loaded(tmp_path: Path) -> None:
    part = part_of_shipped(tmp_path / "part", {"aloragc-float64.safetensors"})
    file = part / "aloragc-float64.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(UsageError, match="its SHA-256 differs"):
        vectors.load(part)


def test_a_folder_without_vectors_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no manifest\.json; `loracle vectors build"):
        vectors.load(tmp_path)


def test_a_selection_by_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown contract 'nope'; known: lora-linear"):
        SHIPPED.select(contract="nope")
    with pytest.raises(UsageError, match=r"unknown dtype 'bf16'.*did you mean bfloat16"):
        SHIPPED.select(dtype="bf16")


def test_a_result_of_another_shape_is_named() -> None:
    vector = next(iter(SHIPPED.select(contract="lora-linear")))
    with pytest.raises(UsageError, match=r"^grad_x: a result has shape"):
        vector.judge({"grad_x": np.zeros((1, 1))})
