"""lora-mha: the forms of the diagnosis are the specification's, and every class is told from the
others.

Most classes are planted by the corpus, whose wrong kernels must be named (test_corpus.py); here are
the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from loracle import validate
from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS
from loracle.corpus.calls import LoraMhaCall
from loracle.corpus.catalogue import WRONG
from loracle.corpus.mha_steps import project_back, run, score_gradient
from loracle.diagnosis import Evidence, diagnose
from loracle.diagnosis.hypotheses import NAMES, TABLES
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.labels import term_of
from loracle.diagnosis.matching import Match, without_outdone
from loracle.diagnosis.mha_forms import problem_of, result
from loracle.generation import generate

from .core_cases import default_run, in_double
from .other_evaluations import in_torch
from .planted import Array, Plant, failing, names

MHA = CONTRACTS["lora-mha"]
SEED = 2
"""That of the corpus' short form, so that references are shared."""

Run = Callable[..., dict[str, torch.Tensor]]


def planted_by(wrong: Callable[[LoraMhaCall], dict[str, torch.Tensor]]) -> Plant:
    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        def kernel(**call: Any) -> Any:
            return wrong(cast(LoraMhaCall, call))

        return in_torch(kernel, case, inputs)[output]

    return plant


def scaled(output: str, factor: Callable[[LoraMhaCall], float]) -> Plant:
    def wrong(call: LoraMhaCall) -> dict[str, torch.Tensor]:
        results = run(call)
        return results | {output: results[output] * factor(call)}

    return planted_by(wrong)


def without_base(call: LoraMhaCall, m: str, grad: torch.Tensor) -> dict[str, torch.Tensor]:
    found = project_back(call, m, grad)
    weight = cast(dict[str, torch.Tensor], call)[f"weight_{m}"]
    return {**found, "x": found["x"] - grad @ weight}


def twice(call: LoraMhaCall, m: str, grad: torch.Tensor) -> dict[str, torch.Tensor]:
    found = project_back(call, m, grad)
    return {**found, "x": 2 * found["x"]} if m == "k" else found


