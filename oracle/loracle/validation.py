"""`loracle.validate`: kernel in, report out."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import metadata
from typing import Any, Protocol

from loracle import __version__
from loracle.cases import Case
from loracle.contracts import Contract
from loracle.declaration import check_unsupported
from loracle.errors import checks_keywords
from loracle.expectations.applying import applying, homeless
from loracle.expectations.collector import ExpectingCollector
from loracle.generation import generate
from loracle.harness import KernelProcess
from loracle.harness.agreement import Loaded
from loracle.judgement.calibration import FALSE_ALARM_PROBABILITY
from loracle.judgement.findings import Collector
from loracle.judgement.reference import reference_of
from loracle.observation import CONDITIONS
from loracle.plans import checked_plan, notes_on_plan
from loracle.report import Finding, Report, Verdict
from loracle.request import check_arguments, checked_machine, chosen_cases
from loracle.telling_epsilon import LargestTruths
from loracle_reference.floating_point import MachineModel

__all__ = ["enough_of", "validate", "validate_in"]

ENOUGH_EVIDENCE = 8
"""Cases of every output that must be evidence for a pass."""

_TIMEOUT = 60.0

_MOST_TIMEOUTS = 3
"""A kernel that hung this often is not called again."""

_MOST_DEATHS = 5
"""Nor is one whose process died this often: every death costs the start of another."""


class OnProgress(Protocol):
    """Called after every case with the finding it added, if any."""

    def __call__(
        self, done: int, total: int, regime: str, worst: Verdict, latest: Finding | None
    ) -> None: ...


@checks_keywords
def validate(
    kernel: Callable[..., Any] | str,
    contract: str | Contract | None = None,
    dtype: Any = "float32",
    device: str = "cpu",
    cases: int | None = None,
    seed: int = 0,
    regimes: Iterable[str] | None = None,
    epsilon: float | None = None,
    machine: str | None = None,
    timeout: float = _TIMEOUT,
    *,
    plan: str | None = None,
    repeats: int = 2,
    compile: bool = False,
    only_cases: Sequence[str] | None = None,
    expected_failures: str | os.PathLike[str] | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Judge a kernel against the specification.

    kernel: a callable that takes the contract's keyword arguments and returns a mapping of
    outputs, or a TARGET (`package.module:name`, `path/to/file.py:name`, or the name of an
    adapter). contract: its name; inferred from the parameter names if None. dtype: a name or a
    torch.dtype. cases: per regime. regimes: their names, all of the contract's if None. epsilon:
    the absolute error the kernel promises, in the max norm, which replaces bound and tolerance (as
    does the certificate that a call returns, if that is smaller).
    machine: the model it is judged under, the widest if None. plan: the evaluation plan that it
    follows, whose bound replaces that of every legal evaluation; a kernel that does not follow it
    may be called wrong; "none" for none, also where the kernel declares one. timeout: seconds for
    the equal calls of one case. repeats: how many these are. compile: judge the kernel under
    torch.compile.
    only_cases: `REGIME:INDEX` of the cases to run, instead of regimes and cases.
    expected_failures: the file that lists them (`loracle.expectations.entries`); they are no
    findings, and an entry that is wrong or no longer needed is an error: no pass.

    Raises UsageError (a ValueError), one line, on arguments that mean nothing or a kernel that
    cannot be loaded. A kernel that crashes, hangs or corrupts its process is a finding. A call that
    it declines (`Declined`) is skipped, with the reason.
    """
    return validate_in(
        KernelProcess,
        kernel,
        contract=contract,
        dtype=dtype,
        device=device,
        cases=cases,
        seed=seed,
        regimes=regimes,
        epsilon=epsilon,
        machine=machine,
        timeout=timeout,
        plan=plan,
        repeats=repeats,
        compile=compile,
        only_cases=only_cases,
        expected_failures=expected_failures,
        on_progress=on_progress,
    )


