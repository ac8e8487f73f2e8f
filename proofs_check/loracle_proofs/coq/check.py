"""Compile the Coq sources and hold them to what is said of them.

Five checks: the sources leave nothing unproved; they compile; every theorem of the paper is closed
under the global context; the definitions compute what reference/ computes; the mutants fail, in
their proofs. The optional part, on real numbers, rests on the three classical axioms it may.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loracle_proofs.coq.instances import coq_text, instances, wrong
from loracle_proofs.coq.mutants import MUTANTS, Mutant, mutated, proof_lines
from loracle_proofs.coq.sources import Theorem, forbidden_words, read_analysis, read_theorems

__all__ = [
    "CLASSICAL",
    "CheckFailed",
    "assumptions",
    "check_text",
    "coq_version",
    "has_analysis",
    "run_analysis_checks",
    "run_checks",
    "write_check_files",
]

CLASSICAL = frozenset(
    {
        "boolp.propositional_extensionality",
        "boolp.functional_extensionality_dep",
        "boolp.constructive_indefinite_description",
    }
)
"""The axioms of mathcomp-analysis, no others."""

_LIMIT = 900
"""Seconds that one file may take, on a machine however busy; alone on it, the longest takes 30."""

_CLOSED = "Closed under the global context"


class CheckFailed(Exception):
    """One check failed; the message says which, and what Coq said."""


def coq_version() -> str | None:
    """The version of coqc, or None where there is none."""
    try:
        shown = subprocess.run(
            ["coqc", "--print-version"], capture_output=True, text=True, check=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return shown.stdout.split()[0]


def has_analysis() -> bool:
    """Whether mathcomp-analysis, which the optional part needs, is installed."""
    where = subprocess.run(["coqc", "-where"], capture_output=True, text=True, check=True)
    return (Path(where.stdout.strip()) / "user-contrib/mathcomp/analysis/exp.vo").is_file()


def write_check_files(root: Path) -> None:
    """Check.v of both parts, from the labels."""
    (root / "Check.v").write_text(check_text(read_theorems(root)), encoding="utf-8")
    (root / "Analysis/Check.v").write_text(check_text(read_analysis(root)), encoding="utf-8")


def run_checks(root: Path) -> list[Theorem]:
    """All five checks on the sources under root, which `make` there has compiled or compiles now.

    Returns the theorems. Raises CheckFailed at the first check that fails.
    """
    for path in sorted(root.rglob("*.v")):
        if words := forbidden_words(path.read_text(encoding="utf-8")):
            raise CheckFailed(f"{path.name} leaves something unproved: {', '.join(words)}")
    theorems = read_theorems(root)
    _make(root, "all")
    _require_axioms(theorems, _compile(root, check_text(theorems), "Check"), frozenset())
    computed = instances()
    _compile(root, coq_text(computed), "Instances")
    if not _coqc(root, coq_text([wrong(computed[0])]), "Instances").returncode:
        raise CheckFailed("a wrong value of a definition is taken for right")
    _require_refused(root, [one for one in MUTANTS if one.file != _ANALYSIS])
    return theorems


_ANALYSIS = "Analysis/Loss"


def run_analysis_checks(root: Path) -> list[Theorem]:
    """The checks on the optional part: it compiles, on three axioms, and its mutants fail.

    Returns its theorems. Raises CheckFailed at the first check that fails.
    """
    theorems = read_analysis(root)
    _make(root, "analysis")
    _require_axioms(theorems, _compile(root, check_text(theorems), "Check"), CLASSICAL)
    _require_refused(root, [one for one in MUTANTS if one.file == _ANALYSIS])
    return theorems


def _make(root: Path, target: str) -> None:
    made = subprocess.run(["make", "-C", str(root), target], capture_output=True, text=True)
    if made.returncode:
        raise CheckFailed(f"the sources do not compile:\n{made.stdout}{made.stderr}")


def _require_axioms(theorems: Sequence[Theorem], output: str, axioms: frozenset[str]) -> None:
    for theorem, found in zip(theorems, assumptions(theorems, output), strict=True):
        if found != axioms:
            wanted = ", ".join(sorted(axioms)) or "nothing"
            raise CheckFailed(
                f"{theorem.name} rests on {', '.join(sorted(found))}, not on {wanted}"
            )


def _require_refused(root: Path, mutants: Sequence[Mutant]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for failure in pool.map(lambda mutant: _survival(root, mutant), mutants):
            if failure is not None:
                raise CheckFailed(failure)


def check_text(theorems: Sequence[Theorem]) -> str:
    """Check.v: Print Assumptions for every theorem, in order."""
    modules = " ".join(dict.fromkeys(theorem.name.rpartition(".")[0] for theorem in theorems))
    return "\n".join(
        [
            "(** Written by `make coq`: what each theorem with a label assumes. *)",
            "",
            f"From Loracle Require {modules}.",
            "",
            *(f"Print Assumptions {theorem.name}." for theorem in theorems),
            "",
        ]
    )


def assumptions(theorems: Sequence[Theorem], output: str) -> list[frozenset[str]]:
    """The axioms that each theorem rests on, from what its Check.v prints.

    Raises CheckFailed unless there is one answer a theorem.
    """
    answers: list[set[str]] = []
    for line in output.splitlines():
        if line in (_CLOSED, "Axioms:"):
            answers.append(set())
        elif answers and line and not line[0].isspace():
            answers[-1].add(line.split()[0])
    if len(answers) != len(theorems):
        raise CheckFailed(f"{len(theorems)} theorems, {len(answers)} answers:\n{output}")
    return [frozenset(answer) for answer in answers]


def _compile(root: Path, text: str, name: str) -> str:
    done = _coqc(root, text, name)
    if done.returncode:
        raise CheckFailed(f"{name}.v does not compile:\n{done.stdout}{done.stderr}")
    return done.stdout


def _coqc(root: Path, text: str, name: str) -> subprocess.CompletedProcess[str]:
    """Compile one text against the compiled sources, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.v"
        path.write_text(text, encoding="utf-8")
        command = ["coqc", "-q", "-w", "-all", "-R", str(root), "Loracle", str(path)]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            raise CheckFailed(f"{name}.v took more than {_LIMIT} seconds") from None


def _survival(root: Path, mutant: Mutant) -> str | None:
    """What is wrong if the mutant does not fail in its own proof; None if it does."""
    source = (root / f"{mutant.file}.v").read_text(encoding="utf-8")
    text = mutated(mutant, source)
    done = _coqc(root, text, "Mutant")
    name = f"the mutant of {mutant.file}.{mutant.theorem} ({mutant.what})"
    if done.returncode == 0:
        return f"{name} compiles"
    found = re.search(r"line (\d+), characters", done.stdout + done.stderr)
    if found is None or int(found[1]) not in proof_lines(mutant, text):
        return f"{name} fails outside of its proof:\n{done.stdout}{done.stderr}"
    return None
