"""Counterexamples and evidence in words, from the ledger's data."""

from __future__ import annotations

from typing import Any

__all__ = ["counterexample_text", "evidence_text", "needs_final_form", "problem_text"]


def counterexample_text(found: dict[str, Any]) -> tuple[str, str, str]:
    """The sizes, the entries and what goes wrong."""
    sizes = ", ".join(f"{name} = {size}" for name, size in found["sizes"].items())
    entries = ", ".join(f"{name} = {_rows(rows)}" for name, rows in found["entries"].items())
    return sizes, entries, found["sides"]


def _rows(rows: Any) -> str:
    if not isinstance(rows, list):
        return str(rows)
    return "[" + "; ".join(" ".join(row) for row in rows) + "]"


def problem_text(part: dict[str, Any]) -> str | None:
    """What is wrong with the text, and how grave it is; None if nothing is."""
    if part["problem"] is None:
        return None
    return f"{part['problem']} ({part['severity']})" if part["severity"] else str(part["problem"])


def needs_final_form(part: dict[str, Any]) -> bool:
    """Whether the form that holds is none of the printed ones that do."""
    shown = {one["latex"] for one in part["printed"] if one["outcome"] == "holds"}
    return bool(part["corrected"]) and part["corrected"] not in shown


def evidence_text(part: dict[str, Any]) -> str | None:
    """What ran for the form that holds; None if nothing did."""
    run, mutation, met = part["evidence"], part["mutation"], part["hypotheses_met_by"]
    if run is None:
        return None
    facts = ["computed exactly"] if run["plain_values"] else []
    if run["symbolic_sizes"]:
        facts.append(f"symbols at {run['symbolic_sizes']} sizes up to {run['symbolic_up_to']}")
    if run["symbolic_open"]:
        facts.append(f"symbols decide nothing at {run['symbolic_open']} sizes")
    if run["rational_cases"]:
        facts.append(f"{run['rational_cases']} rational cases up to {run['rational_up_to']}")
    if run["ball_cases"]:
        facts.append(f"{run['ball_cases']} cases in balls")
    if run["attained"]:
        facts.append(f"attained at {run['attained']} instances")
    if mutation is not None and mutation["total"]:
        equivalent = len(mutation["equivalent"])
        unchanged = f", {equivalent} equivalent" if equivalent else ""
        facts.append(f"{mutation['killed']} of {mutation['total']} mutants refused{unchanged}")
    if met:
        sizes = ", ".join(f"{name} = {size}" for name, size in met["sizes"].items())
        facts.append(f"hypotheses met, for instance, at {sizes}")
    return "; ".join(facts)
