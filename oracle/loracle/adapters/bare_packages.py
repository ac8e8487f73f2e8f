"""Loads one module of an installed package without running the package's own `__init__`.

unsloth and axolotl cannot be imported where there is no GPU, or where a pinned dependency differs,
but the file with their kernels can: under packages of the same names that have a place to look for
modules and nothing else.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from types import ModuleType

from loracle.adapters.installed import package_folder

__all__ = ["load_bare"]


def load_bare(module: str, also: Iterable[str] = ()) -> ModuleType:
    """Import `module` (dotted) with bare packages in place of the packages it lies in.

    also: other packages that it imports from, which are to be bare too. A package that has been
    imported already is left as it is. Raises UsageError if one is not installed, and whatever the
    module itself raises.
    """
    parts = module.split(".")
    for name in [*(".".join(parts[:n]) for n in range(1, len(parts))), *also]:
        if name not in sys.modules:
            sys.modules[name] = _bare(name)
    return importlib.import_module(module)


def _bare(name: str) -> ModuleType:
    top, *below = name.split(".")
    places = [str(package_folder(top).joinpath(*below))]
    package = ModuleType(name)
    package.__path__ = places
    # Whoever asks what is installed (importlib.util.find_spec) reads it.
    package.__spec__ = ModuleSpec(name, loader=None, is_package=True)
    package.__spec__.submodule_search_locations = places
    return package
