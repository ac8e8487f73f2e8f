"""What is said of a name that there is not."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import loracle
from loracle import strategies
from loracle.adapters import autograd
from loracle.errors import UsageError, checks_keywords, nearest

MISSPELT: dict[str, tuple[Callable[[], Any], str]] = {
    "validate": (
        lambda: loracle.validate(autograd.lora_linear, regime=["tiny"]),  # type: ignore[call-arg]
        "validate has no argument 'regime'; did you mean regimes?",
    ),
    "conformance": (
        lambda: loracle.conformance(autograd.lora_linear, dtypes=["float32"]),  # type: ignore[call-arg]
        "conformance has no argument 'dtypes'; did you mean dtype?",
    ),
    "declare": (
        lambda: loracle.declare(output=["grad_x"]),  # type: ignore[call-arg]
        "declare has no argument 'output'; did you mean outputs?",
    ),
    "cases": (
        lambda: strategies.cases("lora-linear", size={"r": 1}),  # type: ignore[call-arg]
        "cases has no argument 'size'; did you mean sizes?",
    ),
    "far from all": (
        lambda: loracle.declare(xyz=3),  # type: ignore[call-arg]
        "declare has no argument 'xyz'; it has: unsupported, outputs, machine, epsilon",
    ),
}


@pytest.mark.parametrize(("call", "says"), MISSPELT.values(), ids=MISSPELT)
def test_a_misspelt_argument_is_one_line(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        call()


def test_a_function_keeps_its_face_and_its_own_errors() -> None:
    """Its signature for help and type checkers, and a TypeError of its own as that."""

    def takes(one: int, *, two: int = 2) -> int:
        """A docstring."""
        return one + two

    checked = checks_keywords(takes)
    assert checked(1, two=3) == 4
    assert inspect.signature(checked) == inspect.signature(takes)
    assert (checked.__name__, checked.__doc__) == ("takes", "A docstring.")
    with pytest.raises(TypeError, match="one"):
        checked()  # type: ignore[call-arg]
    assert list(inspect.signature(loracle.validate).parameters)[:3] == [
        "kernel",
        "contract",
        "dtype",
    ]


def test_the_nearest_name_comes_first_and_far_ones_not_at_all() -> None:
    names = ["adapters", "validate", "vectors"]
    assert nearest("valdate", names) == "; did you mean validate?"
    assert nearest("xyz", names) == ""
