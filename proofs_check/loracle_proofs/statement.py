"""A record of the ledger: one statement of the paper, in the two forms that are run.

Nothing here says whether a statement holds: a record holds what is claimed, and statuses are
extracted from runs (`status`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loracle_proofs.relation import Relation
from loracle_proofs.setting import Entries, Setting

__all__ = ["Claim", "Kind", "Part", "Record", "Severity"]

Relations = Relation | list[Relation]


class Severity(enum.Enum):
    """How much a failure costs."""

    FATAL_TO_STATEMENT = "fatal to the statement"
    FATAL_TO_PROOF = "fatal to the printed proof"
    ILL_TYPED = "ill-typed"
    MISSING = "missing constant or hypothesis"
    NOTATION = "notation"
    TYPO = "typo"


class Kind(enum.Enum):
    """What a statement is in the paper."""

    DEFINITION = "definition"
    LEMMA = "lemma"
    THEOREM = "theorem"
    PROBLEM = "problem"
    HYPOTHESIS = "hypothesis"
    REMARK = "remark"
    EQUATION = "equation"
    SIMPLIFICATION = "simplification"
    SCENARIO = "scenario"
    PROOF = "proof"
    NOTATION = "notation"
    TABLE = "table"


@dataclass(frozen=True)
class Claim:
    """One executable form of a statement.

    latex: the formula. relation: a module-level function of names of the setting (or of nothing)
    that returns what is asserted. reading: for a printed form, in words, what was read into the
    text; empty for the text as it stands. setting: None for a claim about plain values, which is
    run once. extremal: instances (sizes, entries) at which an inequality must be attained, so that
    no smaller constant would do. equivalent: mutants that cannot be told from the claim, each with
    the reason. code: functions of the specification that are mutated with the claim.
    """

    latex: str
    relation: Callable[..., Relations]
    reading: str = ""
    setting: Setting | None = None
    extremal: tuple[tuple[Mapping[str, int], Entries], ...] = ()
    equivalent: Mapping[str, str] = field(default_factory=dict)
    code: tuple[Callable[..., Any], ...] = ()


@dataclass(frozen=True)
class Part:
    """One assertion of a statement.

    printed: the text as it stands, then readings of it, in the order in which they are tried; none
    where nothing can be run (then `cites` says why). corrected: what holds; None where the text as
    it stands is right. hypotheses: relations that an instance must satisfy to count. trivial: a
    claim that shows that the printed assertion is met by a trivial object, whatever the rest.
    problem: what is wrong with the text, in one or two sentences.
    """

    name: str
    printed: tuple[Claim, ...] = ()
    corrected: Claim | None = None
    setting: Setting | None = None
    hypotheses: Callable[..., Relations] | None = None
    trivial: Claim | None = None
    cites: str = ""
    severity: Severity | None = None
    problem: str = ""


@dataclass(frozen=True)
class Record:
    """One statement of the paper under its label.

    printed, corrected: the whole statement in LaTeX (corrected empty where nothing is). uses:
    labels that it rests on. ocr: what the source text may have lost. remark: anything else that a
    reader of the paper should know.
    """

    label: str
    title: str
    kind: Kind
    printed: str
    parts: tuple[Part, ...]
    corrected: str = ""
    uses: tuple[str, ...] = ()
    ocr: str = ""
    remark: str = ""
