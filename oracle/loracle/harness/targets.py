"""TARGET strings, read in the parent; `loading` imports what they name, in the child."""

from __future__ import annotations

import ast
import os
from pathlib import Path

from loracle.adapters import ADAPTERS, find_adapter
from loracle.contracts import Contract
from loracle.errors import UsageError, nearest
from loracle.harness.messages import Target

__all__ = ["Target", "parse_target"]

_FORMS = "a TARGET is package.module:name, path/to/file.py:name, or an adapter's name"
_MOST_NAMES = 5


def parse_target(text: str, contract: Contract | None = None) -> Target:
    """Read a TARGET; `contract` chooses among an adapter's kernels.

    Raises UsageError on a malformed TARGET, a missing file, an unknown adapter, an adapter whose
    package is not installed or that does not serve the contract.
    """
    left, colon, attribute = text.rpartition(":")
    if not colon:
        return _parse_bare(text, contract)
    if not left or not _is_dotted_name(attribute):
        raise UsageError(f"cannot read the target {text!r}: {_FORMS}")
    if _is_file_name(left):
        return Target(text, attribute, path=str(_existing_file(left)))
    if not _is_dotted_name(left):
        raise UsageError(f"cannot read the target {text!r}: {_FORMS}")
    return Target(text, attribute, module=left)


def _parse_bare(text: str, contract: Contract | None) -> Target:
    if _is_file_name(text):
        path = _existing_file(text)
        names = _functions_in(path)
        which = ", ".join(names[:_MOST_NAMES]) + (", ..." if names[_MOST_NAMES:] else "")
        defines = f"; it defines {which}" if names else ""
        raise UsageError(f"which function of {text}? Write {text}:NAME{defines}")
    if text not in ADAPTERS and "." in text:
        raise UsageError(f"the target {text!r} has no ':' before its name{_with_colon(text)}")
    adapter = find_adapter(text)
    adapter.require_installed()
    if contract is None:
        if len(adapter.contracts) > 1:
            raise UsageError(
                f"the adapter {text!r} serves {', '.join(adapter.contracts)}:"
                " name one with contract=... or --contract"
            )
        (place,) = adapter.contracts.values()
    elif contract.name in adapter.contracts:
        place = adapter.contracts[contract.name]
    else:
        fitting = [a.name for a in ADAPTERS.values() if contract.name in a.contracts]
        raise UsageError(
            f"the adapter {text!r} serves {', '.join(adapter.contracts)}, not {contract.name};"
            f" adapters for {contract.name}: {', '.join(fitting) or 'none'}"
        )
    module, _, attribute = place.partition(":")
    return Target(text, attribute, module=module, adapter=adapter.name, packages=adapter.packages)


def _with_colon(text: str) -> str:
    """What was most likely meant by dots alone, or the forms that there are."""
    module, _, attribute = text.rpartition(".")
    if not _is_dotted_name(text):
        return f"; {_FORMS}"
    # k.py.f is as a module what k.f is; and a name in a class has dots of its own.
    if ".py." in text:
        file, _, attribute = text.partition(".py.")
        return f"; did you mean {file}.py:{attribute}?"
    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        file = os.path.join(*parts[:count]) + ".py"
        if os.path.isfile(file):
            return f"; did you mean {file}:{'.'.join([*parts[count:], attribute])}?"
    return f"; did you mean {module}:{attribute}?"


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _is_file_name(text: str) -> bool:
    return text.endswith(".py") or os.sep in text


def _existing_file(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if path.is_file():
        return path
    if path.exists():
        raise UsageError(f"{text} is not a file: {_FORMS}")
    siblings = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
    raise UsageError(f"no file {text}{nearest(path.name, siblings)}")


def _functions_in(path: Path) -> list[str]:
    """The public functions a file defines at its top, without running it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []
    functions = (n.name for n in tree.body if isinstance(n, ast.FunctionDef))
    return [name for name in functions if not name.startswith("_")]
