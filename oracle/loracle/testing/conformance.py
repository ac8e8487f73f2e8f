"""`loracle.conformance`: a test function becomes the tests of a kernel."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from loracle.contracts import Contract, infer_contract
from loracle.errors import UsageError, checks_keywords
from loracle.testing.kernel_tests import WHOLE, KernelTests

__all__ = ["PARAMETER", "Part", "Parts", "conformance", "parts_of"]

PARAMETER = "loracle_part"
"""The parameter that the plugin fills in, with a `Part`."""

_ATTRIBUTE = "__loracle_parts__"

_FORM = "@loracle.conformance(kernel, ...)"


class Part:
    """One test: a regime of a kernel, or the whole. name: its id."""

    def __init__(self, tests: KernelTests, part: str, name: str, *, only_proven: bool) -> None:
        self.tests = tests
        self.part = part
        self.name = name
        self.only_proven = only_proven


class Parts:
    """All tests of one kernel. dtype and seed may be lists: every one with every one."""

    def __init__(
        self,
        kernel: Callable[..., Any] | str,
        options: Mapping[str, Any],
        *,
        only_proven: bool = False,
    ) -> None:
        self._only_proven = only_proven
        self._tests = [
            (prefix, KernelTests(kernel, {**options, "dtype": dtype, "seed": seed}))
            for dtype, dtype_name in _each(options.get("dtype", "float32"), "")
            for seed, seed_name in _each(options.get("seed", 0), "seed")
            for prefix in ["".join(f"{name}-" for name in (dtype_name, seed_name) if name)]
        ]

    def expect(self, path: str) -> None:
        """The file of expected failures, where none was named before."""
        for _, tests in self._tests:
            if tests.options.get("expected_failures") is None:
                tests.options["expected_failures"] = path

    def __iter__(self) -> Iterator[Part]:
        """In an order that depends on the arguments alone, each whole after its regimes.

        Raises UsageError if the kernel's contract cannot be told, on an argument that means
        nothing, or if the file of expected failures cannot be read.
        """
        (_, first), *_ = self._tests
        first.check_expected_failures()
        for prefix, tests in self._tests:
            tests.contract = first.contract
            tests.check()
            for part in (*tests.regimes, WHOLE):
                yield Part(tests, part, prefix + part, only_proven=self._only_proven)


@checks_keywords
def conformance(
    kernel: Callable[..., Any] | str,
    contract: str | Contract | None = None,
    dtype: Any = "float32",
    device: str = "cpu",
    cases: int | None = None,
    seed: int | Sequence[int] = 0,
    regimes: Iterable[str] | None = None,
    epsilon: float | None = None,
    machine: str | None = None,
    timeout: float = 60,
    *,
    plan: str | None = None,
    repeats: int = 2,
    compile: bool = False,
    only_cases: Sequence[str] | None = None,
    expected_failures: str | os.PathLike[str] | None = None,
    only_proven: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that makes of a test function the tests of a kernel, under pytest: one for each
    regime, named after it, and one named `whole`.

    The arguments are those of `loracle.validate`; dtype and seed may also be lists, whose tests are
    named as in `bfloat16-seed3-ragged`. only_proven: what is only suspect does not fail a test.
    expected_failures: the file, that of --loracle-expected-failures if there is none; a test with
    nothing but these is an expected failure of pytest's, too.
    The function's body runs after its part has passed; a parameter `report` is the part's Report,
    others are fixtures.

    Raises UsageError on what is no kernel, such as the test itself where the parentheses are
    forgotten, and on a dtype or a seed that means nothing; what else is wrong the collection or the
    test says, in one line.
    """
    _check_kernel(kernel, contract)
    options = {
        "contract": contract,
        "dtype": dtype,
        "device": device,
        "cases": cases,
        "seed": seed,
        "regimes": regimes,
        "epsilon": epsilon,
        "machine": machine,
        "timeout": timeout,
        "plan": plan,
        "repeats": repeats,
        "compile": compile,
        "only_cases": only_cases,
        "expected_failures": expected_failures,
    }
    parts = Parts(kernel, options, only_proven=only_proven)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(function) or isinstance(function, type):
            raise UsageError(f"{_FORM} stands before a test function")
        return _test_of(function, parts)

    return decorate


def parts_of(function: object) -> Parts | None:
    """The tests that a decorated function stands for; None for any other."""
    parts = getattr(function, _ATTRIBUTE, None)
    return parts if isinstance(parts, Parts) else None


def _check_kernel(kernel: object, contract: object) -> None:
    if isinstance(kernel, str):
        return
    if not callable(kernel):
        raise UsageError(f"write {_FORM}: a kernel is a callable or a TARGET, not {kernel!r}")
    name = getattr(kernel, "__name__", "")
    if contract is None and name.lower().startswith("test"):
        try:
            infer_contract(kernel)
        except UsageError:
            raise UsageError(
                f"write {_FORM} before {name}: which kernel does it test?"
                f" (If {name} is the kernel, name its contract.)"
            ) from None


def _test_of(function: Callable[..., Any], parts: Parts) -> Callable[..., Any]:
    """What pytest calls: it asks for `loracle_part` and `request` beside the fixtures that the
    function asks for."""
    parameters = list(inspect.signature(function).parameters.values())
    own = [p for p in parameters if p.name != "report"]
    names = {p.name for p in own}

    @functools.wraps(function)
    def test(*instance: Any, loracle_part: Part, request: Any, **fixtures: Any) -> None:
        from loracle.testing.outcome import settle

        report = settle(loracle_part, request.node)
        if "request" in names:
            fixtures["request"] = request
        if len(own) < len(parameters):
            fixtures["report"] = report
        function(*instance, **fixtures)

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
        for name in (PARAMETER, "request")
        if name not in names
    ]
    setattr(test, _ATTRIBUTE, parts)
    test.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    return test


def _each(value: Any, prefix: str) -> list[tuple[Any, str]]:
    """The values of a list, each with its part of a test's id; a single one goes without."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [(value, "")]
    several = list(value)
    if not several:
        raise UsageError("conformance: a list of dtypes or seeds is empty")
    return [(one, prefix + str(one).removeprefix("torch.")) for one in dict.fromkeys(several)]
