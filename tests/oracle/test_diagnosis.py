"""What the diagnosis names, what it does not name, and what it says of it."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from loracle import validate
from loracle.adapters.autograd import lora_linear
from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS
from loracle.corpus.wrong.lora_attention_terms import scaling_is_alpha
from loracle.diagnosis import Evidence, are_too_few, attention_forms, diagnose, linear_forms
from loracle.diagnosis.hypotheses import TABLES
from loracle.diagnosis.labels import term_of
from loracle.evaluation import bind_sizes
from loracle.generation import generate
from loracle.judgement.verdicts import judge
from loracle_reference.floating_point import FORMATS, round_to_format

from .core_cases import CONTRACT_NAMES, default_run, in_double, reference
from .planted import (
    Plant,
    failing,
    honest,
    names,
    on,
    result_transposed,
    times,
    with_offset,
    with_scalars,
    with_tensors,
    without_correction,
)

Array = npt.NDArray[np.float64]

ROOT = Path(__file__).parents[2]

P2_MISSING = "missing-softmax-correction"


@pytest.mark.parametrize(
    ("dtype", "output"),
    [
        *(("float32", output) for output in ("output", "grad_lora_b", "grad_a", "grad_b_q")),
        ("bfloat16", "grad_lora_a"),
        ("bfloat16", "grad_b"),
    ],
)
def test_an_unrelated_error_has_no_name(output: str, dtype: str) -> None:
    """Random numbers of the right size, sorted entries, and the truth plus noise. Catches a
    diagnosis that always has an answer."""
    contract = next(c for c in CONTRACT_NAMES if output in CONTRACTS[c].outputs)

    def random(case: Case, inputs: Inputs, output: str) -> Array:
        result = honest(case, inputs, output)
        generator = np.random.default_rng(case.index)
        return np.asarray(generator.standard_normal(result.shape) * (np.abs(result).max() + 1))

    def sorted_entries(case: Case, inputs: Inputs, output: str) -> Array:
        result = honest(case, inputs, output)
        return np.sort(result, axis=None).reshape(result.shape)

    def noisy(case: Case, inputs: Inputs, output: str) -> Array:
        result = honest(case, inputs, output)
        generator = np.random.default_rng(case.index)
        noise = generator.standard_normal(result.shape) * np.abs(result).max()
        return np.asarray(result + 0.5 * noise)

    for plant in (random, sorted_entries, noisy):
        evidence = failing(contract, dtype, 0, output, plant)
        assert len(evidence) >= 8
        assert names(evidence) == []


@pytest.mark.parametrize("output", ["grad_lora_b", "grad_a", "grad_b_q"])
def test_a_bug_in_half_of_the_cases_is_not_explained_by_one_case(output: str) -> None:
    """A hypothesis that explains some failing cases and not the others is no explanation."""
    contract = next(c for c in CONTRACT_NAMES if output in CONTRACTS[c].outputs)

    def mixed(case: Case, inputs: Inputs, output: str) -> Array:
        return honest(case, inputs, output) * (-1.0 if case.index % 2 else 3.0)

    found = diagnose(failing(contract, "float32", 0, output, mixed))
    assert all("a factor that varies" in diagnosis.explanation for diagnosis in found)


def test_factors_that_are_nearly_one_are_told_as_one_with_its_range() -> None:
    def nearly(case: Case, inputs: Inputs, output: str) -> Array:
        return honest(case, inputs, output) * (1.05 + 0.002 * case.index)

    (found,) = diagnose(failing("lora-linear", "float32", 0, "grad_lora_b", nearly))
    assert found.hypothesis == "constant-factor"
    assert "the true value times 1.05 to 1.06, by case" in found.explanation


def test_a_class_that_applies_to_few_cases_leaves_the_others_unexplained() -> None:
    """Transposed where the result is square, which is rare, and something else where it is not."""

    def is_square(evidence: Evidence) -> bool:
        return evidence.truth.shape == evidence.truth.T.shape

    transposed = failing("aloragc", "float32", 0, "grad_b", result_transposed)
    other = failing("aloragc", "float32", 0, "grad_b", with_offset)
    few = [e for e in transposed if is_square(e)][:3]
    many = [e for e in other if not is_square(e)][:9]
    assert (len(few), len(many)) == (3, 9)
    assert names(few) == ["transposed"]
    assert names(many) == []
    assert names(few + many) == []


def test_two_outputs_are_diagnosed_by_themselves() -> None:
    doubled = failing("lora-linear", "float32", 0, "grad_lora_a", times(lambda k: 2))
    flipped = failing("lora-linear", "float32", 0, "grad_lora_b", times(lambda k: -1))
    assert names(doubled) == ["factor-two", "constant-factor"]
    assert names(flipped) == ["wrong-sign"]


def test_the_factor_is_told() -> None:
    """The explanations carry the numbers and the output's name."""
    (fitted,) = diagnose(failing("aloragc", "float32", 0, "grad_b", times(lambda k: 1.375)))
    assert "grad_b" in fitted.explanation
    assert "1.375" in fitted.explanation
    (by_rank,) = diagnose(failing("aloragc", "float32", 0, "grad_b", times(lambda k: 1 / k["r"])))
    assert "1/r" in by_rank.explanation
    first = diagnose(
        failing("lora-attention", "float32", 0, "grad_a_q", times(lambda k: 1 / k["beta"]))
    )[0]
    assert "1 in place of beta, in the backward pass alone" in first.explanation


