"""What is returned: outputs, certificate, and how they were computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.kernels.almost_linear.errors import OutOfReach
from loracle.kernels.almost_linear.plan import Method
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.solve import Solution

__all__ = ["OUTPUT_UNITS", "Certificate", "Gradients", "PlanSummary", "gathered", "require_within"]

OUTPUT_UNITS = {
    torch.float64: (2.0**-53, 2.0**-1074),
    torch.float32: (2.0**-24, 2.0**-149),
    torch.bfloat16: (2.0**-8, 2.0**-133),
    torch.float16: (2.0**-11, 2.0**-24),
}
"""Unit roundoff and smallest subnormal of the dtypes that results are returned in."""


@dataclass(frozen=True)
class Certificate:
    """A rigorous bound of the error of each output, in the max norm, with what it is relative to.

    errors: absolute bounds; approximation and rounding: their two parts; natural_scale: lower
    bounds of the largest entry of the closed form evaluated with absolute values; gradient_max: the
    largest entry of what was returned. By output, tensors of the leading shape (0-d for none),
    float64. probability_error: eta, in the backward form: but for rounding, the outputs are the
    exact gradients for probabilities f~ with |f~ - f| <= eta f, entry by entry.
    """

    errors: dict[str, Tensor]
    approximation: dict[str, Tensor]
    rounding: dict[str, Tensor]
    natural_scale: dict[str, Tensor]
    gradient_max: dict[str, Tensor]
    probability_error: float

    @property
    def relative_to_natural_scale(self) -> dict[str, Tensor]:
        """errors / natural_scale, at most epsilon; 0 / 0 is 0."""
        return {name: _quotient(e, self.natural_scale[name]) for name, e in self.errors.items()}

    @property
    def relative_to_gradient(self) -> dict[str, Tensor]:
        """errors / gradient_max: large where the gradient itself cancels."""
        return {name: _quotient(e, self.gradient_max[name]) for name, e in self.errors.items()}


@dataclass(frozen=True)
class PlanSummary:
    """method: "almost-linear", or "streaming" where that was cheaper. degree and rank: the largest
    of the heads'. radius: the certified bound of the scores, after shifts and in the coordinates
    chosen. operations: of the contractions, for all heads."""

    method: Method
    degree: int
    rank: int
    operations: int
    features: torch.dtype


@dataclass(frozen=True)
class Gradients:
    """outputs as the contract names them; certificate: None where the exact kernel was used."""

    outputs: dict[str, Tensor]
    certificate: Certificate | None
    plan: PlanSummary


def gathered(
    problem: Problem,
    solutions: list[Solution],
    names: Mapping[str, str],
    leading: tuple[int, ...],
    dtype: torch.dtype,
) -> Gradients:
    """From the d x d matrices of all heads to the outputs, in their dtype, and their certificate.

    An output that overflows its dtype has an infinite error.
    """
    unit, smallest = OUTPUT_UNITS[dtype]
    fields: dict[str, dict[str, Tensor]] = {
        field: {}
        for field in ("errors", "approximation", "rounding", "natural_scale", "gradient_max")
    }
    outputs = {}
    for short, value in _adapter_gradients(problem, solutions).items():
        name = names[short]
        bounds = [s.bounds[short] for s in solutions]
        approximation, rounding, natural = (
            torch.cat([getattr(b, field) for b in bounds])
            for field in ("approximation", "rounding", "natural_scale")
        )
        result = value.to(dtype)
        outputs[name] = result.reshape(*leading, *value.shape[-2:])
        largest = value.abs().amax((-1, -2))
        rounding = rounding + unit * largest + torch.where(largest > 0, smallest, 0.0)
        rounding = torch.where(result.isfinite().all(-1).all(-1), rounding, torch.inf)
        found = {
            "errors": approximation + rounding,
            "approximation": approximation,
            "rounding": rounding,
            "natural_scale": natural,
            "gradient_max": largest,
        }
        for field, tensor in found.items():
            fields[field][name] = tensor.reshape(leading)
    delta = max(float(s.plan.delta.max()) for s in solutions)
    summary = PlanSummary(
        method="almost-linear",
        degree=max(s.plan.degree for s in solutions),
        rank=max(s.plan.rank for s in solutions),
        operations=sum(s.plan.operations for s in solutions),
        features=solutions[0].plan.dtype,
    )
    certificate = Certificate(**fields, probability_error=2 * delta / (1 - delta))
    return Gradients(outputs, certificate, summary)


def require_within(gradients: Gradients, epsilon: float) -> Gradients:
    """The same, or OutOfReach where rounding to the outputs' dtype spoils the promise."""
    certificate = gradients.certificate
    if certificate is None:
        return gradients
    for name, error in certificate.errors.items():
        # Negated, so that an error that is no number is beyond.
        beyond = ~(error <= epsilon * certificate.natural_scale[name] * (1 + 2.0**-20))
        if not bool(beyond.any()):
            continue
        dtype = str(gradients.outputs[name].dtype).removeprefix("torch.")
        if not bool(gradients.outputs[name].isfinite().all()):
            raise OutOfReach(
                f"{name} reaches {float(certificate.gradient_max[name].max()):.3g}, beyond the"
                f" largest {dtype} number"
            )
        floor = float(certificate.relative_to_natural_scale[name].max())
        raise OutOfReach(
            f"epsilon = {epsilon:g} is below the rounding floor {floor:.2g} of {name}, once it is"
            f" rounded to {dtype}"
        )
    return gradients


def _adapter_gradients(problem: Problem, solutions: list[Solution]) -> dict[str, Tensor]:
    """dL/dA = s B^T G and dL/dB = s G A^T with G = dL/dW, float64 (Lemmas E.1, F.1 to F.3)."""
    core_qk = torch.cat([s.core_qk for s in solutions])
    core_v = torch.cat([s.core_v for s in solutions])
    q, k, v = problem.q, problem.k, problem.v
    gradients: dict[str, Tensor] = {}
    for name, projection, core in (
        ("q", q, problem.beta * (core_qk @ k.matrix)),
        ("k", k, problem.beta * (core_qk.mT @ q.matrix)),
        ("v", v, core_v),
    ):
        if projection.a is not None and projection.b is not None:
            weight = projection.scaling * core
            gradients[f"a_{name}"] = projection.b.mT @ weight
            gradients[f"b_{name}"] = weight @ projection.a.mT
    return gradients


def _quotient(error: Tensor, scale: Tensor) -> Tensor:
    return torch.where(error > 0, error / scale, torch.zeros_like(error))
