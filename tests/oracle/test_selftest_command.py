"""The command `loracle selftest`: options, exit status, files, and one real run of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loracle.cli import main
from loracle.corpus.catalogue import WRONG
from loracle.errors import UsageError
from loracle.selftest.plan import Claim
from loracle.selftest.run import run_claims
from loracle.selftest.summary import SelfTest
from loracle.spreading import spread

from .selftest_outcomes import FORGETFUL, NAMED, outcome


class FakeSelfTest:
    """Stands in for the runs: remembers what it was asked, answers what it is told."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.answer: dict[str, Any] = {}

    def __call__(self, *, on_progress: Callable[..., None], **options: Any) -> SelfTest:
        self.asked = options
        on_progress(1, 2, "forgetful")
        values: dict[str, Any] = {
            "command": options["command"],
            "outcomes": (outcome(FORGETFUL, NAMED),),
            "planned": 1,
            "wall": 1.0,
            "jobs": 1,
        }
        return SelfTest(**(values | self.answer))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSelfTest:
    fake = FakeSelfTest()
    monkeypatch.setattr("loracle.selftest.whole.run_selftest", fake)
    return fake


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as exit_:
        main(["selftest", *arguments])
    return exit_.value.code


def test_the_defaults(fake: FakeSelfTest, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--jobs", "3") == 0
    assert fake.asked == {
        "full": False,
        "seeds": (0, 1, 2, 3, 4),
        "dtypes": ("float64", "float32", "bfloat16", "float16"),
        "contract": None,
        "device": "cpu",
        "jobs": 3,
        "compare": False,
        "command": "loracle selftest",
    }
    assert "as required: 1 of 1 runs on wrong kernels caught" in capsys.readouterr().out


def test_every_option_arrives(fake: FakeSelfTest) -> None:
    options = (
        "--full --seeds 7,8 --dtype float32 --contract aloragc --device cuda:1 --jobs 1 --compare"
    )
    assert run(*options.split()) == 0
    assert fake.asked == {
        "full": True,
        "seeds": (7, 8),
        "dtypes": ("float32",),
        "contract": "aloragc",
        "device": "cuda:1",
        "jobs": 1,
        "compare": True,
        "command": "loracle selftest --full --seeds 7,8 --dtype float32 --contract aloragc"
        " --device cuda:1 --compare",
    }


def test_exit_status(fake: FakeSelfTest) -> None:
    fake.answer = {"outcomes": (outcome(FORGETFUL),)}
    assert run() == 1
    fake.answer = {"interrupted": True}
    assert run() == 130
    fake.answer = {"outcomes": ()}
    assert run() == 2


def test_files(fake: FakeSelfTest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    markdown = tmp_path / "selftest.md"
    assert run("--json", "-", "--markdown", str(markdown)) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["caught"] == 1
    assert markdown.read_text().startswith("```\nloracle selftest\n```")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--seeds 1,x", "--seeds takes whole numbers, not 'x'"),
        ("--seeds -1", "the seed must be a whole number of at least 0"),
        ("--dtype ,", "--dtype is empty"),
        ("--device tpu", "unknown device 'tpu'; known: cpu, cuda, cuda:N"),
        ("--jobs 0", "--jobs must be at least 1, not 0"),
        ("--json /no/such/place.json", "there is no directory"),
    ],
)
def test_bad_usage_is_one_line(
    fake: FakeSelfTest, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    assert run(*options.split()) == 2
    assert message in capsys.readouterr().err
    assert not fake.asked


def test_an_unknown_contract_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--contract", "mlp") == 2
    assert "unknown contract 'mlp'" in capsys.readouterr().err


def test_nothing_is_compared_on_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    """The rivals judge on the CPU alone."""
    assert run("--compare", "--device", "cuda") == 2
    assert "--compare has its rivals judge on the CPU" in capsys.readouterr().err


def test_claims_are_run_in_other_processes() -> None:
    entry = next(e for e in WRONG if e.name == "lora-linear-grad-b-missing")
    claims = [Claim(entry, "float32", (seed,), "caught") for seed in (0, 1)]
    told: list[tuple[int, int, str]] = []
    outcomes, interrupted = run_claims(claims, 2, lambda *seen: told.append(seen))
    assert not interrupted
    assert [o.claim for o in outcomes] == claims
    assert all(o.named and not o.problem for o in outcomes)
    assert told[-1] == (2, 2, entry.name)


def test_a_process_that_dies_is_one_line() -> None:
    with pytest.raises(UsageError, match="a process died"):
        list(spread(os._exit, [[3]], 1, lambda: None))
