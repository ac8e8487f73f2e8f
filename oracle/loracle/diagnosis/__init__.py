"""Diagnosis: which closed-form wrong truth explains the errors of an output."""

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.explain import diagnose

__all__ = ["Evidence", "diagnose"]