def test_nothing_to_explain() -> None:
    assert diagnose([]) == ()
    (one, *_) = failing("lora-linear", "float32", 0, "output", times(lambda k: 2))
    assert names([replace(one, computed=np.full_like(one.computed, np.nan))]) == []
    assert names([replace(one, slack=math.inf)]) == []


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_a_zero_truth_is_not_near_to_everything(contract: str) -> None:
    """Noise where the truth is exactly zero: a single key, whose softmax has no gradient, or
    B = 0. Catches a slack that grows without limit with the hypothesis (p1 is not zero there)."""
    output = {"lora-linear": "grad_lora_a", "aloragc": "grad_b", "lora-attention": "grad_b_q"}
    output["lora-mha"] = "grad_lora_a_q"
    evidence = []
    for case in default_run(contract, "float32", 0):
        known, name = reference(case), output[contract]
        truth = known.truth[name].mid
        if truth.any() or truth.size < 3:
            continue
        noise = np.random.default_rng(case.index).standard_normal(truth.shape)
        slack = min(known.null[name].tolerance, float(known.proven[name].bound.max()))
        evidence.append(
            Evidence(
                CONTRACTS[contract], known.inputs, name, noise, truth, max(slack, 1e-9), "float32"
            )
        )
    assert evidence
    assert names(evidence) == []


def test_closeness_is_measured_in_slack() -> None:
    """One and a half units of rounding are allowed to a hypothesis, three are not."""
    (one, *_) = failing("lora-linear", "float32", 0, "output", times(lambda k: 2))
    for units, explained in ((0.0, True), (1.4, True), (3.0, False)):
        moved = replace(one, computed=2 * one.truth + 2 * units * one.slack)
        assert moved.explained_by(2 * one.truth) is explained
    assert one.clarity() > 100


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_exponential_has_larger_roundings(dtype: str) -> None:
    """By a factor of exp(60): its logarithm, of 60, is rounded to some units. No other mistake may
    be so far off, and this one no farther than that."""
    (one, *_) = failing("lora-linear", dtype, 0, "output", times(lambda k: 2))
    largest = float(np.abs(one.truth).max())
    huge = one.truth * math.exp(60)
    unit = FORMATS[dtype].unit_roundoff
    for units, explained in ((60, True), (16 * 70, False)):
        moved = replace(one, computed=huge + units * unit * largest * math.exp(60))
        assert moved.explained_by(huge, exponential=True) is explained
        assert not moved.explained_by(huge)
    assert not replace(one, computed=3 * huge).explained_by(huge, exponential=True)
    none = replace(one, truth=np.zeros_like(one.truth), computed=1.2 * huge)
    assert not none.explained_by(huge, exponential=True)
    # Where the truth has cancelled to almost nothing, the slack is that of the terms: a result that
    # is nearer to the hypothesis, but far from it in such units, is not explained.
    ones = np.ones_like(one.truth)
    cancelled = replace(one, truth=ones * 1e-20, computed=ones * 0.7, slack=1e-7)
    assert not cancelled.explained_by(ones)
    assert replace(cancelled, computed=ones * (1 - 1e-7)).explained_by(ones)
    assert not one.explained_by(one.truth)


