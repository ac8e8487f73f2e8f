"""Statements changed so that they are false or no longer follow: their proofs must fail."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MUTANTS", "Mutant", "mutated", "proof_lines"]


@dataclass(frozen=True)
class Mutant:
    """In the statement of `file.theorem`, `old` becomes `new`. what: the mistake, in words."""

    file: str
    theorem: str
    old: str
    new: str
    what: str


MUTANTS = (
    Mutant("Vec", "vec_entry", "(i * d + j)", "(j * L + i)", "vec stacks columns"),
    Mutant(
        "Vec", "kron_entry", "(ja * db + jb)", "(jb * da + ja)", "the factors' columns exchanged"
    ),
    Mutant("Jacobian", "pull_back_A", "vec (B^T *m G)", "vec (B^T *m - G)", "a sign"),
    Mutant(
        "Permutation",
        "T_entry",
        "(j == p * n + k :>",
        "(j == k * m + p :>",
        "T of Lemma F.2's text",
    ),
    Mutant(
        "FaceSplitting",
        "face_splitting_product",
        "face_splitting U1 U2 *m",
        "face_splitting U1 (0 *: U2) *m",
        "a factor dropped",
    ),
    Mutant(
        "Gradient",
        "gradient_in_W",
        "C1^T *m p *m C2",
        "C1^T *m p1 f (q_of c C3) *m C2",
        "p1 in the place of p: the softmax correction forgotten",
    ),
    Mutant(
        "Gradient",
        "gradient_in_all_adapters",
        "(s * beta) *: (BK^T *m XK^T",
        "s *: (BK^T *m XK^T",
        "beta forgotten in dL/dA_K",
    ),
    Mutant(
        "LowRank",
        "p2_factors",
        "q)^T *m U1) *m V1^T",
        "q)^T *m U1) *m (- V1)^T",
        "the sign of p2",
    ),
    Mutant(
        "ErrorPropagation",
        "residual_error_bound",
        "<= M%:R * (",
        "<= 1%:R * (",
        "the factor M that the paper's proof drops",
    ),
    Mutant(
        "Reduction",
        "norms_embedded",
        "= r%:R^-1 * max_norm A2",
        "= max_norm A2",
        "the division by r forgotten",
    ),
    Mutant(
        "Analysis/Loss",
        "loss_in_W",
        "C1^T *m p_at W *m C2",
        "C1^T *m f_at scores W *m C2",
        "f in the place of p",
    ),
)


def mutated(mutant: Mutant, source: str) -> str:
    """The file with the mutant in it.

    Raises ValueError unless the statement contains `old` exactly once.
    """
    start, proof, _ = _span(mutant, source)
    statement = source[start:proof]
    if statement.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file}.{mutant.theorem}: {mutant.old!r} is not there once")
    return source[:start] + statement.replace(mutant.old, mutant.new) + source[proof:]


def proof_lines(mutant: Mutant, source: str) -> range:
    """The lines of the theorem's proof, from 1, `Proof.` to `Qed.`: where it must fail."""
    _, proof, end = _span(mutant, source)
    return range(source.count("\n", 0, proof) + 1, source.count("\n", 0, end) + 2)


def _span(mutant: Mutant, source: str) -> tuple[int, int, int]:
    start = source.find(f"Theorem {mutant.theorem} ")
    if start < 0:
        raise ValueError(f"{mutant.file} has no theorem {mutant.theorem}")
    proof = source.index("Proof.", start)
    return start, proof, source.index("Qed.", proof)
