"""How close honest kernels come to being suspect, as a table in Markdown.

    .venv/bin/python tests/benchmarks/false_alarms.py [--kernels N] [--seeds S] [--contract C]

Kernels drawn at random (`tests/oracle/random_evaluations.py`), each through a default run of every
contract, dtype and machine. docs/calibrated-tolerance.md includes the table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.oracle.honest_runs import Closeness, random_runs

from loracle.contracts import CONTRACTS

MACHINES = (
    ("float32", "widest"),
    ("float16", "widest"),
    ("bfloat16", "widest"),
    ("bfloat16", "f32-accumulate"),
)
HEADERS = (
    "contract",
    "dtype",
    "machine",
    "runs",
    "cases and outputs",
    "99 %",
    "largest",
    "largest of the bias test",
    "alarms",
)


def row(contract: str, dtype: str, machine: str, kernels: int, seeds: int) -> str:
    everything = Closeness()
    for seed in range(1, seeds + 1):
        found = random_runs(contract, dtype, machine, seed=seed, kernels=range(kernels))
        everything.random += found.random
        everything.bias += found.bias
        everything.alarms += found.alarms
    shares = np.maximum(everything.random, 0.0)
    cells = [contract, dtype, machine, str(kernels * seeds), str(len(shares))]
    cells += [f"{np.quantile(shares, 0.99):.2f}", f"{shares.max():.2f}"]
    cells += [f"{max(everything.bias):.2f}", str(len(everything.alarms))]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernels", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--contract", action="append")
    arguments = parser.parse_args()
    command = ["python tests/benchmarks/false_alarms.py", *sys.argv[1:]]
    print(f"```\n{' '.join(command)}\n```\n")
    print("| " + " | ".join(HEADERS) + " |")
    print("|:---|:---|:---" + "|---:" * (len(HEADERS) - 3) + "|")
    for contract in arguments.contract or CONTRACTS:
        for dtype, machine in MACHINES:
            line = row(contract, dtype, machine, arguments.kernels, arguments.seeds)
            print(line, flush=True)


if __name__ == "__main__":
    main()
