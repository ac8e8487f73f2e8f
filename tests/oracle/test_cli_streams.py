"""An output that cannot be written, and a reader that goes away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .command_line import command

LISTINGS = ["contracts", "adapters", "regimes", "--help"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
@pytest.mark.parametrize("argument", [*LISTINGS, "demo"])
def test_an_output_that_cannot_be_written_is_one_line_and_status_2(argument: str) -> None:
    with open("/dev/full", "w") as full:
        status, err = command(argument, stdout=full.fileno())
        assert (status, err) == (2, "Error: cannot write the output: No space left on device\n")
        assert command(argument, stdout=full.fileno(), stderr=full.fileno())[0] == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_a_report_that_cannot_be_written_is_no_verdict(tmp_path: Path) -> None:
    kernel = tmp_path / "kernels.py"
    kernel.write_text("def f(*, c1, c2, c3, w, a, b, y): return {}")
    case = ("--case", "tiny:0")
    with open("/dev/full", "w") as full:
        for options in ((), ("--json", "-")):
            status, err = command("validate", f"{kernel}:f", *case, *options, stdout=full.fileno())
            assert status == 2
            assert err.splitlines()[-1].startswith("Error: cannot write the output")
            assert "Traceback" not in err


@pytest.mark.parametrize("argument", LISTINGS)
def test_a_reader_that_goes_away_is_met_with_silence(argument: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert command(argument, stdout=writing) == (141, "")
    finally:
        os.close(writing)
