"""What no method can do: attention probabilities so near the identity that no low rank comes close.

Lemma 3.3 as printed asks for Gamma = o(sqrt(log L)) and d = O(log L), and has no beta. Here are
instances with constant Gamma, beta = 1 and d = Theta(log L) whose f lies within 1/(4 L) of the
identity; every matrix within 1/(2 L) of such an f has rank L. It takes no complexity hypothesis.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from random import Random

import flint

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.protocol import Scalar
from loracle_reference.upper_bounds import as_ball, upper_fraction

__all__ = [
    "BinaryCode",
    "FullRankInstance",
    "distance_to_identity",
    "identity_rank_lower_bound",
    "printed_threshold_counterexample",
]

_CODES_PER_LENGTH = 8
"""How many random codes of one length are tried."""


@dataclass(frozen=True)
class BinaryCode:
    """A linear code: all sums modulo 2 of the generators, integers whose bits are coordinates.

    Raises ValueError unless there are a coordinate and a generator and every generator fits.
    """

    generators: tuple[int, ...]
    width: int

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"a code needs a width of at least 1 bit, got {self.width}")
        if not self.generators or any(not 0 <= g < 1 << self.width for g in self.generators):
            raise ValueError(f"a code needs generators of {self.width} bits, got {self.generators}")

    @property
    def length(self) -> int:
        """L = 2^bits, the number of words, equal ones counted apart."""
        return 1 << len(self.generators)

    def words(self) -> Iterator[int]:
        """All sums of generators, the zero word first; message m has word m in this order."""
        words = [0]
        yield 0
        for generator in self.generators:
            sums = [word ^ generator for word in words]
            yield from sums
            words += sums

    def signs(self) -> list[list[int]]:
        """The words as rows of +1 (bit 0) and -1 (bit 1), shape (L, width)."""
        return [
            [1 - 2 * (word >> place & 1) for place in range(self.width)] for word in self.words()
        ]

    def distances(self) -> Counter[int]:
        """How many words lie at each distance from a word, itself left out.

        The same for every word, for the distance of two words is the weight of their sum, a word.
        """
        weights = Counter(word.bit_count() for word in self.words())
        weights[0] -= 1
        return +weights


@dataclass(frozen=True)
class FullRankInstance:
    """C1 = C2 = gamma * signs of the code, W = I, beta: f near the identity of size L.

    The max norms of C1 W and C2 are gamma, the scores beta gamma^2 (d - 2 dist) at most
    beta d gamma^2. identity_distance: upper bound of max |f - I|. Any matrix within
    tolerated_error of f in the max norm has rank >= rank_lower_bound.
    """

    code: BinaryCode
    gamma: Fraction
    beta: Fraction
    identity_distance: Fraction
    tolerated_error: Fraction

    @property
    def length(self) -> int:
        """L."""
        return self.code.length

    @property
    def width(self) -> int:
        """d."""
        return self.code.width

    @property
    def minimum_distance(self) -> int:
        """The least number of coordinates in which two words differ."""
        return min(self.code.distances())

    @property
    def score_bound(self) -> Fraction:
        """beta d gamma^2, attained on the diagonal."""
        return self.beta * self.width * self.gamma**2

    @property
    def rank_lower_bound(self) -> int:
        """By `identity_rank_lower_bound` at the sum of both distances."""
        total = self.identity_distance + self.tolerated_error
        return identity_rank_lower_bound(self.length, total).__ceil__()


def identity_rank_lower_bound(size: int, epsilon: Scalar) -> Fraction:
    """n / (1 + (n - 1) eta^2), eta = epsilon / (1 - epsilon): rank M >= this if |M - I| <= epsilon.

    M is any real n x n matrix, symmetric or not, |.| the max norm. Proof: M_ii >= 1 - epsilon > 0,
    so N = diag(M_11, ..., M_nn)^-1 M has the rank of M, a diagonal of ones, and other entries of at
    most eta. With singular values s_i, rank many of them positive,
        n = tr N <= sum s_i <= sqrt(rank N) ||N||_F <= sqrt(rank N) sqrt(n + n (n - 1) eta^2).
    Equality: a regular simplex, rank n - 1, other entries -1 / (n - 1) (epsilon = 1 / n).
    Raises ValueError unless size >= 1 and 0 <= epsilon < 1.
    """
    exact = as_fraction(epsilon)
    if size < 1 or not 0 <= exact < 1:
        raise ValueError(
            f"the bound needs a size >= 1 and 0 <= epsilon < 1, got {size} and {epsilon}"
        )
    eta = exact / (1 - exact)
    return size / (1 + (size - 1) * eta**2)


def distance_to_identity(code: BinaryCode, gamma: Scalar, beta: Scalar = 1) -> Fraction:
    """An upper bound of max |f - I| for the instance of `FullRankInstance`, at most 1.

    f_jl = exp(-2 beta gamma^2 dist(j, l)) / (1 + S) with S = sum over the other words of
    exp(-2 beta gamma^2 dist), the same for every row; so 1 - f_jj = S / (1 + S), which is at least
    every f_jl, l != j. S is summed from the exact distances, in balls.
    """
    rate = 2 * as_fraction(beta) * as_fraction(gamma) ** 2
    with flint.ctx.workprec(128):
        total = flint.arb(0)
        for distance, words in code.distances().items():
            total += words * as_ball(-rate * distance).exp()
        return min(upper_fraction(total / (1 + total)), Fraction(1))


def printed_threshold_counterexample(bits: int, gamma: Scalar = 1) -> FullRankInstance:
    """An instance with L = 2^bits, beta = 1 and constant Gamma that refutes Lemma 3.3 as printed.

    f lies within 1 / (4 L) of the identity, so what is within 1 / (2 L) of f has rank L. The width
    is d = c bits, c the smallest factor for which one of a few codes, random but the same on every
    machine, is good enough; a random code's S is about L ((1 + exp(-2 gamma^2)) / 2)^d, so c
    depends on gamma alone. Raises ValueError unless bits >= 1 and gamma > 0.
    """
    exact = as_fraction(gamma)
    if bits < 1 or exact <= 0:
        raise ValueError(f"an instance needs bits >= 1 and gamma > 0, got {bits} and {gamma}")
    random = Random(0)
    near = Fraction(1, 4 << bits)
    width = bits
    while True:
        for _ in range(_CODES_PER_LENGTH):
            code = BinaryCode(tuple(random.getrandbits(width) for _ in range(bits)), width)
            distance = distance_to_identity(code, exact)
            if distance <= near:
                return FullRankInstance(code, exact, Fraction(1), distance, 2 * near)
        width += bits
