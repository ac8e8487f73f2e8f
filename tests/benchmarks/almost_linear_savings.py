"""What each use of exactness saves the almost-linear gradient: the table of docs/almost-linear.md.

    python tests/benchmarks/almost_linear_savings.py docs/measured/almost-linear-savings.md

Degree and rank for probabilities within 1e-2 of f, relatively, entry by entry, with all that the
kernel does and with one thing at a time left out. Nothing is timed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from loracle.kernels.almost_linear.coordinates import best_coordinates, radius_of
from loracle.kernels.almost_linear.polynomial import choose_polynomial, needed_rank
from loracle.kernels.almost_linear.solve import probability_share
from loracle.presentation.atomic_file import AtomicFile
from loracle_reference.exponential_approximation import sufficient_degree
from loracle_reference.monomials import monomial_count

LENGTH, WIDTH, EPSILON, MOST = 4096, 8, 1e-2, 1 << 20
COMMAND = "python tests/benchmarks/almost_linear_savings.py docs/measured/almost-linear-savings.md"


@dataclass(frozen=True)
class Line:
    """A row of the table: what is done, the bound of the scores, degree and rank."""

    what: str
    radius: float
    degree: int
    rank: int


def tokens() -> tuple[Tensor, Tensor]:
    """Queries and keys (1, d, L) as trained heads have them: a common offset each, and coordinates
    that matter less and less, in a basis of neither's own. The largest score, shifted, is 1."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    decay = 0.7 ** torch.arange(WIDTH, dtype=torch.float64)[:, None]
    mix = normal(WIDTH, WIDTH)
    queries = torch.linalg.inv(mix).mT @ (decay * normal(WIDTH, LENGTH))
    keys = mix @ (decay * normal(WIDTH, LENGTH))
    scale = 1 / (queries.mT @ keys).abs().max()
    queries = queries * scale + 0.5 * scale * queries.abs().max()
    keys = keys + 0.5 * keys.abs().max()
    return queries[None], keys[None]


def lines() -> Iterator[Line]:
    """All that the kernel does, then with one thing left out."""
    queries, keys = tokens()
    error = probability_share(EPSILON)
    ones = torch.ones_like(keys[:, :1])
    shift = queries.mean(-1, keepdim=True)
    exponents = shift.mT @ keys
    weights = torch.exp(exponents - exponents.amax())

    def centred(weights: Tensor) -> Tensor:
        return keys - (keys @ weights.mT) / weights.sum()

    def smallest(what: str, queries: Tensor, keys: Tensor, weights: Tensor) -> Line:
        turned_queries, turned_keys, *_ = best_coordinates(queries, keys, weights)
        return chosen(what, turned_queries, turned_keys)

    def chosen(what: str, queries: Tensor, keys: Tensor) -> Line:
        radius = float(radius_of(queries, keys))
        spreads = (queries.abs().amax(-1) * keys.abs().amax(-1))[0].numpy()
        polynomial = choose_polynomial(radius, spreads, error, MOST)
        if polynomial is None:
            return full(what, radius)
        return Line(what, radius, polynomial.degree, polynomial.index_set.rank)

    def full(what: str, radius: float) -> Line:
        return Line(what, radius, *needed_rank(radius, WIDTH, error, MOST))

    shifted, middle = queries - shift, centred(weights)
    everything = smallest("all of it", shifted, middle, weights)
    yield everything
    yield smallest("keys not shifted", shifted, keys, weights)
    yield smallest("queries not shifted", queries, centred(ones), ones)
    yield chosen("coordinates as they come", shifted, middle)
    yield full("all monomials of the degree", everything.radius)
    _, degree = sufficient_degree(Fraction(everything.radius), Fraction(error))
    rank = monomial_count(WIDTH, degree)
    yield Line("Taylor or Chebyshev, all monomials", everything.radius, degree, rank)
    bound = WIDTH * float(queries.abs().max() * keys.abs().max())
    yield full("Lemma 3.3: norms alone, β d Γ²", bound)


def main(path: Path) -> None:
    """Write the table."""
    rows = [
        f"| {line.what} | {line.radius:.3g} | {line.degree} | {line.rank} |" for line in lines()
    ]
    header = [
        "```",
        COMMAND,
        "```",
        "",
        f"L = {LENGTH}, d = {WIDTH}, ε = {EPSILON:g}, for the probabilities:",
        "",
        "| what is done | R | degree | rank k |",
        "|---|---:|---:|---:|",
    ]
    with AtomicFile(str(path)) as file:
        file.write("\n".join([*header, *rows]) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
