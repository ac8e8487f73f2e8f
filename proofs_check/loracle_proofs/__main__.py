"""`python -m loracle_proofs DOCS`: run the whole ledger, write its results and its pages."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loracle_proofs.coverage import SECTIONS
from loracle_proofs.ledger import run_records
from loracle_proofs.markdown import index_page, section_file, section_page
from loracle_proofs.records import all_records
from loracle_proofs.results import results_path, to_document


def main(docs: Path) -> int:
    """0 if every statement has a status and every mutant is accounted for, else 1."""
    records = all_records()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    results = []
    with Progress(*columns, transient=not sys.stderr.isatty()) as progress:
        task = progress.add_task("statements", total=len(records))
        for result in run_records(records, workers=min(os.cpu_count() or 1, 8)):
            results.append(result)
            progress.update(task, advance=1, description=result["label"])
    document = to_document(results)
    docs.mkdir(parents=True, exist_ok=True)
    _write(results_path(), json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    _write(docs / "index.md", index_page(document))
    for section in SECTIONS:
        _write(docs / section_file(section), section_page(document, section) + "\n")
    unknown = [result["label"] for result in results if not result["known"]]
    statuses = {result["as_printed"] for result in results}
    for status in sorted(statuses):
        print(f"{sum(r['as_printed'] == status for r in results):4d}  {status}")
    mutants = sum(result["evidence"]["mutants"] for result in results)
    killed = sum(result["evidence"]["killed"] for result in results)
    equivalent = sum(result["evidence"]["equivalent"] for result in results)
    print(
        f"{len(results)} statements, {mutants} mutants: {killed} refused, {equivalent} equivalent"
    )
    if unknown:
        print(f"not settled: {', '.join(unknown)}")
        return 1
    print("No statement is in state unknown; every mutant is accounted for.")
    return 0


def _write(path: Path, text: str) -> None:
    """Atomically, so that an interrupted run leaves the last results whole."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/ledger")))
