"""Default runs of honest kernels that the tolerance was not made from, and how close they come to
being suspect."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loracle.contracts import CONTRACTS
from loracle.judgement.bias import BiasTest
from loracle.judgement.verdicts import judge
from loracle_reference.floating_point import machine_model

from .core_cases import default_run, reference
from .random_evaluations import random_evaluation


@dataclass
class Closeness:
    """random: per case and output, how far the largest error goes beyond the systematic part of its
    tolerance, as a share of the random part: 1 is suspect. bias: each statistic of the bias test as
    a share of its threshold, per run and output. alarms: what was suspect or worse."""

    random: list[float] = field(default_factory=list)
    bias: list[float] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)


def random_runs(contract: str, dtype: str, machine: str, *, seed: int, kernels: range) -> Closeness:
    """One default run of each of the random kernels."""
    closeness, model = Closeness(), machine_model(machine, dtype)
    for kernel in kernels:
        tests = {output: BiasTest() for output in CONTRACTS[contract].outputs}
        for case in default_run(contract, dtype, seed):
            known = reference(case, machine)
            for output, computed in random_evaluation(case, known.inputs, model, kernel).items():
                truth, null = known.truth[output], known.null[output]
                judgement = judge(computed, truth, known.proven[output], null.tolerance)
                if null.systematic < null.tolerance < float("inf"):
                    beyond = float(np.abs(computed - truth.mid).max()) - null.systematic
                    closeness.random.append(beyond / (null.tolerance - null.systematic))
                if judgement.verdict in ("suspect", "fail"):
                    closeness.alarms.append(f"kernel {kernel}, {case}, {output}: {judgement}")
                tests[output].add(computed, truth.mid, null)
        for output, test in tests.items():
            closeness.bias += [found.share for found in test.measured()]
            if test.result():
                closeness.alarms.append(f"kernel {kernel}, {output}: {test.result()}")
    return closeness
