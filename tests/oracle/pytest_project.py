"""A project with kernels and tests of them, and pytest run in it as its user would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

ROOTS = [Path(__file__).parents[2] / root for root in ("reference", "proofs_check", "oracle")]

KERNELS = '''
import torch
import loracle

def right(*, x, weight, lora_a, lora_b, scaling, grad_output):
    leaves = {n: t.clone().requires_grad_() for n, t in
              {"x": x, "lora_a": lora_a, "lora_b": lora_b}.items()}
    low = leaves["x"] @ leaves["lora_a"].T @ leaves["lora_b"].T
    output = leaves["x"] @ weight.T + scaling * low
    gradients = torch.autograd.grad(output, list(leaves.values()), grad_output)
    return {"output": output, **{f"grad_{n}": g for n, g in zip(leaves, gradients)}}

def wrong(*, x, weight, lora_a, lora_b, scaling, grad_output):
    """Forgets the scaling where there is one row."""
    results = right(x=x, weight=weight, lora_a=lora_a, lora_b=lora_b, scaling=scaling,
                    grad_output=grad_output)
    if x.shape[1] == 1:
        results["grad_lora_b"] = results["grad_lora_b"] / scaling
    return results

def imprecise(*, x, weight, lora_a, lora_b, scaling, grad_output):
    """In bfloat16 inside the proven bound of long sums, outside the calibrated tolerance."""
    results = right(x=x, weight=weight, lora_a=lora_a, lora_b=lora_b, scaling=scaling,
                    grad_output=grad_output)
    if x.shape[1] == 17:
        results["grad_lora_b"] = results["grad_lora_b"] / scaling
    return results

@loracle.declare(unsupported=["tiny"], outputs=["output", "grad_x"])
def partial(*, x, weight, lora_a, lora_b, scaling, grad_output):
    return right(x=x, weight=weight, lora_a=lora_a, lora_b=lora_b, scaling=scaling,
                 grad_output=grad_output)
'''


@dataclass(frozen=True)
class Run:
    """What pytest did: its exit status, what it printed, and per test id the outcome and text that
    its JUnit file has."""

    status: int
    output: str
    outcomes: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def summary(self) -> list[str]:
        """The lines of loracle's part of the summary."""
        _, _, rest = re.sub(r"\n=+ ", "\n== ", self.output).partition("\n== loracle =")
        return [line for line in rest.partition("\n== ")[0].splitlines()[1:] if line]


def run_pytest(folder: Path, *arguments: str) -> Run:
    """`pytest ARGUMENTS` in that folder, with the plugin and a JUnit file."""
    (folder / "my_kernels.py").write_text(KERNELS)
    junit = folder / "junit.xml"
    junit.unlink(missing_ok=True)
    environment = {
        **{n: v for n, v in os.environ.items() if not n.startswith("PYTEST_")},
        "PYTHONPATH": os.pathsep.join(map(str, ROOTS)),
        "OMP_NUM_THREADS": "1",
        # Where loracle is installed the plugin is an entry point, and would be there twice.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "COLUMNS": "100",
        # There pytest's summary has messages whole.
        "CI": "true",
    }
    options = [
        "-p",
        "loracle.pytest_plugin",
        "-p",
        "xdist",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, f"--junitxml={junit}", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    run = Run(done.returncode, done.stdout + done.stderr)
    if junit.exists():
        for case in ElementTree.parse(junit).iter("testcase"):
            name = case.get("name", "")
            ends = [child for child in case if child.tag in ("failure", "error", "skipped")]
            run.outcomes[name] = ends[0].tag if ends else "passed"
            run.texts[name] = "".join((end.get("message") or "") + (end.text or "") for end in ends)
    return run
