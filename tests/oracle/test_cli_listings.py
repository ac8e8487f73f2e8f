"""`loracle adapters`, `contracts` and `regimes`: what there is."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from loracle.adapters import ADAPTERS
from loracle.contracts import CONTRACTS, Contract
from loracle.generation import REGIMES
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.floating_point import MACHINES

from .command_line import run


def test_adapters_are_a_line_each_and_all_is_told_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not run("adapters")
    header, _, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["adapter", "contracts", "found"]
    assert [line.split()[0] for line in lines] == list(ADAPTERS)
    assert lines[0].split() == ["peft", "lora-linear", "peft", version("peft")]
    for arguments in (("adapters", "-v"), ("adapters", "peft", "loralib")):
        assert not run(*arguments)
        text = capsys.readouterr().out
        for word in ("judges", "peft.tuners.lora.Linear", "loralib", "pip install"):
            assert word in text
    assert run("adapters", "-v", "--judge") == 2


def test_a_missing_package_is_called_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loracle.presentation.listings.installed_version", lambda name: None)
    run("adapters", "loralib")
    assert "loralib missing" in capsys.readouterr().out
    monkeypatch.setattr("loracle.adapters.adapter.Adapter.missing", lambda self: ["loralib"])
    run("adapters")
    assert "not installed" in capsys.readouterr().out


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.name)
def test_a_contract_is_told_in_full(contract: Contract, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("contracts", contract.name)
    text = capsys.readouterr().out
    assert text.startswith(contract.name)
    regimes = [n for n, regime in REGIMES.items() if contract.name in regime.makers]
    adapters = [a.name for a in ADAPTERS.values() if contract.name in a.contracts]
    words = [*contract.parameters, *contract.outputs, *PLANS.get(contract.name, {}), *MACHINES]
    for word in [*words, *regimes, *adapters]:
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), word
    assert len([other for other in CONTRACTS if text.startswith(other + "\n")]) == 1


def test_an_unknown_contract_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("contracts", "lora-linaer") == 2
    assert "did you mean lora-linear?" in capsys.readouterr().err


def test_regimes_are_a_line_each_where_nobody_sees_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    run("regimes")
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["regime", "contracts", "reveals"]
    assert [line.split()[0] for line in lines] == list(REGIMES)
    for line, regime in zip(lines, REGIMES.values(), strict=True):
        assert line.endswith(regime.reveals)
    monkeypatch.setenv("COLUMNS", "80")
    run("regimes")
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_contracts_and_regimes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run("contracts")
    text = capsys.readouterr().out
    assert "lora_a (r, in)" in text
    assert "grad_b_q" in text
    assert "q_width = num_heads * head_dim, kv_width = num_kv_heads * head_dim" in text
    assert "causal: bool" in text
    assert "reads kv head h // (num_heads / num_kv_heads)" in text
    assert "docs/validate-a-kernel.md" in text
    run("regimes")
    assert "designed" in capsys.readouterr().out
