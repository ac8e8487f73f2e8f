"""Section 3 up to Problem 2: the loss of partial adaptation, its simplifications and (3.3)."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import sympy

from loracle_proofs.records.preliminaries import (
    GENERIC_ONES,
    generic_normalisation,
    generic_normalisation_over_n,
    generic_normalisation_over_queries,
)
from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.settings import FULL_ADAPTATION, PROBLEM_2, aloragc_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import (
    attention_probabilities,
    half_squared_norm,
    lora_attention_loss,
    residual,
)
from loracle_reference.gradient import aloragc_gradient
from loracle_reference.vectorization import mat, vec

__all__ = ["RECORDS"]


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


# Definition 3.1 and equation (3.1)


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


# Simplification (S1)


def _probabilities(XQ: Matrix, XK: Matrix, WQ: Matrix, WK: Matrix, beta: Scalar) -> Matrix:
    return attention_probabilities(XQ @ WQ, XK @ WK, beta)


LINEARITY = Setting(
    "Simplification (S1)",
    shapes={
        "XQ": ("L", "d"),
        "XK": ("M", "d"),
        "XV": ("M", "d"),
        "WQ": ("d", "d"),
        "WK": ("d", "d"),
        "WV": ("d", "d"),
        "V": ("d", "d"),
    },
    scalars=("beta", "first", "second"),
    derived={"f": _probabilities},
)


def output_is_linear_in_values(
    f: Matrix, XV: Matrix, WV: Matrix, V: Matrix, first: Scalar, second: Scalar
) -> Relation:
    """Z(a W_V + b V) = a Z(W_V) + b Z(V) for Z(W_V) = f X_V W_V."""
    return equal(
        f @ XV @ (WV.scale(first) + V.scale(second)),
        (f @ XV @ WV).scale(first) + (f @ XV @ V).scale(second),
    )


def loss_with_fixed_values(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    """The loss of (3.1) as a function of A_Q and B_Q, with W_V held at its value; shape (1, 1)."""
    WQ = WQ0 + (BQ @ AQ).scale(s)
    return generic_loss(XQ @ WQ, XK @ WK0, XV @ WV, Y, beta)


def gradients_with_fixed_values(gradient: Any, derivative: Any) -> list[Relation]:
    """The gradients of (3.1) in A_Q and B_Q are those of the problem with W_V fixed."""
    return [
        equal(gradient("AQ"), derivative(loss_with_fixed_values, "AQ")),
        equal(gradient("BQ"), derivative(loss_with_fixed_values, "BQ")),
    ]


def gradients_of_values(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ: Matrix,
    WK0: Matrix,
    WV: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
    gradient: Any,
) -> list[Relation]:
    """dL/dA_V = s B_V^T X_V^T f^T c and dL/dB_V = s X_V^T f^T c A_V^T."""
    f = attention_probabilities(XQ @ WQ, XK @ WK0, beta)
    c = residual(f, XV @ WV, Y)
    return [
        equal(gradient("AV"), (BV.T @ XV.T @ f.T @ c).scale(s)),
        equal(gradient("BV"), (XV.T @ f.T @ c @ AV.T).scale(s)),
    ]


SIMPLIFICATION_S1 = Record(
    "Simplification (S1)",
    title="The weight of the values is fixed",
    kind=Kind.SIMPLIFICATION,
    printed=r"\text{(II) is linear in } W_V;\quad \text{for the cost of the gradient, fix } W_V",
    uses=("Definition 3.1",),
    parts=(
        Part(
            "linear in the weight of the values",
            setting=LINEARITY,
            printed=(
                Claim(
                    r"Z(a W_V + b V) = a Z(W_V) + b Z(V)",
                    output_is_linear_in_values,
                ),
            ),
        ),
        Part(
            "the gradients that remain",
            setting=ANY_LENGTHS,
            printed=(
                Claim(
                    r"\frac{\partial \mathcal{L}}{\partial A_Q}, \frac{\partial \mathcal{L}}"
                    r"{\partial B_Q} \text{ are those of the problem with } W_V \text{ fixed at its"
                    r" value}",
                    gradients_with_fixed_values,
                    code=(loss_with_fixed_values,),
                ),
            ),
        ),
        Part(
            "the gradients that are left out",
            setting=ANY_LENGTHS,
            printed=(
                Claim(
                    r"\frac{\partial \mathcal{L}}{\partial A_V} = \frac{\alpha}{r} B_V^{\mathsf T}"
                    r" (X^{(V)})^{\mathsf T} f^{\mathsf T} c,\quad \frac{\partial \mathcal{L}}"
                    r"{\partial B_V} = \frac{\alpha}{r} (X^{(V)})^{\mathsf T} f^{\mathsf T} c"
                    r" A_V^{\mathsf T}",
                    gradients_of_values,
                    reading="equivalent means that the gradients left out cost no more; the text"
                    " does not show it",
                ),
            ),
            severity=Severity.MISSING,
            problem="That the gradients in A_V and B_V may be left out of an analysis of cost is"
            " not shown. They need f and c and nothing else of the scores.",
        ),
    ),
    remark="The text gives no argument that leaving out the gradients in A_V and B_V changes no"
    " cost. The third part is one: they need f and c and nothing else of the scores, so that with"
    " f close to U V^T of rank k the product f^T c costs two products with"
    " matrices of k columns. W_V is fixed at its value in the step; (S2) then writes W_V* for it.",
)


# Simplification (S2) and equation (3.2)


def rescaling_at_zero() -> Relation:
    """alpha Wbar = r W*, of which Wbar = r W* / alpha would be the solution, at alpha = 0."""
    Wbar = sympy.Symbol("Wbar")
    return equal(0 * Wbar, sympy.Integer(1), witness="alpha = 0, r = 1, W* = 1, whatever Wbar is")


def rescaling() -> Relation:
    """alpha Wbar = r W* for Wbar = r W* / alpha, alpha not being zero."""
    alpha, r, W = sympy.symbols("alpha r W", nonzero=True)
    Wbar = r * W / alpha
    return equal(alpha * Wbar, r * W)


def scores_without_pretrained_weight(
    XQ: Matrix, XK: Matrix, WQ0: Matrix, WK0: Matrix, AQ: Matrix, BQ: Matrix, s: Scalar
) -> Relation:
    """C1 (W_Q* / s + B_Q A_Q) C2^T = C1 B_Q A_Q C2^T with C1 = s X_Q and C2 = X_K W_K*."""
    C1, C2 = XQ.scale(s), XK @ WK0
    Wbar = WQ0.scale(Fraction(1) / s)
    return equal(C1 @ (Wbar + BQ @ AQ) @ C2.T, C1 @ BQ @ AQ @ C2.T)


def scores_with_pretrained_weight(
    XQ: Matrix, XK: Matrix, WQ: Matrix, WQ0: Matrix, WK0: Matrix, AQ: Matrix, BQ: Matrix, s: Scalar
) -> Relation:
    """X_Q W_Q (W_K*)^T X_K^T = C1 (W_Q* / s + B_Q A_Q) C2^T."""
    C1, C2 = XQ.scale(s), XK @ WK0
    Wbar = WQ0.scale(Fraction(1) / s)
    return equal(XQ @ WQ @ WK0.T @ XK.T, C1 @ (Wbar + BQ @ AQ) @ C2.T)


def loss_with_pretrained_values(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    """The loss of (3.1) in the C of (3.2), with C3 = X_V W_V*; shape (1, 1)."""
    C1, C2, C3 = XQ.scale(s), XK @ WK0, XV @ WV0
    W = WQ0.scale(Fraction(1) / s) + BQ @ AQ
    return generic_loss(C1 @ W, C2, C3, Y, beta)


def loss_with_current_values(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    """The same with C3 = X_V W_V, the adapter of V in it; shape (1, 1)."""
    C1, C2, C3 = XQ.scale(s), XK @ WK0, XV @ WV
    W = WQ0.scale(Fraction(1) / s) + BQ @ AQ
    return generic_loss(C1 @ W, C2, C3, Y, beta)


def partial_loss_without_v(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    """The loss of (3.1) with A_V = 0; shape (1, 1)."""
    zero = AQ.scale(0)
    return partial_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, zero, BQ, Y, s, beta)


def gradients_with_pretrained_values(gradient: Any, derivative: Any) -> list[Relation]:
    """With C3 = X_V W_V* the gradients in A_Q and B_Q are those of (3.1)."""
    return [
        equal(gradient("AQ"), derivative(loss_with_pretrained_values, "AQ")),
        equal(gradient("BQ"), derivative(loss_with_pretrained_values, "BQ")),
    ]


def gradients_without_v(derivative: Any) -> list[Relation]:
    """The same, A_V being zero."""
    return [
        equal(
            derivative(partial_loss_without_v, "AQ"), derivative(loss_with_pretrained_values, "AQ")
        ),
        equal(
            derivative(partial_loss_without_v, "BQ"), derivative(loss_with_pretrained_values, "BQ")
        ),
    ]


def gradients_with_current_values(gradient: Any, derivative: Any) -> list[Relation]:
    """With C3 = X_V W_V the gradients in A_Q and B_Q are those of (3.1)."""
    return [
        equal(gradient("AQ"), derivative(loss_with_current_values, "AQ")),
        equal(gradient("BQ"), derivative(loss_with_current_values, "BQ")),
    ]


_RESCALED = Claim(
    r"\alpha \overline{W} = r W^\star \text{ for } \overline{W} = r W^\star / \alpha,\;"
    r" \alpha \neq 0",
    rescaling,
)

SIMPLIFICATION_S2 = Record(
    "Simplification (S2)",
    title="The constants C1, C2, C3",
    kind=Kind.SIMPLIFICATION,
    printed=r"C_i^{(1)} := X_i^{(Q)} \frac{\alpha}{r},\quad C_i^{(2)} := X_i^{(K)} W_K^\star,\quad"
    r" C_i^{(3)} := X_i^{(V)} W_V^\star \text{ are constants}",
    corrected=r"C_i^{(1)} := X_i^{(Q)} \frac{\alpha}{r}\ (\alpha \neq 0),\quad C_i^{(2)} :="
    r" X_i^{(K)} W_K^\star,\quad C_i^{(3)} := X_i^{(V)} \left(W_V^\star + \frac{\alpha}{r} B_V"
    r" A_V\right) \text{, constant in } A_Q, B_Q",
    uses=("Equation (3.1)", "Equation (3.2)", "Simplification (S1)"),
    parts=(
        Part(
            "the scale factor",
            printed=(
                Claim(
                    r"\alpha \overline{W} = r W^\star \text{ for every } \alpha \in \mathbb{R}",
                    rescaling_at_zero,
                ),
                replace(
                    _RESCALED,
                    reading="alpha is not 0, as an adapter that is to adapt anything needs",
                ),
            ),
            corrected=_RESCALED,
            severity=Severity.MISSING,
            problem="r / alpha needs alpha != 0, which Definition 1.1 (alpha real) does not say.",
        ),
        Part(
            "the values",
            setting=PARTIAL_ADAPTATION,
            printed=(
                Claim(
                    r"\frac{\partial \mathcal{L}}{\partial A_Q}, \frac{\partial \mathcal{L}}"
                    r"{\partial B_Q} \text{ of (3.1), with } C^{(3)} = X^{(V)} W_V^\star",
                    gradients_with_pretrained_values,
                ),
                Claim(
                    r"\text{the same, with } B_V A_V = 0",
                    gradients_without_v,
                    reading="the adapter of V is zero throughout, so that W_V stays W_V*",
                ),
            ),
            corrected=Claim(
                r"\frac{\partial \mathcal{L}}{\partial A_Q}, \frac{\partial \mathcal{L}}"
                r"{\partial B_Q} \text{ of (3.1), with } C^{(3)} = X^{(V)} W_V",
                gradients_with_current_values,
                code=(loss_with_current_values,),
            ),
            severity=Severity.MISSING,
            problem="Definition 3.1 adapts W_V; once its adapter is not zero, the gradients in A_Q"
            " and B_Q see W_V and not W_V*. C3 must be made of the W_V of the step: a constant in"
            " A_Q and B_Q, though not from step to step.",
        ),
    ),
)

EQUATION_3_2 = Record(
    "Equation (3.2)",
    title="The scores in C1 and C2",
    kind=Kind.EQUATION,
    printed=r"X_i^{(Q)} \frac{\alpha}{r} \left(\frac{r}{\alpha} W_Q^\star + B_Q A_Q\right)"
    r" (W_K^\star)^{\mathsf T} (X_i^{(K)})^{\mathsf T} := C_i^{(1)} B_Q A_Q"
    r" (C_i^{(2)})^{\mathsf T},\quad X_i^{(V)} W_V^\star := C_i^{(3)}",
    corrected=r"X_i^{(Q)} \frac{\alpha}{r} \left(\frac{r}{\alpha} W_Q^\star + B_Q A_Q\right)"
    r" (W_K^\star)^{\mathsf T} (X_i^{(K)})^{\mathsf T} = C_i^{(1)} \left(\overline{W}_Q^\star +"
    r" B_Q A_Q\right) (C_i^{(2)})^{\mathsf T}",
    uses=("Simplification (S2)",),
    parts=(
        Part(
            "the scores",
            setting=PARTIAL_ADAPTATION,
            printed=(
                Claim(
                    r"C^{(1)} \left(\frac{r}{\alpha} W_Q^\star + B_Q A_Q\right)"
                    r" (C^{(2)})^{\mathsf T} = C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}",
                    scores_without_pretrained_weight,
                ),
            ),
            corrected=Claim(
                r"X^{(Q)} W_Q (W_K^\star)^{\mathsf T} (X^{(K)})^{\mathsf T} = C^{(1)}"
                r" \left(\frac{r}{\alpha} W_Q^\star + B_Q A_Q\right) (C^{(2)})^{\mathsf T}",
                scores_with_pretrained_weight,
            ),
            severity=Severity.MISSING,
            problem="The right side has lost the pretrained weight: it is the left side for"
            " W_Q* = 0 only. (3.3) has the term again.",
        ),
    ),
    ocr="The number of the display reads (S.2) in the source and runs into an underbrace; the text"
    " refers to the display as (3.2).",
)


# Simplification (S3)

SAMPLES_OF_PROBLEM_2 = Setting(
    "Simplification (S3) for N = 2",
    shapes={
        **{f"{name}{i}": PROBLEM_2.shapes[name] for i in "ab" for name in ("C1", "C2", "C3", "Y")},
        **{name: PROBLEM_2.shapes[name] for name in ("W0", "A", "B")},
    },
    limits={"r": 2},
)
"""The two samples are a and b."""

ERRORS = Setting("two errors", shapes={"Ea": ("r", "d"), "Eb": ("r", "d")})


def mean_loss(
    C1a: Matrix,
    C2a: Matrix,
    C3a: Matrix,
    Ya: Matrix,
    C1b: Matrix,
    C2b: Matrix,
    C3b: Matrix,
    Yb: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
) -> Matrix:
    """The mean of the losses of the samples a and b, shape (1, 1)."""
    total = loss_a(C1a, C2a, C3a, Ya, W0, A, B) + loss_b(C1b, C2b, C3b, Yb, W0, A, B)
    return total.scale(Fraction(1, 2))


def loss_a(
    C1a: Matrix, C2a: Matrix, C3a: Matrix, Ya: Matrix, W0: Matrix, A: Matrix, B: Matrix
) -> Matrix:
    """The loss of sample a, shape (1, 1)."""
    return aloragc_loss(C1a, C2a, C3a, W0, A, B, Ya)


def loss_b(
    C1b: Matrix, C2b: Matrix, C3b: Matrix, Yb: Matrix, W0: Matrix, A: Matrix, B: Matrix
) -> Matrix:
    """The loss of sample b, shape (1, 1)."""
    return aloragc_loss(C1b, C2b, C3b, W0, A, B, Yb)


def loss_of_repeated_sample(
    C1: Matrix, C2: Matrix, C3: Matrix, Y: Matrix, W0: Matrix, A: Matrix, B: Matrix
) -> Matrix:
    """The mean of the losses of a data set that has one sample twice, shape (1, 1)."""
    return mean_loss(C1, C2, C3, Y, C1, C2, C3, Y, W0, A, B)


def repeated_sample(derivative: Any, dL_dA: Matrix, dL_dB: Matrix) -> list[Relation]:
    """A data set of N equal samples has the gradients of one of them, here N = 2."""
    return [
        equal(derivative(loss_of_repeated_sample, "A"), dL_dA),
        equal(derivative(loss_of_repeated_sample, "B"), dL_dB),
    ]


def mean_of_gradients(derivative: Any) -> list[Relation]:
    """The gradient of a mean of losses is the mean of their gradients."""
    return [
        equal(
            derivative(mean_loss, "A"),
            (derivative(loss_a, "A") + derivative(loss_b, "A")).scale(Fraction(1, 2)),
        ),
        equal(
            derivative(mean_loss, "B"),
            (derivative(loss_a, "B") + derivative(loss_b, "B")).scale(Fraction(1, 2)),
        ),
    ]


def error_of_mean(Ea: Matrix, Eb: Matrix) -> Relation:
    """||(E_a + E_b) / 2|| <= max(||E_a||, ||E_b||)."""
    return at_most(max_norm((Ea + Eb).scale(Fraction(1, 2))), max_norm(vec(Ea).beside(vec(Eb))))


SIMPLIFICATION_S3 = Record(
    "Simplification (S3)",
    title="One sample suffices",
    kind=Kind.SIMPLIFICATION,
    printed=r"\text{hardness for } N \text{ samples follows from hardness for } N = 1",
    uses=("Problem 1", "Equation (3.1)"),
    parts=(
        Part(
            "hardness: one sample as a data set",
            setting=replace(PROBLEM_2, square={}),
            printed=(
                Claim(
                    r"\nabla \frac{1}{N} \sum_{i=1}^N \mathcal{L}_i = \nabla \mathcal{L}_1"
                    r" \text{ if all samples are equal}",
                    repeated_sample,
                ),
            ),
        ),
        Part(
            "algorithms: the gradient of a mean",
            setting=SAMPLES_OF_PROBLEM_2,
            printed=(
                Claim(
                    r"\nabla \frac{1}{N} \sum_{i=1}^N \mathcal{L}_i = \frac{1}{N} \sum_{i=1}^N"
                    r" \nabla \mathcal{L}_i",
                    mean_of_gradients,
                    code=(mean_loss,),
                ),
            ),
        ),
        Part(
            "algorithms: the error of a mean",
            setting=ERRORS,
            printed=(
                Claim(
                    r"\left\|\frac{1}{N} \sum_{i=1}^N E_i\right\|_\infty \le \max_i"
                    r" \|E_i\|_\infty",
                    error_of_mean,
                    extremal=(({}, {"Ea": [[1]], "Eb": [[1]]}),),
                ),
            ),
        ),
    ),
    remark="The text claims the direction of hardness. The simplification is also used for the"
    " algorithms of Theorems 3.1 and B.1; the second and third part are what that needs: epsilon"
    " for every sample is epsilon for the mean, at N times the cost. Run for N = 2.",
)


# Equation (3.3)


def loss_3_3(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    Y: Matrix,
    s: Scalar,
) -> Matrix:
    """(3.3) at C1 = s X_Q, C2 = X_K W_K*, C3 = X_V W_V and Wbar = W_Q* / s, shape (1, 1)."""
    Wbar = WQ0.scale(Fraction(1) / s)
    return aloragc_loss(XQ.scale(s), XK @ WK0, XV @ WV, Wbar, AQ, BQ, Y)


def partial_loss_at_unit_temperature(
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
) -> Matrix:
    """(3.1) for one sample at beta = 1, shape (1, 1)."""
    return partial_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AV, BV, Y, s, 1)


def loss_3_3_of_pretrained_values(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    Y: Matrix,
    s: Scalar,
) -> Matrix:
    """(3.3) at the C3 = X_V W_V* of (S2), shape (1, 1)."""
    return loss_3_3(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, Y, s)


def deduced_loss_of_pretrained_values(
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
) -> Relation:
    """(3.1) at N = 1 and beta = 1 is (3.3), its C3 being made of W_V*."""
    return equal(
        partial_loss_at_unit_temperature(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AV, BV, Y, s),
        loss_3_3_of_pretrained_values(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, Y, s),
    )


def deduced_gradients_of_pretrained_values(derivative: Any) -> list[Relation]:
    """The gradients of (3.1) in A_Q and B_Q are those of (3.3), its C3 being made of W_V*."""
    return [
        equal(
            derivative(partial_loss_at_unit_temperature, "AQ"),
            derivative(loss_3_3_of_pretrained_values, "AQ"),
        ),
        equal(
            derivative(partial_loss_at_unit_temperature, "BQ"),
            derivative(loss_3_3_of_pretrained_values, "BQ"),
        ),
    ]


def deduced_loss(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    WV: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
) -> Relation:
    """(3.1) at N = 1 and beta = 1 is (3.3), its C3 being made of W_V."""
    return equal(
        partial_loss_at_unit_temperature(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AV, BV, Y, s),
        loss_3_3(XQ, XK, XV, WQ0, WK0, WV, AQ, BQ, Y, s),
    )


def deduced_gradients(derivative: Any) -> list[Relation]:
    """The gradients of (3.1) at N = 1 and beta = 1 in A_Q and B_Q are those of (3.3)."""
    return [
        equal(derivative(partial_loss_at_unit_temperature, "AQ"), derivative(loss_3_3, "AQ")),
        equal(derivative(partial_loss_at_unit_temperature, "BQ"), derivative(loss_3_3, "BQ")),
    ]


_DEDUCED_LOSS = Claim(
    r"\mathcal{L} \text{ of (3.1) at } N = \beta = 1 \text{ is } \mathcal{L} \text{ of (3.3),"
    r" with } C^{(3)} = X^{(V)} W_V",
    deduced_loss,
    code=(loss_3_3,),
)

_DEDUCED_GRADIENTS = Claim(
    r"\frac{\partial \mathcal{L}}{\partial A_Q}, \frac{\partial \mathcal{L}}{\partial B_Q}"
    r" \text{ of (3.1) at } N = \beta = 1 \text{ are those of (3.3), with } C^{(3)} = X^{(V)} W_V",
    deduced_gradients,
    code=(loss_3_3,),
)

_CURRENT_VALUES = "C^(3) is made of W_V, not of the W_V* that (S2) prints"


def explicit_3_3(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    ones: Any,
    L: int,
) -> Relation:
    """(3.3) with D = diag(exp(C1 (Wbar + B A) C2^T) 1_L) is the specification's loss."""
    exponentials = (C1 @ (W0 + B @ A) @ C2.T).exp()
    f = exponentials.divide_rows(exponentials @ ones(L))
    return equal(aloragc_loss(C1, C2, C3, W0, A, B, Y), half_squared_norm(residual(f, C3, Y)))


