"""A kernel in a place of its own: started, called, replaced when it dies, ended."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, NoReturn, Self

from loracle.adapters import find_adapter, installed_version
from loracle.cases import Inputs
from loracle.contracts import Contract, infer_contract
from loracle.declaration import Declaration
from loracle.errors import UsageError
from loracle.evaluation import output_shapes
from loracle.harness.child import Order
from loracle.harness.children import ForkedChild, FreshInterpreter, InThisProcess, Place
from loracle.harness.messages import Call, LoadedKernel, Observed, Parameter, Refused, Target
from loracle.harness.targets import parse_target
from loracle.observation import Observation, Problem
from loracle_reference.floating_point import FORMATS

__all__ = ["KernelProcess", "Loaded"]

_LOADING_SECONDS = 120.0
_LONGEST_TIMEOUT = 86400
_FIRST_CALL_FACTOR = 10
_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class Loaded:
    """A kernel that is ready. outputs: the names it is expected to return, all of the contract's
    unless it declares fewer. environment: plain data for the report."""

    name: str
    contract: Contract
    declaration: Declaration
    outputs: tuple[str, ...]
    environment: dict[str, Any]
    notes: tuple[str, ...] = ()


class KernelProcess:
    """Runs one kernel, isolated, case after case.

    A callable on the CPU runs in a forked child; a TARGET string in a fresh interpreter that
    imports it; a callable on CUDA in a fresh interpreter if it can be imported, else, with a note,
    in this process. The child is replaced after it died or ran out of time.

    timeout: seconds for each observation (two runs of the kernel), at most a day; ten times as much
    for the first one in a child, which may compile. deaths: how many children died under a call.
    Raises UsageError on arguments that mean nothing (see also `start`).
    """

    def __init__(
        self,
        source: Callable[..., Any] | str,
        *,
        contract: Contract | None = None,
        dtype: str = "float32",
        device: str = "cpu",
        timeout: float = 60.0,
    ) -> None:
        if dtype not in FORMATS:
            raise UsageError(f"unknown dtype {dtype!r}; known: {', '.join(FORMATS)}")
        if not _DEVICE.fullmatch(device):
            raise UsageError(f"unknown device {device!r}; known: cpu, cuda, cuda:N")
        if not isinstance(timeout, int | float) or not 0 < timeout <= _LONGEST_TIMEOUT:
            raise UsageError(
                "the timeout must be a positive number of seconds,"
                f" at most {_LONGEST_TIMEOUT} (a day), not {timeout!r}"
            )
        if not isinstance(source, str) and not callable(source):
            kind = type(source).__name__
            raise UsageError(f"a kernel is a callable or a TARGET string, not a {kind}")
        self._contract = contract
        self._dtype = dtype
        self._device = device
        self._timeout = timeout
        self._source: Callable[..., Any] | Target
        if isinstance(source, str):
            self._source = parse_target(source, contract)
            self._name = _target_name(self._source)
        else:
            self._name = _callable_name(source)
            self._source = source
            if device != "cpu":
                self._source = importable_target(source) or source
        self._place: Place | None = None
        self._ready = False
        self._loaded: Loaded | None = None
        self._waiting: deque[Call] = deque()
        self._deadline: float | None = None
        """When the call that is now running is over time; None while none runs."""
        self._answered = 0
        self._first_call_failed = False
        self.deaths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def begin(self) -> None:
        """Start the child and return while it loads the kernel. Does nothing if it is started."""
        if self._place is None:
            self._place = self._new_place()
            self._ready = False
            self._answered = 0

    def finish(self) -> Loaded:
        """Wait until the kernel is loaded.

        Raises UsageError, in one line, if it cannot be loaded, if its contract cannot be told from
        its parameters, or if it does not take the contract's arguments or names unknown outputs.
        """
        if self._loaded is None:
            self.begin()
            self._await_ready()
        assert self._loaded is not None
        return self._loaded

    def start(self) -> Loaded:
        """`begin` and `finish`."""
        return self.finish()

    def observe(self, inputs: Inputs) -> Observation:
        """Run the kernel twice on independent copies of the inputs. A kernel's failure is a Problem
        of the observation, never an exception. No submitted call may be outstanding."""
        if self._waiting:
            raise RuntimeError("collect what was submitted before observing")
        self.submit(inputs)
        return self.collect()

    def submit(self, inputs: Inputs) -> None:
        """Hand over a case and return at once; `collect` gives the observations in this order.

        A case begins when it is submitted if none is outstanding, else when the one before it is
        collected. Raises ValueError if the inputs do not have the contract's shapes.
        """
        loaded = self.finish()
        self._waiting.append(Call(inputs, _expected_shapes(loaded, inputs)))
        self.begin()
        self._dispatch()

    def collect(self) -> Observation:
        """The observation of the oldest submitted case, waited for."""
        if not self._waiting:
            raise RuntimeError("nothing was submitted")
        observation = self._outcome()
        self._waiting.popleft()
        self._deadline = None
        if self._waiting:
            self.begin()
            self._dispatch()
        return observation

    def close(self) -> None:
        """End the child and all it started. May be called again; a later case starts another."""
        if self._place is not None:
            self._place.kill()
        self._place = None
        self._ready = False
        self._deadline = None
        self._waiting.clear()

    def _new_place(self) -> Place:
        source = self._source
        if isinstance(source, Target):
            return FreshInterpreter(Order(source, self._name, self._dtype, self._device))
        if self._device == "cpu":
            return ForkedChild(source, self._name, self._dtype, self._device)
        return InThisProcess(source, self._name, self._dtype, self._device)

    def _await_ready(self) -> None:
        """Take in the child's first answer; a kernel that cannot be loaded is the user's error."""
        assert self._place is not None
        limit = max(_LOADING_SECONDS, _FIRST_CALL_FACTOR * self._timeout)
        if not self._place.poll(limit):
            self._refuse(f"cannot load {self._name!r}: nothing within {limit:g} s")
        try:
            answer = self._place.take()
        except EOFError:
            reason = self._place.autopsy()
            self._refuse(f"cannot load {self._name!r}: {reason}")
        if isinstance(answer, Refused):
            self._refuse(answer.reason)
        assert isinstance(answer, LoadedKernel)
        if self._loaded is None:
            try:
                self._loaded = self._agreed(answer)
            except UsageError:
                self.close()
                raise
        self._ready = True

    def _agreed(self, answer: LoadedKernel) -> Loaded:
        loaded = _agree(answer, self._contract)
        if not isinstance(self._source, Target) or self._source.adapter is None:
            return loaded
        adapter = find_adapter(self._source.adapter)
        limits = adapter.unsupported_on.get(self._device.partition(":")[0], ())
        declared = loaded.declaration
        declaration = replace(declared, unsupported=(*declared.unsupported, *limits))
        return replace(loaded, declaration=declaration)

    def _refuse(self, reason: str) -> NoReturn:
        self.close()
        raise UsageError(reason)

    def _dispatch(self) -> None:
        """Give the oldest waiting call to the child if the child is known to be idle."""
        assert self._place is not None
        if not self._ready and self._place.poll(0):
            self._await_ready()
        if self._ready and self._deadline is None:
            factor = 1 if self._answered or self._first_call_failed else _FIRST_CALL_FACTOR
            self._deadline = time.monotonic() + factor * self._timeout
            self._place.post(self._waiting[0])

    def _outcome(self) -> Observation:
        """Wait for the call that is running, or for its failure."""
        assert self._place is not None
        if not self._ready:
            self._await_ready()
        self._dispatch()
        assert self._deadline is not None
        remaining = self._deadline - time.monotonic()
        if not self._place.poll(max(0.0, remaining)):
            first = self._answered == 0 and not self._first_call_failed
            limit = self._timeout * (_FIRST_CALL_FACTOR if first else 1)
            self._first_call_failed |= first
            place = self._place.interrogate()
            self._discard()
            where = f"; it was at {place}" if place else ""
            return _failure("timeout", f"no answer within {limit:g} s{where}")
        try:
            answer = self._place.take()
        except EOFError:
            reason = self._place.autopsy()
            self._discard()
            self.deaths += 1
            return _failure("crash", reason)
        assert isinstance(answer, Observed)
        self._answered += 1
        if answer.poisoned:
            self._discard()
        return answer.observation

    def _discard(self) -> None:
        """End a child that is of no more use; the next call begins another."""
        assert self._place is not None
        self._place.kill()
        self._place = None
        self._ready = False


def importable_target(kernel: Callable[..., Any]) -> Target | None:
    """The Target under which a new process finds this very callable, None if there is none."""
    module = getattr(kernel, "__module__", None)
    attribute = getattr(kernel, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(attribute, str) or module == "__main__":
        return None
    found: Any = sys.modules.get(module)
    for part in attribute.split("."):
        found = getattr(found, part, None)
    try:
        known = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        known = False
    return (
        Target(f"{module}:{attribute}", attribute, module=module)
        if known and found is kernel
        else None
    )


def _agree(answer: LoadedKernel, wanted: Contract | None) -> Loaded:
    """What the kernel is, as far as its parameters and its declaration allow."""
    contract = wanted or infer_contract(_Signature(answer.parameters))
    _check_parameters(answer, contract)
    outputs = answer.declaration.outputs or tuple(contract.outputs)
    unknown = [name for name in outputs if name not in contract.outputs]
    if unknown:
        raise UsageError(
            f"{answer.name} declares the output {unknown[0]!r}; {contract.name} has"
            f" {', '.join(contract.outputs)}"
        )
    return Loaded(
        name=answer.name,
        contract=contract,
        declaration=answer.declaration,
        outputs=outputs,
        environment=answer.environment,
        notes=answer.notes,
    )


def _check_parameters(answer: LoadedKernel, contract: Contract) -> None:
    """Raises UsageError if a call with the contract's arguments can only be a TypeError."""
    if answer.parameters is None:
        return
    by_name = {p.name for p in answer.parameters if p.by_name}
    missing = [name for name in contract.parameters if name not in by_name]
    if missing and not any(p.takes_rest for p in answer.parameters):
        raise UsageError(
            f"{answer.name} does not take {', '.join(missing)} by name;"
            f" {contract.name} passes {', '.join(contract.parameters)}"
        )
    required = [
        p.name for p in answer.parameters if p.required and p.name not in contract.parameters
    ]
    if required:
        raise UsageError(
            f"{answer.name} requires {', '.join(required)}, which {contract.name} does not pass;"
            " give a default"
        )


