"""A finding's case, run again exactly as it was, and what became of the finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loracle.cases import Case, Inputs
from loracle.contracts import contract_named
from loracle.errors import UsageError
from loracle.generation import generate
from loracle.harness.targets import parse_target
from loracle.plans import NO_PLAN
from loracle.report import Finding, Report
from loracle.request import chosen_cases
from loracle.validation import OnProgress, validate

__all__ = ["Outcome", "case_and_inputs", "compare", "rerun"]

_NUMBERS = ("error", "bound", "tolerance", "truth", "computed", "element", "promise")

_VERSIONS = ("loracle", "python", "torch", "numpy", "python-flint", "ml_dtypes")


@dataclass(frozen=True)
class Outcome:
    """found: the finding of the same kind on the same output, None if there is none now.
    differences: what of it is other than it was, as (name, then, now); none: it is the same, bit
    for bit. other_versions: likewise, of what ran it."""

    found: Finding | None
    differences: list[tuple[str, Any, Any]]
    other_versions: list[tuple[str, Any, Any]]

    @property
    def reproduced(self) -> bool:
        """The finding is there again, with the same verdict."""
        return self.found is not None and all(name != "verdict" for name, _, _ in self.differences)


def case_and_inputs(data: Mapping[str, Any], finding: Mapping[str, Any]) -> tuple[Case, Inputs]:
    """The case of a finding of a report.

    Raises UsageError if this version makes other inputs for it than the one that wrote the report,
    or has no such case.
    """
    key = finding["case"].partition(" ")[0]
    contract = contract_named(data["contract"])
    (case,) = chosen_cases(contract, data["dtype"], data["seed"], None, None, [key])
    inputs = generate(case)
    digest = finding["inputs_sha256"]
    if str(case) != finding["case"] or digest not in (None, inputs.digest()):
        then, now = data["environment"].get("loracle", "another"), _version()
        raise UsageError(
            f"the inputs of {key} are others here than in the report, which loracle {then} wrote"
            f" (this is {now}); install that version and its numpy to replay it"
        )
    return case, inputs


def rerun(
    data: Mapping[str, Any],
    finding: Mapping[str, Any],
    target: str | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Runs the finding's case alone, or for a bias across cases the whole run, with everything else
    as the report says, whatever the kernel declares now.

    target: where the kernel is now, None for the report's own. Raises UsageError where there is
    none, where the kernel declares an epsilon that the report has none of (it cannot be switched
    off), and as `validate` does.
    """
    request = data["request"]
    target = target or request.get("target")
    if target is None:
        raise UsageError(
            f"the report is of a callable, {data['kernel']}: name it as a TARGET with --target"
            " package.module:name, or run the call that its finding gives under replay"
        )
    try:
        parse_target(target, contract_named(data["contract"]))
    except UsageError as error:
        raise UsageError(f"{error}; --target says where the kernel is now") from None
    chosen: dict[str, Any] = {"only_cases": [finding["case"].partition(" ")[0]]}
    if finding["across_cases"]:
        chosen = {name: request.get(name) for name in ("cases", "regimes", "only_cases")}
    again = validate(
        target,
        contract=data["contract"],
        dtype=data["dtype"],
        device=data["device"],
        seed=data["seed"],
        machine=data["machine"],
        plan=data["plan"] or NO_PLAN,
        epsilon=data["epsilon"],
        repeats=data["repeats"],
        compile=data["compiled"],
        timeout=request.get("timeout", 60),
        on_progress=on_progress,
        **chosen,
    )
    if data["epsilon"] is None and again.epsilon is not None:
        raise UsageError(
            f"{again.kernel} declares epsilon {again.epsilon:g} now, and the report has none: an"
            " error would be judged otherwise; replay it without the declared epsilon"
        )
    return again


def compare(data: Mapping[str, Any], finding: Mapping[str, Any], again: Report) -> Outcome:
    """What became of the finding in the report of its replay."""
    found = _same_kind(finding, again)
    differences: list[tuple[str, Any, Any]] = []
    if found is not None:
        now = found.to_dict()
        names = ("verdict", *_NUMBERS, *(("reason",) if finding["across_cases"] else ()))
        differences = [(n, finding[n], now[n]) for n in names if now[n] != finding[n]]
    then, now = _versions(data["environment"]), _versions(again.environment)
    others = [(n, then.get(n), now.get(n)) for n in _VERSIONS if then.get(n) != now.get(n)]
    return Outcome(found, differences, others)


def _same_kind(finding: Mapping[str, Any], again: Report) -> Finding | None:
    """The one with the same verdict, if there are two. What is structural is told by its name."""

    def kind(data: Mapping[str, Any]) -> object:
        structural = data["error"] is None
        name = data["diagnosis"][0]["hypothesis"] if structural and data["diagnosis"] else None
        return data["output"], data["across_cases"], structural, name

    same = [found for found in again.findings if kind(found.to_dict()) == kind(finding)]
    same.sort(key=lambda found: found.verdict != finding["verdict"])
    return same[0] if same else None


def _versions(environment: Mapping[str, Any]) -> dict[str, Any]:
    nested = environment.get("versions")
    return {**environment, **(nested if isinstance(nested, dict) else {})}


def _version() -> str:
    from loracle import __version__

    return __version__
