"""`make fine-tuning`: LoRA on a layer of attention, almost-linear against exact autograd.

    python tests/benchmarks/fine_tuning.py docs/images --markdown docs/measured/fine-tuning.md

Six adapters learn what other, hidden ones do, twice from one start: with `almost_linear.attention`
and with `scaled_dot_product_attention`. At every step of the first run its loss is compared with
the exact loss at the same adapters, and at some steps its gradients with the exact vector-Jacobian
products, each against what is certified; then the loss curves with each other. The exit status is 1
if anything exceeds the certificate. Prints a table and draws IMAGES/fine-tuning.svg.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from loracle.kernels import almost_linear
from loracle.presentation.atomic_file import AtomicFile

COMMAND = (
    "python tests/benchmarks/fine_tuning.py docs/images --markdown docs/measured/fine-tuning.md"
)
WIDTH, RANK, SCALING, EPSILON = 8, 4, 1.0, 1e-2
NOISE = 0.05
"""Standard deviation of what no adapter can learn, in each entry of Y."""
LEARNING_RATE = 1e-2
ROWS = 512
"""Queries whose exact probabilities are in memory at once."""

TIMINGS = 5

Adapters = dict[str, Tensor]
Attend = Callable[["Layer", Adapters], Tensor]
Observe = Callable[[int, Adapters, Tensor], None]


@dataclass(frozen=True)
class Layer:
    """Frozen inputs and weights, the adapters at the start, and Y (L, d); float32.

    floor: the loss of the adapters that Y was made with, which is that of the noise.
    """

    frozen: dict[str, Tensor]
    start: Adapters
    y: Tensor
    beta: float
    floor: float

    @property
    def length(self) -> int:
        """L, of queries and of keys."""
        return len(self.y)

    def loss(self, value: Tensor) -> Tensor:
        """1/2 ||Z - Y||_F^2 / L, in float64."""
        return (value.double() - self.y.double()).square().sum() / (2 * self.length)

    def loss_error(self, value: Tensor, value_error: Tensor) -> float:
        """How far `loss` may be from that of the exact Z, where |value - Z| <= value_error, (L,).

        With c = value - y and delta = value - Z: |c|^2 / 2 - |c - delta|^2 / 2 =
        <c, delta> - |delta|^2 / 2.
        """
        residual = (value.double() - self.y.double()).abs().sum(-1)
        errors = residual * value_error + value.shape[-1] / 2 * value_error.square()
        return float(errors.sum()) / self.length


def make_layer(length: int, seed: int = 0) -> Layer:
    """Self-attention on tokens as a normalisation leaves them: of one length, around a mean, some
    coordinates more spread than others. B is 0, as LoRA starts; the largest score is 1 then.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    frozen, start, hidden = {}, {}, {}
    for m in "qkv":
        frozen |= {f"w_{m}": normal(WIDTH, WIDTH) / WIDTH**0.5}
        start |= {f"a_{m}": normal(RANK, WIDTH) / WIDTH**0.5}
        start |= {f"b_{m}": torch.zeros(WIDTH, RANK, dtype=torch.float64)}
        hidden |= {f"a_{m}": normal(RANK, WIDTH) / WIDTH**0.5}
        hidden |= {f"b_{m}": normal(WIDTH, RANK) / (2 * RANK**0.5)}
    spread = 0.5 ** torch.arange(WIDTH, dtype=torch.float64)
    tokens = normal(1, WIDTH) / 2 + normal(length, WIDTH) * spread
    tokens = tokens / tokens.square().mean(-1, keepdim=True).sqrt()
    frozen |= {f"x_{m}": tokens for m in "qkv"}
    beta = 1 / largest_score(frozen, start)
    rows = [exact_rows(frozen, hidden, beta, part) for part in _parts(length)]
    noise = NOISE * normal(length, WIDTH)
    return Layer(
        frozen={name: tensor.float() for name, tensor in frozen.items()},
        start={name: tensor.float() for name, tensor in start.items()},
        y=(torch.cat(rows) + noise).float(),
        beta=beta,
        floor=float(noise.square().sum()) / (2 * length),
    )


def projected(frozen: dict[str, Tensor], adapters: Adapters, m: str) -> Tensor:
    """X (W + s B A)."""
    update = SCALING * (adapters[f"b_{m}"] @ adapters[f"a_{m}"])
    return frozen[f"x_{m}"] @ (frozen[f"w_{m}"] + update)