class _Signature:
    """Stands in the parent for a kernel that lives in a child, to be asked for its parameters."""

    def __init__(self, parameters: Sequence[Parameter] | None) -> None:
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter(p.name, inspect.Parameter.KEYWORD_ONLY)
                for p in parameters or ()
                if p.by_name
            ]
        )

    def __call__(self, **arguments: object) -> NoReturn:
        raise TypeError("the kernel is in another process")


def _expected_shapes(loaded: Loaded, inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """The shapes of the outputs, the symbols bound by the inputs' own shapes."""
    shapes = output_shapes(loaded.contract, inputs)
    return {name: shapes[name] for name in loaded.outputs}


def _failure(hypothesis: str, explanation: str) -> Observation:
    return Observation(problems=(Problem(hypothesis, None, explanation),))


def _target_name(target: Target) -> str:
    if target.adapter is None:
        return target.text
    package = target.packages[0]
    return f"{target.adapter} ({package} {installed_version(package)})"


def _callable_name(kernel: Callable[..., Any]) -> str:
    named = kernel
    while not hasattr(named, "__qualname__") and hasattr(named, "func"):
        named = named.func  # functools.partial
    qualified = getattr(named, "__qualname__", type(named).__qualname__)
    return f"{getattr(named, '__module__', type(named).__module__)}.{qualified}"
