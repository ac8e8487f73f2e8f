"""Diagnosis: which closed-form wrong truth explains the errors of an output."""

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.explain import are_too_few, diagnose
from loracle.diagnosis.together import diagnose_together

__all__ = ["Evidence", "are_too_few", "diagnose", "diagnose_together"]
