"""What there is to choose from, as text: adapters, contracts, regimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loracle.adapters import ADAPTERS, Adapter, installed_version
from loracle.contracts import CONTRACTS, Contract
from loracle.generation import REGIMES
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.floating_point import FORMATS, MACHINES, machine_dtypes, machine_model

__all__ = ["adapter_list", "adapter_table", "contract_in_full", "contract_text", "regime_table"]

_PROSE = 90

_FORMULAS = "The formulas, argument by argument: docs/validate-a-kernel.md, Contracts"


def adapter_table(adapters: Sequence[Adapter]) -> Table:
    """A line for each adapter: name, contracts, and the versions found."""
    table = _table("adapter", "contracts", "found", ruled=True)
    for adapter in adapters:
        found = Text("not installed", "red") if adapter.missing() else _found(adapter)
        table.add_row(Text(adapter.name, "bold"), ", ".join(adapter.contracts), found)
    return table


def adapter_list(adapters: Sequence[Adapter]) -> Group:
    """Of each adapter: name, versions found, contracts, what it is, what is declared for it, and,
    most of all where it is not installed, how to install it."""
    parts: list[Text | Padding] = []
    for adapter in adapters:
        parts.append(
            Text.assemble(
                (adapter.name, "bold"), "  ", _found(adapter), "  ", ", ".join(adapter.contracts)
            )
        )
        rows = Table.grid(padding=(0, 2, 0, 0))
        rows.add_column(style="dim")
        rows.add_column()
        rows.add_row("judges", adapter.description)
        declared = _declared(adapter)
        if declared:
            rows.add_row("declares", declared)
        if adapter.remark:
            rows.add_row("note", adapter.remark)
        rows.add_row("install", adapter.install)
        parts.append(Padding(rows, (0, 0, 1, 2), expand=False))
    return Group(*parts)


def _declared(adapter: Adapter) -> str:
    """What is declared for it, on one line."""
    declared = adapter.declaration
    parts = []
    if declared.unsupported:
        parts.append(f"unsupported: {', '.join(declared.unsupported)}")
    for device, names in adapter.unsupported_on.items():
        parts.append(f"unsupported on {device}: {', '.join(names)}")
    if declared.outputs is not None:
        parts.append(f"outputs: {', '.join(declared.outputs)}")
    for device, names in adapter.outputs_on.items():
        parts.append(f"outputs on {device}: {', '.join(names)}")
    return "; ".join(parts)


def contract_text() -> Group:
    """Every contract: what a kernel receives, with shapes, what it returns, and where the
    formulas are."""
    parts: list[Text | Padding] = []
    for contract in CONTRACTS.values():
        parts.append(Text(contract.name, style="bold"))
        parts.append(Padding(_signature(contract), (0, 0, 1, 2), expand=False))
    parts.append(Text("Plans, regimes and machines of one of them: loracle contracts NAME"))
    parts.append(Text(_FORMULAS))
    return Group(*parts)


def contract_in_full(contract: Contract) -> Group:
    """What a kernel receives and returns, and what --plan, --regime, --machine and TARGET may be
    for it."""
    rows = _signature(contract)
    plans = PLANS.get(contract.name, {}).values()
    if plans:
        rows.add_row("plans", _described({plan.name: plan.summary for plan in plans}))
    own = [regime for regime in REGIMES.values() if contract.name in regime.makers]
    for label, on_request in (("regimes", False), ("on request", True)):
        names = [regime.name for regime in own if regime.on_request == on_request]
        if names:
            rows.add_row(label, ", ".join(names))
    rows.add_row("machines", _described({_machine(n): _how(n) for n in MACHINES}))
    adapters = [adapter.name for adapter in ADAPTERS.values() if contract.name in adapter.contracts]
    rows.add_row("adapters", ", ".join(adapters))
    return Group(
        Text(contract.name, style="bold"),
        Padding(rows, (0, 0, 1, 2), expand=False),
        Text("What the regimes reveal: loracle regimes"),
        Text(_FORMULAS),
    )


def _described(texts: Mapping[str, str]) -> Table:
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(no_wrap=True)
    rows.add_column()
    for name, text in texts.items():
        rows.add_row(name, text)
    return rows


def _machine(name: str) -> str:
    """With its dtypes, where there are not all of them."""
    dtypes = machine_dtypes(name)
    return name if len(dtypes) == len(FORMATS) else f"{name} ({', '.join(dtypes)})"


def _how(machine: str) -> str:
    """In the last of its dtypes, which has 16 bits where any has: others differ in numbers."""
    return machine_model(machine, machine_dtypes(machine)[-1]).description


def regime_table(*, in_lines: bool = True) -> Table:
    """One row per regime: name, contracts, which bugs need it to be seen, and whether a default run
    has it. in_lines: for a reader of columns; otherwise every regime is one line."""
    table = _table("regime", "contracts", ruled=in_lines)
    table.add_column("reveals", max_width=_PROSE if in_lines else None)
    for regime in REGIMES.values():
        names = (name for name in CONTRACTS if name in regime.makers)
        contracts = ("\n" if in_lines else ", ").join(names)
        reveals = f"On request: {regime.reveals}" if regime.on_request else regime.reveals
        table.add_row(Text(regime.name, style="bold"), contracts, reveals)
    return table


def _table(*headers: str, ruled: bool) -> Table:
    look = box.SIMPLE_HEAD if ruled else None
    table = Table(*headers, box=look, pad_edge=False, show_edge=False)
    table.padding = (0, 2, 0, 0)
    return table


def _found(adapter: Adapter) -> Text:
    """The versions of what it needs, or what of it is missing."""
    words = []
    for package in adapter.packages:
        # Every adapter needs torch; it is worth a word only where it is the thing judged.
        if package == "torch" and len(adapter.packages) > 1:
            continue
        version = installed_version(package)
        missing = Text(f"{package} missing", "red")
        words.append(Text(f"{package} {version}") if version else missing)
    return Text(", ").join(words)


def _signature(contract: Contract) -> Table:
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(style="dim")
    rows.add_column()
    rows.add_row("takes", _shapes(contract.tensors))
    if contract.scalars:
        rows.add_row("floats", ", ".join(contract.scalars))
    if contract.options:
        rows.add_row("others", ", ".join(contract.options))
    rows.add_row("returns", _shapes(contract.outputs))
    if contract.remarks:
        rows.add_row("where", "\n".join(contract.remarks))
    return rows


def _shapes(named: Mapping[str, tuple[str, ...]]) -> Text:
    by_shape: dict[tuple[str, ...], list[str]] = {}
    for name, shape in named.items():
        by_shape.setdefault(shape, []).append(name)
    return Text("\n".join(f"{', '.join(n)} ({', '.join(s)})" for s, n in by_shape.items()))
