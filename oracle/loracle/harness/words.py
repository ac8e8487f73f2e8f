"""Small pieces of the messages that parent and child both write."""

from __future__ import annotations

from collections.abc import Iterable

from loracle.errors import nearest

__all__ = ["in_one_line", "nearest_dtype", "one_line"]

_MOST_CHARACTERS = 500


_SHORT = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "half": "float16",
    "fp32": "float32",
    "float": "float32",
    "fp64": "float64",
    "double": "float64",
}
"""What dtypes are called elsewhere; letters alone would not tell bf16 from float16."""


def nearest_dtype(name: str, known: Iterable[str]) -> str:
    """As `nearest`, of dtypes."""
    meant, known = _SHORT.get(name.lower(), name.lower()), list(known)
    return f"; did you mean {meant}?" if meant in known else nearest(name, known)


def one_line(error: BaseException) -> str:
    """`Type: message` with the message's white space collapsed, at most 500 characters."""
    message = str(error).strip()
    return in_one_line(f"{type(error).__name__}: {message}" if message else type(error).__name__)


def in_one_line(text: str, most: int = _MOST_CHARACTERS) -> str:
    """The text with its white space collapsed, at most so many characters, the last three of them
    dots where it was longer."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."
