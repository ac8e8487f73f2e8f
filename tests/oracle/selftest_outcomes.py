"""Claims and outcomes made up by hand, for the tests of what counts and shows them."""

from __future__ import annotations

from loracle.corpus.entry import ALL_DTYPES, RightKernel, WrongKernel
from loracle.selftest.outcome import Accusation, Outcome
from loracle.selftest.plan import Claim, Expectation

FORGETFUL = WrongKernel(
    name="forgetful",
    contract="lora-linear",
    target="no.such:kernel",
    dtypes=("float64", "bfloat16"),
    what="It forgets.",
    source="algebra: none",
    defect="scale-missing",
    hypotheses=("missing-scaling",),
    outputs=("grad_x",),
    left_out="float32: right; float16: too coarse",
    right_in=("float32",),
    unnamed_in=("bfloat16",),
)

SWAPPED = WrongKernel(
    name="swapped",
    contract="aloragc",
    target="no.such:kernel",
    dtypes=ALL_DTYPES,
    what="It swaps.",
    source="algebra: none",
    defect="projections-mixed",
    outputs=("grad_a",),
)

HONEST = RightKernel(
    name="honest",
    contract="aloragc",
    target="no.such:kernel",
    dtypes=("float64", "float32"),
    what="It is right.",
    source="algebra: none",
)

NAMED = Accusation("fail", "grad_x", ("missing-scaling", "constant-factor"))
UNNAMED = Accusation("fail", "grad_x", ())
MISNAMED = Accusation("suspect", "grad_x", ("transposed",))
INNOCENT = Accusation("fail", "output", ())


def outcome(
    entry: WrongKernel | RightKernel,
    *accusations: Accusation,
    dtype: str = "float64",
    seeds: tuple[int, ...] = (0,),
    expected: Expectation = "caught",
    verdict: str | None = None,
) -> Outcome:
    """The verdict is that of the first accusation, pass without one, unless it is given."""
    first = accusations[0].verdict if accusations else "pass"
    return Outcome(
        claim=Claim(entry, dtype, seeds, expected),
        verdict=verdict or first,
        reason="",
        accusations=accusations,
        seeds=seeds,
        seconds=2.0,
    )
