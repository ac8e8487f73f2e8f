"""The page about the threshold quotes what the code computes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loracle_proofs.code_instances import WIDTH_PER_BIT, code_instances, one_code
from loracle_proofs.coverage import LABELS
from loracle_proofs.hard_instances import HardClass, hard_classes
from loracle_proofs.phase_transition import curves, table
from loracle_reference.norm_conditions import required_rank

PAGE = (Path(__file__).parents[2] / "docs/threshold.md").read_text()


def test_every_row_of_the_table_is_computed() -> None:
    section = PAGE.split("## The transition in numbers\n")[1]
    quoted = re.findall(r"^\|.*\|$", section, flags=re.MULTILINE)
    assert len(quoted) > 2
    assert set(quoted) <= set(table(curves()).splitlines())


def test_every_record_that_is_named_exists() -> None:
    lines = re.findall(r"^Records?: (.*)\.$", PAGE, flags=re.MULTILINE)
    assert len(lines) == PAGE.count("\nRecord")
    assert {label for line in lines for label in line.split(", ")} <= set(LABELS)


def test_the_codes_that_are_quoted() -> None:
    code = one_code(10)
    assert (code.length, code.width, code.minimum_distance) == (1024, 30, 5)
    assert code.rank_lower_bound == 1024
    assert all(
        one.width <= WIDTH_PER_BIT * (one.length.bit_length() - 1) for one in code_instances()
    )
    longer = one_code(16)
    assert (longer.width, longer.rank_lower_bound) == (48, 65536)
    assert required_rank(48, 1, 1 / 32) == 20825


def test_the_hard_classes_have_the_norms_that_are_claimed() -> None:
    for one in (HardClass(1), HardClass(2)):
        assert one.largest_query == one.largest_key == one.gamma == one.step
        assert one.largest_score == one.bound**2
    rates = [one.norm_rate for one in hard_classes(8)]
    assert rates == sorted(rates, reverse=True)


def test_a_class_needs_a_step() -> None:
    with pytest.raises(ValueError, match="step must be at least 1, got 0"):
        HardClass(0)
