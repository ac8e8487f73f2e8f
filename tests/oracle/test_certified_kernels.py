"""Kernels with certificates, validated from end to end: honest, false, partial, exact and invalid
ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

import loracle
from loracle.adapters import autograd
from loracle.contracts import CONTRACTS
from loracle.corpus.right.lora_linear import honest_certificate
from loracle.presentation.terminal import make_console, show

from .core_cases import a_case
from .validated import LINEAR, Outputs, changed, forgets_scaling, hypotheses, strict_json, validate

NAMES = tuple(LINEAR.outputs)


def certifying(
    bounds: Callable[[Outputs], object], kernel: Callable[..., Outputs] = autograd.lora_linear
) -> Callable[..., Outputs]:
    """The kernel with a certificate, made from its results."""

    def certified(**call: Any) -> Outputs:
        outputs = kernel(**call)
        return {**outputs, "certificate": bounds(outputs)}

    return certified


def share_of_largest(share: float, *names: str) -> Callable[[Outputs], object]:
    return lambda outputs: {
        name: share * value.abs().max()
        for name, value in outputs.items()
        if name in (names or NAMES)
    }


def test_an_honest_certificate_is_believed_and_noted_nowhere() -> None:
    report = validate(honest_certificate)
    assert (report.verdict, report.findings, report.notes) == ("pass", [], [])
    assert report.false_alarm_probability is None
    assert report.certified == dict.fromkeys(NAMES, report.cases)
    assert min(report.evidence.values()) >= 8
    # As sharp as they are said to be.
    worst = [r.worst_error_to_bound for r in report.regimes.values()]
    assert all(ratio is not None and 0.9 < ratio <= 1 for ratio in worst)


def test_an_approximation_with_a_certificate_passes_and_without_one_fails() -> None:
    rough = changed(grad_x=lambda v: v * 1.001)
    assert validate(rough, cases=2).verdict == "fail"
    report = validate(certifying(share_of_largest(1.01e-3, "grad_x"), rough), cases=3)
    assert (report.verdict, report.findings) == ("pass", [])
    assert report.false_alarm_probability == 1e-6, "the other outputs are judged by tolerance"
    assert report.certified == {**dict.fromkeys(NAMES, 0), "grad_x": report.cases}
    assert strict_json(report)["certified"]["grad_x"] == report.cases


def test_the_outputs_that_are_not_certified_are_judged_as_usual() -> None:
    kernel = certifying(share_of_largest(1e-3, "grad_x"), forgets_scaling)
    report = validate(kernel, cases=2)
    assert {finding.output for finding in report.findings} == {"grad_lora_b"}
    assert report.findings[0].promise is None
    assert hypotheses(report.findings[0])[0] == "missing-scaling"


def test_a_certificate_that_is_too_small_is_false_and_the_text_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = validate(certifying(share_of_largest(1e-9, "grad_x")), cases=2)
    assert report.verdict == "fail"
    (finding,) = report.findings
    assert (finding.output, finding.promise, hypotheses(finding)[0]) == (
        "grad_x",
        "certificate",
        "false-certificate",
    )
    (told,) = strict_json(report)["findings"]
    assert (told["promise"], told["bound"]) == ("certificate", told["tolerance"])
    show(report, make_console())
    text = " ".join(capsys.readouterr().out.split())
    assert "grad_x is beyond its own certificate; by bound and tolerance it would pass" in text
    assert "times the kernel's own certificate" in text
    assert "FAIL: an error exceeds the kernel's own certificate." in text


def test_a_certificate_does_not_excuse_a_kernel_from_an_epsilon() -> None:
    rough = certifying(share_of_largest(0.1), changed(grad_x=lambda v: v * 1.01))
    assert validate(rough, cases=3).verdict == "pass"
    report = validate(rough, regimes=["typical", "ragged"], cases=2, epsilon=1e-4)
    assert report.verdict == "fail"
    assert {(f.output, f.promise, f.bound) for f in report.findings} == {
        ("grad_x", "epsilon", 1e-4)
    }


def test_a_kernel_that_never_claims_anything_never_passes() -> None:
    report = validate(certifying(lambda outputs: dict.fromkeys(NAMES, math.inf)))
    assert (report.verdict, report.reason) == ("suspect", "insufficient-evidence")
    assert report.findings == []


@pytest.mark.parametrize(
    ("certificate", "blamed"),
    [
        (lambda outputs: 0.5, None),
        (lambda outputs: {"grad_q": 0.5}, None),
        (lambda outputs: {"grad_x": math.nan, "output": 1e-9}, "grad_x"),
        (lambda outputs: {"grad_x": -1.0}, "grad_x"),
        (lambda outputs: {"grad_x": outputs["grad_x"].abs()}, "grad_x"),
    ],
)
def test_an_invalid_certificate_is_one_finding(
    certificate: Callable[[Outputs], object], blamed: str | None
) -> None:
    """And the output it was meant for counts once, as failed."""
    report = validate(certifying(certificate), cases=1)
    assert report.verdict == "fail"
    found = [f for f in report.findings if "invalid-certificate" in hypotheses(f)]
    (finding,) = found
    assert (finding.output, finding.error, finding.promise) == (blamed, None, None)
    assert (finding.count, hypotheses(finding)) == (report.cases, ["invalid-certificate"])
    assert "\n" not in finding.diagnosis[0].explanation
    for summary in report.regimes.values():
        counted = summary.passed + summary.suspect + summary.fail + summary.no_evidence
        assert counted == len(NAMES)
        assert summary.fail >= (1 if blamed else len(NAMES))
    assert report.evidence["grad_x"] == 0


def test_the_second_call_is_held_to_its_own_certificate() -> None:
    """Equal results, but every second certificate is of nothing."""
    calls: list[int] = []

    def certificate(outputs: Outputs) -> object:
        calls.append(1)
        return {"grad_x": 1e-3 if len(calls) % 2 else 0.0}

    report = validate(certifying(certificate), cases=1)
    (finding,) = report.findings
    assert (finding.output, finding.bound, finding.promise) == ("grad_x", 0.0, "certificate")
    assert finding.reason == "in the second of two calls with equal inputs"


def exact_linear(call: Mapping[str, Any]) -> dict[str, list[Fraction]]:
    """The outputs of lora-linear in rational numbers, flat."""

    def rows(tensor: torch.Tensor) -> list[list[Fraction]]:
        matrix = tensor.flatten(0, -2).double().tolist()
        return [[Fraction(entry) for entry in row] for row in matrix]

    def t(m: list[list[Fraction]]) -> list[list[Fraction]]:
        return [list(column) for column in zip(*m, strict=True)]

    def dot(m: list[list[Fraction]], n: list[list[Fraction]]) -> list[list[Fraction]]:
        return [
            [sum((a * b for a, b in zip(r, c, strict=True)), Fraction()) for c in t(n)] for r in m
        ]

    def plus(m: list[list[Fraction]], n: list[list[Fraction]]) -> list[list[Fraction]]:
        return [[a + s * b for a, b in zip(r, q, strict=True)] for r, q in zip(m, n, strict=True)]

    s = Fraction(call["scaling"])
    x, w, a, b, g = (rows(call[n]) for n in ("x", "weight", "lora_a", "lora_b", "grad_output"))
    nothing = [[Fraction()] * len(a[0])] * len(a), [[Fraction()] * len(a)] * len(b)
    results = {
        "output": plus(dot(x, t(w)), dot(dot(x, t(a)), t(b))),
        "grad_x": plus(dot(g, w), dot(dot(g, b), a)),
        "grad_lora_a": plus(nothing[0], dot(t(dot(g, b)), x)),
        "grad_lora_b": plus(nothing[1], dot(t(g), dot(x, t(a)))),
    }
    return {name: [entry for row in matrix for entry in row] for name, matrix in results.items()}


def certifies_exactly(share: Fraction) -> Callable[..., Outputs]:
    """The right kernel with a share of its own true errors as the certificate."""

    def kernel(**call: Any) -> Outputs:
        outputs = autograd.lora_linear(**call)
        certificate = {}
        for name, truth in exact_linear(call).items():
            computed = outputs[name].detach().double().flatten().tolist()
            error = max(abs(Fraction(c) - e) for c, e in zip(computed, truth, strict=True))
            certificate[name] = share * error
        return {**outputs, "certificate": certificate}

    return kernel


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_not_a_hair_less_than_the_true_error_will_do(dtype: str) -> None:
    """The truth of the oracle against rational arithmetic of the test's own, in both directions."""
    narrow = {"dtype": dtype, "regimes": ["designed", "tiny"], "cases": 4}
    exact = validate(certifies_exactly(Fraction(1)), **narrow)
    assert (exact.verdict, exact.findings) == ("pass", [])
    less = validate(certifies_exactly(1 - Fraction(1, 2**40)), **narrow)
    assert less.verdict == "fail"
    assert {finding.output for finding in less.findings} == set(NAMES)
    assert {finding.promise for finding in less.findings} == {"certificate"}


def test_a_target_certifies_too(tmp_path: Path) -> None:
    """In a fresh interpreter, for another contract."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from loracle.adapters import autograd\n"
        "def mine(*, c1, c2, c3, w, a, b, y):\n"
        "    outputs = autograd.aloragc(c1=c1, c2=c2, c3=c3, w=w, a=a, b=b, y=y)\n"
        "    return {**outputs, 'certificate': {n: 0.0 for n in outputs}}\n"
    )
    report = loracle.validate(f"{file}:mine", cases=1)
    assert report.verdict == "fail"
    assert {f.output for f in report.findings} == set(CONTRACTS["aloragc"].outputs)
    assert {f.promise for f in report.findings} == {"certificate"}


def test_a_replayed_case_is_judged_by_its_certificate() -> None:
    case = a_case("lora-linear", "float32", "typical")
    report = validate(certifying(share_of_largest(1e-9, "grad_x")), only_cases=[case.key])
    assert [finding.output for finding in report.findings] == ["grad_x"]
