"""Generation of cases: which cases a run has, and the inputs of each."""

from loracle.generation.generate import cases_of, generate
from loracle.generation.regimes import REGIMES, Regime, regimes_of

__all__ = ["REGIMES", "Regime", "cases_of", "generate", "regimes_of"]