EQUATION_3_3 = Record(
    "Equation (3.3)",
    title="The loss of Problem 2",
    kind=Kind.EQUATION,
    printed=r"\mathcal{L}(B_Q, A_Q) = \tfrac12 \|D^{-1} \exp\{C^{(1)} (\overline{W}_Q^\star + B_Q"
    r" A_Q) (C^{(2)})^{\mathsf T}\} C^{(3)} - Y\|_F^2,\quad \overline{W}_Q^\star := r W_Q^\star /"
    r" \alpha,\quad D = \operatorname{diag}(\exp\{C^{(1)} (\overline{W}_Q^\star + B_Q A_Q)"
    r" (C^{(2)})^{\mathsf T}\} \mathbb{1}_L)",
    corrected=r"\mathcal{L}(B_Q, A_Q) \text{ as printed, with } C^{(3)} = X^{(V)} \left(W_V^\star +"
    r" \frac{\alpha}{r} B_V A_V\right)",
    uses=(
        "Equation (3.1)",
        "Simplification (S1)",
        "Simplification (S2)",
        "Simplification (S3)",
        "Simplification (S4)",
    ),
    parts=(
        Part(
            "the value",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"\mathcal{L} = \tfrac12 \|D^{-1} \exp\{C^{(1)} (\overline{W}_Q^\star + B_Q"
                    r" A_Q) (C^{(2)})^{\mathsf T}\} C^{(3)} - Y\|_F^2",
                    explicit_3_3,
                ),
            ),
        ),
        Part(
            "deduced from (3.1)",
            setting=ANY_LENGTHS,
            printed=(
                Claim(
                    r"\mathcal{L} \text{ of (3.1) at } N = \beta = 1 \text{ is } \mathcal{L}"
                    r" \text{ of (3.3), with } C^{(3)} = X^{(V)} W_V^\star",
                    deduced_loss_of_pretrained_values,
                ),
                replace(_DEDUCED_LOSS, reading=_CURRENT_VALUES),
            ),
            corrected=_DEDUCED_LOSS,
            severity=Severity.MISSING,
            problem="With the C^(3) of (S2) the deduction needs B_V A_V = 0.",
        ),
        Part(
            "the gradients",
            setting=ANY_LENGTHS,
            printed=(
                Claim(
                    r"\frac{\partial \mathcal{L}}{\partial A_Q}, \frac{\partial \mathcal{L}}"
                    r"{\partial B_Q} \text{ of (3.1) at } N = \beta = 1 \text{ are those of (3.3),"
                    r" with } C^{(3)} = X^{(V)} W_V^\star",
                    deduced_gradients_of_pretrained_values,
                ),
                replace(_DEDUCED_GRADIENTS, reading=_CURRENT_VALUES),
            ),
            corrected=_DEDUCED_GRADIENTS,
            severity=Severity.MISSING,
            problem="With the C^(3) of (S2) these are not the gradients of (3.1).",
        ),
    ),
    remark="C^(3) is that of the corrected (S2), made of W_V; with alpha / r absorbed in"
    " C^(1) the deduction needs no other value of it than one that is not zero.",
)


