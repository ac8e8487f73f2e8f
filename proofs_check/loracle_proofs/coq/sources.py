"""The Coq sources as data: which theorem is which statement of the paper, in which form.

A theorem of the paper stands under a comment `(** LABEL: FORM. ... *)`, FORM being one of FORMS.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "FORMS",
    "Theorem",
    "coq_root",
    "forbidden_words",
    "read_analysis",
    "read_theorems",
    "source_hash",
]

FORMS = ("as printed", "corrected", "vacuous", "refuted")

_ORDER = (
    "Vec",
    "Jacobian",
    "Permutation",
    "FaceSplitting",
    "Gradient",
    "LowRank",
    "ErrorPropagation",
    "Reduction",
    "Counterexamples",
)
"""The files in the order of the paper; Derivation holds no statement of it."""

_HEADED = re.compile(
    r"\(\*\* (?P<labels>[^:*]+): (?P<form>"
    + "|".join(FORMS)
    + r")\. (?P<text>(?:(?!\*\)).)*)\*\)\s*"
    r"Theorem (?P<name>\w+)",
    re.DOTALL,
)

_FORBIDDEN = re.compile(
    r"\b(Axioms?|Parameters?|Conjecture|Admitted|admit|give_up|Abort|bypass_check|Unset Guard"
    r" Checking|Unset Positivity Checking|Unset Universe Checking|Declare ML Module)\b"
)


@dataclass(frozen=True)
class Theorem:
    """name: `File.theorem`. labels: of the paper. text: the comment over it, on one line."""

    name: str
    labels: tuple[str, ...]
    form: str
    text: str


def coq_root() -> Path:
    """Where the Coq sources lie in a checkout; an installed package has none."""
    return Path(__file__).parents[2] / "coq"


def read_theorems(root: Path) -> list[Theorem]:
    """Every theorem with a label, in the order of the paper's subjects.

    Raises ValueError if a Theorem has no label or if its label is not of the form above.
    """
    return [theorem for file in _ORDER for theorem in _read(root / f"{file}.v", file)]


def read_analysis(root: Path) -> list[Theorem]:
    """The same for the optional part on real numbers."""
    return list(_read(root / "Analysis" / "Loss.v", "Analysis.Loss"))


def _read(path: Path, module: str) -> Iterator[Theorem]:
    source = path.read_text(encoding="utf-8")
    found = [_theorem(match, module) for match in _HEADED.finditer(source)]
    names = re.findall(r"^\s*Theorem (\w+)", source, re.MULTILINE)
    bare = set(names) - {theorem.name.split(".")[-1] for theorem in found}
    if bare:
        raise ValueError(f"{path.name}: no label over {', '.join(sorted(bare))}")
    yield from found


def _theorem(match: re.Match[str], module: str) -> Theorem:
    return Theorem(
        f"{module}.{match['name']}",
        tuple(_labels(" ".join(match["labels"].split()))),
        match["form"],
        " ".join(match["text"].split()),
    )


def _labels(text: str) -> Iterator[str]:
    """Labels are separated by semicolons; "Lemmas 3.6 and F.8" are two."""
    for one in text.split("; "):
        several = re.fullmatch(r"Lemmas (\S+) and (\S+)", one)
        yield from (f"Lemma {number}" for number in several.groups()) if several else (one,)


def source_hash(root: Path) -> str:
    """A hash of all Coq sources."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.v")):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def forbidden_words(source: str) -> list[str]:
    """The commands in it that would leave something unproved; comments do not count."""
    return _FORBIDDEN.findall(re.sub(r"\(\*.*?\*\)", "", source, flags=re.DOTALL))
