"""The tests of one kernel: one for each regime, and one of the whole, after them: all cases
together, with what only they can tell, which is the bias test and whether the evidence is enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from loracle.contracts import Contract, infer_contract
from loracle.declaration import declaration_of
from loracle.expectations.entries import WHOLE, read_entries
from loracle.harness import KernelProcess
from loracle.plans import checked_plan
from loracle.report import Finding, Report
from loracle.request import (
    check_arguments,
    checked_contract,
    checked_count,
    checked_dtype,
    checked_names,
    checked_seed,
    chosen_cases,
    only_contract,
)
from loracle.testing.shared_process import SharedProcess
from loracle.validation import enough_of, validate_in

__all__ = ["WHOLE", "KernelTests", "Told", "told_by"]

Kind = tuple[str | None, str]
"""The output of a finding, and its verdict, or the problem where it is structural."""


def _kind_of(finding: Finding) -> Kind:
    """What is found in a case, and counts there, whichever cases are judged together."""
    judged = finding.error is not None
    return finding.output, finding.verdict if judged else finding.diagnosis[0].hypothesis


@dataclass(frozen=True)
class Told:
    """What a report has shown. cases: in how many of them there was what is found, those of a whole
    being the sum of its regimes'; a bias across cases is in none. names: the hypotheses by which
    outputs are diagnosed."""

    cases: Counter[Kind] = field(default_factory=Counter)
    names: frozenset[tuple[str | None, str]] = frozenset()

    def __add__(self, other: Told) -> Told:
        return Told(self.cases + other.cases, self.names | other.names)

    def tells(self, finding: Finding, of: Told) -> bool:
        """Whether it leaves nothing of a finding for a report, that is `of`, to show: a case, a
        name that more cases together give, or a bias across cases."""
        more = _kind_of(finding) in of.cases - self.cases
        return not (finding.across_cases or more or _names_of(finding) - self.names)


def _names_of(finding: Finding) -> frozenset[tuple[str | None, str]]:
    return frozenset((finding.output, diagnosis.hypothesis) for diagnosis in finding.diagnosis)


def told_by(report: Report) -> Told:
    """What the report has shown."""
    cases: Counter[Kind] = Counter()
    for finding in report.findings:
        if not finding.across_cases:
            cases[_kind_of(finding)] += finding.count
    return Told(cases, frozenset().union(*map(_names_of, report.findings)))


class KernelTests:
    """One kernel in one dtype and with one seed. The regimes and the whole are judged by `judge`,
    in any order; the kernel runs once on every case, in a process that is kept until `close`.

    options: keyword arguments of `loracle.validate`. Raises UsageError, as it does.
    """

    def __init__(self, kernel: Callable[..., Any] | str, options: Mapping[str, Any]) -> None:
        self.kernel = kernel
        self.options = dict(options)
        self.options["dtype"] = checked_dtype(options.get("dtype", "float32"))
        self.options["seed"] = checked_seed(options.get("seed", 0))
        for name in ("regimes", "only_cases"):
            self.options[name] = checked_names(name, options.get(name))
        self.told: dict[str, Told] = {}
        """By regime, what its test has shown if it has failed in this process."""
        self.refused = ""
        """What is wrong with the arguments or the kernel, once a test has told it."""
        self.judged: set[str] = set()
        """The parts that were judged in this process."""
        self._process: SharedProcess | None = None

    @cached_property
    def contract(self) -> Contract:
        """What is asked for, or what the kernel's parameters tell; a TARGET is loaded for that."""
        named = checked_contract(self.options.get("contract")) or only_contract(self.kernel)
        if named is not None:
            return named
        if not isinstance(self.kernel, str):
            return infer_contract(self.kernel)
        names = ("dtype", "device", "timeout")
        options = {name: self.options[name] for name in names if name in self.options}
        with KernelProcess(self.kernel, **options) as process:
            return process.finish().contract

    @cached_property
    def regimes(self) -> Mapping[str, tuple[str, ...]]:
        """The regimes to test, in the order of a run, each with the names of its cases."""
        cases = chosen_cases(
            self.contract,
            self.options["dtype"],
            self.options["seed"],
            checked_count(self.options.get("cases")),
            self.options["regimes"],
            self.options["only_cases"],
        )
        names = dict.fromkeys(case.regime for case in cases)
        return {name: tuple(c.key for c in cases if c.regime == name) for name in names}

    def check_expected_failures(self) -> None:
        """Raises UsageError if there is a file of them that cannot be read."""
        if (path := self.options.get("expected_failures")) is not None:
            read_entries(path)

    def check(self) -> None:
        """Raises UsageError on what every test would: an argument that means nothing, or a declared
        plan that the contract does not have, as far as the kernel is here and not in a file."""
        of_the_process = ("device", "timeout", "compile")
        options = {n: value for n, value in self.options.items() if n not in of_the_process}
        check_arguments(self.kernel, **{**options, "contract": self.contract})
        if not isinstance(self.kernel, str) and self.options.get("plan") is None:
            checked_plan(declaration_of(self.kernel).plan, self.contract, "declare")

    def judge(self, part: str) -> Report:
        """The report on one regime, which says nothing of evidence or bias, or on the whole.

        Raises UsageError as `loracle.validate` does.
        """
        self.judged.add(part)
        chosen: dict[str, Any] = {}
        if part != WHOLE:
            narrowed = self.options["only_cases"] is not None
            chosen = {"only_cases": self.regimes[part]} if narrowed else {"regimes": (part,)}
        options = {**self.options, **chosen, "across_cases": part == WHOLE}
        report = validate_in(self._process_for, self.kernel, **options)
        if report.reason == "interrupted":
            raise KeyboardInterrupt
        return report

    @property
    def worn_out(self) -> str:
        """Why no more regimes are tried, empty if they are: as a run ends early that meets too many
        timeouts or deaths, so do the tests."""
        known = self._process
        return "" if known is None else enough_of(known.timeouts_in_all, known.deaths_in_all)

    def close(self) -> None:
        """End the kernel's process. What was seen is kept; another one starts when it is needed."""
        if self._process is not None:
            self._process.close()

    def _process_for(self, kernel: Callable[..., Any] | str, **options: Any) -> SharedProcess:
        if self._process is None:
            self._process = SharedProcess(kernel, **options)
        return self._process
