"""Hypothesis strategies for cases and inputs, and the check of one case.

    @given(case=strategies.cases("lora-linear", "bfloat16"))
    def test_my_kernel(case):
        strategies.assert_conforms(my_kernel, case)

A failing example shrinks to the smallest sizes and the first regime that still fail.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hypothesis import currently_in_test_context, reject
from hypothesis import strategies as st

from loracle.cases import Case
from loracle.contracts import Contract, contract_named
from loracle.errors import UsageError, checks_keywords
from loracle.generation.generate import case_of, generate, resized
from loracle.generation.regimes import regimes_of
from loracle.report import Report
from loracle.request import checked_dtype, chosen_cases
from loracle.testing.shared_process import KeptProcess
from loracle.testing.words import failure_text
from loracle.validation import validate_in

if TYPE_CHECKING:
    import torch

__all__ = ["Arguments", "arguments", "assert_conforms", "cases", "inputs"]

_INDICES = 6
"""What the inputs of a regime depend on the index by repeats after so many."""

_LARGEST = {"batch": 3, "length": 40, "L": 40, "M": 40, "num_heads": 4, "num_kv_heads": 4}
_LARGEST_WIDTH = 12
_LARGEST_SEED = 2**16 - 1


@checks_keywords
def cases(
    contract: str | Contract,
    dtype: Any = "float32",
    *,
    regimes: Iterable[str] | None = None,
    sizes: Mapping[str, int | tuple[int, int]] | None = None,
) -> st.SearchStrategy[Case]:
    """Cases of a contract in any of its regimes, or of those named, which shrink in this order:
    the sizes, the regime (the first is the simplest), the index, the seed.

    dtype: a name or a torch.dtype. sizes: per symbol, a number or the least and the greatest,
    instead of 1 to 40 for lengths, 12 for widths, 4 for heads and 3 for the batch.
    Raises UsageError on a name that there is not.
    """
    promise = contract if isinstance(contract, Contract) else contract_named(str(contract))
    name = checked_dtype(dtype)
    named = regimes_of(promise) if regimes is None else regimes
    chosen = [c.regime for c in chosen_cases(promise, name, 0, 1, named, None)]
    symbols = [symbol for symbol, _ in case_of(promise, name, 0, chosen[0], 0).sizes]
    ranges = {symbol: (1, _LARGEST.get(symbol, _LARGEST_WIDTH)) for symbol in symbols}
    for symbol, size in (sizes or {}).items():
        ranges[symbol] = _range(symbol, size, symbols, promise)

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        drawn_sizes = {symbol: draw(st.integers(*limits)) for symbol, limits in ranges.items()}
        regime = draw(st.sampled_from(chosen))
        index = draw(st.integers(0, _INDICES - 1))
        seed = draw(st.integers(0, _LARGEST_SEED))
        try:
            return resized(case_of(promise, name, seed, regime, index), drawn_sizes)
        except UsageError:
            reject()

    return drawn()


def inputs(
    contract: str | Contract, dtype: Any = "float32", *, device: str = "cpu", **choice: Any
) -> st.SearchStrategy[Arguments]:
    """The keyword arguments of a kernel: those of `cases`, which takes the same choice."""
    return cases(contract, dtype, **choice).map(lambda case: arguments(case, device))


class Arguments(dict[str, Any]):
    """Keyword arguments of a kernel, torch tensors and floats, printed as the call that makes them
    again."""

    def __init__(self, case: Case, device: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.case = case
        self._device = device

    def __repr__(self) -> str:
        device = "" if self._device == "cpu" else f", {self._device!r}"
        return f"loracle.strategies.arguments(loracle.{self.case!r}{device})"


def arguments(case: Case, device: str = "cpu") -> Arguments:
    """What a kernel is called with in this case: tensors of its dtype on the device, in the memory
    layout of the case, and floats."""
    import torch

    from loracle.harness.layouts import laid_out

    made = generate(case)
    tensors: dict[str, torch.Tensor] = {
        name: torch.tensor(value, dtype=getattr(torch, case.dtype), device=device)
        for name, value in made.tensors.items()
    }
    tensors |= {name: laid_out(tensors[name], layout) for name, layout in made.layouts.items()}
    return Arguments(case, device, {**tensors, **made.scalars})


@checks_keywords
def assert_conforms(
    kernel: Callable[..., Any] | str,
    case: Case,
    *,
    device: str = "cpu",
    machine: str | None = None,
    plan: str | None = None,
    epsilon: float | None = None,
    timeout: float = 60,
    repeats: int = 2,
    compile: bool = False,
    only_proven: bool = False,
) -> Report:
    """Judge a kernel on one case, with the arguments of `loracle.validate`.

    Raises AssertionError with the findings and the line that replays the case, also for what is
    suspect unless only_proven is set. Under Hypothesis a case that the kernel declares unsupported,
    or declines, is rejected; elsewhere that raises UsageError with the reason. Evidence and bias
    are not for one case to tell.
    """
    # pytest then shows the line of the test, and none of this function.
    __tracebackhide__ = True
    report = validate_in(
        _kept,
        kernel,
        contract=case.contract,
        dtype=case.dtype,
        device=device,
        seed=case.seed,
        epsilon=epsilon,
        machine=machine,
        timeout=timeout,
        plan=plan,
        repeats=repeats,
        compile=compile,
        only_cases=[case.key],
        across_cases=False,
    )
    if report.reason == "interrupted":
        raise KeyboardInterrupt
    if report.cases == 0 and not report.findings:
        if currently_in_test_context():
            reject()
        raise UsageError("; ".join(f"{s['what']}: {s['reason']}" for s in report.skipped))
    if report.verdict == "fail" or (report.findings and not only_proven):
        raise AssertionError(failure_text(report, case.key))
    return report


_last: tuple[Any, dict[str, Any], KeptProcess] | None = None
"""The process of the last kernel, which the next case most likely has, too."""


def _kept(kernel: Callable[..., Any] | str, **options: Any) -> KeptProcess:
    global _last
    if _last is not None and _last[0] is kernel and _last[1] == options:
        return _last[2]
    _end()
    _last = kernel, options, KeptProcess(kernel, **options)
    return _last[2]


def _end() -> None:
    global _last
    if _last is not None:
        _last[2].close()
    _last = None


atexit.register(_end)


def _range(
    symbol: str, size: int | tuple[int, int], symbols: Iterable[str], contract: Contract
) -> tuple[int, int]:
    if symbol not in symbols:
        raise UsageError(f"{contract.name} has no size {symbol!r}; it has: {', '.join(symbols)}")
    least, greatest = size if isinstance(size, tuple) else (size, size)
    if not 1 <= least <= greatest:
        raise UsageError(f"the size {symbol} must be a number from 1, or two of them, not {size!r}")
    return least, greatest
