"""A kernel in a place of its own: started, called, replaced when it dies, ended."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, NoReturn, Self

from loracle.adapters import find_adapter, installed_version
from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle.errors import UsageError
from loracle.evaluation import output_shapes
from loracle.harness.agreement import Loaded, agree
from loracle.harness.child import Order
from loracle.harness.children import ForkedChild, FreshInterpreter, InThisProcess, Place
from loracle.harness.devices import checked_device
from loracle.harness.limits import checked_timeout
from loracle.harness.messages import Call, LoadedKernel, Observed, Refused, Target
from loracle.harness.targets import parse_target
from loracle.harness.words import nearest_dtype
from loracle.observation import CONDITIONS, Condition, Observation, Problem
from loracle_reference.floating_point import FORMATS

__all__ = ["KernelProcess", "importable_target"]

_LOADING_SECONDS = 120.0
_FIRST_CALL_FACTOR = 10


class KernelProcess:
    """Runs one kernel, isolated, case after case.

    A callable on the CPU runs in a forked child; a TARGET string in a fresh interpreter that
    imports it; a callable on CUDA in a fresh interpreter if it can be imported, else, with a note,
    in this process. The child is replaced after it died or ran out of time.

    timeout: seconds for all equal calls of a case, and again for each condition, at most a day; ten
    times as much for the first ones in a child, which may compile, and for all if compile_kernel is
    set: then the kernel runs under torch.compile, which may compile anew for every size. repeats:
    how many equal calls. deaths: how many children died under a case.
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
        repeats: int = 2,
        compile_kernel: bool = False,
    ) -> None:
        if dtype not in FORMATS:
            meant = nearest_dtype(dtype, FORMATS)
            raise UsageError(f"unknown dtype {dtype!r}; known: {', '.join(FORMATS)}{meant}")
        checked_device(device)
        if not isinstance(source, str) and not callable(source):
            kind = type(source).__name__
            raise UsageError(f"a kernel is a callable or a TARGET string, not of type {kind}")
        self._contract = contract
        self._dtype = dtype
        self._device = device
        self._timeout = checked_timeout(timeout)
        self._repeats = repeats
        self._compile = compile_kernel
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
        """How many cases this child has answered."""
        self._first_call_failed = False
        self._too_slow: set[Condition] = set()
        """Under which a case did not end in time; no other is run under them."""
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

    def observe(self, inputs: Inputs, conditions: Iterable[Condition] = ()) -> Observation:
        """Run the kernel several times on independent copies of the inputs. A kernel's failure is a
        Problem of the observation, never an exception. No submitted call may be outstanding."""
        if self._waiting:
            raise RuntimeError("collect what was submitted before observing")
        self.submit(inputs, conditions)
        return self.collect()

    def submit(self, inputs: Inputs, conditions: Iterable[Condition] = ()) -> None:
        """Hand over a case and return at once; `collect` gives the observations in this order.
        conditions: those to run it under beside the equal calls.

        A case begins when it is submitted if none is outstanding, else when the one before it is
        collected. Raises ValueError if the inputs do not have the contract's shapes.
        """
        loaded = self.finish()
        shapes = _expected_shapes(loaded, inputs)
        wanted = tuple(name for name in conditions if name not in self._too_slow)
        self._waiting.append(Call(inputs, shapes, self._repeats, wanted))
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
            order = Order(source, self._name, self._dtype, self._device, self._compile)
            return FreshInterpreter(order)
        place = ForkedChild if self._device == "cpu" else InThisProcess
        return place(
            source,
            name=self._name,
            dtype=self._dtype,
            device=self._device,
            compile_kernel=self._compile,
        )

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
        if isinstance(self._source, Target) and self._source.adapter is not None:
            # An adapter's kernel declares nothing itself: what is known of it is listed.
            declaration = find_adapter(self._source.adapter).declaration_on(self._device)
            answer = replace(answer, declaration=declaration)
        return agree(answer, self._contract)

    def _refuse(self, reason: str) -> NoReturn:
        self.close()
        raise UsageError(reason)

    def _dispatch(self) -> None:
        """Give the oldest waiting call to the child if the child is known to be idle."""
        assert self._place is not None
        if not self._ready and self._place.poll(0):
            self._await_ready()
        if self._ready and self._deadline is None:
            self._deadline = time.monotonic() + self._limit()
            self._place.post(self._waiting[0])

    def _limit(self) -> float:
        """Seconds for what the child is to do next."""
        experienced = self._answered or self._first_call_failed
        return self._timeout * (1 if experienced and not self._compile else _FIRST_CALL_FACTOR)

    def _outcome(self) -> Observation:
        """Wait for the call that is running, or for its failure."""
        experienced = self._answered > 0
        answer = self._answer()
        if isinstance(answer, Observed):
            return self._with_conditions(answer)
        if answer.hypothesis == "crash":
            self.deaths += 1
            if experienced:
                return self._tried_again(answer)
        return Observation(problems=(answer,))

    def _tried_again(self, crash: Problem) -> Observation:
        """The case in whose call a child died that had answered others: it may have been damaged
        before, which another child, that has answered none, can tell."""
        self.begin()
        self._deadline = None
        answer = self._answer()
        if not isinstance(answer, Observed):
            return Observation(problems=(crash,))
        text = (
            f"{crash.explanation}; alone, in a new process, the same case ran: an earlier call has"
            " damaged the process, or the kernel dies now and then"
        )
        found = Problem("crash", None, text)
        return _joined(Observation(problems=(found,)), self._with_conditions(answer))

    def _with_conditions(self, answer: Observed) -> Observation:
        """The answer, joined with those that are pending."""
        observation = answer.observation
        while answer.pending and not answer.poisoned:
            condition = answer.pending[0]
            self._deadline = time.monotonic() + self._limit()
            following = self._answer(conditional=True)
            if isinstance(following, Observed):
                observation = _joined(observation, following.observation)
                answer = following
                continue
            how = CONDITIONS[condition]
            if following.hypothesis == "timeout":
                self._too_slow.add(condition)
                note = f"not seen {how}: {following.explanation}"
                return _joined(observation, Observation(notes=(note,)))
            self.deaths += 1
            found = Problem(condition, None, f"{following.explanation} ({how})")
            return _joined(observation, Observation(problems=(found,)))
        return observation

    def _answer(self, conditional: bool = False) -> Observed | Problem:
        """The child's next answer, waited for until the deadline; why there is none, and then no
        child either. conditional: that of a case under a condition."""
        if not self._ready:
            self._await_ready()
        self._dispatch()
        assert self._place is not None
        assert self._deadline is not None
        remaining = self._deadline - time.monotonic()
        if not self._place.poll(max(0.0, remaining)):
            limit = self._limit()
            self._first_call_failed |= self._answered == 0 and not conditional
            place = self._place.interrogate()
            self._discard()
            where = f"; it was at {place}" if place else ""
            return Problem("timeout", None, f"no answer within {limit:g} s{where}")
        try:
            answer = self._place.take()
        except EOFError:
            reason = self._place.autopsy()
            self._discard()
            return Problem("crash", None, reason)
        assert isinstance(answer, Observed)
        self._answered += not answer.pending
        if answer.poisoned:
            self._discard()
        return answer

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


def _expected_shapes(loaded: Loaded, inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """The shapes of the outputs, the symbols bound by the inputs' own shapes."""
    shapes = output_shapes(loaded.contract, inputs)
    return {name: shapes[name] for name in loaded.outputs}


def _joined(first: Observation, more: Observation) -> Observation:
    """All of both; where only one can have it, as the results, from the one that has them."""
    main = first if first.outputs or first.declined else more
    return replace(
        main,
        further=(*first.further, *more.further),
        problems=(*first.problems, *more.problems),
        notes=tuple(dict.fromkeys((*first.notes, *more.notes))),
    )


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
