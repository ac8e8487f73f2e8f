"""The corpus is what it says, judged without the oracle: against float64 autograd of the loss."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor

import loracle.corpus
from loracle.contracts import CONTRACTS, infer_contract
from loracle.corpus.catalogue import RIGHT, WRONG, RightKernel, WrongKernel
from loracle.corpus.entry import ALL_DTYPES, Entry
from loracle.diagnosis.hypotheses import NAMES
from loracle.harness.layouts import laid_out

Call = dict[str, Tensor | float]

GRADIENTS_OF_INPUTS = ("lora-linear", "lora-mha")

# Errors relative to the largest entry of an output. On the inputs below every right kernel stays
# below, and every wrong one comes out above.
THRESHOLDS = {"float64": 1e-11, "float32": 1e-4, "bfloat16": 0.1, "float16": 0.03}

STRUCTURAL = {
    "mutates-input",
    "crash",
    "missing-output",
    "wrong-shape",
    "wrong-dtype",
    "false-certificate",
}
OVERFLOWING = {"lora-mha-causal-mask-one-too-late-in-backward"}
"""Its exponentials, which no sum divides, are wrong, and overflow where scores are large."""

OTHER = {"non-finite", "nondeterministic", "stale-cache"}.union(*NAMES.values())


def _normal(generator: torch.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, dtype=torch.float64, generator=generator)


def _linear(seed: int, batch: int, length: int, width: int, out: int, rank: int, s: float) -> Call:
    g = torch.Generator().manual_seed(seed)
    return {
        "x": _normal(g, batch, length, width),
        "weight": _normal(g, out, width),
        "lora_a": _normal(g, rank, width),
        "lora_b": _normal(g, out, rank),
        "scaling": s,
        "grad_output": _normal(g, batch, length, out),
    }


def _aloragc(seed: int, queries: int, keys: int, d: int, rank: int, scores: float = 0.7) -> Call:
    g = torch.Generator().manual_seed(seed)
    return {
        "c1": _normal(g, queries, d, scale=scores),
        "c2": _normal(g, keys, d),
        "c3": _normal(g, keys, d),
        "w": _normal(g, d, d, scale=0.4),
        "a": _normal(g, rank, d, scale=0.5),
        "b": _normal(g, d, rank, scale=0.5),
        "y": _normal(g, queries, d),
    }


def _attention(
    seed: int, queries: int, keys: int, d: int, rank: int, s: float, scores: float = 1.0
) -> Call:
    g = torch.Generator().manual_seed(seed)
    inputs: Call = {
        "x_q": _normal(g, queries, d, scale=scores),
        "x_k": _normal(g, keys, d),
        "x_v": _normal(g, keys, d),
        "scaling": s,
        "beta": 0.375,
        "y": _normal(g, queries, d),
    }
    for m in "qkv":
        inputs[f"w_{m}"] = _normal(g, d, d, scale=0.4)
        inputs[f"a_{m}"] = _normal(g, rank, d, scale=0.4)
        inputs[f"b_{m}"] = _normal(g, d, rank, scale=0.4)
    return inputs


def _mha(
    seed: int, sizes: tuple[int, ...], heads: tuple[int, int], *, causal: bool, scores: float = 1.0
) -> Call:
    """sizes: batch, length, model, head_dim, r."""
    g = torch.Generator().manual_seed(seed)
    batch, length, model, head_dim, rank = sizes
    inputs: Call = {
        "x": _normal(g, batch, length, model),
        "grad_output": _normal(g, batch, length, heads[0] * head_dim),
        "softmax_scale": 0.75 * scores,
        "num_heads": heads[0],
        "num_kv_heads": heads[1],
        "causal": causal,
    }
    for m, count, s in (("q", heads[0], 1.5), ("k", heads[1], -0.75), ("v", heads[1], 1.25)):
        inputs[f"weight_{m}"] = _normal(g, count * head_dim, model, scale=0.4)
        inputs[f"lora_a_{m}"] = _normal(g, rank, model, scale=0.4)
        inputs[f"lora_b_{m}"] = _normal(g, count * head_dim, rank, scale=0.4)
        inputs[f"scaling_{m}"] = s
    return inputs


def _without_b(call: Call) -> Call:
    return {k: torch.zeros_like(v) if k in ("lora_b", "b") else v for k, v in call.items()}  # type: ignore[arg-type]


def _with_sliced_upstream(call: Call) -> Call:
    """The upstream gradient between NaN in a wider buffer."""
    return {**call, "grad_output": laid_out(_tensor(call, "grad_output"), "sliced")}


def _with_transposed_upstream(call: Call) -> Call:
    return {**call, "grad_output": laid_out(_tensor(call, "grad_output"), "transposed")}


def _with_zero_key(call: Call) -> Call:
    keys = _tensor(call, "x_k").clone()
    keys[0] = 0
    return {**call, "x_k": keys}


def _tensor(call: Call, name: str) -> Tensor:
    value = call[name]
    assert isinstance(value, Tensor)
    return value


# The first two of each contract have the same sizes (for what is cached by shape), one is square
# (for transpositions), none is a multiple of 16, and every rank has more than one column.
GENERIC: Mapping[str, tuple[Call, ...]] = {
    "lora-linear": (
        _linear(1, 3, 7, 6, 6, 3, 1.5),
        _linear(2, 3, 7, 6, 6, 3, -0.75),
        _linear(3, 2, 13, 5, 8, 2, 1.25),
    ),
    "aloragc": (
        _aloragc(4, 11, 21, 6, 3),
        _aloragc(5, 11, 21, 6, 3),
        _aloragc(6, 9, 9, 4, 2),
    ),
    "lora-attention": (
        _attention(7, 11, 21, 6, 3, 1.5),
        _attention(8, 11, 21, 6, 3, -0.75),
        _attention(9, 9, 9, 4, 2, 1.25),
    ),
    "lora-mha": (
        _mha(20, (2, 7, 6, 3, 3), (6, 2), causal=True),
        _mha(21, (2, 7, 6, 3, 3), (6, 2), causal=False),
        _mha(22, (1, 9, 8, 4, 2), (2, 2), causal=True),
    ),
}
# More keys than a block of 64: for the wrong kernels alone, because right ones that keep partial
# sums in 16 bits stray further here than the threshold of this file allows.
LONG: Mapping[str, tuple[Call, ...]] = {
    "lora-linear": (_linear(13, 2, 71, 21, 18, 3, 1.5),),
    "aloragc": (_aloragc(12, 5, 130, 4, 2), _aloragc(14, 18, 5, 4, 2)),
    "lora-attention": (_attention(15, 100, 21, 4, 2, 1.25),),
    "lora-mha": (_mha(23, (1, 21, 6, 3, 2), (2, 1), causal=True),),
}
# B = 0, a rank of one, scores of a hundred: for the wrong kernels that are named alone, because a
# right output is noise beside a zero truth, or has lost its digits.
SPECIAL: Mapping[str, tuple[Call, ...]] = {
    "lora-linear-upstream-read-as-contiguous": (_with_sliced_upstream(GENERIC["lora-linear"][0]),),
    "lora-linear-upstream-viewed": (_with_transposed_upstream(GENERIC["lora-linear"][0]),),
    "lora-attention-zero-tokens-taken-for-padding": (
        _with_zero_key(_attention(19, 5, 3, 4, 2, 1.5)),
    ),
    "lora-linear-skipped-when-b-is-zero": (_without_b(GENERIC["lora-linear"][0]),),
    "lora-linear-scaled-by-largest-entry": (_without_b(GENERIC["lora-linear"][0]),),
    "aloragc-skipped-when-b-is-zero": (_without_b(GENERIC["aloragc"][0]),),
    "lora-attention-rank-one-asserted": (_attention(16, 5, 7, 4, 1, 1.5),),
    "lora-attention-scores-clamped": (_attention(18, 5, 7, 4, 2, 1.5, scores=40.0),),
    "lora-mha-scaling-of-first-call": ({**GENERIC["lora-mha"][0], "scaling_v": 2.5},),
}
# Scores of a thousand and more: only finiteness is looked at.
LARGE_SCORES: Mapping[str, tuple[Call, ...]] = {
    "lora-linear": (),
    "aloragc": (_aloragc(10, 5, 7, 4, 2, scores=800.0),),
    "lora-attention": (_attention(11, 5, 7, 4, 2, 1.5, scores=800.0),),
    "lora-mha": (_mha(24, (1, 5, 6, 3, 2), (2, 1), causal=True, scores=800.0),),
}


def _rounded(call: Call, dtype: str) -> Call:
    """A copy in the dtype, in memory that is laid out likewise."""
    target = getattr(torch, dtype)
    return {k: _copied(v, target) if isinstance(v, Tensor) else v for k, v in call.items()}


def _copied(value: Tensor, dtype: torch.dtype) -> Tensor:
    memory = torch.as_strided(value, (value.untyped_storage().nbytes() // 8,), (1,), 0).to(
        dtype, copy=True
    )
    return torch.as_strided(memory, value.shape, value.stride(), value.storage_offset())


def _truth(contract: str, call: Call) -> dict[str, Tensor]:
    """float64 autograd of the loss, written from its definition."""
    t: dict[str, Tensor] = {
        k: v.to(torch.float64, copy=True).requires_grad_()
        for k, v in call.items()
        if isinstance(v, Tensor)
    }
    leaves: tuple[str, ...]
    if contract == "lora-linear":
        delta = call["scaling"] * (t["lora_b"] @ t["lora_a"])
        output = torch.einsum("bli,oi->blo", t["x"], t["weight"] + delta)
        loss, leaves = (output * t["grad_output"]).sum(), ("x", "lora_a", "lora_b")
    elif contract == "aloragc":
        scores = t["c1"] @ (t["w"] + t["b"] @ t["a"]) @ t["c2"].T
        loss = 0.5 * (scores.softmax(1) @ t["c3"] - t["y"]).square().sum()
        leaves = ("a", "b")
    elif contract == "lora-mha":
        output = _attended(call, t)
        loss = (output * t["grad_output"]).sum()
        leaves = ("x", *(f"lora_{f}_{m}" for m in "qkv" for f in "ab"))
    else:
        q, k, v = (
            t[f"x_{m}"] @ (t[f"w_{m}"] + call["scaling"] * (t[f"b_{m}"] @ t[f"a_{m}"]))
            for m in "qkv"
        )
        z = (call["beta"] * (q @ k.T)).softmax(1) @ v
        loss = 0.5 * (z - t["y"]).square().sum()
        leaves = tuple(f"{f}_{m}" for m in "qkv" for f in "ab")
    gradients = torch.autograd.grad(loss, [t[name] for name in leaves])
    truth = {f"grad_{name}": g for name, g in zip(leaves, gradients, strict=True)}
    return {"output": output.detach(), **truth} if contract in GRADIENTS_OF_INPUTS else truth


def _attended(call: Call, t: Mapping[str, Tensor]) -> Tensor:
    """One sample, one head and one query after the other."""
    heads, kv_heads = int(call["num_heads"]), int(call["num_kv_heads"])
    q, k, v = (
        t["x"] @ (t[f"weight_{m}"] + call[f"scaling_{m}"] * (t[f"lora_b_{m}"] @ t[f"lora_a_{m}"])).T
        for m in "qkv"
    )
    width, length = q.shape[2] // heads, q.shape[1]
    columns = []
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        first = head * kv_heads // heads * width
        read = slice(first, first + width)
        rows = []
        for i in range(length):
            keys = slice(i + 1 if call["causal"] else length)
            scores = call["softmax_scale"] * (q[:, i : i + 1, own] @ k[:, keys, read].mT)
            rows.append(scores.softmax(2) @ v[:, keys, read])
        columns.append(torch.cat(rows, 1))
    return torch.cat(columns, 2)


def _defects(
    entry: Entry, call: Call, dtype: str, *, finite_only: bool
) -> Iterator[tuple[str, str]]:
    """(output or "", kind of defect) of one call; kind is "value" where a number is wrong."""
    given = _rounded(call, dtype)
    kept = {k: v.clone() for k, v in given.items() if isinstance(v, Tensor)}
    truth = _truth(entry.contract, given)
    try:
        results = entry.load()(**given)
    except (ValueError, RuntimeError):
        yield "", "crash"
        return
    if any(not torch.equal(given[name], value) for name, value in kept.items()):  # type: ignore[arg-type]
        yield "", "mutates-input"
    certificate: Mapping[str, Tensor | float] = results.get("certificate", {})
    for name, true in truth.items():
        result = results[name]
        if result is None:
            yield name, "missing-output"
        elif result.shape != true.shape:
            yield name, "wrong-shape"
        elif result.dtype != getattr(torch, dtype):
            yield name, "wrong-dtype"
        elif not torch.isfinite(result).all():
            yield name, "non-finite"
        elif not finite_only:
            largest = true.abs().max()
            error = (result.detach().double() - true).abs().max()
            if error > THRESHOLDS[dtype] * largest:
                yield name, "value"
            # This truth has rounding errors of its own.
            if error > certificate.get(name, torch.inf) + THRESHOLDS["float64"] * largest:
                yield name, "false-certificate"


def _all_defects(entry: Entry, dtype: str) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    wrong = isinstance(entry, WrongKernel)
    long = (*LONG[entry.contract], *SPECIAL.get(entry.name, ())) if wrong else ()
    for call in (*GENERIC[entry.contract], *long):
        found.update(_defects(entry, call, dtype, finite_only=False))
    for call in LARGE_SCORES[entry.contract]:
        found.update(_defects(entry, call, dtype, finite_only=True))
    return found


def _in_each_dtype(entries: tuple[Entry, ...]) -> list[object]:
    return [pytest.param(e, d, id=f"{e.name}-{d}") for e in entries for d in e.dtypes]


@pytest.mark.parametrize(("entry", "dtype"), _in_each_dtype(RIGHT))
def test_right_kernel_agrees_with_autograd(entry: RightKernel, dtype: str) -> None:
    assert _all_defects(entry, dtype) == set()


@pytest.mark.parametrize(("entry", "dtype"), _in_each_dtype(WRONG))
def test_wrong_kernel_is_wrong_where_it_says(entry: WrongKernel, dtype: str) -> None:
    if dtype == "float64" and "false-certificate" in entry.hypotheses:
        pytest.skip("the truth of this file is no more exact than what is certified")
    found = _all_defects(entry, dtype)
    assert found, "no defect on any input"
    assert {output for output, _ in found if output} == set(entry.outputs)
    kinds = {kind for _, kind in found}
    structural = STRUCTURAL.intersection(entry.hypotheses)
    expected = structural or ({"non-finite"} & set(entry.hypotheses)) or {"value"}
    assert kinds == expected | ({"non-finite"} if entry.name in OVERFLOWING else set())


@pytest.mark.parametrize("entry", [*RIGHT, *WRONG], ids=lambda entry: entry.name)
def test_every_kernel_works_on_the_device_of_its_inputs(entry: Entry) -> None:
    """As seen without a GPU: a tensor that is made without a word on where would lie on a third
    device, and no operation takes it together with the inputs."""
    dtype = entry.dtypes[0]
    for call in (*GENERIC[entry.contract], *LONG[entry.contract]):
        try:
            entry.load()(**_rounded(call, dtype))
        except (ValueError, RuntimeError):
            continue
        with torch.device("meta"):
            results = entry.load()(**_rounded(call, dtype))
        tensors = [value for value in results.values() if isinstance(value, Tensor)]
        assert not any(tensor.is_meta for tensor in tensors)


def test_names_are_unique_kebab_case() -> None:
    names = [entry.name for entry in (*WRONG, *RIGHT)]
    assert len(set(names)) == len(names)
    assert all(n == n.lower() and n.replace("-", "").isalnum() for n in names)


@pytest.mark.parametrize("entry", [*WRONG, *RIGHT], ids=lambda e: e.name)
def test_entry_is_consistent(entry: Entry) -> None:
    assert set(entry.dtypes) <= set(ALL_DTYPES)
    assert entry.dtypes
    assert entry.what.endswith(".")
    assert entry.source
    assert infer_contract(entry.load()).name == entry.contract
    if isinstance(entry, WrongKernel):
        assert set(entry.outputs) <= set(CONTRACTS[entry.contract].outputs)
        assert set(entry.hypotheses) <= STRUCTURAL | OTHER
        assert bool(entry.left_out) == (set(entry.dtypes) != set(ALL_DTYPES))
        assert not set(entry.right_in) & set(entry.dtypes)
        assert set(entry.unnamed_in) <= set(entry.dtypes)
        assert entry.hypotheses or not entry.unnamed_in
        assert set(entry.dtypes) | set(entry.right_in) | set(entry.exempt) == set(ALL_DTYPES)


def test_every_kernel_of_the_modules_is_listed_once() -> None:
    root = Path(loracle.corpus.__file__).parent
    written = {
        f"loracle.corpus.{side}.{path.stem}:{function}"
        for side in ("wrong", "right")
        for path in (root / side).glob("[!_]*.py")
        for function in import_module(f"loracle.corpus.{side}.{path.stem}").__all__
    }
    listed = [entry.target for entry in (*WRONG, *RIGHT)]
    assert len(set(listed)) == len(listed)
    assert set(listed) == written


def test_catalogue_does_not_import_torch() -> None:
    code = "import sys, loracle.corpus.catalogue; sys.exit('torch' in sys.modules)"
    root = Path(loracle.corpus.__file__).parents[2]
    path = [str(root), str(root.parent / "reference")]
    environment = {"PYTHONPATH": ":".join(path)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )
