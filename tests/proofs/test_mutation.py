"""The mutator: each operator makes its change, and the report counts honestly."""

from __future__ import annotations

import pytest

from loracle_proofs.mutation import MutationReport, mutants, mutate
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Part
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import kronecker, vec

from . import toy_claims as toy


def report(claim: Claim) -> MutationReport:
    return mutate(claim, Part("test", setting=toy.MATRICES), printed=False, seed="test")


def all_operators(A: Matrix, B: Matrix, t: object) -> Relation:
    left = (A @ B - A @ B).scale(2) + A @ B
    rows = [left.take_rows([j]) for j in range(1)]
    return equal(rows[0], rows[0])


def test_every_operator_of_the_list_is_there() -> None:
    operators = {mutant.operator for mutant in mutants(Claim("", all_operators))}
    assert operators == {"sign", "transpose", "constant", "term", "order"}
    indexed = {mutant.operator for mutant in mutants(Claim("", indexing))}
    assert "index" in indexed


def indexing(A: Matrix, m: int) -> list[Relation]:
    rows = [A.take_rows([j]) for j in range(m)]
    return [equal(rows[j], A.take_rows([j])) for j in range(m)]


def test_all_mutants_of_a_true_identity_are_killed() -> None:
    result = report(Claim("", toy.transposed_product))
    assert result.total >= 10
    assert result.killed == result.total
    assert result.complete


def test_a_blind_claim_has_survivors() -> None:
    result = report(Claim("", toy.commuting))
    assert result.survivors
    assert not result.complete


def test_a_mutant_listed_as_equivalent_must_survive() -> None:
    listed = Claim("", toy.transposed_product, equivalent={"no such mutant": "a reason"})
    assert not report(listed).complete


def test_a_looser_constant_is_killed_where_the_bound_is_attained() -> None:
    ones = ({"n": 2}, {"A": [[1, 1]], "B": [[1], [1]]})
    sharp = report(Claim("", toy.submultiplicative_with_factor, extremal=(ones,)))
    assert sharp.complete
    blunt = report(Claim("", toy.loose_bound))
    assert any("2 -> 3" in name for name in blunt.survivors)


def tensor_trick_of_toy(A: Matrix, B: Matrix, identity: object) -> Relation:
    return equal(vec(A @ B), kronecker(A, B.T @ B) @ vec(B) if False else vec(A @ B))


def test_functions_of_the_specification_are_mutated_too() -> None:
    claim = Claim("", tensor_trick_of_toy, code=(vec,))
    assert {mutant.function for mutant in mutants(claim)} == {"tensor_trick_of_toy", "vec"}


def test_only_functions_of_the_top_level_can_be_mutated() -> None:
    def local(A: Matrix) -> Relation:
        return equal(A, A)

    with pytest.raises(TypeError, match="top level"):
        list(mutants(Claim("", local)))


def test_names_of_repeated_changes_differ() -> None:
    names = [mutant.name for mutant in mutants(Claim("", all_operators))]
    assert len(names) == len(set(names))
