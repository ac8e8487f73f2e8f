"""What a mutation run found, as a table, and whether every survivor is explained.

    python tests/mutation/report.py FOLDER [--markdown FILE]

FOLDER is that of `stage.py`, after `mutmut run`. A survivor is known by its function and by the
line before and after, so that an explanation outlasts changes elsewhere; explanations are in
survivors.toml. Exit status 1 if a mutant survived that none of them explains, was reached by no
test, or was not run.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EXPLANATIONS = Path(__file__).with_name("survivors.toml")

KILLED = {1, 3}
TIMED_OUT = {-24, 24, 36, 152, 255}
"""A mutant that does not end is noticed as well: a hanging test fails."""


@dataclass(frozen=True)
class Survivor:
    """function: with its module. before, after: the changed lines, stripped and joined."""

    function: str
    before: str
    after: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by."""
        return self.function, self.before, self.after


def outcomes(folder: Path) -> Iterator[tuple[str, str, int | None]]:
    """Module, mutant and exit status, of every mutant."""
    for meta in sorted((folder / "mutants").rglob("*.py.meta")):
        path = meta.relative_to(folder / "mutants" / "src").with_suffix("")
        for mutant, status in json.loads(meta.read_text())["exit_code_by_key"].items():
            yield path.as_posix(), mutant, status


def survivor(mutant: str) -> Survivor:
    """From the difference that mutmut shows, in its folder."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    lines = get_diff_for_mutant(mutant).splitlines()[2:]
    before = [line[1:].strip() for line in lines if line.startswith("-")]
    after = [line[1:].strip() for line in lines if line.startswith("+")]
    name = mutant.partition("__mutmut_")[0]
    module, _, function = name.rpartition(".")
    plain = ".".join(part for part in function.split("ǁ") if part != "x").removeprefix("x_")
    return Survivor(f"{module}.{plain}", " ".join(before), " ".join(after))


def explained() -> dict[tuple[str, str, str], str]:
    """The reason of every survivor that has one."""
    reasons = {}
    for one in tomllib.loads(EXPLANATIONS.read_text())["class"]:
        for function, pairs in one["survivors"].items():
            for before, after in pairs:
                reasons[function, before, after] = one["reason"]
    return reasons


def table(folder: Path, survived: list[Survivor], reasons: dict[tuple[str, str, str], str]) -> str:
    """Markdown: the modules with their numbers, and the reasons with theirs."""
    rows: dict[str, Counter[str]] = {}
    for module, _, status in outcomes(folder):
        row = rows.setdefault(module, Counter())
        row["mutants"] += 1
        row["killed"] += status in KILLED
        row["timed out"] += status in TIMED_OUT
        row["survived"] += status == 0
    columns = ("mutants", "killed", "timed out", "survived")
    lines = [
        "```",
        "make mutation",
        "```",
        "",
        f"| module | {' | '.join(columns)} |",
        "|:---|" + "---:|" * len(columns),
    ]
    total: Counter[str] = Counter()
    for module in sorted(rows):
        total += rows[module]
        lines.append(f"| {module} | {' | '.join(str(rows[module][c]) for c in columns)} |")
    lines.append(f"| together | {' | '.join(str(total[c]) for c in columns)} |")
    lines.append("")
    counts = Counter(reasons[one.key] for one in survived if one.key in reasons)
    lines += [f"- {count}: {reason}" for reason, count in counts.most_common()]
    return "\n".join(lines) + "\n"


def nearest(one: Survivor, reasons: dict[tuple[str, str, str], str]) -> str:
    """What in survivors.toml looks most like it, for the eye."""
    known = {" ".join(key): key for key in reasons if key[0] == one.function}
    close = difflib.get_close_matches(" ".join(one.key), known, 1)
    return f" (explained: {' -> '.join(known[close[0]][1:])})" if close else ""


def main() -> int:
    """Prints and writes; see above."""
    parser = argparse.ArgumentParser(description="what a mutation run found")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    markdown = arguments.markdown and arguments.markdown.absolute()
    folder = arguments.folder.absolute()
    os.chdir(folder)  # mutmut reads its options and mutants from where it is
    reasons = explained()
    survived, unseen = [], []
    for _, mutant, status in outcomes(folder):
        if status == 0:
            survived.append(survivor(mutant))
        elif status not in KILLED | TIMED_OUT:
            unseen.append(f"{mutant}: no test reached it, or it was not run (status {status})")
    unexplained = [one for one in survived if one.key not in reasons]
    text = table(folder, survived, reasons)
    print(text)
    if markdown is not None:
        markdown.write_text(text)
    for one in unexplained:
        print(f"unexplained: {one.function}: {one.before} -> {one.after}{nearest(one, reasons)}")
    for line in unseen:
        print(line)
    for function, before, after in reasons.keys() - {one.key for one in survived}:
        print(f"explained, but killed or gone: {function}: {before} -> {after}")
    return 1 if unexplained or unseen else 0


if __name__ == "__main__":
    sys.exit(main())
