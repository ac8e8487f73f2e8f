"""Definition 3.1 and equation (3.1): the LoRA loss for the weights of queries and values."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from loracle_proofs.records.preliminaries.generic_attention import (
    GENERIC_ONES,
    generic_normalisation,
    generic_normalisation_over_n,
    generic_normalisation_over_queries,
)
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.settings import FULL_ADAPTATION
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import half_squared_norm, lora_attention_loss, residual

__all__ = ["ANY_LENGTHS", "PARTIAL_ADAPTATION", "RECORDS", "generic_loss", "partial_loss"]


def partial_loss(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    """The loss of (3.1) for one sample by the specification: all three weights, A_K being zero."""
    return lora_attention_loss(
        x_q=XQ,
        x_k=XK,
        x_v=XV,
        w_q=WQ0,
        w_k=WK0,
        w_v=WV0,
        a_q=AQ,
        b_q=BQ,
        a_k=AQ.scale(0),
        b_k=BQ,
        a_v=AV,
        b_v=BV,
        scaling=s,
        beta=beta,
        y=Y,
    )


PARTIAL_ADAPTATION = replace(
    FULL_ADAPTATION,
    name="Definition 3.1",
    shapes={
        name: shape for name, shape in FULL_ADAPTATION.shapes.items() if name not in ("AK", "BK")
    },
    derived={name: FULL_ADAPTATION.derived[name] for name in ("WQ", "WV")},
    loss=partial_loss,
)

ANY_LENGTHS = replace(PARTIAL_ADAPTATION, name="Definition 3.1 for any lengths", square={})
"""L queries and M keys: what is right as printed holds for M != L as well."""


def generic_loss(queries: Matrix, keys: Matrix, values: Matrix, Y: Matrix, beta: Scalar) -> Matrix:
    """1/2 ||D^-1 exp(beta Q K^T) V - Y||_F^2 with D = diag(exp(beta Q K^T) 1)."""
    exponentials = (queries @ keys.T).scale(beta).exp()
    f = exponentials.divide_rows(exponentials.row_sum())
    return half_squared_norm(residual(f, values, Y))


def adapted_generic_attention(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Relation:
    """The loss of Definition 2.5 at W_Q* + s B_Q A_Q, W_K* and W_V* + s B_V A_V."""
    WQ = WQ0 + (BQ @ AQ).scale(s)
    WV = WV0 + (BV @ AV).scale(s)
    return equal(
        partial_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AV, BV, Y, s, beta),
        generic_loss(XQ @ WQ, XK @ WK0, XV @ WV, Y, beta),
    )


_ADAPTED = Claim(
    r"\mathcal{L} = \tfrac12 \|D^{-1} \exp\{X^{(Q)} W_Q (W_K^\star)^{\mathsf T}"
    r" (X^{(K)})^{\mathsf T} \beta\} X^{(V)} W_V - Y\|_F^2 \text{ is Definition 2.5 at } W_K^\star,"
    r" W_\mu = W_\mu^\star + \frac{\alpha}{r} B_\mu A_\mu,\ \mu = Q, V",
    adapted_generic_attention,
    code=(generic_loss,),
)

TWO_SAMPLES = Setting(
    "Equation (3.1) for N = 2",
    shapes={
        **{f"X{mu}{i}": ("L" if mu == "Q" else "M", "d") for i in "12" for mu in "QKV"},
        "Y1": ("L", "d"),
        "Y2": ("L", "d"),
        **{
            name: PARTIAL_ADAPTATION.shapes[name]
            for name in ("WQ0", "WK0", "WV0", "AQ", "BQ", "AV", "BV")
        },
    },
    scalars=("s", "beta"),
    derived=PARTIAL_ADAPTATION.derived,
    limits={"r": 2},
)


def mean_over_samples(
    XQ1: Matrix,
    XK1: Matrix,
    XV1: Matrix,
    Y1: Matrix,
    XQ2: Matrix,
    XK2: Matrix,
    XV2: Matrix,
    Y2: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AV: Matrix,
    BV: Matrix,
    WQ: Matrix,
    WV: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Relation:
    """1/(2N) sum_i ||D_i^-1 exp(...) X_i^(V) W_V - Y_i||_F^2 = 1/N sum_i L_i for N = 2."""
    first = (XQ1 @ WQ @ WK0.T @ XK1.T).scale(beta).exp()
    first = first.divide_rows(first.row_sum())
    second = (XQ2 @ WQ @ WK0.T @ XK2.T).scale(beta).exp()
    second = second.divide_rows(second.row_sum())
    c1, c2 = residual(first, XV1 @ WV, Y1), residual(second, XV2 @ WV, Y2)
    squares = (c1 * c1).row_sum().T.row_sum() + (c2 * c2).row_sum().T.row_sum()
    losses = partial_loss(XQ1, XK1, XV1, WQ0, WK0, WV0, AQ, BQ, AV, BV, Y1, s, beta) + partial_loss(
        XQ2, XK2, XV2, WQ0, WK0, WV0, AQ, BQ, AV, BV, Y2, s, beta
    )
    return equal(squares.scale(Fraction(1, 4)), losses.scale(Fraction(1, 2)))


_PRINTED_3_1 = (
    r"\min_{A_Q, B_Q, A_V, B_V} \mathcal{L}\left(W_K^\star, W_Q = W_Q^\star + \frac{\alpha}{r} B_Q"
    r" A_Q, W_V = W_V^\star + \frac{\alpha}{r} B_V A_V\right) := \min \frac{1}{2N} \sum_{i=1}^N"
    r" \|D^{-1} \exp\{X_i^{(Q)} W_Q (W_K^\star)^{\mathsf T} (X_i^{(K)})^{\mathsf T} \beta\}"
    r" X_i^{(V)} W_V - Y_i\|_F^2"
)

DEFINITION_3_1 = Record(
    "Definition 3.1",
    title="The LoRA loss for the weights of queries and values",
    kind=Kind.DEFINITION,
    printed=_PRINTED_3_1 + r",\quad D := \operatorname{diag}(\exp\{X_i^{(Q)} W_Q"
    r" (W_K^\star)^{\mathsf T} (X_i^{(K)})^{\mathsf T} \beta\} \mathbb{1}_n)",
    corrected=r"D_i := \operatorname{diag}(\exp\{X_i^{(Q)} W_Q (W_K^\star)^{\mathsf T}"
    r" (X_i^{(K)})^{\mathsf T} \beta\} \mathbb{1}_M) \text{ for } M \text{ keys}",
    uses=("Definition 2.5", "Definition 1.1", "Equation (3.1)"),
    parts=(
        Part(
            "the length of the ones",
            setting=GENERIC_ONES,
            printed=(
                Claim(
                    r"D = \operatorname{diag}(\exp\{X^{(Q)} W_Q (W_K^\star)^{\mathsf T}"
                    r" (X^{(K)})^{\mathsf T} \beta\} \mathbb{1}_n)",
                    generic_normalisation_over_n,
                ),
                Claim(
                    r"D = \operatorname{diag}(\exp\{X^{(Q)} W_Q (W_K^\star)^{\mathsf T}"
                    r" (X^{(K)})^{\mathsf T} \beta\} \mathbb{1}_L)",
                    generic_normalisation_over_queries,
                    reading="n is L",
                ),
            ),
            corrected=Claim(
                r"D = \operatorname{diag}(\exp\{X^{(Q)} W_Q (W_K^\star)^{\mathsf T}"
                r" (X^{(K)})^{\mathsf T} \beta\} \mathbb{1}_M)",
                generic_normalisation,
            ),
            severity=Severity.NOTATION,
            problem="n is not defined; the ones are as many as there are keys, which is L only"
            " because the definition gives every input L rows.",
        ),
        Part("the adapted weights", setting=ANY_LENGTHS, printed=(_ADAPTED,)),
    ),
)

EQUATION_3_1 = Record(
    "Equation (3.1)",
    title="The LoRA loss for the weights of queries and values",
    kind=Kind.EQUATION,
    printed=_PRINTED_3_1,
    uses=("Definition 3.1",),
    parts=(
        Part(
            "the value",
            setting=TWO_SAMPLES,
            printed=(
                Claim(
                    r"\frac{1}{2N} \sum_{i=1}^N \|D_i^{-1} \exp\{\ldots\} X_i^{(V)} W_V - Y_i\|_F^2"
                    r" = \frac{1}{N} \sum_{i=1}^N \mathcal{L}_i",
                    mean_over_samples,
                ),
            ),
        ),
    ),
    remark="Run for N = 2, with the D of Definition 3.1 in the reading that its record states.",
)


RECORDS = (DEFINITION_3_1, EQUATION_3_1)
