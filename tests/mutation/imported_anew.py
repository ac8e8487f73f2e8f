"""The cases of the table once more, with the regimes made under the mutant.

mutmut takes the mutated function when it is called, long after the modules were imported, so that
the closures that the regimes are made of on import are those of the unchanged code. Here they are
made again. Only the mutation run knows this file: it leaves modules behind that others do not hold.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

ORACLE = Path(__file__).parents[1] / "oracle"
TABLE = json.loads((ORACLE / "case_digests.json").read_text())


def digests_anew() -> Callable[[str, str], list[str]]:
    """`digests` of tests/oracle/case_digests.py over modules that are executed again."""
    for name in ("regimes", "generate"):
        importlib.reload(importlib.import_module(f"loracle.generation.{name}"))
    importlib.reload(importlib.import_module("loracle.generation"))
    spec = importlib.util.spec_from_file_location("digests_anew", ORACLE / "case_digests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[str, str], list[str]] = module.digests
    return found


@pytest.mark.parametrize("pair", TABLE)
def test_the_cases_of_a_regime_are_those_of_the_table(pair: str) -> None:
    """See tests/oracle/test_case_digests.py."""
    contract, regime = pair.split()
    assert digests_anew()(contract, regime) == TABLE[pair].split()


def test_the_regimes_have_their_names_and_say_what_they_reveal() -> None:
    """See tests/oracle/test_generation.py."""
    regimes = importlib.reload(importlib.import_module("loracle.generation.regimes")).REGIMES
    for name, regime in regimes.items():
        assert regime.name == name
        assert len(regime.reveals) > 30
