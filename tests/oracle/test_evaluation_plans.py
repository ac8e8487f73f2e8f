"""Declared evaluation plans in a validation: who passes, who fails, and what the report says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import loracle
from loracle.adapters import autograd
from loracle.adapters.lora_mha import lora_mha_of, sdpa
from loracle.adapters.three_projections import Projection
from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.generation import REGIMES, cases_of, generate
from loracle.judgement.bounds import proven_bounds
from loracle.presentation.wording import meaning
from loracle_reference.floating_point import machine_model, round_to_format

from .core_cases import in_double
from .validated import Outputs, changed, hypotheses

SMALL = {"regimes": ["designed", "tiny"], "cases": 3}
SIXTEEN = {"L": 16, "M": 16, "d": 8, "r": 4}


def merged_linear(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> Outputs:
    """Every operation rounds to the dtype of the tensors."""
    rows, upstream = x.flatten(0, 1), grad_output.flatten(0, 1)
    merged = weight + scaling * (lora_b @ lora_a)
    grad_weight = scaling * (upstream.T @ rows)
    return {
        "output": (rows @ merged.T).view_as(grad_output),
        "grad_x": (upstream @ merged).view_as(x),
        "grad_lora_a": lora_b.T @ grad_weight,
        "grad_lora_b": grad_weight @ lora_a.T,
    }


def _flash(q: Tensor, k: Tensor, v: Tensor, y: Tensor, beta: float) -> tuple[Tensor, ...]:
    """Scores, f and p in float32; f and p are rounded as factors of the next product alone."""
    dtype = q.dtype
    q32, k32, v32, y32 = (t.float() for t in (q, k, v, y))

    def probabilities() -> Tensor:
        scores = beta * (q32 @ k32.T)
        return torch.exp(scores - torch.logsumexp(scores, dim=-1, keepdim=True))

    def stored(t: Tensor) -> Tensor:
        return t.to(dtype).float()

    z = stored(stored(probabilities()) @ v32)
    c = stored(z - y32)
    f = probabilities()
    p = stored(f * (c @ v32.T - (c * z).sum(dim=-1, keepdim=True)))
    grads = beta * (p @ k32), beta * (p.T @ q32), stored(f).T @ c
    return tuple(grad.to(dtype) for grad in grads)


def unmerged_flash(**call: Any) -> Outputs:
    s = call["scaling"]
    layers = {m: tuple(call[f"{n}_{m}"] for n in ("x", "w", "b", "a")) for m in "qkv"}
    projected = [x @ w + s * (x @ b @ a) for x, w, b, a in layers.values()]
    grads = _flash(*projected, call["y"], call["beta"])
    outputs = {}
    for (m, (x, _, b, a)), grad in zip(layers.items(), grads, strict=True):
        outputs[f"grad_a_{m}"] = s * ((x @ b).T @ grad)
        outputs[f"grad_b_{m}"] = x.T @ ((s * grad) @ a.T)
    return outputs


def merged_flash(**call: Any) -> Outputs:
    weight = call["w"] + call["b"] @ call["a"]
    grad, _, _ = _flash(call["c1"] @ weight, call["c2"], call["c3"], call["y"], 1.0)
    grad_weight = call["c1"].T @ grad
    return {"grad_a": call["b"].T @ grad_weight, "grad_b": grad_weight @ call["a"].T}


def _merged_projections(x: Tensor, places: Sequence[Projection]) -> list[Tensor]:
    return [x @ (p.weight + p.scaling * (p.lora_b @ p.lora_a)).T for p in places]


merged_flash_heads = lora_mha_of("merged", "", project=_merged_projections, attend=sdpa)
"""By the backend that torch chooses: flash attention on a CPU too."""

FOLLOWERS = {
    "lora-mha unmerged": (autograd.lora_mha, "lora-mha", "unmerged"),
    "lora-mha merged-flash": (merged_flash_heads, "lora-mha", "merged-flash"),
    "lora-linear unmerged": (autograd.lora_linear, "lora-linear", "unmerged"),
    "lora-linear merged": (merged_linear, "lora-linear", "merged"),
    "aloragc merged": (autograd.aloragc, "aloragc", "merged"),
    "aloragc merged-flash": (merged_flash, "aloragc", "merged-flash"),
    "lora-attention merged": (autograd.lora_attention, "lora-attention", "merged"),
    "lora-attention unmerged-flash": (unmerged_flash, "lora-attention", "unmerged-flash"),
}


_OTHER_DTYPES = (
    "lora-linear merged",
    "aloragc merged",
    "lora-attention unmerged-flash",
    "lora-mha merged-flash",
)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, "bfloat16") for name in FOLLOWERS),
        *((name, dtype) for name in _OTHER_DTYPES for dtype in ("float16", "float32")),
    ],
)
def test_torch_kernels_that_follow_a_plan_pass(name: str, dtype: str) -> None:
    kernel, contract, plan = FOLLOWERS[name]
    report = loracle.validate(
        kernel, contract, dtype=dtype, machine="f32-accumulate", plan=plan, **SMALL
    )
    assert not [(f.output, f.case, f.error, f.bound) for f in report.findings]
    assert min(report.evidence.values()) >= 2
    assert report.plan == report.to_dict()["plan"] == plan


def _a_fifth_too_much(kernel: Any) -> Any:
    def too_large(**call: Any) -> Outputs:
        return {name: 1.2 * value for name, value in kernel(**call).items()}

    return too_large


DESIGNED = {"dtype": "bfloat16", "regimes": ["designed"], "cases": 2}


def _failing(report: loracle.Report) -> set[str | None]:
    return {finding.output for finding in report.findings if finding.verdict == "fail"}


@pytest.mark.parametrize(
    ("contract", "plan", "kernel"),
    [
        ("lora-linear", "unmerged", autograd.lora_linear),
        ("lora-attention", "merged", autograd.lora_attention),
        ("lora-mha", "unmerged", autograd.lora_mha),
    ],
)
def test_a_fifth_too_much_is_proven_wrong_in_every_output(
    contract: str, plan: str, kernel: Any
) -> None:
    """In bfloat16, by the bound of the plan."""
    report = loracle.validate(
        _a_fifth_too_much(kernel), contract, machine="f32-accumulate", plan=plan, **DESIGNED
    )
    assert _failing(report) == set(CONTRACTS[contract].outputs)


def test_what_only_another_evaluation_could_make_is_told_apart() -> None:
    """A fifth too much in aloragc is within the bound of every legal evaluation."""
    kernel = _a_fifth_too_much(autograd.aloragc)
    assert not _failing(loracle.validate(kernel, "aloragc", machine="f32-accumulate", **DESIGNED))
    declared = loracle.declare(accumulate="float32", plan="merged")(kernel)
    report = loracle.validate(declared, "aloragc", **DESIGNED)
    assert (report.verdict, report.plan) == ("fail", "merged")
    assert _failing(report) == {"grad_a", "grad_b"}
    for finding in report.findings:
        assert hypotheses(finding)[0] == "beyond-plan"
        assert "is wrong or does not follow the plan" in finding.diagnosis[0].explanation


@pytest.mark.parametrize("contract", ["aloragc", "lora-attention"])
def test_sixteen_tokens_of_eight_numbers_in_bfloat16(contract: str) -> None:
    """The bound of a plan is below a fifth of the gradient, on inputs without cancellation; that of
    every legal evaluation is above half of it. docs/evaluation-plans.md has the numbers."""
    raw = REGIMES["long"].makers[contract](np.random.default_rng(0), SIXTEEN, 0)
    tensors = {name: round_to_format(value, "bfloat16") for name, value in raw.tensors.items()}
    inputs = Inputs(tensors, raw.scalars)
    truth = in_double(CONTRACTS[contract], inputs)
    machine = machine_model("f32-accumulate", "bfloat16")
    for output, proven in proven_bounds(CONTRACTS[contract], inputs, machine, "merged").items():
        assert proven.bound.max() < 0.2 * np.abs(truth[output]).max()
        assert proven.unplanned is not None
        assert proven.unplanned.max() > 0.5 * np.abs(truth[output]).max()


def test_where_one_case_is_wrong_by_any_plan_no_other_is_blamed_on_it() -> None:
    """The worst error, beside the bound of the plan, is in a case that only the plan excludes;
    another case is beyond the bound of every legal evaluation."""
    contract, machine = CONTRACTS["aloragc"], machine_model("f32-accumulate", "bfloat16")
    limits = {}
    for case in cases_of(contract, "bfloat16", 0, ["designed"], 6):
        inputs = generate(case)
        proven = proven_bounds(contract, inputs, machine, "merged")["grad_a"]
        size = np.abs(in_double(contract, inputs)["grad_a"])
        assert proven.unplanned is not None
        limits[inputs.tensors["c1"].tobytes()] = (
            float((proven.bound / size).min()),
            float((proven.unplanned / size).min()),
        )
    by_any_plan = min(limits, key=lambda c: limits[c][1] / limits[c][0])
    by_this_plan = max(limits, key=lambda c: limits[c][1] / limits[c][0])
    excess = {
        by_any_plan: 1.1 * limits[by_any_plan][1],
        by_this_plan: 0.9 * limits[by_this_plan][1],
    }

    def uneven(**call: Any) -> Outputs:
        factor = 1 + excess.get(call["c1"].double().numpy().tobytes(), 0.0)
        outputs = autograd.aloragc(**call)
        return {**outputs, "grad_a": factor * outputs["grad_a"]}

    run = {"machine": "f32-accumulate", "plan": "merged", "dtype": "bfloat16", "cases": 6}
    report = loracle.validate(uneven, "aloragc", regimes=["designed"], **run)
    (finding,) = (f for f in report.findings if f.verdict == "fail")
    assert (finding.output, finding.count) == ("grad_a", 2)
    assert "beyond-plan" not in hypotheses(finding)
    cases = [i for i, c in enumerate(limits) if c == by_this_plan]
    assert finding.case.startswith(f"designed:{cases[0]} ")


def test_a_pass_names_the_plan() -> None:
    report = loracle.validate(autograd.lora_linear, plan="unmerged")
    told = "an evaluation by the plan unmerged of lora-linear in float32 makes."
    assert meaning(report) == f"every error is one that {told}"
    assert "widest machine, plan unmerged, seed 0" in str(report)


def test_what_no_evaluation_makes_is_not_blamed_on_the_plan() -> None:
    report = loracle.validate(
        changed(grad_x=lambda v: -v), "lora-linear", plan="unmerged", regimes=["designed"], cases=2
    )
    assert report.verdict == "fail"
    assert "beyond-plan" not in [h for f in report.findings for h in hypotheses(f)]


def test_a_plan_that_is_asked_for_stands_above_a_declared_one() -> None:
    @loracle.declare(plan="merged")
    def kernel(**call: Any) -> Outputs:
        return autograd.lora_linear(**call)

    run = {"contract": "lora-linear", "regimes": ["tiny"], "cases": 1}
    assert loracle.validate(kernel, **run).plan == "merged"
    assert loracle.validate(kernel, **run, plan="unmerged").plan == "unmerged"
    assert loracle.validate(autograd.lora_linear, **run).plan is None


def test_a_declared_plan_can_be_switched_off() -> None:
    """What is judged, and the line that runs it again, are those of every legal evaluation."""

    @loracle.declare(plan="merged", accumulate="float32")
    def kernel(**call: Any) -> Outputs:
        return _a_fifth_too_much(autograd.aloragc)(**call)

    run = {"dtype": "bfloat16", "regimes": ["designed"], "cases": 1}
    report = loracle.validate(kernel, "aloragc", **run, plan="none")
    assert report.plan is None
    assert {finding.verdict for finding in report.findings} == {"suspect"}
    assert all("plan='none'" in str(finding.replay) for finding in report.findings)


def test_that_a_promise_leaves_a_plan_no_part_is_noted() -> None:
    """In place of its bound the errors are held against the epsilon, or the certificates."""

    def certified(**call: Any) -> Outputs:
        outputs = autograd.lora_linear(**call)
        return {**outputs, "certificate": dict.fromkeys(outputs, 1e3)}

    run = {"contract": "lora-linear", "regimes": ["tiny"], "cases": 1, "plan": "unmerged"}
    not_used = "the plan unmerged was not used: errors were judged by "
    report = loracle.validate(autograd.lora_linear, **run, epsilon=0.5)
    assert f"{not_used}the epsilon, in place of its bound" in report.notes
    report = loracle.validate(certified, **run)
    assert f"{not_used}the kernel's own certificate, in place of its bound" in report.notes
    report = loracle.validate(autograd.lora_linear, **run)
    assert not any("plan" in note for note in report.notes)
    said = "no finding in this case by the bound of the plan unmerged; too few for a verdict"
    assert meaning(report).startswith(said)


def test_a_declared_plan_of_another_contract_is_refused() -> None:
    @loracle.declare(plan="merged-flash")
    def kernel(**call: Any) -> Outputs:
        return autograd.lora_linear(**call)

    with pytest.raises(loracle.UsageError, match="lora-linear has no plan 'merged-flash'; it has"):
        loracle.validate(kernel, "lora-linear")
