"""The JSON Schemas of what loracle writes for others to read."""

from __future__ import annotations

import json
from importlib import resources

from loracle.errors import UsageError, nearest

__all__ = ["schema_names", "schema_text"]

_HERE = "loracle.schema"
_FILES = {
    "report": (_HERE, "report.schema.json"),
    "sweep": (_HERE, "sweep.schema.json"),
    "vectors": ("loracle.vectors", "schema.json"),
    "bench": (_HERE, "bench.schema.json"),
    "bench-transition": (_HERE, "bench-transition.schema.json"),
    "probe": (_HERE, "probe.schema.json"),
    "resolving-power": (_HERE, "resolving-power.schema.json"),
    "selftest": (_HERE, "selftest.schema.json"),
    "ledger": (_HERE, "ledger.schema.json"),
}
"""By name, the package and the file in it."""

_BUNDLED = {"sweep": "report"}
"""Of a schema that refers to another one by its $id: the other, which it is printed with."""


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
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    if name not in _BUNDLED:
        return text
    other = _BUNDLED[name]
    bundle = {**json.loads(text), "$defs": {other: json.loads(schema_text(other))}}
    return json.dumps(bundle, indent=2, ensure_ascii=False) + "\n"
