"""What the oracle knows of a third party before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from loracle.adapters.installed import installed_version
from loracle.declaration import Declaration
from loracle.errors import UsageError

__all__ = ["Adapter"]


@dataclass(frozen=True)
class Adapter:
    """A third party that can be judged by name.

    packages: the distributions it needs, the one that is judged first. contracts maps a contract's
    name to `module:function`. install: the command that installs what it needs. declaration: what
    is declared for it; unsupported_on and outputs_on: what it does not support besides, and all
    that it has, on a kind of device (cpu, cuda). remark: why, and what else a reader of its verdict
    must know.
    """

    name: str
    packages: tuple[str, ...]
    contracts: Mapping[str, str]
    install: str
    description: str
    declaration: Declaration = field(default_factory=Declaration)
    unsupported_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outputs_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remark: str = ""

    def missing(self) -> tuple[str, ...]:
        """The distributions that it needs and that are not here."""
        return tuple(name for name in self.packages if installed_version(name) is None)

    def require_installed(self) -> None:
        """Raises UsageError, with the command that installs it, if a package is missing."""
        missing = self.missing()
        if missing:
            which = "which is" if len(missing) == 1 else "which are"
            raise UsageError(
                f"the adapter {self.name!r} needs {', '.join(missing)},"
                f" {which} not installed here: {self.install}"
            )

    def declaration_on(self, device: str) -> Declaration:
        """What is declared for it on a device such as `cpu` or `cuda:1`."""
        kind = device.partition(":")[0]
        unsupported = (*self.declaration.unsupported, *self.unsupported_on.get(kind, ()))
        outputs = self.outputs_on.get(kind, self.declaration.outputs)
        return replace(self.declaration, unsupported=unsupported, outputs=outputs)
