"""A kernel may crash, hang, print or leave processes behind: the parent goes on, unharmed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from loracle.adapters.autograd import aloragc
from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.errors import UsageError
from loracle.harness import KernelProcess

ALORAGC = CONTRACTS["aloragc"]

MOODY = '''
"""A kernel whose mood is the first entry of y."""
import ctypes, os, signal, subprocess, sys, time
import torch
from loracle.adapters.autograd import aloragc

def kernel(*, c1, c2, c3, w, a, b, y):
    mood = int(y[0, 0])
    if mood == 1:
        ctypes.string_at(0)
    if mood == 2:
        os._exit(3)
    if mood == 3:
        print("terminate called after throwing", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
    if mood == 4:
        while True:
            time.sleep(0.01)
    if mood == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if mood == 6:
        print("noise" * 100000)
        os.write(1, b"more noise")
        os.write(2, b"more noise still")
        sys.stdin.read()
    if mood == 7:
        os.closerange(3, 64)
    if mood == 8:
        subprocess.Popen(["sleep", "61.25"])
        time.sleep(60)
    if mood == 9:
        os.fork()
    if mood == 10 and os.fork() == 0:
        raise RuntimeError("not the kernel's")
    return aloragc(c1=c1, c2=c2, c3=c3, w=w, a=a, b=b, y=y)
'''
SEGV, EXIT, TERM, HANG, KILLED, NOISE, CLOSED, CHILD, TWINS, RAISING_TWIN = range(1, 11)


def inputs(mood: int = 0, L: int = 3, d: int = 2) -> Inputs:
    sizes = {"L": L, "M": L + 1, "d": d, "r": 1}
    random = np.random.default_rng(L)
    tensors = {
        name: random.integers(-8, 9, [sizes[s] for s in shape]) / 8
        for name, shape in ALORAGC.tensors.items()
    }
    tensors["y"][0, 0] = mood
    return Inputs(tensors, {})


@pytest.fixture(scope="module")
def moody(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A TARGET: it runs in a fresh interpreter."""
    path = tmp_path_factory.mktemp("moody") / "moody.py"
    path.write_text(MOODY)
    return f"{path}:kernel"


@pytest.fixture(scope="module")
def moody_callable(moody: str) -> Callable[..., object]:
    """The same as a callable of this process: it runs in a fork."""
    scope: dict[str, object] = {}
    file = moody.rpartition(":")[0]
    exec(compile(MOODY, file, "exec"), scope)
    kernel = scope["kernel"]
    assert callable(kernel)
    return kernel


@pytest.fixture(params=["fork", "fresh"])
def source(request: pytest.FixtureRequest, moody: str) -> Callable[..., object] | str:
    """Both kinds of children."""
    if request.param == "fresh":
        return moody
    kernel: Callable[..., object] = request.getfixturevalue("moody_callable")
    return kernel


@pytest.mark.parametrize(
    ("mood", "explanation"),
    [
        (SEGV, r"the process died with signal SIGSEGV at .*moody\.py:10"),
        (EXIT, r"the process exited with status 3"),
        (TERM, r"died with signal SIGTERM after printing: terminate called after throwing"),
        (KILLED, r"died with signal SIGKILL \(killed from outside"),
    ],
)
def test_a_dead_child_is_a_crash_and_the_next_case_runs(
    moody_callable: Callable[..., object], mood: int, explanation: str
) -> None:
    with KernelProcess(moody_callable, contract=ALORAGC, timeout=30) as process:
        assert process.observe(inputs()).problems == ()
        (found,) = process.observe(inputs(mood)).problems
        assert (found.hypothesis, found.output) == ("crash", None)
        assert re.search(explanation, found.explanation)
        assert process.observe(inputs()).problems == ()


def test_a_fresh_interpreter_is_replaced_too(moody: str) -> None:
    with KernelProcess(moody, contract=ALORAGC, timeout=30) as process:
        (found,) = process.observe(inputs(CLOSED)).problems
        assert found.hypothesis == "crash"
        assert process.observe(inputs()).problems == ()


def test_a_kernel_that_hangs_is_killed_in_time_and_told_where(
    source: Callable[..., object] | str,
) -> None:
    with KernelProcess(source, contract=ALORAGC, timeout=0.5) as process:
        assert process.observe(inputs()).problems == ()
        started = time.monotonic()
        (found,) = process.observe(inputs(HANG)).problems
        assert time.monotonic() - started < 5
        assert (found.hypothesis, found.output) == ("timeout", None)
        assert re.fullmatch(
            r"no answer within 0\.5 s; it was at .*moody\.py:1[78]", found.explanation
        )
        assert process.observe(inputs()).problems == ()


