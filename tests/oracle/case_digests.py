"""The digests of the first cases of every regime, as they were when the table was written.

    python tests/oracle/case_digests.py

writes the table anew. Where it changes, reports and citations of older versions name other inputs
than `loracle replay` generates, and the certified vectors are to be built again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from loracle.contracts import CONTRACTS
from loracle.generation import generate, regimes_of
from loracle.generation.generate import case_of

TABLE = Path(__file__).with_name("case_digests.json")

FIRST = 12
"""Cases of a regime: what is taken in turn (scalars, sizes, structures) has come round by then."""

PAIRS = [
    (contract.name, regime)
    for contract in CONTRACTS.values()
    for regime in regimes_of(contract, on_request=True)
]


def digests(contract: str, regime: str) -> list[str]:
    """Of sizes and inputs, in bfloat16: in its 8 bits the last bits of float64, in which machines
    may differ that multiply matrices in other orders, do not show."""
    found = []
    for index in range(FIRST):
        # Two cases of every seed, so that the seed enters too.
        case = case_of(CONTRACTS[contract], "bfloat16", index // 2, regime, index)
        text = f"{case.sizes} {generate(case).digest()}"
        found.append(hashlib.sha256(text.encode()).hexdigest()[:8])
    return found


if __name__ == "__main__":
    table = {
        f"{contract} {regime}": " ".join(digests(contract, regime)) for contract, regime in PAIRS
    }
    TABLE.write_text(json.dumps(table, indent=1) + "\n")
