"""The records, a module or package for each group of statements.

`all_records` puts them in the order of the paper.
"""

from __future__ import annotations

from importlib import import_module

from loracle_proofs.coverage import LABELS
from loracle_proofs.statement import Record

__all__ = ["MODULES", "all_records"]

MODULES = (
    "introduction",
    "vectorization",
    "preliminaries",
    "partial_adaptation_setup",
    "score_definitions",
    "gradient_lemmas",
    "jacobians",
    "low_rank_lemmas",
    "low_rank_lemmas_full",
    "low_rank_proofs",
    "almost_linear",
    "hardness",
    "full_adaptation",
    "full_adaptation_gradients",
    "full_adaptation_proof",
    "practitioners",
    "reduction",
    "quadratic_time",
    "experiments",
)


def all_records() -> tuple[Record, ...]:
    """Every record, in the paper's order.

    Raises ValueError if a label occurs twice, is not one of the paper's, or is missing.
    """
    records: dict[str, Record] = {}
    for module in MODULES:
        for record in import_module(f"{__name__}.{module}").RECORDS:
            if record.label in records:
                raise ValueError(f"two records are labelled {record.label}")
            records[record.label] = record
    if unknown := sorted(set(records) - set(LABELS)):
        raise ValueError(f"records of no statement of the paper: {', '.join(unknown)}")
    if missing := [label for label in LABELS if label not in records]:
        raise ValueError(f"statements without a record: {', '.join(missing)}")
    return tuple(records[label] for label in LABELS)
