"""`lora-mha`: scalars that belong to another call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.mha_forms import Problem, changed
from loracle.diagnosis.scaling import FEWEST_STALE
from loracle.generation.mha import (
    LONG_SCALE,
    LONG_SCALINGS,
    SCALES,
    SCALINGS,
    SQUARE_SCALES,
    SQUARE_SCALINGS,
)

__all__ = ["MHA_STALE"]

_CALLS = (*SCALINGS, *SQUARE_SCALINGS, LONG_SCALINGS)
_SCALES = (*SCALES, *SQUARE_SCALES, LONG_SCALE)
"""Those of the generated cases, any of which may be that of the first call."""


def _stale(what: str, change: Mapping[str, float], scale: float | None = None) -> Hypothesis:
    """change: the scaling of each layer that is stale. scale: that of the softmax, if it is."""

    def wrong(problem: Problem) -> Problem | None:
        layers = {
            m: replace(layer, scaling=change.get(m, layer.scaling))
            for m, layer in problem.layers.items()
        }
        stale = replace(problem, layers=layers, scale=problem.scale if scale is None else scale)
        same = all(layers[m].scaling == problem.layers[m].scaling for m in "qkv")
        return None if same and stale.scale == problem.scale else stale

    return changed(
        "stale-scalar",
        f"{{output}} has {what} in every case: that of another call",
        "scaling" if scale is None else "scale",
        wrong,
        fewest=FEWEST_STALE,
    )


def _of_layer(place: int, value: float) -> Hypothesis:
    m = "qkv"[place]
    return _stale(f"a scaling_{m} of {value}", {m: value})


MHA_STALE: tuple[Hypothesis, ...] = (
    *(
        _stale(f"scalings of {', '.join(map(str, call))}", dict(zip("qkv", call, strict=True)))
        for call in _CALLS
    ),
    *(
        _of_layer(place, value)
        for place in range(3)
        for value in dict.fromkeys(call[place] for call in _CALLS)
    ),
    *(_stale(f"a softmax_scale of {value}", {}, value) for value in _SCALES),
)