# Problem 2


def _closed_forms(
    C1: Matrix, C2: Matrix, C3: Matrix, W0: Matrix, A: Matrix, B: Matrix, Y: Matrix
) -> dict[str, Matrix]:
    return aloragc_gradient(c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y)


SURROGATES = replace(
    PROBLEM_2,
    name="Problem 2 with surrogates",
    shapes={**PROBLEM_2.shapes, "EA": ("r", "d"), "EB": ("d", "r")},
    derived={**PROBLEM_2.derived, "closed": _closed_forms},
)
"""EA and EB: the errors of the surrogates; closed: the specification's gradients in closed form."""


def surrogates_as_vectors(
    closed: dict[str, Matrix],
    dL_dA: Matrix,
    dL_dB: Matrix,
    EA: Matrix,
    EB: Matrix,
    d: int,
    r: int,
) -> list[Relation]:
    """A surrogate of shape (d, r) for A and one of shape (r, d) for B, compared as vectors."""
    GA = mat(vec(closed["grad_a"] + EA), d, r)
    GB = mat(vec(closed["grad_b"] + EB), r, d)
    return [
        equal(vec(GA) - vec(dL_dA), vec(EA)),
        equal(vec(GB) - vec(dL_dB), vec(EB)),
    ]


def surrogates_of_printed_shapes(dL_dA: Matrix, dL_dB: Matrix, d: int, r: int) -> list[Relation]:
    """The gradients themselves, cut into matrices of shapes (d, r) for A and (r, d) for B."""
    return [equal(mat(vec(dL_dA), d, r), dL_dA), equal(mat(vec(dL_dB), r, d), dL_dB)]