def largest_score(frozen: dict[str, Tensor], adapters: Adapters) -> float:
    """max |Q K^T|."""
    queries, keys = (projected(frozen, adapters, m).detach() for m in "qk")
    return max(float((queries[part] @ keys.T).abs().max()) for part in _parts(len(queries)))


def exact_rows(frozen: dict[str, Tensor], adapters: Adapters, beta: float, rows: slice) -> Tensor:
    """Some rows of softmax(beta Q K^T) V, in the inputs' dtype."""
    queries, keys, values = (projected(frozen, adapters, m) for m in "qkv")
    return torch.softmax(beta * (queries[rows] @ keys.T), dim=-1) @ values


def _parts(length: int) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, length, ROWS))


def exactly(layer: Layer, adapters: Adapters) -> Tensor:
    """Z by torch's own attention in float32."""
    queries, keys, values = (projected(layer.frozen, adapters, m)[None, None] for m in "qkv")
    return scaled_dot_product_attention(queries, keys, values, scale=layer.beta)[0, 0]


class AlmostLinearly:
    """Z by the kernel; `record` is of the last call."""

    def __init__(self, epsilon: float = EPSILON) -> None:
        self._epsilon = epsilon
        self.record = almost_linear.AttentionRecord()

    def __call__(self, layer: Layer, adapters: Adapters) -> Tensor:
        self.record = almost_linear.AttentionRecord()
        return almost_linear.attention(
            **layer.frozen,
            **adapters,
            scaling=SCALING,
            beta=layer.beta,
            epsilon=self._epsilon,
            record=self.record,
        )


@dataclass
class Run:
    """Losses before each step, wall seconds of each step, and the adapters at the end."""

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    adapters: Adapters = field(default_factory=dict)


def train(layer: Layer, attend: Attend, steps: int, observe: Observe | None = None) -> Run:
    """Adam on the six adapters from the layer's start.

    observe: called in each step after the backward pass, with the step, the adapters with their
    gradients and Z with its; not timed.
    """
    run = Run(adapters={name: t.clone().requires_grad_() for name, t in layer.start.items()})
    optimizer = torch.optim.Adam(run.adapters.values(), lr=LEARNING_RATE)
    for step in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        value = attend(layer, run.adapters)
        value.retain_grad()
        loss = layer.loss(value)
        loss.backward()
        run.losses.append(loss.item())
        elapsed = time.perf_counter() - start
        if observe is not None:
            observe(step, run.adapters, value)
        start = time.perf_counter()
        optimizer.step()
        run.seconds.append(elapsed + time.perf_counter() - start)
    return run


def exact_loss(layer: Layer, adapters: Adapters) -> float:
    """The loss at some adapters, all in float64."""
    frozen, wide = (
        {n: t.detach().double() for n, t in ts.items()} for ts in (layer.frozen, adapters)
    )
    parts = _parts(layer.length)
    value = torch.cat([exact_rows(frozen, wide, layer.beta, rows) for rows in parts])
    return layer.loss(value).item()


def exact_gradients(layer: Layer, adapters: Adapters, upstream: Tensor) -> Adapters:
    """The gradients of <upstream, Z> at some adapters, by autograd in float64."""
    frozen = {name: t.double() for name, t in layer.frozen.items()}
    leaves = {name: t.detach().double().requires_grad_() for name, t in adapters.items()}
    for rows in _parts(layer.length):
        exact_rows(frozen, leaves, layer.beta, rows).backward(upstream[rows].double())
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


@dataclass
class Checks:
    """What is certified of a run, and what the errors are; by step.

    loss_error: certified. exact_losses: at the run's own adapters. gradient_shares: largest error
    over certificate, of the six gradients, at every `every`-th step. degrees, ranks: of the
    polynomials.
    """

    layer: Layer
    attend: AlmostLinearly
    every: int = 1
    loss_error: list[float] = field(default_factory=list)
    exact_losses: list[float] = field(default_factory=list)
    gradient_shares: list[float] = field(default_factory=list)
    degrees: list[int] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)

    def __call__(self, step: int, adapters: Adapters, value: Tensor) -> None:
        record = self.attend.record
        assert record.value_error is not None
        assert value.grad is not None
        detached = value.detach()
        self.loss_error.append(self.layer.loss_error(detached, record.value_error))
        self.exact_losses.append(exact_loss(self.layer, adapters))
        self.degrees.append(record.degree)
        self.ranks.append(record.rank)
        if step % self.every == 0:
            exact = exact_gradients(self.layer, adapters, value.grad)
            self.gradient_shares.append(self._largest_share(adapters, exact))

    def _largest_share(self, adapters: Adapters, exact: Adapters) -> float:
        certificate = self.attend.record.certificate
        assert certificate is not None
        shares = []
        for name, adapter in adapters.items():
            assert adapter.grad is not None
            error = float((adapter.grad.double() - exact[name]).abs().max())
            certified = float(certificate.errors[name])
            # At the start B is 0, and so are the gradients of A and their certificates.
            shares.append(error / certified if certified > 0 else 0.0 if error == 0 else inf)
        # Unlike Python's, this maximum is nan where one of them is.
        return float(torch.tensor(shares).max())