def validate_in(
    place: Callable[..., KernelProcess],
    kernel: Callable[..., Any] | str,
    *,
    contract: str | Contract | None = None,
    dtype: Any = "float32",
    device: str = "cpu",
    cases: int | None = None,
    seed: int = 0,
    regimes: Iterable[str] | None = None,
    epsilon: float | None = None,
    machine: str | None = None,
    timeout: float = _TIMEOUT,
    plan: str | None = None,
    repeats: int = 2,
    compile: bool = False,
    only_cases: Sequence[str] | None = None,
    expected_failures: str | os.PathLike[str] | None = None,
    on_progress: OnProgress | None = None,
    across_cases: bool = True,
) -> Report:
    """`validate` in a process that `place` makes, as KernelProcess does.

    across_cases: whether there is a bias test. It is one test of a whole run; where the regimes are
    judged one by one it must not be repeated for each, or false alarms would add up.
    """
    started = time.monotonic()
    asked = check_arguments(
        kernel,
        contract=contract,
        dtype=dtype,
        cases=cases,
        seed=seed,
        regimes=regimes,
        epsilon=epsilon,
        machine=machine,
        plan=plan,
        repeats=repeats,
        only_cases=only_cases,
        expected_failures=expected_failures,
    )
    dtype, epsilon, entries = asked.dtype, asked.epsilon, asked.expected
    regimes, only_cases = asked.regimes, asked.only_cases

    def cases_of(contract: Contract) -> list[Case]:
        return chosen_cases(contract, dtype, seed, cases, regimes, only_cases)

    with place(
        kernel,
        contract=asked.contract,
        dtype=dtype,
        device=device,
        timeout=timeout,
        repeats=repeats,
        compile_kernel=compile,
    ) as process:
        process.begin()
        if asked.known is not None:
            # The child imports torch meanwhile; the first references are ready when it is.
            model, asked_plan = checked_machine(machine, dtype), checked_plan(plan, asked.known)
            reference_of(cases_of(asked.known)[0], model, asked_plan)
        loaded = process.finish()
        declared = loaded.declaration
        model = checked_machine(machine or declared.machine, dtype)
        followed = _followed(plan, loaded)
        epsilon = declared.epsilon if epsilon is None else epsilon
        chosen, skipped = _without_unsupported(cases_of(loaded.contract), loaded, dtype)
        mine = applying(entries, kernel, loaded.name, dtype)
        absent = [one["what"] for one in skipped]
        collector = (partial(ExpectingCollector, mine, absent) if mine else Collector)(
            loaded.contract,
            loaded.outputs,
            epsilon,
            _replay(
                kernel,
                loaded,
                {
                    "dtype": dtype,
                    "seed": seed,
                    "device": None if device == "cpu" else device,
                    "machine": machine,
                    "plan": None if followed == declared.plan else plan,
                    "epsilon": None if epsilon == declared.epsilon else epsilon,
                    "repeats": None if repeats == 2 else repeats,
                    "compile": compile or None,
                    "timeout": None if timeout == _TIMEOUT else timeout,
                },
                {"cases": cases, "regimes": regimes, "only_cases": only_cases},
            ),
        )
        truths = LargestTruths(loaded.outputs)
        notes, reason = _run(process, chosen, model, followed, collector, truths, on_progress)
    findings = collector.findings(across_cases=across_cases)
    matched = collector.expected if isinstance(collector, ExpectingCollector) else []
    expected = [*matched, *homeless(entries, kernel, loaded.name)]
    if not reason and any(one.outdated for one in expected):
        reason = "outdated-expectations"
    verdict, reason = _verdict(findings, collector, reason)
    if reason == "insufficient-evidence" and epsilon is not None:
        notes += filter(None, [truths.note(epsilon, ENOUGH_EVIDENCE)])
    notes += notes_on_plan(followed, epsilon, only_promised=collector.only_promised)
    return Report(
        verdict=verdict,
        reason=reason,
        kernel=loaded.name,
        contract=loaded.contract.name,
        dtype=dtype,
        device=device,
        machine=model.name,
        plan=followed,
        seed=seed,
        epsilon=epsilon,
        repeats=repeats,
        compiled=compile,
        cases=collector.cases,
        regimes=collector.regimes,
        findings=findings,
        skipped=[*skipped, *collector.declined],
        notes=[*loaded.notes, *notes, *_undecided_note(collector)],
        evidence=collector.evidence,
        certified=collector.certified,
        expected_failures=expected,
        false_alarm_probability=_false_alarms(collector),
        seconds=time.monotonic() - started,
        environment={**_versions(), **loaded.environment},
        request={
            "target": kernel if isinstance(kernel, str) else None,
            "cases": cases,
            "regimes": None if regimes is None else list(regimes),
            "only_cases": None if only_cases is None else list(only_cases),
            "timeout": float(timeout),
        },
        scatter=collector.scatter,
    )


def _run(
    process: KernelProcess,
    plan: list[Case],
    model: MachineModel,
    followed: str | None,
    collector: Collector,
    truths: LargestTruths,
    on_progress: OnProgress | None,
) -> tuple[list[str], str]:
    """Every case of the plan; returns notes, and why the run ended early, if it did."""
    notes: dict[str, None] = {}
    timeouts = 0
    examined: set[str] = set()
    try:
        for done, case in enumerate(plan, start=1):
            # Of the conditions one case a regime must do: they take more time than the equal calls.
            process.submit(generate(case), () if case.regime in examined else CONDITIONS)
            examined.add(case.regime)
            # The kernel runs in the child while its reference is made here.
            reference = reference_of(case, model, followed)
            observation = process.collect()
            latest = collector.add(reference, observation)
            if observation.declined is None:
                truths.add(reference)
            notes.update(dict.fromkeys(observation.notes))
            if on_progress is not None:
                on_progress(done, len(plan), case.regime, collector.worst, latest)
            timeouts += any(p.hypothesis == "timeout" for p in observation.problems)
            enough = enough_of(timeouts, process.deaths)
            if enough and done < len(plan):
                notes[f"stopped after {done} of {len(plan)} cases: {enough}"] = None
                break
    except KeyboardInterrupt:
        seen = collector.cases + len(collector.declined)
        notes[f"interrupted after {seen} of {len(plan)} cases"] = None
        return list(notes), "interrupted"
    return list(notes), ""


