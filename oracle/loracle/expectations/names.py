"""Whether a name in the file is that of the kernel at hand, or of any kernel at all."""

from __future__ import annotations

import ast
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from loracle.adapters import ADAPTERS

__all__ = ["exists", "same_kernel"]


def same_kernel(one: str, other: str) -> bool:
    """Two names of a kernel: `module:name` and `module.name` are one, so are two paths of the same
    file, and so are `folder/package/module.py:name` and what can be imported from one of its
    folders: `module.name`, `package.module.name`."""
    one_is_file, other_is_file = _is_file(one), _is_file(other)
    if one_is_file == other_is_file:
        return _dotted(one) == _dotted(other)
    file, name = (one, other) if one_is_file else (other, one)
    attribute = file.rpartition(":")[2].split(".")
    parts = _dotted(name)
    return len(parts) > len(attribute) and _dotted(file)[-len(parts) :] == parts


def exists(name: str) -> bool:
    """Whether there can be such a kernel, as far as can be told without importing anything: an
    adapter, or a name that the file of its module mentions."""
    left, colon, attribute = name.rpartition(":")
    if not colon and name in ADAPTERS:
        return True
    if _is_file(name):
        return _mentions(Path(left).expanduser(), attribute.partition(".")[0])
    package, *parts = _dotted(name)
    spec = _spec_of(package)
    while parts and spec is not None and spec.submodule_search_locations is not None:
        # By its last name alone: a dotted one would need its package to be imported.
        inner = PathFinder.find_spec(parts[0], list(spec.submodule_search_locations))
        if inner is None:
            break
        spec = inner
        del parts[0]
    if spec is None or not parts:
        return False
    if spec.origin is None:
        # A folder without __init__.py, which has nothing but modules.
        return False
    return not spec.origin.endswith(".py") or _mentions(Path(spec.origin), parts[0])


def _spec_of(package: str) -> ModuleSpec | None:
    if not package.isidentifier():
        return None
    # The second knows packages that are installed in a way of their own, such as editable ones.
    return PathFinder.find_spec(package, [os.getcwd(), *sys.path]) or _installed(package)


def _installed(package: str) -> ModuleSpec | None:
    try:
        return find_spec(package)
    except ValueError:
        return None


def _dotted(name: str) -> list[str]:
    """The parts of a name, with those of the absolute path in front if it is of a file."""
    left, _, attribute = name.rpartition(":")
    if not _is_file(name):
        return name.replace(":", ".").split(".")
    path = Path(os.path.abspath(os.path.expanduser(left)))
    module = path.parent if path.name == "__init__.py" else path.with_suffix("")
    return [*module.parts, *attribute.split(".")]


def _is_file(name: str) -> bool:
    left = name.rpartition(":")[0]
    return left.endswith(".py") or os.sep in left


def _mentions(path: Path, name: str) -> bool:
    """Whether the file defines, assigns, imports or quotes the name anywhere, imports all of a
    module or makes its names on demand; a file that cannot be read as Python is left to whoever
    judges it."""
    if not path.is_file():
        return False
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return True
    found: set[object] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Constant):
            found.add(node.value)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
    return not found.isdisjoint({name, "*", "__getattr__"})
