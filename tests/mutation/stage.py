"""Lays out what mutmut wants to see: sources under src/, the tests that concern them, its options.

    python tests/mutation/stage.py FOLDER

mutmut knows a module by its path below src/, so that the three roots of this project are put into
one. FOLDER is made anew.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("reference/loracle_reference", "oracle/loracle")
TESTS = ("conftest.py", "selftest_outcomes.py", "test_selftest.py", "test_verdicts.py")


def stage(folder: Path) -> None:
    """Copies everything into the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / "src" / Path(package).name, ignore=ignore)
    (folder / "tests" / "oracle").mkdir(parents=True)
    for name in TESTS:
        shutil.copy(ROOT / "tests" / "oracle" / name, folder / "tests" / "oracle" / name)
    for name in ("setup.cfg", "pytest.ini"):
        shutil.copy(Path(__file__).parent / name, folder / name)


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
