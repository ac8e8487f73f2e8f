"""Definitions F.1, F.2 and F.3: scores, row sums and probabilities, for Q and for K."""

from __future__ import annotations

from loracle_proofs.full_adaptation_settings import ANY_KEYS, Sized
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import kronecker, sub_block, vec

__all__ = ["RECORDS"]


def unnormalized_scores_of_both(
    XQ: Matrix,
    XK: Matrix,
    WQ: Matrix,
    WK: Matrix,
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    L: int,
    M: int,
) -> list[Relation]:
    """u_Q(W_Q)_j = exp(C_j^Q vec(W_Q)) and u_K(W_K^T)_j = exp(C_j^K vec(W_K^T)) are row j of
    exp(X_Q W_Q (X_K W_K)^T)."""
    u = (XQ @ WQ @ (XK @ WK).T).exp()
    CQ, CK = kronecker(CQ1, CQ2), kronecker(CK1, CK2)
    return [
        *(equal((sub_block(CQ, j, M) @ vec(WQ)).exp().T, u.take_rows([j])) for j in range(L)),
        *(equal((sub_block(CK, j, M) @ vec(WK.T)).exp().T, u.take_rows([j])) for j in range(L)),
    ]


DEFINITION_F1 = Record(
    "Definition F.1",
    title="Unnormalized scores, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"\mathsf C^\mu = C_\mu^{(1)} \otimes C_\mu^{(2)},\quad u_\mu(\underline W)_j ="
    r" \exp(\mathsf C_j^\mu \underline W), \quad \mu = K, Q",
    uses=("Equation (B.1)", "Definition 2.3", "Definition 2.4", "Lemma 2.1"),
    parts=(
        Part(
            "rows of the exponential",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"u_Q(\underline{W_Q})_j^{\mathsf T} = u_K(\underline{W_K^{\mathsf T}})_j^{"
                    r"\mathsf T} = \exp(X^{(Q)} W_Q W_K^{\mathsf T} (X^{(K)})^{\mathsf"
                    r" T})[j, \cdot]",
                    unnormalized_scores_of_both,
                ),
            ),
        ),
    ),
    remark="u_Q is taken at W_Q and u_K at the transpose of W_K; there the two are equal.",
)


def normalizations_of_both(
    XQ: Matrix,
    XK: Matrix,
    WQ: Matrix,
    WK: Matrix,
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    L: int,
    M: int,
    ones: Sized,
) -> list[Relation]:
    """alpha_Q(W_Q)_j = alpha_K(W_K^T)_j = D_jj."""
    D = (XQ @ WQ @ (XK @ WK).T).exp() @ ones(M)
    CQ, CK = kronecker(CQ1, CQ2), kronecker(CK1, CK2)
    query = [(sub_block(CQ, j, M) @ vec(WQ)).exp().T @ ones(M) for j in range(L)]
    key = [(sub_block(CK, j, M) @ vec(WK.T)).exp().T @ ones(M) for j in range(L)]
    return [equal(alpha, D.take_rows([j])) for both in (query, key) for j, alpha in enumerate(both)]


DEFINITION_F2 = Record(
    "Definition F.2",
    title="Normalizations, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"\alpha_\mu(\underline W)_j = \langle \exp(\mathsf C_j^\mu \underline W), 1_L \rangle,"
    r" \quad \mu = K, Q",
    uses=("Definition F.1",),
    parts=(
        Part(
            "diagonal of D",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"\alpha_Q(\underline{W_Q})_j = \alpha_K(\underline{W_K^{\mathsf T}})_j ="
                    r" D_{jj}",
                    normalizations_of_both,
                ),
            ),
        ),
    ),
)


def probabilities_of_both(
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    WQ: Matrix,
    WK: Matrix,
    S: Matrix,
    L: int,
    M: int,
    ones: Sized,
) -> list[Relation]:
    """alpha_j^-1 u_j^T is row j of the softmax of the scores, for Q and for K."""
    CQ, CK = kronecker(CQ1, CQ2), kronecker(CK1, CK2)
    f = S.softmax_rows()
    query = [(sub_block(CQ, j, M) @ vec(WQ)).exp().T for j in range(L)]
    key = [(sub_block(CK, j, M) @ vec(WK.T)).exp().T for j in range(L)]
    return [
        equal(u.divide_rows(u @ ones(M)), f.take_rows([j]))
        for both in (query, key)
        for j, u in enumerate(both)
    ]


DEFINITION_F3 = Record(
    "Definition F.3",
    title="Attention probabilities, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"f_\mu(\underline W)_j = \alpha_\mu(\underline W)_j^{-1} u_\mu(\underline W)_j, \quad"
    r" f_\mu(\underline W)[j, \cdot] = f_\mu(\underline W)_j^{\mathsf T}, \quad \mu = K, Q",
    uses=("Definition F.1", "Definition F.2"),
    parts=(
        Part(
            "rows",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"f_Q(\underline{W_Q}) = f_K(\underline{W_K^{\mathsf T}}) = D^{-1}\exp(X^{(Q)}"
                    r" W_Q W_K^{\mathsf T} (X^{(K)})^{\mathsf T})",
                    probabilities_of_both,
                ),
            ),
        ),
    ),
    remark="f_j^T is a row of f here. Lemma F.9 makes the vectors with an index j columns.",
)

RECORDS = (DEFINITION_F1, DEFINITION_F2, DEFINITION_F3)