def test_the_first_call_in_a_child_has_ten_times_as_long(
    moody_callable: Callable[..., object],
) -> None:
    with KernelProcess(moody_callable, contract=ALORAGC, timeout=0.2) as process:
        (first,) = process.observe(inputs(HANG)).problems
        (second,) = process.observe(inputs(HANG)).problems
    assert first.explanation.startswith("no answer within 2 s")
    assert second.explanation.startswith("no answer within 0.2 s"), "the allowance is given once"


def test_noise_reaches_neither_the_channel_nor_the_terminal(
    source: Callable[..., object] | str, capfd: pytest.CaptureFixture[str]
) -> None:
    with KernelProcess(source, contract=ALORAGC, timeout=30) as process:
        for _ in range(3):
            seen = process.observe(inputs(NOISE))
            assert (seen.problems, len(seen.outputs)) == ((), 2)
    assert capfd.readouterr() == ("", "")


def test_what_a_kernel_started_dies_with_it(source: Callable[..., object] | str) -> None:
    with KernelProcess(source, contract=ALORAGC, timeout=1) as process:
        process.observe(inputs())
        process.observe(inputs(CHILD))
    # A zombie that nobody has reaped yet has no command line.
    deadline = time.monotonic() + 5
    while running("sleep\x0061.25") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running("sleep\x0061.25") == []


def running(words: str) -> list[int]:
    """The processes whose command line has these words (separated by NUL)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if words in command:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("mood", [TWINS, RAISING_TWIN])
def test_only_the_process_that_was_called_answers(
    source: Callable[..., object] | str, mood: int
) -> None:
    lengths = range(2, 8)
    with KernelProcess(source, contract=ALORAGC, timeout=30) as process:
        seen = []
        for length in lengths:
            seen.append(process.observe(inputs(mood, L=length)))
            time.sleep(0.05)
        assert process.deaths == 0
    assert [s.problems for s in seen] == [()] * len(lengths)
    for length, observed in zip(lengths, seen, strict=True):
        given = inputs(mood, L=length).tensors
        expected = aloragc(**{name: torch.tensor(value) for name, value in given.items()})
        for name, value in expected.items():
            assert np.allclose(observed.outputs[name], value.detach(), rtol=1e-3, atol=1e-5)


def test_a_fork_while_the_kernel_is_loaded_answers_once(tmp_path: Path) -> None:
    (tmp_path / "forks.py").write_text(f"import os\nos.fork()\n{MOODY}")
    with KernelProcess(f"{tmp_path}/forks.py:kernel", contract=ALORAGC, timeout=30) as process:
        for length in (2, 3, 4):
            assert process.observe(inputs(L=length)).problems == ()


def test_what_a_backward_pass_imports_is_imported_once_for_all_forks() -> None:
    """By the parent, where it forks a second time and has imported torch; not for a single kernel.
    Catches a second spent in every fork."""
    text = (
        _RUN
        + """
import torch
def kernel(**tensors):
    name = "torch.fx.experimental.symbolic_shapes"
    return {"grad_a": tensors["a"] * 0 + (name in sys.modules), "grad_b": tensors["b"]}
for _ in range(3):
    with KernelProcess(kernel, contract=contract) as process:
        process.start()
        print(process.observe(inputs).outputs["grad_a"].max())