def product(plant: Plant, factor: Callable[[dict[str, float]], float]) -> Plant:
    """Another mistake, and a factor on top of it."""

    def planted(case: Case, inputs: Inputs, output: str) -> Array:
        known = {**bind_sizes(CONTRACTS[case.contract], inputs), **inputs.scalars}
        return round_to_format(plant(case, inputs, output) * factor(known), case.dtype)

    return planted


def without_target(inputs: Inputs) -> Inputs:
    return with_tensors(inputs, y=np.zeros_like(inputs.tensors["y"]))


def without_tail(inputs: Inputs) -> Inputs:
    """Rows beyond the last whole block of 16, where there is one, do not count."""
    g = inputs.tensors["grad_output"]
    rows = g.shape[0] * g.shape[1]
    mask = (np.arange(rows) < (rows // 16 * 16 or rows)).reshape(*g.shape[:2], 1)
    return with_tensors(inputs, grad_output=g * mask)


def per_scaling(known: dict[str, float]) -> float:
    return 1 / known["scaling"]


TWO_AT_ONCE = [
    ("lora-linear", "grad_lora_b", product(on(without_tail), per_scaling), "dropped-tail"),
    ("lora-linear", "grad_lora_a", times(lambda k: -1 / k["scaling"]), "wrong-sign"),
    ("lora-attention", "grad_b_q", product(on(without_target), per_scaling), "target-ignored"),
    ("lora-attention", "grad_a_k", product(without_correction, per_scaling), P2_MISSING),
]


@pytest.mark.parametrize(("contract", "output", "plant", "other"), TWO_AT_ONCE)
def test_two_mistakes_at_once_are_both_named(
    contract: str, output: str, plant: Plant, other: str
) -> None:
    """Catches a search that stops at single mistakes, and one that names one of two."""
    evidence = failing(contract, "float32", 0, output, plant)
    found = diagnose(evidence)
    assert {d.hypothesis for d in found} - {"constant-factor"} == {"missing-scaling", other}
    by_name = {d.hypothesis: d.explanation for d in found}
    assert f"together with {other}" in by_name["missing-scaling"]
    assert "together with missing-scaling" in by_name[other]
    # Three cases are not enough for two free choices.
    assert not [d for d in diagnose(evidence[:3]) if "together" in d.explanation]


def test_a_mean_on_top_of_another_mistake_is_named_in_bfloat16() -> None:
    """The slack shrinks with the factor for both questions, whether the pair explains a case and
    whether the factor alone does: else a mean alone seems to, where the slack is wide."""

    def without_last_row(inputs: Inputs) -> Inputs:
        g = inputs.tensors["grad_output"].copy()
        g[-1, -1] = 0 if g.shape[0] * g.shape[1] > 1 else g[-1, -1]
        return with_tensors(inputs, grad_output=g)

    plant = product(on(without_last_row), lambda k: 1 / (k["batch"] * k["length"]))
    evidence = [
        replace(one, slack=0.3 * float(np.abs(one.truth).max()))
        for one in failing("lora-linear", "bfloat16", 0, "grad_lora_b", plant)
    ]
    assert set(names(evidence)) == {"dropped-tail", "mean-instead-of-sum"}


def test_two_mistakes_of_which_none_is_a_factor_have_no_name() -> None:
    """p2 missing and the target ignored: neither alone fits, and nothing else may be said."""

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        return without_correction(case, without_target(inputs), output)

    for output in ("grad_a", "grad_b"):
        assert names(failing("aloragc", "float32", 0, output, plant)) == []


def test_the_evidence_is_told() -> None:
    found = diagnose(failing("lora-linear", "float32", 0, "grad_lora_b", times(per_scaling)))
    text = found[0].explanation
    assert re.search(r"explains (\d+) of \1 failing cases, to 0\.\d+ of what rounding", text)
    assert re.search(r"next best [\w-]+, in \d+\)$", text)
    assert found[0].term == "s of dB = s G^T (X A^T)"


def test_what_explains_all_cases_as_well_is_no_next_best() -> None:
    """Where the scaling is 3/2, r = 1 tells alpha from alpha / r by nothing: both are named."""

    def one_scaling(evidence: list[Evidence]) -> list[Evidence]:
        return [e for e in evidence if e.inputs.scalars["scaling"] == 1.25]

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        return honest(case, with_scalars(inputs, scaling=1.5), output)

    evidence = one_scaling(failing("lora-linear", "float32", 0, "grad_lora_a", plant))
    assert len(evidence) >= 4
    (stale, factor) = diagnose(evidence)
    assert (stale.hypothesis, factor.hypothesis) == ("stale-scalar", "constant-factor")
    assert "1.2" in factor.explanation


def test_one_case_that_says_little_has_no_name() -> None:
    """A single number that is near to a wrong truth; with as much in three cases it is named."""
    evidence = failing("lora-linear", "float32", 0, "grad_lora_a", times(lambda k: -1))
    small = [e for e in evidence if e.truth.size <= 2][:3]
    assert len(small) == 3
    assert names(small[:1]) == []
    assert are_too_few(small[:1])
    assert names(small) == ["wrong-sign"]
    assert not are_too_few(small)


def test_many_numbers_that_nothing_explains_are_not_called_few() -> None:
    """Random entries: in the report of many cases nothing explains them, in that of the smallest
    case alone there are too few numbers to say so."""

    def noisy(**call: Any) -> Any:
        results = lora_linear(**call)
        shape = results["grad_x"].shape
        noise = np.random.default_rng(sum(shape)).standard_normal(tuple(shape))
        return {**results, "grad_x": results["grad_x"] + torch.tensor(noise, dtype=torch.float32)}

    (many,) = validate(noisy, "lora-linear", regimes=["designed"]).findings
    assert (many.diagnosis, many.too_few_numbers) == ((), False)
    least = "designed:0@batch=1,length=1,in=1,out=1,r=1"
    (one,) = validate(noisy, "lora-linear", only_cases=[least]).findings
    assert (one.diagnosis, one.too_few_numbers) == ((), True)


def multiple(contract: str, dtype: str, output: str, factor: float) -> list[Evidence]:
    """The failing cases of a default run of a kernel that is exact but for the factor."""
    evidence = []
    for case in default_run(contract, dtype, 0):
        known = reference(case)
        truth, proven, null = known.truth[output], known.proven[output], known.null[output]
        computed = round_to_format(truth.mid * factor, dtype)
        if judge(computed, truth, proven, null.tolerance).verdict in ("suspect", "fail"):
            slack = min(null.tolerance, float(proven.bound.max()))
            evidence.append(
                Evidence(
                    CONTRACTS[contract], known.inputs, output, computed, truth.mid, slack, dtype
                )
            )
    return evidence


NEAR_ONE = [1 + sign * delta for delta in (1e-2, 3e-2, 0.1, 0.3) for sign in (1, -1)]
NEAR_ZERO = [0.05, 0.01]


QUICK = [
    ("lora-linear", "bfloat16", "grad_lora_a", 0.01),
    ("lora-attention", "bfloat16", "grad_b_k", 0.01),
    ("lora-mha", "bfloat16", "grad_x", 0.05),
    *(("aloragc", "bfloat16", output, 0.05) for output in ("grad_a", "grad_b")),
]

MULTIPLES = [
    pytest.param(*one, marks=[] if one in QUICK else [pytest.mark.deep])
    for contract in CONTRACT_NAMES
    for one in itertools.product(
        [contract], ("bfloat16", "float16"), CONTRACTS[contract].outputs, (*NEAR_ZERO, *NEAR_ONE)
    )
]


@pytest.mark.parametrize(("contract", "dtype", "output", "factor"), MULTIPLES)
def test_a_factor_that_is_no_mean_is_not_called_one(
    contract: str, dtype: str, output: str, factor: float
) -> None:
    """In 16 bits, near zero among others, where every small number is within what rounding allows
    to the truth: catches an allowance that does not shrink with the factor."""
    found = names(multiple(contract, dtype, output, factor))
    assert set(found) <= {"constant-factor"}
    assert found or factor not in NEAR_ZERO


@pytest.mark.parametrize(("factor", "name"), [(0.0, "zero-gradient"), (0.5, "factor-two")])
@pytest.mark.parametrize("contract", ["lora-linear", "aloragc"])
def test_factors_with_names_of_their_own(contract: str, factor: float, name: str) -> None:
    output = {"lora-linear": "grad_x", "aloragc": "grad_a"}[contract]
    assert names(multiple(contract, "bfloat16", output, factor))[0] == name


@pytest.mark.parametrize(("contract", "output"), [("aloragc", "grad_a"), ("lora-mha", "output")])
def test_a_mean_is_called_one_in_bfloat16(contract: str, output: str) -> None:
    """The other side of it: what an honest kernel of bfloat16 returns, divided."""
    symbol = "L" if contract == "aloragc" else "length"
    assert "mean-instead-of-sum" in names(
        failing(contract, "bfloat16", 0, output, times(lambda k: 1 / k[symbol]))
    )


@pytest.mark.parametrize(
    ("output", "in_format"), [("grad_lora_a", "bfloat16"), ("grad_b", "float16")]
)
def test_everything_in_a_coarser_format_is_low_precision(output: str, in_format: str) -> None:
    """Named by what the results are and the size of their errors; with a larger error in one of the
    cases there is no name."""
    contract = "lora-linear" if output == "grad_lora_a" else "aloragc"

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        rounded = {n: round_to_format(v, in_format) for n, v in inputs.tensors.items()}
        coarse = replace(case, dtype=in_format)
        return honest(coarse, Inputs(rounded, inputs.scalars), output)

    evidence = [e for e in failing(contract, "float32", 0, output, plant) if e.truth.any()]
    found = diagnose(evidence)
    assert [d.hypothesis for d in found] == ["low-precision"]
    assert in_format in found[0].explanation
    wrong = round_to_format(evidence[0].computed + evidence[0].truth, in_format)
    assert names([replace(evidence[0], computed=wrong), *evidence[1:]]) == []


def unread(values: Array) -> Array:
    """Without the lower 13 of the 23 bits that float32 keeps of a fraction."""
    bits = np.asarray(values, np.float32).view(np.int32) & ~0x1FFF
    return bits.view(np.float32).astype(np.float64)


def kept(values: Array) -> Array:
    return values


CUT_OFF = [
    ("every input", unread, kept, kept),
    ("every operand of a product", unread, unread, kept),
    ("the operands of the product with B", kept, kept, unread),
]


@pytest.mark.parametrize(("place", "inputs_read", "hidden_read", "with_b_read"), CUT_OFF)
def test_where_tensor_cores_cut_off_is_told(
    place: str,
    inputs_read: Callable[[Array], Array],
    hidden_read: Callable[[Array], Array],
    with_b_read: Callable[[Array], Array],
) -> None:
    """dA, in a product of matrices that rounds to nearest elsewhere. Catches a diagnosis that knows
    TF32 to nearest alone, and one that tells the places by none of what they read."""

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        t = {name: inputs_read(value) for name, value in inputs.tensors.items()}
        x, g = (t[name].reshape(-1, t[name].shape[-1]) for name in ("x", "grad_output"))
        scaling = inputs.scalars["scaling"]
        upstream, b = with_b_read(scaling * g), with_b_read(t["lora_b"])
        back = hidden_read(upstream @ b / scaling) * scaling
        return round_to_format(back.T @ x, case.dtype)

    found = diagnose(failing("lora-linear", "float32", 0, "grad_lora_a", plant))
    assert [d.hypothesis for d in found] == ["low-precision"]
    assert f"what {place} cut off to tf32 gives" in found[0].explanation


def test_errors_of_one_size_are_low_precision_and_errors_that_lean_are_not() -> None:
    """Noise of the size of intermediates of 11 bits, and the same along the truth."""

    def noisy(along: float) -> Plant:
        def plant(case: Case, inputs: Inputs, output: str) -> Array:
            result = honest(case, inputs, output)
            generator = np.random.default_rng(case.index)
            tolerance = reference(case).null[output].tolerance
            noise = generator.uniform(-1, 1, result.shape) + along * np.sign(result)
            return np.asarray(result + 0.15 * tolerance * 2.0**11 * noise)

        return plant

    evidence = failing("lora-linear", "float32", 0, "output", noisy(0.0))
    (found,) = diagnose(evidence)
    assert found.hypothesis == "low-precision"
    assert "rounded to tf32 or float16" in found.explanation
    assert diagnose(evidence[:5]) == ()
    assert names(failing("lora-linear", "float32", 0, "output", noisy(2.0))) == []


@pytest.mark.parametrize("contract", [name for name in CONTRACT_NAMES if name != "lora-mha"])
def test_the_forms_are_those_of_the_specification(contract: str) -> None:
    """Nothing changed, they give the truth: a term, a sign or a factor of a form that was wrong
    would make every hypothesis wrong that is built on it. (lora-mha has forms of its own:
    test_mha_diagnosis.py.)"""
    for case in default_run(contract, "float32", 0)[::7]:
        inputs = generate(case)
        for output, expected in in_double(CONTRACTS[contract], inputs).items():
            e = Evidence(CONTRACTS[contract], inputs, output, expected, expected, 1.0, "float32")
            if contract == "lora-linear":
                found = linear_forms.result(linear_forms.layer_of(e), e)
            else:
                problem = attention_forms.problem_of(e.contract, inputs)
                projection = attention_forms.projection_of(e)
                found = attention_forms.gradient(output, projection, problem)
            assert np.allclose(found, expected, rtol=1e-11, atol=1e-13 * np.abs(expected).max())


def test_every_term_has_a_label_and_every_label_stands_in_the_ledger() -> None:
    ledger = "".join(path.read_text() for path in (ROOT / "docs/ledger").glob("*.md"))
    for contract, table in TABLES.items():
        for h in (*table.mistakes, *table.roundings, *table.non_finite):
            for output in CONTRACTS[contract].outputs:
                term = term_of(contract, h.term, output)
                assert term
                assert "{" not in term
                for label in re.findall(r"(?:Definition|Lemma) [\dA-H]\.\d", term):
                    assert f"## {label} " in ledger
                for number in re.findall(r"equation (\(\d\.\d\))", term):
                    assert f"## Equation {number} " in ledger
    assert term_of("aloragc", "p2", "grad_a") == "p2 of Definition 3.6 (Lemma 3.7)"
    assert term_of("lora-attention", "adapter", "grad_b_k") == (
        "J_A of Lemma F.3: dL/dB = dL/dW A^T"
    )
    assert term_of("of-no-table", "p2", "grad_a") == ""


@pytest.mark.parametrize("regime", ["two-dimensional", "four-dimensional"])
def test_any_number_of_batch_axes_is_diagnosed(regime: str) -> None:
    def without_scaling(**call: Any) -> dict[str, torch.Tensor]:
        return lora_linear(**call | {"scaling": 1.0})

    report = validate(without_scaling, "lora-linear", regimes=[regime], cases=3)
    found = {f.output: f.diagnosis[0].hypothesis for f in report.findings if f.diagnosis}
    assert found["grad_lora_b"] == "missing-scaling"


def test_an_overflow_is_not_blamed_on_the_maximum_where_a_larger_mistake_shows() -> None:
    """alpha for alpha / r makes scores that leave float16, as those of a kernel do that does not
    subtract the maximum; but such a kernel is right where its results are finite."""
    report = validate(
        scaling_is_alpha, "lora-attention", dtype="float16", regimes=["designed", "extreme"]
    )
    named = [d.hypothesis for finding in report.findings for d in finding.diagnosis]
    assert "non-finite" in named
    assert "wrong-scaling" in named
    assert "no-max-subtraction" not in named
