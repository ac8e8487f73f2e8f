"""The oracle against its corpus, with default arguments: every wrong kernel is caught and named, no
right one is.

Without `-m deep` each kernel runs in one dtype and with one seed, both drawn by a hash of its name
(the test's id says which): the same in every run, different from kernel to kernel.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import pytest
from _pytest.mark.structures import ParameterSet

import loracle
from loracle.corpus.catalogue import RIGHT, WRONG, RightKernel, WrongKernel
from loracle.corpus.entry import Entry
from loracle.report import Report

SEEDS = (0, 1, 2, 3, 4)

PROVEN_IN = ("float64", "float32")
"""Where roundings are so small that a wrong kernel must be proven wrong, not merely suspected."""


def _claim(entry: Entry, dtype: str, seed: int) -> ParameterSet:
    return pytest.param(entry, dtype, seed, id=f"{entry.name}-{dtype}-seed{seed}")


def _drawn(entry: Entry) -> ParameterSet:
    number = zlib.crc32(entry.name.encode())
    dtype = entry.dtypes[number % len(entry.dtypes)]
    return _claim(entry, dtype, SEEDS[number // 16 % len(SEEDS)])


def _all_of(entries: Iterable[Entry]) -> list[ParameterSet]:
    return [_claim(e, dtype, seed) for e in entries for dtype in e.dtypes for seed in SEEDS]


def _validated(entry: Entry, dtype: str, seed: int) -> Report:
    return loracle.validate(entry.load(), contract=entry.contract, dtype=dtype, seed=seed)


def _told(report: Report) -> str:
    """The report in a few lines, for a failing test."""
    lines = [f"verdict {report.verdict} {report.reason}"]
    for finding in report.findings:
        names = [diagnosis.hypothesis for diagnosis in finding.diagnosis]
        lines.append(
            f"{finding.verdict} {finding.output} {finding.case}: error {finding.error}, bound"
            f" {finding.bound}, tolerance {finding.tolerance}, {finding.reason} {names}"
        )
    return "\n".join(lines)


def _check_caught(entry: WrongKernel, dtype: str, seed: int) -> None:
    report = _validated(entry, dtype, seed)
    assert report.findings, f"not caught: {entry.what} {_told(report)}"
    assert report.verdict != "pass", _told(report)
    if dtype in PROVEN_IN:
        assert report.verdict == "fail", _told(report)
    blamed = {finding.output for finding in report.findings if finding.output}
    if entry.outputs:
        assert blamed <= set(entry.outputs), _told(report)
    if entry.hypotheses:
        named = {d.hypothesis for finding in report.findings for d in finding.diagnosis}
        assert named & set(entry.hypotheses), _told(report)


def _check_let_pass(entry: RightKernel, dtype: str, seed: int) -> None:
    report = _validated(entry, dtype, seed)
    assert report.verdict == "pass", _told(report)
    assert not report.findings, _told(report)


@pytest.mark.parametrize(("entry", "dtype", "seed"), [_drawn(e) for e in WRONG])
def test_wrong_kernel_is_caught(entry: WrongKernel, dtype: str, seed: int) -> None:
    _check_caught(entry, dtype, seed)


@pytest.mark.parametrize(("entry", "dtype", "seed"), [_drawn(e) for e in RIGHT])
def test_right_kernel_passes(entry: RightKernel, dtype: str, seed: int) -> None:
    _check_let_pass(entry, dtype, seed)


@pytest.mark.deep
@pytest.mark.parametrize(("entry", "dtype", "seed"), _all_of(WRONG))
def test_wrong_kernel_is_caught_in_every_dtype(entry: WrongKernel, dtype: str, seed: int) -> None:
    _check_caught(entry, dtype, seed)


@pytest.mark.deep
@pytest.mark.parametrize(("entry", "dtype", "seed"), _all_of(RIGHT))
def test_right_kernel_passes_in_every_dtype(entry: RightKernel, dtype: str, seed: int) -> None:
    _check_let_pass(entry, dtype, seed)
