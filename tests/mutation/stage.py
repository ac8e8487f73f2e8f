"""Lays out what mutmut wants to see: sources under src/, the tests that concern them, its options.

    python tests/mutation/stage.py FOLDER

mutmut knows a module by its path below src/, so that the three roots of this project are put into
one. FOLDER is made anew.
"""

from __future__ import annotations

import shutil
import sys
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("reference/loracle_reference", "oracle/loracle")
HELPERS = (
    "tests/conftest.py",
    "tests/oracle/case_digests.json",
    "tests/oracle/case_digests.py",
    "tests/oracle/conftest.py",
    "tests/oracle/core_cases.py",
    "tests/oracle/fake_validation.py",
    "tests/oracle/other_evaluations.py",
    "tests/oracle/selftest_outcomes.py",
)


def stage(folder: Path) -> None:
    """Copies everything into the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / "src" / Path(package).name, ignore=ignore)
    options = ConfigParser()
    options.read(Path(__file__).with_name("setup.cfg"))
    selected = options["mutmut"]["pytest_add_cli_args_test_selection"].split()
    tests = {name.partition("::")[0] for name in selected}
    for name in sorted(tests.union(HELPERS)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in ("setup.cfg", "pytest.ini"):
        shutil.copy(Path(__file__).parent / name, folder / name)


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
