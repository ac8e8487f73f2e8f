"""The JSON Schemas of what loracle writes for others to read."""

from __future__ import annotations

from importlib import resources

from loracle.errors import UsageError, nearest

__all__ = ["schema_names", "schema_text"]

_FILES = {
    "report": ("loracle.schema", "report.schema.json"),
    "vectors": ("loracle.vectors", "schema.json"),
}
"""By name, the package and the file in it."""


def schema_names() -> list[str]:
    """The names that `schema_text` knows."""
    return list(_FILES)


def schema_text(name: str) -> str:
    """The schema called `name` as JSON; raises UsageError, naming what there is, if there is
    none."""
    if name not in _FILES:
        raise UsageError(
            f"unknown schema {name!r}; known: {', '.join(_FILES)}{nearest(name, _FILES)}"
        )
    package, file = _FILES[name]
    return resources.files(package).joinpath(file).read_text(encoding="utf-8")