def surrogates_of_adapter_shapes(dL_dA: Matrix, dL_dB: Matrix, d: int, r: int) -> list[Relation]:
    """The gradients themselves, cut into matrices of shapes (r, d) for A and (d, r) for B."""
    return [equal(mat(vec(dL_dA), r, d), dL_dA), equal(mat(vec(dL_dB), d, r), dL_dB)]


PROBLEM_2_RECORD = Record(
    "Problem 2",
    title="Approximate LoRA gradient computation for the queries",
    kind=Kind.PROBLEM,
    printed=r"\widetilde{G}_Q^{(A)} \in \mathbb{R}^{d \times r},\; \widetilde{G}_Q^{(B)} \in"
    r" \mathbb{R}^{r \times d}:\quad \max\left(\left\|\underline{\widetilde{G}}_Q^{(B)} -"
    r" \frac{\partial \mathcal{L}}{\partial \underline{B}_Q}\right\|_\infty,"
    r" \left\|\underline{\widetilde{G}}_Q^{(A)} - \frac{\partial \mathcal{L}}"
    r"{\partial \underline{A}_Q}\right\|_\infty\right) \le \epsilon",
    corrected=r"\widetilde{G}_Q^{(A)} \in \mathbb{R}^{r \times d},\; \widetilde{G}_Q^{(B)} \in"
    r" \mathbb{R}^{d \times r}",
    uses=("Equation (3.3)", "Definition 2.1"),
    parts=(
        Part(
            "the surrogates as vectors",
            setting=SURROGATES,
            printed=(
                Claim(
                    r"\underline{\widetilde{G}}_Q^{(A)} - \frac{\partial \mathcal{L}}"
                    r"{\partial \underline{A}_Q} = \underline{E}_A,\quad"
                    r" \underline{\widetilde{G}}_Q^{(B)} - \frac{\partial \mathcal{L}}"
                    r"{\partial \underline{B}_Q} = \underline{E}_B",
                    surrogates_as_vectors,
                ),
            ),
        ),
        Part(
            "the surrogates as gradients",
            setting=SURROGATES,
            printed=(
                Claim(
                    r"\widetilde{G}_Q^{(A)} = \frac{\partial \mathcal{L}}{\partial A_Q} \in"
                    r" \mathbb{R}^{d \times r},\; \widetilde{G}_Q^{(B)} = \frac{\partial"
                    r" \mathcal{L}}{\partial B_Q} \in \mathbb{R}^{r \times d}",
                    surrogates_of_printed_shapes,
                ),
                Claim(
                    r"\underline{\widetilde{G}}_Q^{(A)} - \frac{\partial \mathcal{L}}{\partial"
                    r" \underline{A}_Q},\; \underline{\widetilde{G}}_Q^{(B)} - \frac{\partial"
                    r" \mathcal{L}}{\partial \underline{B}_Q}",
                    surrogates_as_vectors,
                    reading="only the vectors are compared, so that a surrogate is the gradient"
                    " cut into rows of another length",
                ),
            ),
            corrected=Claim(
                r"\widetilde{G}_Q^{(A)} = \frac{\partial \mathcal{L}}{\partial A_Q} \in"
                r" \mathbb{R}^{r \times d},\; \widetilde{G}_Q^{(B)} = \frac{\partial"
                r" \mathcal{L}}{\partial B_Q} \in \mathbb{R}^{d \times r}",
                surrogates_of_adapter_shapes,
            ),
            severity=Severity.NOTATION,
            problem="The shapes of the two surrogates are exchanged. The inequality compares"
            " vectors of d r entries and exists all the same, but a matrix of the printed shape is"
            " neither the gradient nor its transpose unless r = d.",
        ),
    ),
    remark="The index i of the given C_i^(1), C_i^(2), C_i^(3), Y_i belongs to the data set"
    " that (S3) left; (3.3) has none. epsilon is given here, as it is not in Problem 1."
    " Numbers have log(L) bits here and O(log L) in Theorem 3.1.",
)

RECORDS = (
    DEFINITION_3_1,
    EQUATION_3_1,
    SIMPLIFICATION_S1,
    SIMPLIFICATION_S2,
    EQUATION_3_2,
    SIMPLIFICATION_S3,
    EQUATION_3_3,
    PROBLEM_2_RECORD,
)