@dataclass(frozen=True)
class Comparison:
    """Both runs of one layer."""

    layer: Layer
    almost: Run
    checks: Checks
    exact: Run

    @property
    def measured(self) -> list[float]:
        """|loss - exact loss| at the same adapters, by step."""
        pairs = zip(self.almost.losses, self.checks.exact_losses, strict=True)
        return [abs(loss - exact) for loss, exact in pairs]

    @property
    def between(self) -> list[float]:
        """The distance of the two curves, by step."""
        pairs = zip(self.almost.losses, self.exact.losses, strict=True)
        return [abs(left - right) for left, right in pairs]

    @property
    def within(self) -> int:
        """Steps at which the curves differ by no more than the certified error of the loss."""
        pairs = zip(self.between, self.checks.loss_error, strict=True)
        return sum(distance <= certified for distance, certified in pairs)

    @property
    def certified(self) -> bool:
        """Whether no error of loss or gradients exceeds its certificate."""
        pairs = zip(self.measured, self.checks.loss_error, strict=True)
        losses = all(error <= certified for error, certified in pairs)
        return losses and all(share <= 1 for share in self.checks.gradient_shares)

    @property
    def adapters_apart(self) -> float:
        """How far apart the runs end, relative to how far they went: Euclidean, all adapters."""
        ends = (self.almost.adapters, self.exact.adapters)
        almost, exact, start = (
            torch.cat([t.detach().double().flatten() for t in adapters.values()])
            for adapters in (*ends, self.layer.start)
        )
        return float((almost - exact).norm() / (exact - start).norm())


def compare(layer: Layer, steps: int, every: int) -> Comparison:
    """Train twice, and check the almost-linear run as it goes."""
    attend = AlmostLinearly()
    checks = Checks(layer, attend, every)
    almost = train(layer, attend, steps, checks)
    return Comparison(layer, almost, checks, train(layer, exactly, steps))


def ratio_at(length: int) -> float:
    """Exact over almost-linear time of a step: the best of some of each, in turn."""
    layer = make_layer(length)
    best = [inf, inf]
    for _ in range(TIMINGS):
        for n, attend in enumerate((exactly, AlmostLinearly())):
            best[n] = min(best[n], *train(layer, attend, 1).seconds)
    return best[0] / best[1]


