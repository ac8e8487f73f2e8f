"""What is installed here, or pointed at, of a third party: versions and places, without running any
of its code."""

from __future__ import annotations

import importlib.util
import os
from importlib import metadata
from pathlib import Path

from loracle.errors import UsageError

__all__ = ["POINTERS", "installed_version", "package_folder"]

POINTERS = {"axolotl": "LORACLE_AXOLOTL", "unsloth": "LORACLE_UNSLOTH"}
"""Environment variables that name the folder of an unpacked wheel or of a checkout, the one that
holds the package; it is taken before what is installed."""


def installed_version(distribution: str) -> str | None:
    """The version of a distribution, None if it is neither installed nor pointed at.

    Raises UsageError if its environment variable names a folder that does not hold it.
    """
    folder = _pointed_at(distribution)
    try:
        if folder is None:
            return metadata.version(distribution)
        return next(iter(metadata.distributions(name=distribution, path=[str(folder)]))).version
    except metadata.PackageNotFoundError:
        return None
    except StopIteration:
        return f"at {folder}"


def package_folder(package: str) -> Path:
    """The folder of a top-level package that is installed or pointed at; none of its code is run.

    Raises UsageError if it is neither.
    """
    folder = _pointed_at(package)
    if folder is not None:
        return folder / package
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"the package {package} is not installed here")
    return Path(next(iter(spec.submodule_search_locations)))


def _pointed_at(package: str) -> Path | None:
    """The folder that holds the package, where an environment variable names one."""
    variable = POINTERS.get(package)
    value = os.environ.get(variable, "") if variable else ""
    if not value:
        return None
    folder = Path(value).expanduser().absolute()
    if not (folder / package).is_dir():
        raise UsageError(
            f"{variable}={value} holds no folder {package}: name the folder of an unpacked wheel"
        )
    return folder