"""
    )
    assert script(text).communicate(timeout=120)[0].split() == ["0.0", "1.0", "1.0"]


def test_deaths_are_counted(moody_callable: Callable[..., object]) -> None:
    with KernelProcess(moody_callable, contract=ALORAGC, timeout=30) as process:
        for mood in (0, SEGV, EXIT, 0):
            process.observe(inputs(mood))
        assert process.deaths == 2


def test_closing_leaves_no_process_and_may_be_repeated(
    source: Callable[..., object] | str,
) -> None:
    process = KernelProcess(source, contract=ALORAGC)
    process.close()
    process.start()
    place = process._place
    assert place is not None
    pid = place.pid  # type: ignore[attr-defined]
    assert Path(f"/proc/{pid}").exists()
    process.close()
    process.close()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_cases_handed_over_ahead_come_back_in_order(
    moody_callable: Callable[..., object],
) -> None:
    moods = [0, SEGV, 0, 0, EXIT, 0]
    with KernelProcess(moody_callable, contract=ALORAGC, timeout=30) as process:
        for length, mood in enumerate(moods, start=2):
            process.submit(inputs(mood, L=length))
        seen = [process.collect() for _ in moods]
        alone = [process.observe(inputs(L=length)) for length in (2, 4)]
        with pytest.raises(RuntimeError, match="nothing was submitted"):
            process.collect()
        process.submit(inputs())
        with pytest.raises(RuntimeError, match="collect what was submitted"):
            process.observe(inputs())
    assert [bool(s.problems) for s in seen] == [bool(mood) for mood in moods]
    assert np.array_equal(seen[0].outputs["grad_a"], alone[0].outputs["grad_a"])
    assert np.array_equal(seen[2].outputs["grad_a"], alone[1].outputs["grad_a"])


def test_a_fresh_interpreter_is_handed_cases_ahead_too(moody: str) -> None:
    lengths = (2, 3, 4)
    with KernelProcess(moody, contract=ALORAGC, timeout=30) as process:
        for length in lengths:
            process.submit(inputs(L=length))
        seen = [process.collect() for _ in lengths]
        alone = process.observe(inputs(L=3))
    assert np.array_equal(seen[1].outputs["grad_a"], alone.outputs["grad_a"])
    assert not np.array_equal(seen[0].outputs["grad_a"], alone.outputs["grad_a"])


def test_long_inputs_pass(moody: str) -> None:
    with KernelProcess(moody, contract=ALORAGC) as process:
        for length in (3000, 1000):
            process.submit(inputs(L=length, d=64))
        assert [process.collect().problems for _ in range(2)] == [(), ()]


def test_time_spent_elsewhere_is_not_the_kernels(moody_callable: Callable[..., object]) -> None:
    with KernelProcess(moody_callable, contract=ALORAGC, timeout=0.3) as process:
        process.observe(inputs())
        process.submit(inputs())
        time.sleep(0.6)
        assert process.collect().problems == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import os\nos._exit(5)", "the process exited with status 5"),
        ("import os\nos.abort()", "the process died with signal SIGABRT"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_a_target_that_cannot_be_loaded(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    with (
        KernelProcess(f"{tmp_path}/broken.py:kernel", contract=ALORAGC) as process,
        pytest.raises(UsageError, match=complaint) as caught,
    ):
        process.start()
    assert "\n" not in str(caught.value)


def script(text: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python of its own that can import this program."""
    return subprocess.Popen(
        [sys.executable, "-c", text, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


_RUN = """
import sys
import loracle.harness
assert "torch" not in sys.modules, "on import"
import numpy as np
from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.harness import KernelProcess
sizes = {"L": 3, "M": 4, "d": 2, "r": 1}
contract = CONTRACTS["aloragc"]
tensors = {n: np.zeros([sizes[s] for s in shape]) for n, shape in contract.tensors.items()}
inputs = Inputs(tensors, {})
"""


def test_the_parent_never_imports_torch(moody: str) -> None:
    text = (
        _RUN
        + """
def lazy(**tensors):
    from loracle.adapters.autograd import aloragc
    return aloragc(**tensors)

for source in (sys.argv[1], lazy):
    with KernelProcess(source, contract=contract) as process:
        process.start()
        assert process.observe(inputs).problems == ()
    assert "torch" not in sys.modules, source
    assert "hypothesis" not in sys.modules, source
print("clean")
"""
    )
    assert script(text, moody).communicate(timeout=120)[0] == "clean\n"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("kind", ["fork", "fresh"])
def test_children_end_with_their_parent(moody: str, end: signal.Signals, kind: str) -> None:
    text = (
        _RUN
        + """
import time
def lazy(**tensors):
    time.sleep(60)
inputs.tensors["y"][0, 0] = 4
source = sys.argv[1] if sys.argv[2] == "fresh" else lazy
with KernelProcess(source, contract=contract) as process:
    process.start()
    process.submit(inputs)
    print(process._place.pid, flush=True)
    time.sleep(60)
"""
    )
    parent = script(text, moody, kind)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.killpg(parent.pid, end)
    parent.communicate(timeout=20)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}/cmdline").exists() and time.monotonic() < deadline:
        if not Path(f"/proc/{child}/cmdline").read_bytes():
            break  # a zombie, left to the machine's init
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{child}/cmdline").exists()


@pytest.mark.deep
def test_a_callable_compiled_by_the_parent_runs_in_a_fork() -> None:
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("torch.compile needs a C++ compiler, and there is none")

    def inner(x: torch.Tensor, salt: float) -> torch.Tensor:
        return (x * salt).sin().exp() / salt

    compiled = torch.compile(inner)
    salt = 1 + time.time_ns() % 1_000_003 / 7
    # Compiled here first, and never before: torch's pool of compiling threads is in use.
    compiled(torch.ones(3, 5), salt)

    def kernel(**tensors: torch.Tensor) -> dict[str, torch.Tensor]:
        compiled(tensors["y"], salt + 1)
        return aloragc(**tensors)

    with KernelProcess(kernel, contract=ALORAGC, timeout=10) as process:
        assert process.observe(inputs()).problems == ()
