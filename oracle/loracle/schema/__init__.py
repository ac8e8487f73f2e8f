"""The JSON Schemas of what loracle writes for others to read."""

from __future__ import annotations

from importlib import resources

from loracle.errors import UsageError

__all__ = ["schema_names", "schema_text"]

_SUFFIX = ".schema.json"


def schema_names() -> list[str]:
    """The names that `schema_text` knows."""
    files = (file.name for file in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX))


def schema_text(name: str) -> str:
    """The schema called `name` as JSON; raises UsageError, naming what there is, if there is
    none."""
    if name not in schema_names():
        raise UsageError(f"unknown schema {name!r}; known: {', '.join(schema_names())}")
    return resources.files(__name__).joinpath(f"{name}{_SUFFIX}").read_text(encoding="utf-8")
