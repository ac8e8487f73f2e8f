"""Certificates: what a call says of its own errors is read, believed no further than it holds, and
stands in the place of bound and tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import torch

from loracle.cases import Case
from loracle.harness.certificates import read_certificate
from loracle.judgement.findings import Collector
from loracle.judgement.reference import CaseReference
from loracle.observation import FurtherRun, Observation
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import round_to_format

from .core_cases import default_run, reference
from .validated import LINEAR, hypotheses

Array = npt.NDArray[np.float64]
NAMES = tuple(LINEAR.outputs)

IN_SECOND = "in the second of two calls with equal inputs"
NAN = float("nan")


@pytest.mark.parametrize(
    ("stated", "bound"),
    [
        (0.5, 0.5),
        (0, 0.0),
        (-0.0, 0.0),
        (math.inf, math.inf),
        (10**400, math.inf),
        (np.float32(0.5), 0.5),
        (torch.tensor(0.25), 0.25),
        (torch.tensor(0.25, dtype=torch.bfloat16, requires_grad=True), 0.25),
        (torch.tensor(3), 3.0),
        # Nothing that was promised is taken for less.
        (Fraction(1, 3), math.nextafter(1 / 3, 1)),
        (2**53 + 1, 2.0**53 + 2),
    ],
)
def test_a_number_of_any_kind(stated: object, bound: float) -> None:
    found = read_certificate({"output": stated}, NAMES)
    assert (found.bounds, found.problems, found.notes) == ({"output": bound}, [], [])


INVALID_BOUNDS: list[tuple[object, str]] = [
    (NAN, "nan"),
    (-1e-9, "-1e-09"),
    (-(10**400), "-inf"),
    (torch.tensor(NAN), "nan"),
    (None, "a value of type NoneType"),
    ("0.1", "a value of type str"),
    (True, "a value of type bool"),
    (1j, "a value of type complex"),
    (torch.tensor(True), "a tensor of shape () and dtype torch.bool"),
    (torch.ones(1), "a tensor of shape (1,) and dtype torch.float32"),
]


@pytest.mark.parametrize(("stated", "said"), INVALID_BOUNDS)
def test_a_bound_that_means_nothing(stated: object, said: str) -> None:
    """A NaN compares false with everything: catches `bound < 0` as the only test."""
    found = read_certificate({"output": stated, "grad_x": 1.0}, NAMES)
    assert found.bounds == {"grad_x": 1.0}
    (problem,) = found.problems
    assert (problem.hypothesis, problem.output) == ("invalid-certificate", "output")
    assert problem.explanation == f"the certificate of output is {said}, not a number from 0 up"


INVALID_WHOLES: list[tuple[object, str]] = [
    (0.5, "is of type float, not a mapping"),
    (torch.tensor(0.5), "is of type Tensor, not a mapping"),
    ([("output", 0.5)], "is of type list, not a mapping"),
    ({}, "names nothing, not output, grad_x"),
    ({"grad_y": 0.5, 3: 0.5}, "names 'grad_y', 3, not output, grad_x"),
]


@pytest.mark.parametrize(("stated", "said"), INVALID_WHOLES)
def test_a_certificate_that_means_nothing(stated: object, said: str) -> None:
    found = read_certificate(stated, NAMES)
    assert found.bounds == {}
    (problem,) = found.problems
    assert (problem.hypothesis, problem.output) == ("invalid-certificate", None)
    assert said in problem.explanation


def test_none_is_no_certificate_and_an_unknown_name_is_noted() -> None:
    assert read_certificate(None, NAMES) == read_certificate(None, ())
    found = read_certificate({"output": 0.5, "grad_y": NAN}, NAMES)
    assert (found.bounds, found.problems) == ({"output": 0.5}, [])
    assert found.notes == ["the certificate of 'grad_y' is ignored: no such output is judged"]
    many = read_certificate(dict.fromkeys(range(10_000)), NAMES).problems[0].explanation
    assert len(many) <= 500


# The judgement of observations made up by hand.


def collector(epsilon: float | None = None) -> Collector:
    def replay(case: Case | None) -> str:
        return "again"

    return Collector(LINEAR, NAMES, epsilon, replay)


def right(known: CaseReference) -> dict[str, Array]:
    return {n: round_to_format(t.mid, known.case.dtype) for n, t in known.truth.items()}


def known_case() -> CaseReference:
    """Evidence for every output."""
    return reference(default_run("lora-linear", "float32", 0)[6])


def errors(known: CaseReference, outputs: Mapping[str, Array]) -> dict[str, float]:
    """A little less than the largest error of each output."""
    return {n: float(known.truth[n].distance(v)[0].max()) for n, v in outputs.items()}


@pytest.mark.parametrize("share", [1e-3, 1e3])
def test_a_certificate_replaces_bound_and_tolerance(share: float) -> None:
    """Fail if and only if the error exceeds it, far below and far above what rounding makes."""
    known = known_case()
    certificate = share * float(known.proven["grad_x"].bound.max())
    truth = known.truth["grad_x"].mid
    for factor, verdict in ((0.99, "pass"), (1.01, "fail")):
        outputs = right(known)
        outputs["grad_x"] = truth + factor * certificate
        run = collector()
        run.add(known, Observation(outputs, certificates={"grad_x": certificate}))
        assert run.worst == verdict
        assert run.certified == {**dict.fromkeys(NAMES, 0), "grad_x": 1}
        assert not run.only_promised
        for finding in run.findings():
            assert (finding.output, finding.promise) == ("grad_x", "certificate")
            assert finding.bound == finding.tolerance == certificate
            assert finding.error == pytest.approx(factor * certificate)
            (first, *_) = finding.diagnosis
            assert first.hypothesis == "false-certificate"
            assert "grad_x is beyond its own certificate" in first.explanation
            by_rounding = "by bound and tolerance it would pass" in first.explanation
            assert by_rounding is (share < 1)
        # The same without a certificate: small errors pass, large ones are wrong.
        plain = collector()
        plain.add(known, Observation(outputs))
        assert plain.worst == ("pass" if share < 1 else "fail")
        assert all(finding.promise is None for finding in plain.findings())


@pytest.mark.parametrize(
    ("certificate", "epsilon", "kind", "limit"),
    [
        (1e-3, 1e-2, "certificate", 1e-3),
        (1e-2, 1e-3, "epsilon", 1e-3),
        (math.inf, 1e-3, "epsilon", 1e-3),
        (1e-3, 1e-3, "certificate", 1e-3),
    ],
)
def test_both_promises_must_be_kept(
    certificate: float, epsilon: float, kind: str, limit: float
) -> None:
    known = known_case()
    for factor, verdict in ((0.9, "pass"), (1.1, "fail")):
        outputs = right(known)
        outputs["output"] = known.truth["output"].mid + factor * limit
        run = collector(epsilon)
        run.add(known, Observation(outputs, certificates={"output": certificate}))
        assert run.worst == verdict
        for finding in run.findings():
            assert (finding.promise, finding.bound) == (kind, limit)
            named = "false-certificate" in hypotheses(finding)
            assert named is (kind == "certificate")


def test_an_infinite_certificate_is_no_evidence_of_anything() -> None:
    """Not even NaN is held against it; nor does it pass."""
    known = known_case()
    for change in (lambda v: v, lambda v: 2 * v, lambda v: v + np.nan):
        outputs = {name: change(value) for name, value in right(known).items()}
        run = collector()
        run.add(known, Observation(outputs, certificates=dict.fromkeys(NAMES, math.inf)))
        assert run.findings() == []
        summary = run.regimes[known.case.regime]
        assert (summary.passed, summary.no_evidence) == (0, len(NAMES))
        assert set(run.evidence.values()) == {0}


def test_a_certificate_of_zero_is_kept_by_an_exact_result() -> None:
    """And by no other; the truth is one that float64 holds."""
    known = known_case()
    exact = {
        name: Enclosure(truth.high, np.zeros_like(truth.low), np.zeros_like(truth.radius))
        for name, truth in known.truth.items()
    }
    known = replace(known, truth=exact)
    outputs = {name: truth.high.copy() for name, truth in exact.items()}
    nothing = dict.fromkeys(NAMES, 0.0)
    run = collector()
    run.add(known, Observation(outputs, certificates=nothing))
    assert run.findings() == []
    assert run.regimes[known.case.regime].passed == len(NAMES)
    assert run.regimes[known.case.regime].worst_error_to_bound == 0.0
    assert run.only_promised
    outputs["output"].flat[0] = np.nextafter(outputs["output"].flat[0], np.inf)
    run.add(known, Observation(outputs, certificates=nothing))
    (finding,) = run.findings()
    assert (finding.verdict, finding.output, finding.bound) == ("fail", "output", 0.0)


def test_an_undecided_certificate_is_decided_with_a_finer_truth() -> None:
    known = known_case()
    certificate = float(known.proven["output"].bound.max())
    truth = known.truth["output"]
    wide = Enclosure(truth.high, truth.low, np.full_like(truth.radius, 4 * certificate))
    widened = replace(known, truth={**known.truth, "output": wide})
    for factor, verdict in ((1.1, "fail"), (0.9, "pass")):
        outputs = {**right(known), "output": truth.mid + factor * certificate}
        run = collector()
        run.add(widened, Observation(outputs, certificates={"output": certificate}))
        assert run.worst == verdict


def test_each_run_keeps_its_own_certificate() -> None:
    """Equal results of which only the second's certificate is too small; and unequal ones."""
    known = known_case()
    outputs = right(known)
    limit = errors(known, outputs)["output"]
    for first, second, reason in (
        (2 * limit, 2 * limit, None),
        (2 * limit, limit / 2, IN_SECOND),
        (limit / 2, 2 * limit, ""),
        (None, limit / 2, IN_SECOND),
        (limit / 2, None, ""),
    ):
        run = collector()
        run.add(
            known,
            Observation(
                outputs,
                {} if first is None else {"output": first},
                (
                    FurtherRun(
                        None,
                        IN_SECOND,
                        {"output": outputs["output"]} if first != second else {},
                        dict.fromkeys(NAMES, 0.0),
                        {} if second is None else {"output": second},
                    ),
                ),
            ),
        )
        assert [finding.reason for finding in run.findings()] == (
            [] if reason is None else [reason]
        )


