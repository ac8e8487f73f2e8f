"""Kernels to validate, right but for what their names say, and what to read off a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch

import loracle
from loracle.adapters import autograd
from loracle.contracts import CONTRACTS
from loracle.report import Finding, Report

Outputs = dict[str, Any]
LINEAR = CONTRACTS["lora-linear"]


def validate(kernel: Any, **arguments: Any) -> Report:
    return loracle.validate(kernel, **{"contract": "lora-linear", **arguments})


def forgets_scaling(**call: Any) -> Outputs:
    outputs = autograd.lora_linear(**call)
    return {**outputs, "grad_lora_b": outputs["grad_lora_b"] / call["scaling"]}


def changed(**change: Callable[[Any], Any]) -> Callable[..., Outputs]:
    """The right kernel with the named outputs put through a function."""

    def kernel(**call: Any) -> Outputs:
        outputs = autograd.lora_linear(**call)
        return {n: change[n](v) if n in change else v for n, v in outputs.items()}

    return kernel


def hypotheses(finding: Finding) -> list[str]:
    return [diagnosis.hypothesis for diagnosis in finding.diagnosis]


def strict_json(report: Report) -> Any:
    return json.loads(json.dumps(report.to_dict(), allow_nan=False))


def without_time(report: Report) -> dict[str, Any]:
    return {key: value for key, value in report.to_dict().items() if key != "seconds"}


def single(batch: int) -> bool:
    """The designed cases alternate between a batch of two and of one: every other one is bad."""
    return batch == 1


def raises(**call: Any) -> Outputs:
    if single(call["x"].shape[0]):
        raise ZeroDivisionError("no batch\nhere")
    return autograd.lora_linear(**call)


def writes_into_x(**call: Any) -> Outputs:
    outputs = autograd.lora_linear(**{**call, "x": call["x"].clone()})
    call["x"].mul_(2)
    return outputs


def draws(**call: Any) -> Outputs:
    outputs = autograd.lora_linear(**call)
    return {**outputs, "grad_x": outputs["grad_x"] * (1 + torch.rand(()))}
