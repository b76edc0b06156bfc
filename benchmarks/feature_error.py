"""How the error of attention by random features falls with their number.

    python benchmarks/feature_error.py --draws 20 --plot feature_error.svg

Records of queries, keys and values with entries from N(0, scale^2), N(0, scale^2) and N(0, 1) are attended to exactly
and by features, each record with features of its own. Performer is compared with softmax attention; RFA, whose kernel
has width 1, with softmax attention of queries and keys made 1 long, which is what it estimates. The error of a record
is the norm of the difference over the norm of the exact outcome; the table has its mean over the records.

With F features the error is expected to fall like F^(-1/2), a slope of -0.5 in logarithms, once F is large beside the
variance of one feature. For Performer that variance grows exponentially with the squared length of queries and keys, so
with --scales; for RFA it is bounded.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from genomix.benchmark.plot import DOTS_PER_INCH, HEIGHT_INCHES, MARKERS, PANEL_INCHES, SUFFIXES
from genomix.files import atomic_path
from genomix.nn.encoders.attention import Heads
from genomix.nn.encoders.performer import attend_by_positive_features, draw_directions
from genomix.nn.encoders.rfa import attend_by_fourier_features

NUM_FEATURES = (16, 32, 64, 128, 256, 512, 1024)
COLUMN = 20


class Sizes(NamedTuple):
    """What is drawn: records, positions N, head dimension P, and standard deviations of queries and keys."""

    num_draws: int = 20
    length: int = 256
    head_dim: int = 16
    scales: tuple[float, ...] = (0.25, 0.5, 1.0)


class Errors(NamedTuple):
    """The mean relative error of an estimator with each number of features."""

    name: str
    num_features: list[int]
    means: list[float]

    @property
    def slope(self) -> float:
        """Of the straight line through log error against log features, by least squares."""
        return float(np.polyfit(np.log(self.num_features), np.log(self.means), 1)[0])


def measure(sizes: Sizes, num_features: Sequence[int]) -> list[Errors]:
    """Return the errors of Performer, one list a scale, and of RFA."""
    heads = Heads(*(torch.randn(1, sizes.num_draws, sizes.length, sizes.head_dim) for _ in range(3)))
    results = []
    for scale in sizes.scales:
        scaled = heads._replace(queries=heads.queries * scale, keys=heads.keys * scale)
        exact = softmax_attention(scaled, sizes.head_dim**0.5)
        means = [relative_error(estimate_by_performer(scaled, number), exact) for number in num_features]
        results.append(Errors(f"performer at {scale:g}", list(num_features), means))
    one_long = heads._replace(queries=normalize(heads.queries, dim=-1), keys=normalize(heads.keys, dim=-1))
    exact = softmax_attention(one_long, 1.0)
    means = [relative_error(estimate_by_rfa(heads, number), exact) for number in num_features]
    return [*results, Errors("rfa", list(num_features), means)]


def softmax_attention(heads: Heads, temperature: float) -> Tensor:
    """Return softmax(Q K^T / temperature) V, every position to every other, (1, draws, N, P)."""
    return (heads.queries @ heads.keys.mT / temperature).softmax(-1) @ heads.values


def estimate_by_performer(heads: Heads, num_features: int) -> Tensor:
    """Return the estimate (1, draws, N, P) of each record by positive orthogonal features of its own."""
    _, num_draws, length, head_dim = heads.queries.shape
    inside = torch.ones(1, 1, length, 1, dtype=torch.bool)
    return attend_by_positive_features(*heads, draw_directions(num_draws, num_features, head_dim), inside)


def estimate_by_rfa(heads: Heads, num_features: int) -> Tensor:
    """Return the estimate (1, draws, N, P) of each record by frequencies of its own."""
    _, num_draws, length, head_dim = heads.queries.shape
    directions = torch.randn(num_draws, num_features, head_dim)
    widths = torch.ones(num_draws, head_dim)
    return attend_by_fourier_features(*heads, directions, widths, torch.tensor([length]))


def relative_error(estimate: Tensor, exact: Tensor) -> float:
    """Return |estimate - exact| / |exact|, the mean over draws."""
    return float(((estimate - exact).norm(dim=(-1, -2)) / exact.norm(dim=(-1, -2))).mean())


def write_plot(results: Sequence[Errors], sizes: Sizes, path: str | Path) -> None:
    """Draw error against features, both axes logarithmic, beside a line of slope -1/2; the suffix is the format."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    figure = Figure(figsize=(PANEL_INCHES, HEIGHT_INCHES + 1), layout="constrained")
    axes = figure.subplots()
    for errors, marker in zip(results, MARKERS, strict=False):
        label = f"{errors.name}, slope {errors.slope:.2f}"
        axes.plot(errors.num_features, errors.means, marker=marker, label=label)
    numbers = np.array(results[0].num_features)
    expected = results[-1].means[0] * np.sqrt(numbers[0] / numbers)
    axes.plot(numbers, expected, color="grey", linestyle="--", label="slope -0.5")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.set(title=_title(sizes), xlabel="features", ylabel="mean relative error")
    figure.legend(loc="outside lower center", frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:].lower(), dpi=DOTS_PER_INCH)


def _title(sizes: Sizes) -> str:
    return f"N {sizes.length:,}, P {sizes.head_dim}, {sizes.num_draws} draws"


def main() -> None:
    """Print a table of errors and their slopes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = Sizes()
    parser.add_argument("--features", type=int, nargs="+", default=NUM_FEATURES, help="Numbers of features, ascending.")
    parser.add_argument("--draws", type=int, default=defaults.num_draws, help="Records, and draws of features.")
    parser.add_argument("--length", type=int, default=defaults.length, help="Positions of a record.")
    parser.add_argument("--dim", type=int, default=defaults.head_dim, help="Channels of a head.")
    parser.add_argument(
        "--scales", type=float, nargs="+", default=defaults.scales, help="Deviations of queries and keys for Performer."
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help=f"Write a picture as well; one of {', '.join(SUFFIXES)}.")
    arguments = parser.parse_args()
    if len(set(arguments.features)) < 2:
        parser.error("--features: a slope needs two numbers at least")
    if arguments.plot is not None and arguments.plot.suffix.lower() not in SUFFIXES:
        parser.error(f"--plot {arguments.plot}: use one of {', '.join(SUFFIXES)}")
    torch.manual_seed(arguments.seed)
    sizes = Sizes(arguments.draws, arguments.length, arguments.dim, tuple(arguments.scales))
    results = measure(sizes, arguments.features)
    print(f"Mean relative error; {_title(sizes)}")
    print("features" + "".join(f"{errors.name:>{COLUMN}}" for errors in results))
    for row, number in enumerate(arguments.features):
        print(f"{number:8,}" + "".join(f"{errors.means[row]:{COLUMN}.4f}" for errors in results))
    print("   slope" + "".join(f"{errors.slope:{COLUMN}.3f}" for errors in results))
    if arguments.plot is not None:
        write_plot(results, sizes, arguments.plot)


if __name__ == "__main__":
    main()