def table(found: Comparison, ratios: dict[int, float], every: int) -> str:
    """The figures, in Markdown."""
    layer, almost, checks, exact = found.layer, found.almost, found.checks, found.exact

    def fall(run: Run) -> str:
        return f"{(run.losses[0] - layer.floor) / (run.losses[-1] - layer.floor):.0f}"

    def largest(errors: list[float]) -> tuple[str, str]:
        relative = (error / loss for error, loss in zip(errors, almost.losses, strict=True))
        return f"{max(errors):.2g}", f"{max(relative):.2g}"

    runs = [
        ("loss at the start", *(f"{run.losses[0]:.6f}" for run in (almost, exact))),
        ("loss at the end", *(f"{run.losses[-1]:.6f}" for run in (almost, exact))),
        ("loss of the hidden adapters: the noise", *[f"{layer.floor:.6f}"] * 2),
        ("loss above the noise fell by a factor of", fall(almost), fall(exact)),
    ]
    errors = [
        ("certified error of the loss", *largest(checks.loss_error)),
        ("its error, at the same adapters", *largest(found.measured)),
        ("distance of the two curves", *largest(found.between)),
    ]
    share = max(e / c for e, c in zip(found.measured, checks.loss_error, strict=True))
    scores = " and ".join(
        f"{layer.beta * largest_score(layer.frozen, adapters):.2f}"
        for adapters in (layer.start, almost.adapters)
    )
    rest = [
        (
            "steps at which the curves are within the certified error",
            f"{found.within} of {len(almost.losses)}",
        ),
        ("error of the loss over what is certified, at most", f"{share:.2g}"),
        (
            f"error of a gradient over its certificate, at most ({_steps(every)})",
            f"{max(checks.gradient_shares):.2g}",
        ),
        ("adapters at the end: distance over the way they went", f"{found.adapters_apart:.2g}"),
        ("largest score at the start and at the end", scores),
        ("degree and rank", f"{_range(checks.degrees)} and {_range(checks.ranks)}"),
        *(
            (f"time of a step, exact : almost-linear, L = {length}", f"{ratio:.1f} : 1")
            for length, ratio in ratios.items()
        ),
    ]
    title = (
        f"L = {layer.length}, d = {WIDTH}, r = {RANK}, ε = {EPSILON:g}, float32,"
        f" {len(almost.losses)} steps:"
    )
    tables = [
        [("", "almost-linear", "exact"), *runs],
        [("over all steps", "largest", "relative to the loss"), *errors],
        [("", ""), *rest],
    ]
    return "\n".join([title, *(f"\n{_markdown(rows)}" for rows in tables)]) + "\n"


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    header, *body = (f"| {' | '.join(row)} |" for row in rows)
    rule = "|---" + "|---:" * (len(rows[0]) - 1) + "|"
    return "\n".join([header, rule, *body])


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def _steps(every: int) -> str:
    return "every step" if every == 1 else f"one step in {every}"


def draw(found: Comparison, path: Path) -> None:
    """The curves with the certified band, and the differences; the same bytes for the same runs and
    version of matplotlib. Raises ModuleNotFoundError if matplotlib is missing."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    almost, certified = found.almost.losses, found.checks.loss_error
    steps = range(len(almost))
    low, high = (
        [loss + sign * c for loss, c in zip(almost, certified, strict=True)] for sign in (-1, 1)
    )
    with rc_context({"svg.hashsalt": "loracle", "svg.fonttype": "path"}):
        figure = Figure(figsize=(7.2, 6.4), layout="constrained")
        above, below = figure.subplots(2, sharex=True)
        above.fill_between(steps, low, high, alpha=0.3, label="certified")
        above.plot(steps, almost, label="almost-linear")
        above.plot(steps, found.exact.losses, "--", label="exact autograd")
        above.axhline(found.layer.floor, color="black", linewidth=0.8, label="the noise")
        above.set_yscale("log")
        above.set_ylabel("loss")
        above.set_title(f"LoRA on attention, L = {found.layer.length}, ε = {EPSILON:g}")
        above.legend(fontsize="small")
        below.plot(steps, certified, label="certified error of the loss")
        below.plot(steps, found.measured, label="its error, at the same adapters")
        below.plot(steps, found.between, "--", label="distance of the two curves")
        below.set_yscale("log")
        below.set_xlabel("step")
        below.set_ylabel("error of the loss")
        below.legend(fontsize="small")
        figure.savefig(path, format="svg", metadata={"Date": None})


def main(arguments: list[str]) -> int:
    """Run, print and draw; 1 where something exceeds what is certified, or cannot be drawn."""
    parser = argparse.ArgumentParser(description="LoRA on attention, almost-linear and exact.")
    parser.add_argument("images", type=Path, help="folder of the plot")
    parser.add_argument("--markdown", type=Path, help="file for the table, beside the terminal")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--every", type=int, default=5, help="steps between checks of gradients")
    parser.add_argument("--longer", type=int, default=16384, help="length timed too")
    given = parser.parse_args(arguments)
    found = compare(make_layer(given.length), given.steps, given.every)
    ratios = {length: ratio_at(length) for length in (given.length, given.longer)}
    text = table(found, ratios, given.every)
    print(text, end="")
    if given.markdown is not None:
        with AtomicFile(given.markdown) as file:
            file.write(f"```\n{COMMAND}\n```\n\n{text}")
    given.images.mkdir(parents=True, exist_ok=True)
    try:
        draw(found, given.images / "fine-tuning.svg")
    except ModuleNotFoundError as missing:
        print(
            f"No plot: {missing.name} is missing; pip install 'loracle[plot]' brings it.",
            file=sys.stderr,
        )
        return 1
    if not (found.certified and found.within == given.steps):
        print("An error exceeds what is certified.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
