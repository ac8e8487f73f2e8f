"""What the bounds know of the keys: weighted means of products of at most two coordinates.

mu_w(h) = sum_l omega_l w_l h_l / Omega, for w = 1 and for w = t, t_l = |k_l| / max |k| in [0, 1].
A function phi that is convex and nondecreasing on [0, R_j], R_j = |q_j| max |k|, lies below its
chord there, phi(t_l R_j) <= phi(0) + t_l (phi(R_j) - phi(0)), so for h >= 0
    mean of phi(|q_j| |k_l|) h  <=  phi(0) mu_1(h) + (phi(R_j) - phi(0)) mu_t(h),
two numbers for each h, whatever the query. Everything is float64 and (2, H, ...), w first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.kernels.almost_linear.blocks import blocks
from loracle.kernels.almost_linear.coordinates import BLOCK, FLOAT64_UNIT, Centred
from loracle.kernels.almost_linear.projections import Problem

__all__ = ["KeyStatistics"]

_FLOOR = 2.0**-50
"""Share of the largest magnitude that is added to a mean magnitude: more than features that
underflow can contribute (`plan` sees to it that they do not contribute more)."""


@dataclass(frozen=True)
class KeyStatistics:
    """Means over the keys, with x = the inputs of K, z = the inputs of V and v = the values.

    one (2, H, 1, 1): mu(1). Centred: xx, vv, zz (2, H, d, d) second moments; x, z (2, H, d, 1) and
    xv (2, H, d, d) of magnitudes. Not centred, with |v| the values' magnitude |X_V| |W_V|, and for
    w = 1 alone: natural_x, natural_z, natural_v (H, d, 1), natural_xv (H, d, d). largest
    (H, 1, 1): the largest magnitudes of x and, with their keys' weights, of x, z and v. longest_key
    (H, 1, 1); smallest_mean (H, 1, 1): at most the mean of exp(<q_j, k_l>), for every j; variance
    (2, H, 1, 1): largest eigenvalues of vv; skew (H, 1, 1): mu_t(h) <= skew mu_1(h) for the natural
    magnitudes.
    """

    one: Tensor
    xx: Tensor
    vv: Tensor
    zz: Tensor
    x: Tensor
    z: Tensor
    xv: Tensor
    natural_x: Tensor
    natural_z: Tensor
    natural_v: Tensor
    natural_xv: Tensor
    longest_key: Tensor
    largest: dict[str, Tensor]
    smallest_mean: Tensor
    variance: Tensor
    skew: Tensor

    @classmethod
    def of(cls, problem: Problem, centred: Centred) -> KeyStatistics:
        """One pass over arrays of d coordinates; no features."""
        longest = centred.key_norms.amax(-1, keepdim=True)
        safe = torch.where(longest > 0, longest, torch.ones_like(longest))
        weights = centred.weights / centred.total_weight
        both = torch.stack([weights, weights * (centred.key_norms / safe)])
        signed: dict[str, Tensor] = {}
        sizes: dict[str, Tensor] = {}
        natural: dict[str, Tensor] = {}
        largest: dict[str, Tensor] = {}
        for part in blocks(problem.keys, BLOCK):
            weighted = both[..., part]
            x, z = centred.inputs_k(part), centred.inputs_v(part)
            v = centred.values(z)
            _add(signed, _second_moments(weighted, x, z, v))
            magnitudes = [m.abs() for m in (x, z, v)]
            _add(sizes, _means(weighted, *magnitudes))
            _raise(largest, _largest(centred.weights[..., part], *magnitudes))
            inputs = (problem.k.inputs[..., part].abs(), problem.v.inputs[..., part].abs())
            _add(natural, _means(weighted, *inputs, problem.v.projected_magnitude(part)))
        smallest_mean = _smallest_mean(centred, weights)
        # Second moments are to bound means over a row's probabilities, whose sum is that small.
        signed = {name: moment / smallest_mean for name, moment in signed.items()}
        variance = torch.linalg.eigvalsh(signed["vv"])[..., -1:, None].clamp_min(0)
        share = _FLOOR / centred.total_weight
        return cls(
            one=both.sum(-1, keepdim=True),
            xx=signed["xx"],
            vv=signed["vv"],
            zz=signed["zz"],
            x=sizes["x"] + share * largest["weighted_x"],
            z=sizes["z"] + share * largest["weighted_z"],
            xv=sizes["xv"] + share * largest["x"] * largest["weighted_v"],
            largest=largest,
            natural_x=natural["x"][0],
            natural_z=natural["z"][0],
            natural_v=natural["v"][0],
            natural_xv=natural["xv"][0],
            longest_key=longest,
            smallest_mean=smallest_mean,
            variance=variance * (1 + 2.0**-30),
            skew=_skew([natural[name] for name in ("x", "z", "v", "xv")]),
        )


def _second_moments(weights: Tensor, x: Tensor, z: Tensor, v: Tensor) -> dict[str, Tensor]:
    """mu(x x^T), mu(z z^T), mu(v v^T)."""
    return {name: (m * weights) @ m.mT for name, m in (("xx", x), ("zz", z), ("vv", v))}


def _means(weights: Tensor, x: Tensor, z: Tensor, v: Tensor) -> dict[str, Tensor]:
    """mu(x), mu(z), mu(v) and mu(x v^T) of magnitudes, the last two from one product."""
    right = torch.cat([v, torch.ones_like(v[:, :1])], dim=1)
    products = (x * weights) @ right.mT
    column = weights.mT
    return {
        "x": products[..., -1:],
        "z": z @ column,
        "v": v @ column,
        "xv": products[..., :-1],
    }


def _add(total: dict[str, Tensor], terms: dict[str, Tensor]) -> None:
    for name, term in terms.items():
        total[name] = total[name] + term if name in total else term


def _largest(weights: Tensor, x: Tensor, z: Tensor, v: Tensor) -> dict[str, Tensor]:
    """Of magnitudes: the largest of x, and of x, z and v times their keys' weights."""
    weighted = {f"weighted_{name}": m * weights for name, m in (("x", x), ("z", z), ("v", v))}
    return {name: m.amax((-1, -2), keepdim=True) for name, m in ({"x": x} | weighted).items()}


def _raise(total: dict[str, Tensor], terms: dict[str, Tensor]) -> None:
    for name, term in terms.items():
        total[name] = total[name].maximum(term) if name in total else term


def _smallest_mean(centred: Centred, weights: Tensor) -> Tensor:
    """Jensen: the mean of exp(<q_j, k_l>) is at least exp(<q_j, mean of k>), and the mean was
    shifted to zero, up to rounding."""
    drift = (centred.keys @ weights.mT).square().sum(1, keepdim=True).sqrt()
    size = (centred.key_norms @ weights.mT) * (4 * weights.shape[-1] * FLOAT64_UNIT)
    longest_query = centred.query_norms.amax(-1, keepdim=True)
    return torch.exp(-longest_query * (drift + size)) * (1 - 2.0**-40)


def _skew(natural: list[Tensor]) -> Tensor:
    """The largest quotient mu_t(h) / mu_1(h), at most 1."""
    quotients = []
    for plain, tilted in natural:
        quotient = torch.where(plain > 0, tilted / plain, torch.zeros_like(plain))
        quotients.append(quotient.amax((-1, -2), keepdim=True))
    return torch.stack(quotients).amax(0).clamp(max=1.0)
