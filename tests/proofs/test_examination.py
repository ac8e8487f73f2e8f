"""Running claims: what holds, fails, is ill-typed or undecided, and the evidence for it."""

from __future__ import annotations

from itertools import islice

from loracle_proofs.counterexample import smallest_counterexample
from loracle_proofs.examination import QUICK, Examination, ball_instances, examine
from loracle_proofs.relation import Outcome
from loracle_proofs.statement import Claim, Part

from . import toy_claims as toy

ONES = ({"n": 2}, {"A": [[1, 1]], "B": [[1], [1]]})


def run(claim: Claim, *, printed: bool = False, **part: object) -> Examination:
    whole = Part("test", setting=toy.MATRICES, **part)  # type: ignore[arg-type]
    return examine(claim, whole, printed=printed, effort=QUICK, seed="test")


def test_an_identity_is_proved_with_symbols_at_every_size() -> None:
    result = run(Claim("", toy.transposed_product))
    assert result.outcome is Outcome.HOLDS
    assert len(result.symbolic) == 8
    assert not result.unproved
    assert result.rational == QUICK.rational_cases
    assert result.balls == QUICK.ball_cases


def test_shapes_that_do_not_fit_are_found_at_the_smallest_sizes() -> None:
    result = run(Claim("", toy.transposed_product_in_order))
    assert result.outcome is Outcome.ILL_TYPED
    assert result.detail.startswith("m=1, n=1, k=2")


def test_a_false_identity_fails_in_balls_and_has_a_smallest_counterexample() -> None:
    claim, part = Claim("", toy.symmetric_product), Part("test", setting=toy.MATRICES)
    assert run(claim, printed=True).outcome is Outcome.FAILS
    found = smallest_counterexample(claim, part, toy.MATRICES, printed=True)
    assert found is not None
    assert found.sizes == {"m": 2, "n": 1, "k": 2}
    assert sorted(found.entries) == ["A", "B"]
    assert "is not" in found.sides


def test_a_true_claim_has_no_counterexample() -> None:
    claim, part = Claim("", toy.transposed_product), Part("test", setting=toy.MATRICES)
    assert smallest_counterexample(claim, part, toy.MATRICES, printed=True, limit=2) is None


def test_an_inequality_without_its_constant_fails_and_with_it_is_attained() -> None:
    assert run(Claim("", toy.submultiplicative)).outcome is Outcome.FAILS
    result = run(Claim("", toy.submultiplicative_with_factor, extremal=(ONES,)))
    assert result.outcome is Outcome.HOLDS
    assert result.attained == 1
    assert not result.symbolic


def test_a_bound_that_is_not_attained_where_it_should_be_fails() -> None:
    result = run(Claim("", toy.loose_bound, extremal=(ONES,)))
    assert result.outcome is Outcome.FAILS
    assert "not attained" in result.detail


def test_what_needs_more_than_algebra_is_left_to_the_balls() -> None:
    result = run(Claim("", toy.exponential_of_sum))
    assert result.outcome is Outcome.HOLDS
    assert not result.symbolic
    assert result.unproved
    assert result.rational == 0
    assert result.balls == QUICK.ball_cases


def test_scalars_are_never_zero() -> None:
    assert run(Claim("", toy.homogeneous)).outcome is Outcome.HOLDS


def test_plain_values_are_computed_once() -> None:
    assert run(Claim("", toy.three_is_three, setting=None)).exact is False
    part = Part("plain")
    good = examine(Claim("", toy.three_is_three), part, printed=True, effort=QUICK, seed="")
    bad = examine(Claim("", toy.three_is_four), part, printed=True, effort=QUICK, seed="")
    assert good.exact
    assert good.outcome is Outcome.HOLDS
    assert bad.outcome is Outcome.FAILS
    assert bad.detail == "the sum of one and two: 3 is not 4"


def test_only_instances_that_meet_the_hypotheses_count() -> None:
    free = run(Claim("", toy.row_sums_bound_entries))
    assert free.outcome is Outcome.FAILS
    bound = run(Claim("", toy.row_sums_bound_entries), hypotheses=toy.non_negative)
    assert bound.outcome is Outcome.HOLDS
    assert bound.met is not None
    assert all(entry >= 0 for row in bound.met.entries["A"] for entry in row)


def test_hypotheses_that_nothing_meets_prove_nothing() -> None:
    result = run(Claim("", toy.row_sums_bound_entries), hypotheses=toy.three_is_four)
    assert result.outcome is Outcome.UNDECIDED
    assert result.met is None


def test_two_runs_see_the_same_instances_and_another_seed_others() -> None:
    def entries(seed: str) -> list[object]:
        drawn = ball_instances(toy.MATRICES, seed, printed=False)
        return [instance.entries for instance in islice(drawn, 5)]

    assert entries("a") == entries("a")
    assert entries("a") != entries("b")
