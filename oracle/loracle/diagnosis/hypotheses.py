"""The closed-form wrong truths, one table per contract, specific before generic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loracle.diagnosis.doubled_tails import ATTENTION_DOUBLED_TAILS, LINEAR_DOUBLED_TAILS
from loracle.diagnosis.factors import factors
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.linear_terms import LINEAR_TERMS
from loracle.diagnosis.loss import RESIDUALS, TARGETS
from loracle.diagnosis.mha_attention import (
    MHA_HEADS,
    MHA_SCALES,
    MHA_SOFTMAX,
    MHA_TAILS,
)
from loracle.diagnosis.mha_doubled_tails import MHA_DOUBLED_TAILS
from loracle.diagnosis.mha_layers import (
    MHA_PROJECTIONS,
    MHA_RANK_AXES,
    MHA_ROWS,
    MHA_SCALINGS,
    MHA_TERMS,
    MHA_UPSTREAM,
)
from loracle.diagnosis.mha_masks import MHA_MASKS, MHA_NO_KEY
from loracle.diagnosis.mha_roundings import MHA_ROUNDINGS
from loracle.diagnosis.mha_stale import MHA_STALE
from loracle.diagnosis.mha_transposition import MHA_TRANSPOSITIONS
from loracle.diagnosis.projections import ALORAGC_PROJECTIONS, ATTENTION_PROJECTIONS
from loracle.diagnosis.rank_axis import ALORAGC_RANK_AXES, ATTENTION_RANK_AXES, LINEAR_RANK_AXES
from loracle.diagnosis.roundings import ATTENTION_ROUNDINGS, LINEAR_ROUNDINGS
from loracle.diagnosis.scaling import (
    ATTENTION_SCALINGS,
    LINEAR_SCALINGS,
    STALE_ATTENTION,
    STALE_LINEAR,
)
from loracle.diagnosis.softmax import CORRECTIONS, MAXIMUM, PROBABILITIES
from loracle.diagnosis.softmax_scale import ALORAGC_SOFTMAX_SCALES, ATTENTION_SOFTMAX_SCALES
from loracle.diagnosis.tails import ATTENTION_TAILS, LINEAR_TAILS, UNWRITTEN
from loracle.diagnosis.transposition import (
    ALORAGC_TRANSPOSITIONS,
    ATTENTION_TRANSPOSITIONS,
    LINEAR_TRANSPOSITIONS,
    RESULT,
)
from loracle.diagnosis.upstream import ROW_ORDERS, UPSTREAM

__all__ = ["GENERIC", "NAMES", "TABLES", "Table", "table_of"]

GENERIC = ("constant-factor", "low-precision")
"""Classes that are fitted, and not in a table (low-precision is there too, by place)."""


@dataclass(frozen=True)
class Table:
    """mistakes: of the formulas, specific before generic. roundings: tried where no mistake fits.
    non_finite: compared with results that are not finite, which the others are not."""

    mistakes: tuple[Hypothesis, ...]
    roundings: tuple[Hypothesis, ...] = ()
    non_finite: tuple[Hypothesis, ...] = UNWRITTEN


_QUERIES = (("L",), ("L", "d"))

TABLES: Mapping[str, Table] = {
    "lora-linear": Table(
        (
            *LINEAR_SCALINGS,
            *factors(("batch",), ("length",), ("batch", "length"), ("batch", "length", "out")),
            *LINEAR_TERMS,
            *LINEAR_TRANSPOSITIONS,
            *LINEAR_RANK_AXES,
            *UPSTREAM,
            *ROW_ORDERS,
            *LINEAR_TAILS,
            *LINEAR_DOUBLED_TAILS,
            *STALE_LINEAR,
        ),
        LINEAR_ROUNDINGS,
    ),
    "aloragc": Table(
        (
            *factors(*_QUERIES),
            *TARGETS,
            *CORRECTIONS,
            *ALORAGC_SOFTMAX_SCALES,
            *PROBABILITIES,
            *ALORAGC_TRANSPOSITIONS,
            *ALORAGC_PROJECTIONS,
            *ALORAGC_RANK_AXES,
            *RESIDUALS,
            *ATTENTION_TAILS,
            *ATTENTION_DOUBLED_TAILS,
        ),
        ATTENTION_ROUNDINGS,
        (*MAXIMUM, *UNWRITTEN),
    ),
    "lora-attention": Table(
        (
            *ATTENTION_SCALINGS,
            *factors(*_QUERIES),
            *TARGETS,
            *CORRECTIONS,
            *ATTENTION_SOFTMAX_SCALES,
            *PROBABILITIES,
            *ATTENTION_TRANSPOSITIONS,
            *ATTENTION_PROJECTIONS,
            *ATTENTION_RANK_AXES,
            *RESIDUALS,
            *ATTENTION_TAILS,
            *ATTENTION_DOUBLED_TAILS,
            *STALE_ATTENTION,
        ),
        ATTENTION_ROUNDINGS,
        (*MAXIMUM, *UNWRITTEN),
    ),
    "lora-mha": Table(
        (
            *MHA_SCALINGS,
            *factors(("batch",), ("length",), ("batch", "length")),
            *MHA_SCALES,
            *MHA_HEADS,
            *MHA_MASKS,
            *MHA_SOFTMAX,
            *MHA_TERMS,
            *MHA_TRANSPOSITIONS,
            *MHA_PROJECTIONS,
            *MHA_RANK_AXES,
            *MHA_UPSTREAM,
            *MHA_ROWS,
            *MHA_TAILS,
            *MHA_DOUBLED_TAILS,
            *MHA_STALE,
        ),
        MHA_ROUNDINGS,
        non_finite=(*MHA_NO_KEY, *UNWRITTEN),
    ),
}

_ANY_CONTRACT = Table((*factors(), RESULT))


def table_of(contract: str) -> Table:
    """Of a contract without a table of its own, what can be said of any result."""
    return TABLES.get(contract, _ANY_CONTRACT)


NAMES: Mapping[str, frozenset[str]] = {
    contract: frozenset(
        {*GENERIC} | {h.name for h in (*table.mistakes, *table.roundings, *table.non_finite)}
    )
    for contract, table in TABLES.items()
}
"""Per contract, every class that can be named."""
