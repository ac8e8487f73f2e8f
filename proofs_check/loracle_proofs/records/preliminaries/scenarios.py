"""Scenarios (C1) and (C2): which weights are adapted."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import FULL_ADAPTATION, full_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import half_squared_norm

__all__ = ["RECORDS"]

ANY_LENGTHS = replace(FULL_ADAPTATION, name="Definition B.1 for any lengths", square={})


def _explicit_loss(
    queries: Matrix, keys: Matrix, values: Matrix, Y: Matrix, beta: Scalar
) -> Matrix:
    """1/2 ||D^-1 exp(beta Q K^T) V - Y||_F^2 with D = diag(exp(beta Q K^T) 1)."""
    exponentials = (queries @ keys.T).scale(beta).exp()
    return half_squared_norm(exponentials.divide_rows(exponentials.row_sum()) @ values - Y)


def adapting_q_and_v(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Relation:
    """The loss of (3.1) is that of all three weights at A_K = 0."""
    WQ, WV = WQ0 + (BQ @ AQ).scale(s), WV0 + (BV @ AV).scale(s)
    return equal(
        full_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AK.scale(0), BK, AV, BV, Y, s, beta),
        _explicit_loss(XQ @ WQ, XK @ WK0, XV @ WV, Y, beta),
    )


def adapting_q_and_k(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Relation:
    """The loss of (3.1) is that of all three weights at A_V = 0."""
    WQ, WV = WQ0 + (BQ @ AQ).scale(s), WV0 + (BV @ AV).scale(s)
    return equal(
        full_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AK, BK, AV.scale(0), BV, Y, s, beta),
        _explicit_loss(XQ @ WQ, XK @ WK0, XV @ WV, Y, beta),
    )


def adapting_all(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Relation:
    """The loss with W_mu = W_mu* + (alpha / r) B_mu A_mu for all three mu."""
    WQ, WK = WQ0 + (BQ @ AQ).scale(s), WK0 + (BK @ AK).scale(s)
    WV = WV0 + (BV @ AV).scale(s)
    return equal(
        full_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AK, BK, AV, BV, Y, s, beta),
        _explicit_loss(XQ @ WQ, XK @ WK, XV @ WV, Y, beta),
    )


_Q_AND_V = Claim(
    r"\mathcal{L}(W_K^\star, W_Q, W_V) = \mathcal{L}(W_K, W_Q, W_V) \big|_{A_K = 0}",
    adapting_q_and_v,
    setting=ANY_LENGTHS,
)

SCENARIO_C1 = Record(
    "Scenario (C1)",
    title="Special case: adapting the weights of queries and values",
    kind=Kind.SCENARIO,
    printed=r"W_Q = W_Q^\star + \frac{\alpha}{r} B_Q A_Q,\quad W_V = W_V^\star + \frac{\alpha}{r}"
    r" B_V A_V,\quad W_K = W_K^\star",
    uses=("Definition 1.2", "Definition 3.1"),
    parts=(
        Part("a special case", setting=ANY_LENGTHS, printed=(_Q_AND_V,)),
        Part(
            "the weights that the Organization paragraph names",
            setting=FULL_ADAPTATION,
            printed=(
                Claim(
                    r"\text{section 3 adapts } W_Q, W_K:\; \mathcal{L}(W_K^\star, W_Q, W_V) ="
                    r" \mathcal{L}(W_K, W_Q, W_V) \big|_{A_V = 0}",
                    adapting_q_and_k,
                ),
                replace(_Q_AND_V, reading="the W_K of that paragraph is W_V"),
            ),
            corrected=_Q_AND_V,
            severity=Severity.TYPO,
            problem="The Organization paragraph says that section 3 adapts W_Q and W_K; (C1), the"
            " title of section 3 and (3.1) say W_Q and W_V.",
        ),
        Part(
            "best performance",
            cites="Hu et al. (2021), section 7.1, an experimental finding.",
        ),
    ),
    remark="(S1) then fixes W_V, so that the gradients of section 3 are those of W_Q alone.",
)

SCENARIO_C2 = Record(
    "Scenario (C2)",
    title="General case: adapting all three weights",
    kind=Kind.SCENARIO,
    printed=r"W_\mu = W_\mu^\star + \frac{\alpha}{r} B_\mu A_\mu,\quad \mu = K, Q, V",
    uses=("Definition 1.2", "Definition B.1"),
    parts=(
        Part(
            "the adapted weights",
            setting=ANY_LENGTHS,
            printed=(
                Claim(
                    r"W_\mu = W_\mu^\star + \frac{\alpha}{r} B_\mu A_\mu,\quad \mu = K, Q, V",
                    adapting_all,
                ),
            ),
        ),
        Part(
            "best performance",
            cites="Hu et al. (2021), section 7.1, is named for it; whether these three weights are"
            " among the sets tried there was not looked up.",
        ),
    ),
    remark="Appendix B fixes W_V as well, by (S1): (B.2) and Problem 3 have the adapters of K and"
    " Q only.",
)


RECORDS = (SCENARIO_C1, SCENARIO_C2)
