"""Statuses, extracted from what ran and from nothing else."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from loracle_proofs.counterexample import Counterexample, smallest_counterexample
from loracle_proofs.examination import Effort, Examination, examine, show_sizes
from loracle_proofs.mutation import MutationReport, mutate
from loracle_proofs.relation import Outcome
from loracle_proofs.setting import show_entries
from loracle_proofs.statement import Claim, Part, Record, Severity

__all__ = ["AsPrinted", "PartResult", "RecordResult", "run_part", "run_record"]


class AsPrinted(enum.Enum):
    """What became of the text as it stands; the first that applies to a part is a record's."""

    UNKNOWN = "unknown"
    FAILS = "fails"
    ILL_TYPED = "ill-typed"
    VACUOUS = "vacuous"
    CITED = "cited"
    READING = "holds under a stated reading"
    HOLDS = "holds"


_SEVERITIES = list(Severity)


@dataclass(frozen=True)
class PartResult:
    """What running one part gave. corrected: the evidence for what holds, None for a citation."""

    part: Part
    as_printed: AsPrinted
    printed: tuple[tuple[Claim, Examination], ...]
    corrected: Examination | None
    counterexample: Counterexample | None
    mutation: MutationReport | None

    @property
    def final(self) -> Claim | None:
        """The claim that the evidence is for."""
        return final_claim(self.part)

    @property
    def corrected_status(self) -> str:
        """What stands behind the final form, in the ledger's words."""
        if self.final is None:
            return "cited"
        if self.corrected is None or self.corrected.outcome is Outcome.UNDECIDED:
            return "unknown"
        return describe(self.corrected)


@dataclass(frozen=True)
class RecordResult:
    """What running a record gave."""

    record: Record
    parts: tuple[PartResult, ...]

    @property
    def as_printed(self) -> AsPrinted:
        """The worst of the parts."""
        found = {part.as_printed for part in self.parts}
        return next(status for status in AsPrinted if status in found)

    @property
    def severity(self) -> Severity | None:
        """The gravest among the parts that are not right as printed."""
        found = {part.part.severity for part in self.parts}
        return next((severity for severity in _SEVERITIES if severity in found), None)

    @property
    def known(self) -> bool:
        """Whether every part has a status, its final form evidence, and its mutants are killed."""
        return all(
            part.as_printed is not AsPrinted.UNKNOWN
            and part.corrected_status not in ("unknown", "refuted")
            and (part.mutation is None or part.mutation.complete)
            for part in self.parts
        )


def final_claim(part: Part) -> Claim | None:
    """What holds: the corrected form, else the text as it stands; None for a citation."""
    return part.corrected or (part.printed[0] if part.printed else None)


def describe(examination: Examination) -> str:
    """The evidence of a claim that was not refuted, strongest first."""
    if examination.outcome is not Outcome.HOLDS:
        return "refuted"
    if examination.exact:
        return "proved symbolically" if examination.free else "proved over the rationals"
    if examination.symbolic and not examination.unproved:
        return "proved symbolically"
    if examination.rational and examination.symbolic:
        largest = show_sizes(dict(examination.largest))
        return f"proved over the rationals at sizes up to {largest}"
    return f"enclosed by balls on {examination.balls} cases"


def run_record(record: Record, effort: Effort, *, mutation: bool = True) -> RecordResult:
    """Run every part of a record."""
    parts = tuple(
        run_part(part, effort, f"{record.label}/{part.name}", mutation=mutation)
        for part in record.parts
    )
    return RecordResult(record, parts)


def run_part(part: Part, effort: Effort, seed: str, *, mutation: bool = True) -> PartResult:
    """Run the printed forms, the corrected one, its mutants, and look for a counterexample."""
    printed: list[tuple[Claim, Examination]] = []
    for number, claim in enumerate(part.printed):
        run = examine(claim, part, printed=True, effort=effort, seed=f"{seed}/printed {number}")
        printed.append((claim, run))
    counterexample = _counterexample(part, printed)
    final = final_claim(part)
    corrected = report = None
    if final is not None:
        as_it_stands = part.corrected is None
        if as_it_stands:
            corrected = printed[0][1]
        else:
            corrected = examine(final, part, printed=False, effort=effort, seed=f"{seed}/final")
        if mutation:
            report = mutate(final, part, printed=as_it_stands, seed=seed)
    return PartResult(
        part,
        _as_printed(part, printed, effort, seed),
        tuple(printed),
        corrected,
        counterexample,
        report,
    )


def _counterexample(part: Part, printed: list[tuple[Claim, Examination]]) -> Counterexample | None:
    if not printed or printed[0][1].outcome is not Outcome.FAILS:
        return None
    claim = printed[0][0]
    setting = claim.setting or part.setting
    return None if setting is None else smallest_counterexample(claim, part, setting, printed=True)


def _as_printed(
    part: Part, printed: list[tuple[Claim, Examination]], effort: Effort, seed: str
) -> AsPrinted:
    if not printed:
        return AsPrinted.CITED if part.cites else AsPrinted.UNKNOWN
    literal = printed[0][1].outcome
    if literal is Outcome.HOLDS and part.trivial is not None:
        trivial = examine(part.trivial, part, printed=True, effort=effort, seed=f"{seed}/trivial")
        return AsPrinted.VACUOUS if trivial.outcome is Outcome.HOLDS else AsPrinted.UNKNOWN
    if literal is Outcome.HOLDS:
        return AsPrinted.READING if printed[0][0].reading else AsPrinted.HOLDS
    if literal is Outcome.UNDECIDED:
        return AsPrinted.UNKNOWN
    if any(run.outcome is Outcome.HOLDS for _, run in printed[1:]):
        return AsPrinted.READING
    return AsPrinted.ILL_TYPED if literal is Outcome.ILL_TYPED else AsPrinted.FAILS


def witness(result: PartResult) -> dict[str, object] | None:
    """An instance that meets the hypotheses of a part; None if it has none."""
    if result.part.hypotheses is None or result.corrected is None or result.corrected.met is None:
        return None
    instance = result.corrected.met
    return {"sizes": dict(instance.sizes), "entries": show_entries(instance)}
