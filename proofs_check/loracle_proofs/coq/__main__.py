"""`python -m loracle_proofs.coq`: check the Coq sources, and record what was proved."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from loracle_proofs.coq.check import (
    CheckFailed,
    coq_version,
    has_analysis,
    run_analysis_checks,
    run_checks,
    write_check_files,
)
from loracle_proofs.coq.evidence import (
    CLASSICAL,
    load_recorded,
    recorded_path,
    to_document,
)
from loracle_proofs.coq.instances import instances
from loracle_proofs.coq.mutants import MUTANTS
from loracle_proofs.coq.readme import write_table
from loracle_proofs.coq.sources import FORMS, Theorem, coq_root, read_analysis, source_hash


def main() -> int:
    """0 if all is proved, on no axioms that are not allowed; 1 if not; 2 where there is no Coq."""
    root = coq_root()
    version = coq_version()
    if version is None:
        print("coqc is not installed: apt-get install coq libcoq-mathcomp-algebra", file=sys.stderr)
        return 2
    try:
        write_check_files(root)
        theorems = run_checks(root)
        analysis = run_analysis_checks(root) if has_analysis() else None
    except (CheckFailed, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    kept = _recorded_analysis(root) if analysis is None else analysis
    document = to_document(theorems, kept, sources=source_hash(root), version=version)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    recorded_path().write_text(text, encoding="utf-8")
    write_table(root / "README.md", [*theorems, *kept])
    for form in FORMS:
        print(f"{sum(theorem.form == form for theorem in theorems):4d}  {form}")
    definitions = len({one.definition for one in instances()})
    print(
        f"{len(theorems)} theorems, all closed under the global context (Coq {version});"
        f" {definitions} definitions computed as in reference/; {len(MUTANTS)} mutants refused."
    )
    if analysis is None:
        print("The part on real numbers needs libcoq-mathcomp-analysis and was not run here.")
    else:
        print(f"{len(analysis)} theorems on real numbers, on {CLASSICAL}.")
    return 0


def _recorded_analysis(root: Path) -> list[Theorem]:
    """The theorems of the optional part, if a run on these very sources has proved them."""
    recorded = load_recorded()
    if recorded is None or recorded["sources"] != source_hash(root):
        return []
    proved = {one["name"] for one in recorded["theorems"] if one["assumptions"] == CLASSICAL}
    return [theorem for theorem in read_analysis(root) if theorem.name in proved]


if __name__ == "__main__":
    sys.exit(main())
