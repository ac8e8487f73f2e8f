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

_MOST_NAMES = 5


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
            raise UsageError(f"{target.text!r}: no {part!r} {_instead(part, found, module)}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{target.text!r} is of type {type(found).__name__}, not a callable")
    kernel: Callable[..., Any] = found
    return kernel


def _instead(name: str, found: Any, module: ModuleType) -> str:
    """Where it was looked for, and what is there in its place."""
    where = "there" if found is module else f"in {getattr(found, '__name__', type(found).__name__)}"
    own = getattr(found, "__dict__", {})
    names = [n for n in own if n[0] != "_" and callable(getattr(found, n, None))]
    # Those that are imported come last: a module of kernels has more of them than of its own.
    names.sort(key=lambda n: getattr(own[n], "__module__", None) != module.__name__)
    listed = f"; it has {', '.join(names[:_MOST_NAMES])}{', ...' if names[_MOST_NAMES:] else ''}"
    return where + (nearest(name, names) or (listed if names else ""))


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
