"""The end of an axis that counts twice: named so, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch

from loracle.cases import Case, Inputs
from loracle.corpus.calls import LoraMhaCall
from loracle.corpus.mha_steps import project_back, run
from loracle.diagnosis import Evidence
from loracle.diagnosis.repeats import REPEATS, Repeat

from .other_evaluations import in_torch
from .planted import Plant, failing, names, on, times, with_tensors

Array = npt.NDArray[np.float64]
Visit = Callable[[int], list[int]]


def moved_back(block: int) -> Visit:
    """What a loop over cdiv(n, block) tiles visits whose start is min(start, n - block)."""

    def visited(size: int) -> list[int]:
        places: list[int] = []
        for start in range(0, size, block):
            begin = max(min(start, size - block), 0)
            places += range(begin, min(begin + block, size))
        return places

    return visited


def tail_again(block: int) -> Visit:
    """A masked loop over all tiles, and one for the rest."""
    return lambda size: [*range(size), *range(size // block * block, size)]


def last_again(size: int) -> list[int]:
    return [*range(size), size - 1]


def repeat(words: str) -> Repeat:
    (found,) = [one for one in REPEATS if one.of("keys") == words]
    return found


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 31, 32, 33, 48, 63, 65, 130, 256, 257])
@pytest.mark.parametrize("block", [16, 32, 64, 128])
def test_weights_are_how_often_a_loop_visits(size: int, block: int) -> None:
    for words, visit in (
        (f"the keys that the last block of {block} takes again, moved back to fit,", None),
        (f"the keys beyond the last whole block of {block}", tail_again(block)),
        ("the last of the keys", last_again),
    ):
        visits = np.bincount((visit or moved_back(block))(size), minlength=size)
        weights = repeat(words).weights(size)
        found = np.ones(size) if weights is None else weights
        assert found.tolist() == visits.tolist(), words
        assert repeat(words).tells(size) == (1 in visits and 2 in visits), words


def weights_of(visit: Visit, size: int) -> Array:
    return np.bincount(visit(size), minlength=size).astype(np.float64)


def visiting(visit: Visit, *symbols: str) -> Plant:
    """The first axis of the named inputs is read as often as a loop visits it."""

    def change(inputs: Inputs) -> Inputs:
        t = inputs.tensors
        return with_tensors(inputs, **{n: t[n][visit(len(t[n]))] for n in symbols})

    return on(change)


def weighted(symbols: str, axis: int, visit: Visit) -> Plant:
    """Along an axis."""

    def times_visits(tensor: Array) -> Array:
        weights = weights_of(visit, tensor.shape[axis])
        return np.moveaxis(np.moveaxis(tensor, axis, -1) * weights, -1, axis)

    def change(inputs: Inputs) -> Inputs:
        t = inputs.tensors
        return with_tensors(inputs, **{n: times_visits(t[n]) for n in symbols.split()})

    return on(change)


def rows_weighted(symbol: str, visit: Visit) -> Plant:
    """Of batch * length."""

    def change(inputs: Inputs) -> Inputs:
        tensor = inputs.tensors[symbol]
        weights = weights_of(visit, tensor.shape[0] * tensor.shape[1])
        return with_tensors(inputs, **{symbol: tensor * weights.reshape(*tensor.shape[:2], 1)})

    return on(change)


def rows_of_layers(call: LoraMhaCall) -> dict[str, torch.Tensor]:
    """lora-mha: dA and dB sum blocks of 16 rows, the last moved back."""

    def back(call: LoraMhaCall, m: str, grad: torch.Tensor) -> dict[str, torch.Tensor]:
        rows = grad.shape[0] * grad.shape[1]
        weights = torch.tensor(weights_of(moved_back(16), rows), dtype=grad.dtype)
        found = project_back(call, m, grad * weights.reshape(*grad.shape[:2], 1))
        return {**found, "x": project_back(call, m, grad)["x"]}

    return run(call, back=back)


def mha(wrong: Callable[[LoraMhaCall], dict[str, torch.Tensor]]) -> Plant:
    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        def kernel(**call: Any) -> Any:
            return wrong(cast(LoraMhaCall, call))

        return in_torch(kernel, case, inputs)[output]

    return plant


LINEAR, SMALL, SCORES = "lora-linear", "aloragc", "lora-attention"

PLANTED: list[tuple[str, str, str, Plant]] = [
    (LINEAR, "grad_lora_a", "rows", rows_weighted("grad_output", moved_back(16))),
    (LINEAR, "grad_lora_b", "rows, the rest", rows_weighted("grad_output", tail_again(32))),
    (LINEAR, "output", "rows", rows_weighted("x", moved_back(16))),
    (LINEAR, "grad_lora_b", "length", weighted("grad_output", 1, moved_back(16))),
    (LINEAR, "grad_lora_a", "last of a sample", weighted("grad_output", 1, last_again)),
    (LINEAR, "grad_x", "last sample", weighted("grad_output", 0, last_again)),
    (LINEAR, "output", "features", weighted("x", 2, moved_back(16))),
    (LINEAR, "output", "features of A", weighted("lora_a", 1, moved_back(16))),
    (LINEAR, "grad_lora_b", "features of A", weighted("lora_a", 1, last_again)),
    (LINEAR, "grad_x", "out", weighted("grad_output", 2, moved_back(16))),
    (LINEAR, "grad_lora_b", "last rank", weighted("lora_a", 0, last_again)),
    (SMALL, "grad_a", "queries", visiting(moved_back(16), "c1", "y")),
    (SMALL, "grad_b", "keys", visiting(moved_back(16), "c2", "c3")),
    (SMALL, "grad_a", "keys, the rest", visiting(tail_again(16), "c2", "c3")),
    (SCORES, "grad_a_k", "queries", visiting(moved_back(16), "x_q", "y")),
    (SCORES, "grad_b_v", "last query", visiting(last_again, "x_q", "y")),
    (SCORES, "grad_b_q", "keys", visiting(moved_back(32), "x_k", "x_v")),
    (SCORES, "grad_b_q", "features", weighted("w_k a_k", 1, last_again)),
    ("lora-mha", "grad_x", "queries", weighted("grad_output", 1, moved_back(16))),
    ("lora-mha", "grad_lora_a_v", "rows", mha(rows_of_layers)),
]


@pytest.mark.parametrize(
    ("contract", "output", "what", "plant"), PLANTED, ids=["-".join(p[:3]) for p in PLANTED]
)
def test_it_is_named_alone(contract: str, output: str, what: str, plant: Plant) -> None:
    """Neither a dropped tail, nor a doubled term, nor a factor."""
    assert names(failing(contract, "float32", 2, output, plant, of_each=3)) == ["doubled-tail"]


def without_tail(inputs: Inputs) -> Inputs:
    g = inputs.tensors["grad_output"]
    whole = g.shape[1] // 16 * 16 or g.shape[1]
    return with_tensors(inputs, grad_output=g * (np.arange(g.shape[1]) < whole)[:, None])


@pytest.mark.parametrize(
    ("output", "plant", "name"),
    [
        ("grad_lora_a", on(without_tail), "dropped-tail"),
        ("grad_x", on(lambda i: with_tensors(i, lora_b=2 * i.tensors["lora_b"])), "doubled-term"),
        ("grad_lora_b", times(lambda k: 2), "factor-two"),
        ("output", times(lambda k: 1.375), "constant-factor"),
    ],
)
def test_its_neighbours_are_not_named_so(output: str, plant: Plant, name: str) -> None:
    found = names(failing(LINEAR, "float32", 2, output, plant, of_each=3))
    assert found[0] == name
    assert "doubled-tail" not in found


def in_few_rows(evidence: list[Evidence]) -> list[Evidence]:
    return [e for e in evidence if np.prod(e.inputs.tensors["x"].shape[:2]) < 16]


def test_short_axes_alone_do_not_tell_it_from_a_factor() -> None:
    """Fewer rows than a block are all beyond the last whole one: everything is there twice. With
    one case of more rows it is named."""
    plant = rows_weighted("grad_output", tail_again(16))
    evidence = failing(LINEAR, "float32", 2, "grad_lora_b", plant, of_each=3)
    few = in_few_rows(evidence)
    assert 4 <= len(few) < len(evidence)
    assert names(few) == ["factor-two", "constant-factor"]
    assert names(evidence) == ["doubled-tail"]