def test_two_runs_may_differ_by_the_sum_of_their_certificates() -> None:
    known = known_case()
    truth = known.truth["output"].mid
    first, second = 1e-3, 5e-3
    for share, found in ((0.99, []), (1.01, ["nondeterministic"])):
        # Each is within its own, but for the rounding that the comparison is given.
        below, above = truth - 0.99 * first, truth + 0.99 * second
        run = collector()
        run.add(
            known,
            Observation(
                {**right(known), "output": below},
                {"output": first},
                (
                    FurtherRun(
                        None,
                        IN_SECOND,
                        {"output": above},
                        {"output": share * (first + second)},
                        {"output": second},
                    ),
                ),
            ),
        )
        assert [hypotheses(finding)[0] for finding in run.findings()] == found
        for finding in run.findings():
            assert "more than what was promised" in finding.diagnosis[0].explanation


def test_a_bias_within_certificates_is_none() -> None:
    """4e-7 too large in all cases, which is seen where no certificate is given, or too seldom."""
    for certified, found in (
        ("all", []),
        ("none", ["constant-factor"]),
        ("long", ["constant-factor"]),
    ):
        run = collector()
        for case in default_run("lora-linear", "float32", 0):
            known = reference(case)
            outputs = right(known)
            outputs["grad_lora_b"] *= 1 + 4e-7
            limit = 2 * errors(known, outputs)["grad_lora_b"]
            given = {"grad_lora_b": limit} if certified in ("all", case.regime) else {}
            again = FurtherRun(None, IN_SECOND, certificates=given)
            run.add(known, Observation(outputs, given, (again,)))
        findings = run.findings()
        assert [hypotheses(finding)[0] for finding in findings] == found
        assert all(finding.promise is None for finding in findings)


def test_a_mistake_is_named_beside_the_certificate_that_does_not_cover_it() -> None:
    """However sharp the certificate is: the other roundings are none of the mistake's."""
    run = collector()
    for case in default_run("lora-linear", "float32", 0):
        known = reference(case)
        outputs = right(known)
        limits = {name: 1e-3 * error for name, error in errors(known, outputs).items()}
        outputs["grad_lora_b"] /= known.inputs.scalars["scaling"]
        run.add(known, Observation(outputs, certificates={"grad_lora_b": limits["grad_lora_b"]}))
    (finding,) = run.findings()
    assert hypotheses(finding)[:2] == ["false-certificate", "missing-scaling"]
