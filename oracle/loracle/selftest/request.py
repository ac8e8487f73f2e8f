"""The options of `loracle selftest`, checked before any work is done."""

from __future__ import annotations

from loracle.errors import UsageError
from loracle.request import checked_seed

__all__ = ["numbers", "words"]


def words(option: str, text: str) -> tuple[str, ...]:
    """The words between the commas, each once; UsageError if there is none."""
    found = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not found:
        raise UsageError(f"{option} is empty; give one or more, separated by commas")
    return found


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Whole numbers of at least 0; UsageError otherwise."""
    found = []
    for word in words(option, text):
        try:
            found.append(int(word))
        except ValueError:
            raise UsageError(f"{option} takes whole numbers, not {word!r}") from None
    return tuple(checked_seed(number) for number in found)