def enough_of(timeouts: int, deaths: int) -> str:
    """Why a kernel is not called again, empty if it is."""
    if timeouts >= _MOST_TIMEOUTS:
        return f"{timeouts} timeouts"
    return f"the process died {deaths} times" if deaths >= _MOST_DEATHS else ""


def _verdict(findings: list[Finding], collector: Collector, reason: str) -> tuple[Verdict, str]:
    verdicts = {finding.verdict for finding in findings}
    if "fail" in verdicts:
        return "fail", reason
    if verdicts or reason:
        return "suspect", reason
    if min(collector.evidence.values(), default=0) < ENOUGH_EVIDENCE:
        return "suspect", "insufficient-evidence"
    return "pass", ""


def _false_alarms(collector: Collector) -> float | None:
    """The chance of a false suspicion, None where promises alone decided and nothing is suspect."""
    only_promised = collector.epsilon is not None or collector.only_promised
    return None if only_promised else FALSE_ALARM_PROBABILITY


def _undecided_note(collector: Collector) -> list[str]:
    if not collector.undecided:
        return []
    which, more = collector.undecided[0], len(collector.undecided) - 1
    others = f" and {more} more" if more else ""
    return [f"{which}{others}: the error is its limit to all known digits, which is no fail"]


def _followed(plan: str | None, loaded: Loaded) -> str | None:
    """The plan that is asked for, else the declared one; UsageError if the contract has no such."""
    if plan is not None:
        return checked_plan(plan, loaded.contract)
    return checked_plan(loaded.declaration.plan, loaded.contract, f"{loaded.name} declares")


def _without_unsupported(
    plan: list[Case], loaded: Loaded, dtype: str
) -> tuple[list[Case], list[dict[str, str]]]:
    """The cases that the kernel supports, and what was left out with the reason.

    Raises UsageError on a declared name that is neither a regime nor a dtype.
    """
    check_unsupported(loaded.declaration.unsupported, f"{loaded.name} declares as unsupported")
    unsupported = set(loaded.declaration.unsupported)
    skipped = [
        {"what": output, "reason": "the kernel declares that it does not have this output"}
        for output in loaded.contract.outputs
        if output not in loaded.outputs
    ]
    if dtype in unsupported:
        reason = "the kernel declares that it does not support this dtype"
        return [], [*skipped, {"what": dtype, "reason": reason}]
    left_out = sorted({case.regime for case in plan} & unsupported)
    reason = "the kernel declares that it does not support this regime"
    skipped += [{"what": regime, "reason": reason} for regime in left_out]
    return [case for case in plan if case.regime not in unsupported], skipped


_FLAGS = {"regimes": "--regime", "only_cases": "--case"}


def _replay(
    kernel: Callable[..., Any] | str,
    loaded: Loaded,
    options: Mapping[str, Any],
    choice: Mapping[str, Any],
) -> Callable[[Case | None], str]:
    """The command, or for a callable the call, that runs one case again, or (None) all of them.

    options and choice (of cases): arguments of `validate`, None where left out.
    """

    def command(case: Case | None) -> str:
        words = ["loracle", "validate", str(kernel), "--contract", loaded.contract.name]
        for name, value in _given(options, choice, case):
            for one in value if isinstance(value, tuple) else (value,):
                words += [_FLAGS.get(name, f"--{name}"), *([] if one is True else [str(one)])]
        return shlex.join(words)

    def call(case: Case | None) -> str:
        given = [
            f"{name}={list(value) if isinstance(value, tuple) else value!r}"
            for name, value in _given(options, choice, case)
        ]
        # In the session or script where it was defined, a kernel of __main__ has its bare name.
        name = loaded.name.removeprefix("__main__.")
        arguments = [name, f"contract={loaded.contract.name!r}", *given]
        return f"loracle.validate({', '.join(arguments)})"

    return command if isinstance(kernel, str) else call


def _given(
    options: Mapping[str, Any], choice: Mapping[str, Any], case: Case | None
) -> list[tuple[str, Any]]:
    chosen = choice if case is None else {"only_cases": (case.key,)}
    return [(n, value) for n, value in {**options, **chosen}.items() if value is not None]


def _versions() -> dict[str, Any]:
    """The versions of what makes the truth; the kernel's environment comes from its process."""
    names = ("numpy", "python-flint", "ml_dtypes")
    versions: dict[str, Any] = {"loracle": __version__}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions
