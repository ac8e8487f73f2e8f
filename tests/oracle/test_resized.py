"""Cases with sizes of one's own: which can be made, and what stays of the case."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from loracle.contracts import CONTRACTS
from loracle.errors import UsageError
from loracle.evaluation import bind_sizes
from loracle.generation import cases_of, generate, regimes_of
from loracle.generation.generate import _can_be_made, resized
from loracle.generation.regimes import REGIMES

from .core_cases import a_case


def test_a_case_keeps_all_else() -> None:
    """Catches sizes that are changed in the key and not in the inputs, and a case that counts as
    its own with the sizes it has anyway."""
    case = a_case("lora-linear", "float16", "typical", 3, 7)
    assert resized(case, dict(case.sizes)) == case
    assert resized(case, {}) == case
    other = resized(case, {"r": 5, "length": 9})
    assert other.resized
    assert dict(other.sizes) == {**dict(case.sizes), "r": 5, "length": 9}
    assert list(dict(other.sizes)) == list(dict(case.sizes))
    assert (other.contract, other.regime, other.dtype) == ("lora-linear", "typical", "float16")
    assert (other.seed, other.index) == (7, 3)
    inputs = generate(other)
    assert bind_sizes(CONTRACTS["lora-linear"], inputs) == dict(other.sizes)
    assert inputs.scalars == generate(case).scalars
    # It stays so: its sizes are none that the regime draws.
    back = resized(other, {"r": dict(case.sizes)["r"], "length": dict(case.sizes)["length"]})
    assert back.resized
    assert back.sizes == case.sizes
    for name, tensor in generate(case).tensors.items():
        assert np.array_equal(generate(back).tensors[name], tensor), name


def test_of_two_keys_the_first_one_is_the_empty_one() -> None:
    """Without the last key a tail is lost, so that it is never empty; but for a single one."""
    for seed in range(8):
        structured = a_case("aloragc", "float32", "structured", 1, seed)
        pair = generate(resized(structured, {"M": 2})).tensors["c2"]
        assert [bool(key.any()) for key in pair] == [False, True]
        assert not generate(resized(structured, {"M": 1})).tensors["c2"].any()


def test_a_size_that_the_contract_does_not_have() -> None:
    with pytest.raises(UsageError) as error:
        resized(a_case("aloragc", "float32", "tiny"), {"d": 3, "heads": 2})
    assert str(error.value) == "aloragc has no size 'heads'; it has: L, M, d, r"


IMPOSSIBLE = [
    # Heads that are shared unevenly.
    ("lora-mha", "typical", 0, {"num_heads": 3, "num_kv_heads": 2}),
    ("lora-mha", "lora-init", 0, {"num_heads": 3, "num_kv_heads": 2}),
    # One channel that Q alone reads, and none for K.
    ("lora-mha", "extreme", 0, {"model": 1}),
    # Queries and keys are made of one input.
    ("lora-attention", "structured", 2, {"L": 1}),
    # A leading key beyond the first block.
    ("aloragc", "long", 2, {"M": 1}),
    # A token that is empty and another one that is ignored.
    ("lora-linear", "structured", 1, {"batch": 1, "length": 1}),
    # Two columns of B.
    ("lora-linear", "structured", 2, {"r": 1}),
    # Three formats, two tokens each.
    ("lora-linear", "extreme", 1, {"batch": 1, "length": 5}),
    ("lora-mha", "extreme", 1, {"batch": 1, "length": 5}),
    # And one query.
    ("aloragc", "extreme", 1, {"L": 2}),
    # Two batches on the first axis.
    ("lora-linear", "four-dimensional", 0, {"batch": 3}),
    ("lora-linear", "two-dimensional", 0, {"batch": 2}),
]


@pytest.mark.parametrize(("contract", "regime", "index", "sizes"), IMPOSSIBLE)
def test_sizes_of_which_a_regime_cannot_be_made(
    contract: str, regime: str, index: int, sizes: dict[str, int]
) -> None:
    """One line, and no traceback of the generator's."""
    case = a_case(contract, "float32", regime, index)
    with pytest.raises(UsageError) as error:
        resized(case, sizes)
    changed = ",".join(f"{s}={n}" for s, n in {**dict(case.sizes), **sizes}.items())
    key = f"{regime}:{index}@{changed}"
    assert str(error.value) == f"{regime} cannot be made of the sizes of {key}"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_sizes_as_drawn_can_be_made(contract: str) -> None:
    """Catches a check that refuses what there is: cases of every regime, heads that are shared
    evenly among them."""
    for regime in regimes_of(CONTRACTS[contract], on_request=True):
        assert _can_be_made(a_case(contract, "float32", regime, 1)), regime
    if contract == "lora-mha":
        case = a_case(contract, "float32", "typical")
        for heads, shared in ((4, 2), (3, 3), (5, 1)):
            assert dict(resized(case, {"num_heads": heads, "num_kv_heads": shared}).sizes)


def test_inputs_that_are_not_finite_cannot_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """No regime makes them of any sizes; one that did would be refused, not judged by NaN."""
    case = a_case("lora-linear", "float32", "tiny")
    inputs = generate(case)
    assert _can_be_made(case)
    inputs.tensors["lora_b"][0, 0] = np.inf
    monkeypatch.setattr(sys.modules["loracle.generation.generate"], "generate", lambda _: inputs)
    assert not _can_be_made(case)


def default_number(contract: str, regime: str) -> int:
    known = REGIMES[regime]
    return known.cases_in.get(contract, known.cases)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_number_of_cases_is_that_of_the_regime_unless_asked_for(contract: str) -> None:
    regimes = regimes_of(CONTRACTS[contract])
    for count in (None, 0, 2):
        cases = cases_of(CONTRACTS[contract], "float32", 5, regimes, count)
        expected = [
            (regime, index)
            for regime in regimes
            for index in range(default_number(contract, regime) if count is None else count)
        ]
        assert [(case.regime, case.index) for case in cases] == expected
        assert {(case.seed, case.dtype) for case in cases} <= {(5, "float32")}


def test_the_message_names_the_case_as_it_is_asked_for() -> None:
    with pytest.raises(UsageError, match=re.escape("structured:2@L=")):
        resized(a_case("aloragc", "float32", "structured", 2), {"r": 1})


@pytest.mark.parametrize(
    ("contract", "sizes", "names"),
    [
        ("lora-linear", {"batch": 1, "length": 5}, ("x",)),
        ("aloragc", {"L": 5, "M": 7}, ("c1", "c2")),
        ("lora-attention", {"L": 7, "M": 5}, ("x_q", "x_k")),
        ("lora-mha", {"length": 5}, ("x",)),
    ],
)
def test_an_odd_number_of_tokens_is_repeated_but_for_the_last(
    contract: str, sizes: dict[str, int], names: tuple[str, ...]
) -> None:
    """Where the regime itself draws even lengths alone."""
    inputs = generate(resized(a_case(contract, "float32", "structured"), sizes))
    for name in names:
        tensor = inputs.tensors[name]
        rows = tensor.reshape(-1, tensor.shape[-1])
        assert np.array_equal(rows[0:-1:2], rows[1:-1:2])
        assert not (rows[-1] == rows[-2]).any()


@pytest.mark.parametrize(
    ("contract", "sizes", "name"),
    [
        ("aloragc", {"M": 5}, "c2"),
        ("lora-attention", {"M": 5}, "x_k"),
        ("lora-mha", {"length": 5}, "x"),
    ],
)
def test_an_odd_number_of_keys_is_tied_but_for_the_last(
    contract: str, sizes: dict[str, int], name: str
) -> None:
    """The same of nearly equal neighbours."""
    keys = generate(resized(a_case(contract, "float64", "saturated"), sizes)).tensors[name]
    rows = keys.reshape(-1, 5, keys.shape[-1])
    largest = np.abs(rows).max()
    assert np.abs(rows[:, 1::2] - rows[:, 0:-1:2]).max() < 0.05 * largest
    assert np.abs(rows[:, -1] - rows[:, -2]).max() > 0.2 * largest


def test_a_massive_query_needs_a_key_to_stand_out() -> None:
    """Catches an assertion's traceback for a width of one."""
    case = a_case("lora-mha", "float32", "extreme")
    sizes = tuple({**dict(case.sizes), "model": 1}.items())
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(ValueError, match=r"^the channel that Q alone reads is the only one$"),
    ):
        generate(replace(case, sizes=sizes, resized=True))


@pytest.mark.parametrize("sizes", [{"length": 3}, {"model": 4}, {"length": 5, "model": 6}])
def test_narrow_bounds_are_designed_for_all_tokens_but_one(sizes: dict[str, int]) -> None:
    """One token has nearly all of the key, and all the others nearly all of the value, at sizes of
    which the regime itself draws the smallest alone."""
    x = generate(resized(a_case("lora-mha", "float64", "designed", 5), sizes)).tensors["x"]
    half = x.shape[2] // 2
    keys, values = np.abs(x[0, :, half:]).max(axis=1), np.abs(x[0, :, :half]).max(axis=1)
    leading = int(np.argmax(keys))
    others = [token for token in range(x.shape[1]) if token != leading]
    assert (keys[others] < keys[leading] / 64).all()
    assert (values[others] > 16 * values[leading]).all()


def test_what_no_contract_promises_is_run_on_request_alone() -> None:
    linear = CONTRACTS["lora-linear"]
    asked = set(regimes_of(linear, on_request=True)) - set(regimes_of(linear))
    assert asked == {"two-dimensional", "four-dimensional"}
    assert regimes_of(linear) == regimes_of(linear, on_request=False)
