"""Definitions F.6, F.7 and F.8: q, p and the two parts of p, for Q and for K."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.full_adaptation_settings import ANY_KEYS, WEIGHTS, Sized, attention_rows, sum_of
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS", "p_vector"]


def columns_of_q(
    C3: Matrix, cQ: Matrix, cK: Matrix, L: int, d: int, dL_df: Matrix
) -> list[Relation]:
    """q = C3 c^T: column j is sum_i c_ji C3[., i], the gradient of the loss in f_j."""
    columns = [
        equal(
            (C3 @ c.T).take_columns([j]),
            sum_of(C3.take_columns([i]) @ c.take_rows([j]).take_columns([i]) for i in range(d)),
        )
        for c in (cQ, cK)
        for j in range(L)
    ]
    return [equal(C3 @ cQ.T, dL_df.T), equal(C3 @ cK.T, dL_df.T), *columns]


DEFINITION_F6 = Record(
    "Definition F.6",
    title="q, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"q_\mu(\underline W) = C^{(3)} (c_\mu(\underline W))^{\mathsf T} \in \mathbb"
    r" R^{L \times L}, \quad \mu = K, Q",
    uses=("Definition F.4",),
    parts=(
        Part(
            "columns",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"q_\mu(\underline W)[\cdot, j] = \sum_{i=1}^d c_\mu(\underline W)_{j,i}"
                    r" C^{(3)}[\cdot, i] = \frac{\partial \mathcal L}{\partial f_j}",
                    columns_of_q,
                ),
            ),
        ),
    ),
    remark="With this orientation the vector of query j is column j of q. f and c have row j for"
    " it.",
)


def p_vector(f: Matrix, q: Matrix, identity: Sized) -> Matrix:
    """(diag(f_j) - f_j f_j^T) q_j for columns f_j, q_j of shape (M, 1)."""
    return (identity(f.shape[0]).scale_rows(f) - f @ f.T) @ q


def p_of_query(
    fQ: Matrix, cQ: Matrix, C3: Matrix, L: int, identity: Sized, dL_dS: Matrix
) -> list[Relation]:
    """p_Q,j with column j of q_Q is the gradient of the loss in the scores of query j."""
    q = C3 @ cQ.T
    return [
        equal(p_vector(fQ.take_rows([j]).T, q.take_columns([j]), identity).T, dL_dS.take_rows([j]))
        for j in range(L)
    ]


def p_of_query_with_rows(
    fQ: Matrix, cQ: Matrix, C3: Matrix, L: int, identity: Sized, dL_dS: Matrix
) -> list[Relation]:
    """p_Q,j with row j of q_Q."""
    q = C3 @ cQ.T
    return [
        equal(p_vector(fQ.take_rows([j]).T, q.take_rows([j]).T, identity).T, dL_dS.take_rows([j]))
        for j in range(L)
    ]


def p_of_key(
    fK: Matrix, cK: Matrix, C3: Matrix, L: int, identity: Sized, dL_dS: Matrix
) -> list[Relation]:
    """p_K,j with column j of q_K is the gradient of the loss in the scores of query j."""
    q = C3 @ cK.T
    return [
        equal(p_vector(fK.take_rows([j]).T, q.take_columns([j]), identity).T, dL_dS.take_rows([j]))
        for j in range(L)
    ]


def p_of_key_with_rows(
    fK: Matrix, cK: Matrix, C3: Matrix, L: int, identity: Sized, dL_dS: Matrix
) -> list[Relation]:
    """p_K,j with row j of q_K."""
    q = C3 @ cK.T
    return [
        equal(p_vector(fK.take_rows([j]).T, q.take_rows([j]).T, identity).T, dL_dS.take_rows([j]))
        for j in range(L)
    ]


def _vectors_of_p(
    C1: Matrix, C2: Matrix, W: Matrix, C3: Matrix, Y: Matrix, identity: Sized
) -> list[Matrix]:
    f = attention_rows(C1, C2, W)
    q = C3 @ (f @ C3 - Y).T
    return [p_vector(f.take_rows([j]).T, q.take_columns([j]), identity) for j in range(C1.shape[0])]


ANY_ARGUMENT = replace(WEIGHTS, shapes={**WEIGHTS.shapes, "W": ("d", "d")})


def one_function_p(
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    W: Matrix,
    C3: Matrix,
    Y: Matrix,
    identity: Sized,
) -> list[Relation]:
    """Both lines define one function: they agree for every argument W."""
    query = _vectors_of_p(CQ1, CQ2, W, C3, Y, identity)
    key = _vectors_of_p(CK1, CK2, W, C3, Y, identity)
    return [equal(one, other) for one, other in zip(query, key, strict=True)]


def two_functions_p(
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    WQ: Matrix,
    WK: Matrix,
    C3: Matrix,
    Y: Matrix,
    identity: Sized,
) -> list[Relation]:
    """p_Q(W_Q) = p_K(W_K^T): two functions, equal where each is taken."""
    query = _vectors_of_p(CQ1, CQ2, WQ, C3, Y, identity)
    key = _vectors_of_p(CK1, CK2, WK.T, C3, Y, identity)
    return [equal(one, other) for one, other in zip(query, key, strict=True)]


def _p_formula(mu: str) -> str:
    return (
        rf"p_{mu}(\underline W)_j = (\operatorname{{diag}}(f_{mu}(\underline W)_j) -"
        rf" f_{mu}(\underline W)_j f_{mu}(\underline W)_j^{{\mathsf T}}) q_{mu}(\underline W)_j"
    )


_COLUMN_READING = "q_j is column j of q = C3 c^T"
_ROW_READING = "q_j is row j of q = C3 c^T, as f_j is that of f"
_COLUMN_PROBLEM = (
    "It is not said what q_mu(W)_j is: f_j belongs to row j of f, but the vector of query j is"
    " column j of q as Definition F.6 has it. With rows the vectors are not the gradient in the"
    " scores."
)

DEFINITION_F7 = Record(
    "Definition F.7",
    title="p, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"p_Q(\underline W)_j, p_Q(\underline W)_j \in \mathbb R^L: \quad "
    + _p_formula("Q")
    + r", \quad "
    + _p_formula("K"),
    corrected=r"p_Q(\underline W)_j, p_K(\underline W)_j \in \mathbb R^L, \quad q_\mu(\underline"
    r" W)_j = q_\mu(\underline W)[\cdot, j]",
    uses=("Definition F.3", "Definition F.6"),
    parts=(
        Part(
            "Q",
            setting=WEIGHTS,
            printed=(
                Claim(_p_formula("Q"), p_of_query, reading=_COLUMN_READING),
                Claim(_p_formula("Q"), p_of_query_with_rows, reading=_ROW_READING),
            ),
            corrected=Claim(
                r"p_Q(\underline{W_Q})_j^{\mathsf T} = \frac{\partial \mathcal L}{\partial S}[j,"
                r" \cdot]",
                p_of_query,
                code=(p_vector,),
            ),
            severity=Severity.NOTATION,
            problem=_COLUMN_PROBLEM,
        ),
        Part(
            "K",
            setting=WEIGHTS,
            printed=(
                Claim(_p_formula("K"), p_of_key, reading=_COLUMN_READING),
                Claim(_p_formula("K"), p_of_key_with_rows, reading=_ROW_READING),
            ),
            corrected=Claim(
                r"p_K(\underline{W_K^{\mathsf T}})_j^{\mathsf T} = \frac{\partial \mathcal"
                r" L}{\partial S}[j, \cdot]",
                p_of_key,
                code=(p_vector,),
            ),
            severity=Severity.NOTATION,
            problem=_COLUMN_PROBLEM,
        ),
        Part(
            "names",
            setting=ANY_ARGUMENT,
            printed=(
                Claim(r"p_Q(\underline W)_j, p_Q(\underline W)_j \in \mathbb R^L", one_function_p),
                Claim(
                    r"p_Q(\underline W)_j, p_K(\underline W)_j \in \mathbb R^L",
                    two_functions_p,
                    reading="the second p_Q is p_K, as in the display",
                ),
            ),
            corrected=Claim(
                r"p_Q(\underline W)_j, p_K(\underline W)_j \in \mathbb R^L, \quad"
                r" p_Q(\underline{W_Q}) = p_K(\underline{W_K^{\mathsf T}})",
                two_functions_p,
            ),
            severity=Severity.TYPO,
            problem="The sentence announces p_Q twice; the second function is p_K, and is another"
            " one.",
        ),
    ),
    remark="S is the matrix of scores X_Q W_Q W_K^T X_K^T.",
)


def query_parts_of_p(
    fQ: Matrix, cQ: Matrix, C3: Matrix, L: int, identity: Sized, M: int, dL_dS: Matrix
) -> list[Relation]:
    """p1_j - p2_j with p1_j = diag(f_j) q_j, p2_j = f_j f_j^T q_j is the gradient in the scores."""
    f = [fQ.take_rows([j]).T for j in range(L)]
    q = [(C3 @ cQ.T).take_columns([j]) for j in range(L)]
    return [
        equal(
            (identity(M).scale_rows(f[j]) @ q[j] - f[j] @ f[j].T @ q[j]).T,
            dL_dS.take_rows([j]),
        )
        for j in range(L)
    ]


def key_parts_of_p(
    fK: Matrix, cK: Matrix, C3: Matrix, L: int, identity: Sized, M: int, dL_dS: Matrix
) -> list[Relation]:
    """The same for K."""
    f = [fK.take_rows([j]).T for j in range(L)]
    q = [(C3 @ cK.T).take_columns([j]) for j in range(L)]
    return [
        equal(
            (identity(M).scale_rows(f[j]) @ q[j] - f[j] @ f[j].T @ q[j]).T,
            dL_dS.take_rows([j]),
        )
        for j in range(L)
    ]


_P_SPLIT = (
    r"p_1^{0}(\underline W)_j = \operatorname{{diag}}(f_{0}(\underline W)_j) q_{0}(\underline"
    r" W)_j, \quad p_2^{0}(\underline W)_j = f_{0}(\underline W)_j f_{0}(\underline"
    r" W)_j^{{\mathsf T}} q_{0}(\underline W)_j"
)

DEFINITION_F8 = Record(
    "Definition F.8",
    title="The two parts of p, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"p_1^K(\underline W)_j, p_2^K(\underline W)_j \in \mathbb R^L: \quad "
    + _P_SPLIT.format("Q")
    + r", \quad "
    + _P_SPLIT.format("K")
    + r"; \quad p_Q = p_1^Q - p_2^Q, \ p_Q = p_1^Q - p_2^Q",
    corrected=r"p_Q(\underline W) = p_1^Q(\underline W) - p_2^Q(\underline W), \quad p_K(\underline"
    r" W) = p_1^K(\underline W) - p_2^K(\underline W)",
    uses=("Definition F.7",),
    parts=(
        Part(
            "Q",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"p_Q(\underline W)_j = p_1^Q(\underline W)_j - p_2^Q(\underline W)_j",
                    query_parts_of_p,
                    reading=_COLUMN_READING,
                ),
            ),
            severity=Severity.NOTATION,
            problem="As in Definition F.7, it is not said that the vector of query j is column j"
            " of q.",
        ),
        Part(
            "K",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"p_K(\underline W)_j = p_1^K(\underline W)_j - p_2^K(\underline W)_j",
                    key_parts_of_p,
                    reading="the second p_Q = p_1^Q - p_2^Q stands for p_K = p_1^K - p_2^K;"
                    " q_j is column j of q = C3 c^T",
                ),
            ),
            severity=Severity.TYPO,
            problem="The equation for Q is printed twice, and the one for K, which the proof of"
            " Theorem B.1 uses, is missing; the sentence before announces the parts of K only.",
        ),
    ),
)

RECORDS = (DEFINITION_F6, DEFINITION_F7, DEFINITION_F8)
