"""Appendix I: the numbers of Table 1, recomputed from its minutes."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise

from loracle_proofs.relation import Relation, equal, less
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity

__all__ = ["RECORDS"]

MINUTES = {"OPT-125M": (58, 55), "OPT-350M": (69, 61), "OPT-1.3B": (84, 63)}
"""Training time per epoch: standard, then outlier-free, in the order of the models' sizes."""

COLUMN = {"OPT-125M": "-5.2", "OPT-350M": "-11.6", "OPT-1.3B": "-25.0"}
"""The percentages in the table's last column."""

CAPTION = {"OPT-125M": "5.5", "OPT-350M": "13.1", "OPT-1.3B": "33.3"}
"""How much faster the outlier-free model is, by the caption and the text."""


def percent(ratio: Fraction) -> Fraction:
    """A ratio in percent, rounded to one decimal, halves away from zero."""
    value = Decimal(100 * ratio.numerator) / Decimal(ratio.denominator)
    return Fraction(value.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP))


def change_of_time() -> list[Relation]:
    """The column is (new - old) / old."""
    return [
        equal(percent(Fraction(new - old, old)), Fraction(COLUMN[model]), witness=model)
        for model, (old, new) in MINUTES.items()
    ]


def time_saved() -> list[Relation]:
    """The caption's percentages are of the time: (old - new) / old."""
    return [
        equal(percent(Fraction(old - new, old)), Fraction(CAPTION[model]), witness=model)
        for model, (old, new) in MINUTES.items()
    ]


def speed_gained() -> list[Relation]:
    """The caption's percentages are of the speed: (1 / new - 1 / old) / (1 / old)."""
    return [
        equal(percent(Fraction(old - new, new)), Fraction(CAPTION[model]), witness=model)
        for model, (old, new) in MINUTES.items()
    ]


def larger_models_gain_more() -> list[Relation]:
    """From each model to the next larger one the share of time saved rises.

    With it rises the speed gained, which is s / (1 - s) for a share s.
    """
    saved = [Fraction(old - new, old) for old, new in MINUTES.values()]
    return [
        less(smaller, larger, witness=f"{smaller} of the time saved, then {larger}")
        for smaller, larger in pairwise(saved)
    ]


TABLE_1 = Record(
    "Table 1",
    title="Training time with and without outliers",
    kind=Kind.TABLE,
    printed=r"\begin{array}{lrrr}"
    r"\text{OPT-125M} & 58 & 55 & -5.2\% \\"
    r"\text{OPT-350M} & 69 & 61 & -11.6\% \\"
    r"\text{OPT-1.3B} & 84 & 63 & -25.0\%"
    r"\end{array}\qquad \text{faster by } 5.5\%,\ 13.1\%,\ 33.3\%",
    corrected=r"\frac{58 - 55}{55} = 5.5\%,\quad \frac{69 - 61}{61} = 13.1\%,\quad"
    r" \frac{84 - 63}{63} = 33.3\%\quad\text{more epochs in the same time}",
    parts=(
        Part(
            "the column",
            printed=(
                Claim(
                    r"\frac{55 - 58}{58} = -5.2\%,\quad \frac{61 - 69}{69} = -11.6\%,\quad"
                    r" \frac{63 - 84}{84} = -25.0\%",
                    change_of_time,
                ),
            ),
        ),
        Part(
            "the caption",
            printed=(
                Claim(
                    r"\frac{58 - 55}{58} = 5.5\%,\quad \frac{69 - 61}{69} = 13.1\%,\quad"
                    r" \frac{84 - 63}{84} = 33.3\%",
                    time_saved,
                ),
                Claim(
                    r"\frac{58 - 55}{55} = 5.5\%,\quad \frac{69 - 61}{61} = 13.1\%,\quad"
                    r" \frac{84 - 63}{63} = 33.3\%",
                    speed_gained,
                    reading="faster means more epochs in the same time, not less time for an epoch",
                ),
            ),
            corrected=Claim(
                r"\frac{58 - 55}{55} = 5.5\%,\quad \frac{69 - 61}{61} = 13.1\%,\quad"
                r" \frac{84 - 63}{63} = 33.3\%",
                speed_gained,
            ),
            severity=Severity.NOTATION,
            problem="The caption measures speed, the column time, and neither says so: of one pair"
            " of times the caption says 33.3 % and the column 25.0 %. Both are right by their own"
            " definition.",
        ),
        Part(
            "larger models",
            printed=(
                Claim(
                    r"\frac{58 - 55}{58} < \frac{69 - 61}{69} < \frac{84 - 63}{84}",
                    larger_models_gain_more,
                ),
            ),
        ),
    ),
    remark="The times are whole minutes, which fixes the percentages to within about two points,"
    " and as far as is said each is of one run. What differs between the columns is how the models"
    " were pretrained, with attention quadratic in L in both: no algorithm of Theorem 3.1 or B.1 is"
    " said to have been run, so the table is no evidence for either. All three models have heads of"
    " width 64 (Zhang et al., 2022), and r = 128 is more than that: for one head r < d does not"
    " hold. alpha / r is 2 there, where (S4) sets 1.",
)


RECORDS = (TABLE_1,)
