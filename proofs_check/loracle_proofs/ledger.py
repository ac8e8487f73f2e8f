"""The ledger as data: every record run, and what came out of it in the form that is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

from loracle_proofs.coverage import section_of
from loracle_proofs.examination import FULL, Effort, Examination, show_sizes
from loracle_proofs.records import all_records
from loracle_proofs.statement import Record
from loracle_proofs.status import (
    PartResult,
    RecordResult,
    describe,
    final_claim,
    run_record,
    witness,
)

__all__ = ["run_records", "to_dict"]


def run_records(
    records: Iterable[Record], effort: Effort = FULL, *, workers: int = 1, mutation: bool = True
) -> Iterator[dict[str, Any]]:
    """What `to_dict` gives for each record, in their order, as it is done."""
    labels = [(record.label, effort, mutation) for record in records]
    if workers == 1:
        yield from map(_run_label, labels)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_run_label, labels)


@cache
def _records_by_label() -> dict[str, Record]:
    return {record.label: record for record in all_records()}


def _run_label(task: tuple[str, Effort, bool]) -> dict[str, Any]:
    label, effort, mutation = task
    return to_dict(run_record(_records_by_label()[label], effort, mutation=mutation))


def to_dict(result: RecordResult) -> dict[str, Any]:
    """One record of the JSON document."""
    record = result.record
    problems = [part.part.problem for part in result.parts if part.part.problem]
    return {
        "label": record.label,
        "title": record.title,
        "kind": record.kind.value,
        "section": section_of(record.label),
        "as_printed": result.as_printed.value,
        "severity": result.severity.value if result.severity else None,
        "printed": record.printed,
        "problem": " ".join(problems) or None,
        "corrected": record.corrected or None,
        "evidence": _evidence(result),
        "uses": list(record.uses),
        "ocr": record.ocr or None,
        "remark": record.remark or None,
        "known": result.known,
        "parts": [_part(part) for part in result.parts],
    }


_WEAKEST_FIRST = ("unknown", "refuted", "cited", "enclosed", "proved over", "proved symbolically")


def _rank(status: str) -> int:
    return next(i for i, prefix in enumerate(_WEAKEST_FIRST) if status.startswith(prefix))


def _evidence(result: RecordResult) -> dict[str, Any]:
    statuses = sorted((part.corrected_status for part in result.parts), key=_rank)
    mutations = [part.mutation for part in result.parts if part.mutation is not None]
    total = sum(one.total for one in mutations)
    killed = sum(one.killed for one in mutations)
    equivalent = sum(len(one.equivalent) for one in mutations)
    return {
        "corrected": statuses[0],
        "parts": len(result.parts),
        "mutants": total,
        "killed": killed,
        "equivalent": equivalent,
        "kill_rate": killed / (total - equivalent) if total > equivalent else None,
    }


def _part(result: PartResult) -> dict[str, Any]:
    part, final = result.part, final_claim(result.part)
    found = result.counterexample
    return {
        "name": part.name,
        "as_printed": result.as_printed.value,
        "severity": part.severity.value if part.severity else None,
        "problem": part.problem or None,
        "cites": part.cites or None,
        "printed": [
            {
                "reading": claim.reading or None,
                "latex": claim.latex,
                "outcome": run.outcome.value,
                "detail": run.detail or None,
            }
            for claim, run in result.printed
        ],
        "counterexample": None
        if found is None
        else {"sizes": found.sizes, "entries": found.entries, "sides": found.sides},
        "corrected": final.latex if final is not None else None,
        "status": result.corrected_status,
        "evidence": None if result.corrected is None else _run(result.corrected),
        "hypotheses_met_by": witness(result),
        "mutation": None
        if result.mutation is None
        else {
            "total": result.mutation.total,
            "killed": result.mutation.killed,
            "survivors": list(result.mutation.survivors),
            "equivalent": dict(result.mutation.equivalent),
        },
    }


def _run(run: Examination) -> dict[str, Any]:
    return {
        "status": describe(run),
        "plain_values": run.exact,
        "symbolic_sizes": len(run.symbolic),
        "symbolic_up_to": show_sizes(_largest(run.symbolic)),
        "symbolic_open": len(run.unproved),
        "rational_cases": run.rational,
        "rational_up_to": show_sizes(dict(run.largest)),
        "ball_cases": run.balls,
        "attained": run.attained,
    }


def _largest(sizes: Iterable[dict[str, int]]) -> dict[str, int]:
    largest: dict[str, int] = {}
    for one in sizes:
        for name, size in one.items():
            largest[name] = max(size, largest.get(name, 0))
    return largest