def over_queries(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    return torch.softmax(scores.masked_fill(~seen, -torch.inf), dim=-2)


def unnormalised(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    hidden = scores.masked_fill(~seen, -torch.inf)
    return torch.exp(hidden - hidden.amax(dim=-1, keepdim=True))


def scores_rounded(call: LoraMhaCall) -> dict[str, torch.Tensor]:
    """p alone, which enters dQ and dK."""

    def rounded(f: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return score_gradient(f, q).to(torch.bfloat16).to(f.dtype)

    return run(call, score_gradient=rounded)


def other_scalars(**scalars: float) -> Plant:
    return planted_by(lambda call: run(cast(LoraMhaCall, {**call, **scalars})))


def square_transposed(*names: str) -> Plant:
    """A rectangular weight would be a crash; it is left right."""

    def wrong(call: LoraMhaCall) -> dict[str, torch.Tensor]:
        given = cast(dict[str, torch.Tensor], call)
        square = [n for n in names if given[n].shape[0] == given[n].shape[1]]
        return run(cast(LoraMhaCall, {**call, **{n: given[n].mT for n in square}}))

    return planted_by(wrong)


def half_precision(call: LoraMhaCall) -> dict[str, torch.Tensor]:
    return {name: value.to(torch.bfloat16).to(value.dtype) for name, value in run(call).items()}


PLANTED: tuple[tuple[str, str, Plant], ...] = (
    ("wrong-scaling", "grad_lora_b_k", scaled("grad_lora_b_k", lambda c: len(c["lora_a_k"]))),
    ("factor-two", "grad_lora_a_q", scaled("grad_lora_a_q", lambda c: 2.0)),
    (
        "mean-instead-of-sum",
        "grad_lora_a_v",
        scaled("grad_lora_a_v", lambda c: 1 / c["x"].shape[1]),
    ),
    ("constant-factor", "output", scaled("output", lambda c: 1.375)),
    ("missing-base-term", "grad_x", planted_by(lambda c: run(c, back=without_base))),
    ("doubled-term", "grad_x", planted_by(lambda c: run(c, back=twice))),
    ("softmax-along-wrong-axis", "output", planted_by(lambda c: run(c, softmax=over_queries))),
    ("missing-normalization", "grad_lora_b_v", planted_by(lambda c: run(c, softmax=unnormalised))),
    ("low-precision", "output", planted_by(half_precision)),
    ("low-precision", "grad_lora_b_q", planted_by(scores_rounded)),
    ("stale-scalar", "output", other_scalars(softmax_scale=0.625)),
    (
        "stale-scalar",
        "grad_lora_a_k",
        other_scalars(scaling_q=1.5, scaling_k=1.25, scaling_v=-0.75),
    ),
    ("transposed", "output", square_transposed("weight_q")),
    ("transposed", "grad_x", square_transposed("weight_q", "weight_k", "weight_v")),
)


@pytest.mark.parametrize(
    ("name", "output", "plant"), PLANTED, ids=[f"{p[0]}-{p[1]}" for p in PLANTED]
)
def test_a_planted_mistake_is_named(name: str, output: str, plant: Plant) -> None:
    assert name in names(failing("lora-mha", "float32", SEED, output, plant))


def strict(length: int, *, causal: bool, device: torch.device) -> torch.Tensor:
    """j < i: the first query sees no key."""
    everything = torch.ones(length, length, dtype=torch.bool, device=device)
    return everything.tril(-1) if causal else everything


def large_number(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    return torch.softmax(scores.masked_fill(~seen, -1e30), dim=-1)


def infinity(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    return torch.softmax(scores.masked_fill(~seen, -torch.inf), dim=-1)


def strict_by_zeros(call: LoraMhaCall) -> dict[str, torch.Tensor]:
    return run(call, seen=strict)


def strict_by_addition(call: LoraMhaCall) -> dict[str, torch.Tensor]:
    """scores + mask, which the gradient passes."""
    return run(call, seen=strict, softmax=large_number)


def strict_by_filling(call: LoraMhaCall) -> dict[str, torch.Tensor]:
    """masked_fill, which lets no gradient pass where it fills."""
    seen = strict(call["x"].shape[1], causal=call["causal"], device=call["x"].device)

    def back(f: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return score_gradient(f, q).masked_fill(~seen, 0.0)

    return run(call, seen=strict, softmax=large_number, score_gradient=back)


def strict_by_infinity(call: LoraMhaCall) -> dict[str, torch.Tensor]:
    return run(call, seen=strict, softmax=infinity)


@pytest.mark.parametrize("kernel", [strict_by_zeros, strict_by_addition, strict_by_filling])
@pytest.mark.parametrize("output", MHA.outputs)
def test_a_strict_mask_is_named_whatever_a_query_without_keys_gets(
    kernel: Callable[[LoraMhaCall], dict[str, torch.Tensor]], output: str
) -> None:
    """In every output: one query alone, and the first row of others, are in all of them."""
    assert names(failing("lora-mha", "float32", SEED, output, planted_by(kernel))) == [
        "causal-alignment"
    ]


def test_a_first_row_that_is_not_finite_is_named() -> None:
    """In the output; the gradients, which are not finite anywhere, say nothing of a mask."""
    plant = planted_by(strict_by_infinity)
    assert "causal-alignment" in names(failing("lora-mha", "float32", SEED, "output", plant))
    found = names(failing("lora-mha", "float32", SEED, "grad_lora_a_q", plant))
    assert "causal-alignment" not in found


def seen_up_to(offset: int) -> Callable[..., torch.Tensor]:
    def seen(length: int, *, causal: bool, device: torch.device) -> torch.Tensor:
        everything = torch.ones(length, length, dtype=torch.bool, device=device)
        return everything.tril(offset) if causal else everything

    return seen


@pytest.mark.parametrize("output", ["grad_x", "grad_lora_a_q", "grad_lora_b_k", "grad_lora_a_v"])
@pytest.mark.parametrize("offset", [-1, 1, 1 << 20])
def test_a_mask_of_a_backward_pass_that_keeps_the_sums_is_named(offset: int, output: str) -> None:
    """exp(S - L) with the L of the forward pass, as flash kernels have it; its rows do not add up
    to one, so it is not the softmax of the wrong mask."""

    def kernel(call: LoraMhaCall) -> dict[str, torch.Tensor]:
        return run(call, seen_again=seen_up_to(offset), keeps_sums=True)

    evidence = failing("lora-mha", "float32", SEED, output, planted_by(kernel))
    (found,) = diagnose(evidence)
    assert found.hypothesis == "causal-alignment"
    assert "row sums" in found.explanation


@pytest.mark.parametrize("m", ["k", "v"])
def test_a_mean_over_a_group_in_one_of_dk_and_dv_is_named_of_grad_x(m: str) -> None:
    def into_x(call: LoraMhaCall, n: str, grad: torch.Tensor) -> dict[str, torch.Tensor]:
        group = call["num_heads"] // call["num_kv_heads"]
        return project_back(call, n, grad / group if n == m else grad)

    plant = planted_by(lambda call: run(call, back=into_x))
    (found,) = diagnose(failing("lora-mha", "float32", SEED, "grad_x", plant))
    assert found.hypothesis == "wrong-head-map"
    assert (
        f"the mean in place of the sum over the query heads of a group, in d{m.upper()} alone"
        in (found.explanation)
    )


def without_scale_in_dk(call: LoraMhaCall) -> dict[str, torch.Tensor]:
    return run(call, scale_k=lambda scale: 1.0)


def mha_in_wider(**call: Any) -> dict[str, torch.Tensor]:
    """Computed in float32, rounded to the dtype of the call at the end."""
    wide = {k: v.float() if torch.is_tensor(v) else v for k, v in call.items()}
    results = without_scale_in_dk(cast(LoraMhaCall, wide))
    return {name: value.to(call["x"].dtype) for name, value in results.items()}


def test_what_fails_by_small_entries_is_compared_there() -> None:
    """designed:5 has entries of 12.5 and of 0.009: in bfloat16 the rounding of the large ones is
    twice what the missing scale changes, and by the small ones the case fails."""
    cases = [f"typical:{i}" for i in range(6)] + ["designed:5"]
    report = validate(mha_in_wider, "lora-mha", dtype="bfloat16", only_cases=cases)
    found = [f for f in report.findings if f.output == "grad_x"]
    assert {f.verdict for f in found} == {"fail", "suspect"}
    for finding in found:
        assert [d.hypothesis for d in finding.diagnosis] == ["scale-missing-in-dk"]


def large_and_small(small: float, slack: float = 0.06) -> Evidence:
    """12.46 rounded to bfloat16, and a small entry beyond its bound of 0.01."""
    case = default_run("lora-mha", "bfloat16", SEED)[0]
    truth, computed = np.array([12.46, -0.009]), np.array([12.5, small])
    bound = np.array([0.1, 0.01])
    return Evidence(MHA, generate(case), "grad_x", computed, truth, slack, "bfloat16", bound)


def test_small_entries_speak_for_what_they_are_and_against_all_else() -> None:
    e = large_and_small(-0.029)
    mistake = np.array([12.47, -0.029])
    assert not e.explained_by(mistake)
    assert e.explained_where_beyond(mistake)
    for other in ([12.46, -0.009], [12.46, -0.014], [12.3, -0.029], [12.46, 0.02]):
        assert not e.explained_where_beyond(np.array(other)), other
    assert not large_and_small(-0.018).explained_where_beyond(mistake)  # no entry is beyond
    assert not large_and_small(-0.029, slack=0.03).explained_where_beyond(mistake)
    assert not replace(e, bound=None).explained_where_beyond(mistake)


def test_what_another_mistake_fits_far_better_is_not_named_by_small_entries() -> None:
    e = large_and_small(-0.029)

    def found(values: list[float], hidden: int) -> Match:
        one = Hypothesis("some", "{output}", "whole", lambda _: np.array(values))
        return Match(one, 3, 3, 0.5, hidden)

    near, far = found([12.5, -0.029], 1), found([12.47, -0.029], 1)
    assert without_outdone([far, near], [e] * 3) == [near]
    assert without_outdone([far], [e] * 3) == [far]
    shown = found([12.47, -0.029], 0)
    assert without_outdone([shown, near], [e] * 3) == [shown, near]


def test_every_class_is_planted() -> None:
    """Here or in the corpus: a new class in the table needs a wrong kernel."""
    corpus = {n for entry in WRONG if entry.contract == "lora-mha" for n in entry.hypotheses}
    assert NAMES["lora-mha"] <= corpus | {name for name, _, _ in PLANTED}


def test_what_is_of_no_class_has_no_name() -> None:
    """The truth plus its own largest entry, and the outputs of other samples."""

    def offset(call: LoraMhaCall) -> dict[str, torch.Tensor]:
        return {name: value + value.abs().max() for name, value in run(call).items()}

    for output in ("output", "grad_lora_a_k"):
        assert names(failing("lora-mha", "float32", SEED, output, planted_by(offset))) == []


def test_the_forms_are_those_of_the_specification() -> None:
    """Nothing changed, they give the truth: a term, a sign or a factor of a form that was wrong
    would make every hypothesis wrong that is built on it."""
    for case in default_run("lora-mha", "float32", SEED)[::4]:
        inputs = generate(case)
        for output, expected in in_double(MHA, inputs).items():
            e = Evidence(MHA, inputs, output, expected, expected, 1.0, "float32")
            found = result(output, problem_of(e))
            largest = np.abs(expected).max()
            assert np.allclose(found, expected, rtol=1e-9, atol=1e-11 * largest + 1e-13), case


def test_every_hypothesis_has_the_shape_of_its_output_and_a_term() -> None:
    """On one case with groups; one that does not apply says so by None, not by an exception."""
    cases = default_run("lora-mha", "float64", SEED)
    case = next(c for c in cases if dict(c.sizes)["num_heads"] == 6 and dict(c.sizes)["length"] > 3)
    inputs = generate(case)
    for output, truth in in_double(MHA, inputs).items():
        e = Evidence(MHA, inputs, output, truth, truth, 1.0, "float64")
        applied = {h: h.wrong_truth(e) for h in TABLES["lora-mha"].mistakes}
        assert sum(wrong is not None for wrong in applied.values()) > 60
        for hypothesis, wrong in applied.items():
            if wrong is None:
                continue
            assert wrong.shape == truth.shape, hypothesis.explanation
            term = term_of("lora-mha", hypothesis.term, output)
            assert term
            assert "{" not in term
