"""Turns a `Target` into a kernel. Runs in the child: it imports the user's modules."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from loracle.errors import UsageError, nearest
from loracle.harness.messages import Target
from loracle.harness.tracebacks import describe_exception

__all__ = ["load_target"]


def load_target(target: Target) -> Callable[..., Any]:
    """Import the target's module and return the kernel. Runs in the child.

    Raises UsageError, with the exception's type, message and place on one line, if that fails.
    """
    try:
        if target.path is not None:
            module = _import_file(Path(target.path))
        else:
            assert target.module is not None
            if os.getcwd() not in sys.path:
                sys.path.insert(0, os.getcwd())
            module = importlib.import_module(target.module)
    except BaseException as error:
        raise UsageError(f"cannot load {target.text!r}: {describe_exception(error)}") from None
    found: Any = module
    for part in target.attribute.split("."):
        if not hasattr(found, part):
            names = [n for n in vars(module) if callable(getattr(module, n)) and n[0] != "_"]
            raise UsageError(f"{target.text!r}: no {part!r} there{nearest(part, names)}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{target.text!r} is of type {type(found).__name__}, not a callable")
    kernel: Callable[..., Any] = found
    return kernel


def _import_file(path: Path) -> ModuleType:
    """Import a file as what it is: a module of its package, or a script with its own directory
    first on sys.path."""
    parents: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parents.insert(0, folder.name)
        folder = folder.parent
    sys.path.insert(0, str(folder))
    if parents and path.stem.isidentifier():
        return importlib.import_module(".".join([*parents, path.stem]))
    name = f"loracle_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs: dataclasses, pickle and torch.compile look modules up by name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
