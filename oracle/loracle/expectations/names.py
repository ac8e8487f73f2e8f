"""Whether a name in the file is that of the kernel at hand, or of any kernel at all."""

from __future__ import annotations

import ast
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from loracle.adapters import ADAPTERS

__all__ = ["exists", "same_kernel"]


def same_kernel(one: str, other: str) -> bool:
    """Two names of a kernel: `module:name` and `module.name` are one, and so are two paths of the
    same file."""
    return _normal(one) == _normal(other)


def exists(name: str) -> bool:
    """Whether there can be such a kernel, as far as can be told without importing anything: an
    adapter, a name that its file mentions, a module whose package is found."""
    left, colon, attribute = name.rpartition(":")
    if not colon and name in ADAPTERS:
        return True
    if _is_path(left):
        return _mentions(Path(left).expanduser(), attribute.partition(".")[0])
    package = name.partition(":")[0].partition(".")[0]
    if not package.isidentifier():
        return False
    return PathFinder.find_spec(package, [os.getcwd(), *sys.path]) is not None


def _normal(name: str) -> str:
    left, colon, attribute = name.rpartition(":")
    if _is_path(left):
        return f"{os.path.abspath(os.path.expanduser(left))}:{attribute}"
    return name.replace(":", ".") if colon else name


def _is_path(text: str) -> bool:
    return text.endswith(".py") or os.sep in text


def _mentions(path: Path, name: str) -> bool:
    """Whether the file defines, assigns or imports the name anywhere, or imports all of a module; a
    file that cannot be read as Python is left to whoever judges it."""
    if not path.is_file():
        return False
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return True
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
    return name in found or "*" in found
