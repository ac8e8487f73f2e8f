"""The definitions of the Coq sources on rational instances, as Coq text: what reference/ computes
in exact arithmetic is what Coq must compute.

A definition is the weak point of a formal proof. Here each entry of each is an equation between the
definition, applied to numbers, and the number that the specification gives; Coq decides it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from loracle_reference.arithmetic.exact import Exact, ExactMatrix
from loracle_reference.attention import adapted_weight, half_squared_norm, residual
from loracle_reference.gradient import residual_value_products, score_gradient
from loracle_reference.reduction import AttentionLossInstance, embed
from loracle_reference.vectorization import (
    column_wise_kronecker,
    kronecker,
    mat,
    row_wise_kronecker,
    sub_block,
    transposition,
    vec,
)

__all__ = ["Instance", "coq_text", "instances", "wrong"]

Rows = list[list[Fraction]]


@dataclass(frozen=True)
class Instance:
    """One definition on one input: the entries of `expression` are `expected`.

    unfold: the definitions to look into first. row, column: how an index is written in Coq.
    """

    definition: str
    expression: str
    expected: Rows
    unfold: str = ""
    row: Callable[[int], str] | None = None
    column: Callable[[int], str] | None = None


def instances(seed: int = 2) -> list[Instance]:
    """Every definition that the theorems are about, on small random rational matrices."""
    source = random.Random(seed)

    def draw(rows: int, columns: int) -> Rows:
        return [
            [Fraction(source.randint(-4, 4), source.randint(1, 3)) for _ in range(columns)]
            for _ in range(rows)
        ]

    def positive(rows: int, columns: int) -> Rows:
        return [[abs(x) + 1 for x in row] for row in draw(rows, columns)]

    return [
        *_vectorization(draw),
        *_products(draw),
        *_attention(draw, positive),
        *_embedding(draw),
    ]


def _vectorization(draw: Callable[[int, int], Rows]) -> Iterator[Instance]:
    x, v, a, b = draw(2, 3), draw(6, 1), draw(2, 1), draw(2, 2)
    coq_kron = f"(kron {_coq(a)} {_coq(b)})"
    product = kronecker(_exact(a), _exact(b))
    yield Instance("vec", f"(vec {_coq(x)})", _rows(vec(_exact(x))))
    yield Instance("mat", f"(mat ({_coq(v, '2 * 3', '1')}))", _rows(mat(_exact(v), 2, 3)))
    yield Instance("kron", coq_kron, _rows(product))
    yield Instance("sub_block", f"(sub_block {coq_kron} 1)", _rows(sub_block(product, 1, 2)))
    ones = [[Fraction(entry) for entry in row] for row in transposition(2, 3)]
    yield Instance("T", "(T rat_comRing 2 3)", ones)


def _products(draw: Callable[[int, int], Rows]) -> Iterator[Instance]:
    a, b = draw(2, 2), draw(2, 3)
    yield Instance(
        "face_splitting",
        f"(face_splitting {_coq(a)} {_coq(b)})",
        _rows(row_wise_kronecker(_exact(a), _exact(b))),
    )
    c, d = draw(2, 2), draw(1, 2)
    yield Instance(
        "khatri_rao",
        f"(khatri_rao {_coq(c)} {_coq(d)})",
        _rows(column_wise_kronecker(_exact(c), _exact(d))),
    )


def _attention(
    draw: Callable[[int, int], Rows], positive: Callable[[int, int], Rows]
) -> Iterator[Instance]:
    u, f, q = positive(2, 3), draw(2, 2), draw(2, 2)
    c3, y, c = draw(2, 2), draw(2, 2), draw(2, 2)
    exact_u = _exact(u)
    yield Instance(
        "normalize", f"(normalize {_coq(u)})", _rows(exact_u.divide_rows(exact_u.row_sum()))
    )
    yield Instance(
        "residual",
        f"(residual {_coq(f)} {_coq(c3)} {_coq(y)})",
        _rows(residual(_exact(f), _exact(c3), _exact(y))),
    )
    yield Instance(
        "q_of",
        f"(q_of {_coq(c)} {_coq(c3)})",
        _rows(residual_value_products(_exact(c), _exact(c3))),
    )
    identity: Rows = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]]
    yield Instance(
        "p_of",
        f"(p_of {_coq(f)} {_coq(q)})",
        _rows(score_gradient(_exact(f), _exact(q), _exact(identity))),
    )
    yield Instance(
        "half_square",
        f"(const_mx (half_square {_coq(c)}) : 'M_1)",
        _rows(half_squared_norm(_exact(c))),
        unfold="/half_square",
    )
    w, b, a = draw(2, 2), draw(2, 1), draw(1, 2)
    yield Instance(
        "weight",
        f"(weight {_coq(w)} {_coq(b)} {_coq(a)})",
        _rows(adapted_weight(_exact(w), _exact(b), _exact(a), 1)),
        unfold="/weight",
    )
    scaling = Fraction(3, 2)
    yield Instance(
        "adapted",
        f"(adapted {_number(scaling)} {_coq(w)} {_coq(b)} {_coq(a)})",
        _rows(adapted_weight(_exact(w), _exact(b), _exact(a), scaling)),
        unfold="/adapted",
    )
    largest = max(abs(entry) for row in w for entry in row)
    yield Instance("max_norm", f"(max_norm {_coq(w)})", [[largest]], unfold=_position(w, largest))


def _embedding(draw: Callable[[int, int], Rows]) -> Iterator[Instance]:
    a1, a2, a3, x, e = draw(2, 2), draw(2, 2), draw(2, 2), draw(2, 2), draw(2, 2)
    old = AttentionLossInstance(
        a1=_exact(a1), a2=_exact(a2), a3=_exact(a3), x=_exact(x), e=_exact(e)
    )
    new = embed(old, 3, Exact().matrix)
    split = _split(2, 1)
    for name, rows, matrix in (
        ("C1", a1, new.c1),
        ("C2", a2, new.c2),
        ("C3", a3, new.c3),
        ("Y", e, new.y),
        ("A_Q", x, new.a),
    ):
        yield Instance(
            name,
            f"({name} 1 {_coq(rows)})",
            _rows(matrix),
            unfold=f"/{name} {'mxE' if name == 'C2' else ''} /padded",
            column=split,
        )
    yield Instance(
        "B_Q", "(B_Q rat_comUnitRing 2 1)", _rows(new.b), unfold="/B_Q /unit_columns", row=split
    )


def _split(first: int, second: int) -> Callable[[int], str]:
    """An index among first + second, as one of the left or of the right ones."""

    def index(i: int) -> str:
        if i < first:
            return f"(lshift {second} (@Ordinal {first} {i} isT))"
        return f"(rshift {first} (@Ordinal {second} {i - first} isT))"

    return index


def _position(rows: Rows, magnitude: Fraction) -> str:
    """Where the entry of that magnitude stands, as Coq indices."""
    i, j = next(
        (i, j) for i, row in enumerate(rows) for j, x in enumerate(row) if abs(x) == magnitude
    )
    return f"{_ordinal(i, len(rows))} {_ordinal(j, len(rows[0]))}"


def _ordinal(i: int, size: int) -> str:
    return f"(@Ordinal {size} {i} isT)"


def _exact(rows: Rows) -> ExactMatrix:
    return Exact().matrix(rows)


def _rows(matrix: ExactMatrix) -> Rows:
    return [[Fraction(entry) for entry in row] for row in matrix.values.tolist()]


def _number(x: Fraction) -> str:
    """A rational number in Coq."""
    magnitude = f"({abs(x.numerator)}%:R / {x.denominator}%:R)"
    return f"(- {magnitude})" if x < 0 else magnitude


def _coq(rows: Rows, height: str = "", width: str = "") -> str:
    """A matrix in Coq."""
    inner = "; ".join(f"[:: {'; '.join(map(_number, row))}]" for row in rows)
    return f"(rows ({height or len(rows)}) ({width or len(rows[0])}) [:: {inner}])"


def coq_text(given: list[Instance]) -> str:
    """A file that compiles if and only if Coq computes what is expected, instance by instance."""
    head = [
        "From mathcomp Require Import all_ssreflect all_algebra.",
        "From Loracle Require Import Vec Jacobian Permutation FaceSplitting Derivation Gradient.",
        "From Loracle Require Import LowRank ErrorPropagation Reduction Counterexamples.",
        "Import Order.TTheory GRing.Theory Num.Theory.",
        "Local Open Scope ring_scope.",
    ]
    return "\n".join([*head, *(_goal(one) for one in given)]) + "\n"


def wrong(one: Instance) -> Instance:
    """The same with other numbers, which Coq must refuse."""
    return replace(one, expected=[[entry + 1 for entry in row] for row in one.expected])


def _goal(one: Instance) -> str:
    if one.definition == "max_norm":
        return _max_norm_goal(one)
    height, width = len(one.expected), len(one.expected[0])
    row = one.row or (lambda i: _ordinal(i, height))
    column = one.column or (lambda j: _ordinal(j, width))
    equations = [
        f"{one.expression} {row(i)} {column(j)} == {_number(one.expected[i][j])}"
        for i in range(height)
        for j in range(width)
    ]
    unfold = f"rewrite {one.unfold}; " if one.unfold else ""
    blocks = "rewrite ?(row_mxEl, row_mxEr, col_mxEu, col_mxEd); "
    goals = "\n".join(
        f"Goal {equation}.\nProof. by {unfold}{blocks}entries. Qed." for equation in equations
    )
    return f"(* {one.definition} *)\n{goals}"


def _max_norm_goal(one: Instance) -> str:
    value = _number(one.expected[0][0])
    return (
        f"(* {one.definition} *)\nGoal {one.expression} == {value}.\n"
        "Proof.\nrewrite eq_le; apply/andP; split.\n"
        "  by apply: max_norm_le => // [[[|[|?]] ?] [[|[|?]] ?]] //; entries.\n"
        f"by apply: le_trans (max_norm_ge _ {one.unfold}); entries.\nQed."
    )
