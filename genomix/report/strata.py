"""Accuracy against what is known of a record: its length, its GC and its likeness to training records.

Shapes: H held-out records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genomix.report.picture import FAINT, SERIES, Picture, draw
from genomix.report.scored import Scored
from genomix.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BINS, FEWEST_IN_BIN = 8, 15
WIDE_RANGE = 8.0
"""Of the middle of the longest group to that of the shortest, from which on lengths stand on a logarithmic axis."""
ROOM = 0.05


class Bin(NamedTuple):
    """Some records: the lowest, median and highest value, how many they are, the share that is right, its interval."""

    low: float
    middle: float
    high: float
    num_records: int
    accuracy: float
    at_least: float
    at_most: float


class Quantity(NamedTuple):
    """What records are grouped by: what it is called, on the axis, its unit, decimals, and the groups."""

    name: str
    label: str
    unit: str
    digits: int
    bins: list[Bin]


def draw_strata(scored: Scored) -> list[Picture]:
    """Draw the accuracy against length, GC and similarity, as far as they are known and differ, on one scale."""
    lengths = np.where(scored.lengths >= 0, scored.lengths, np.nan).astype(float)
    named = (
        ("length", "length (bp)", " bp", 0, lengths),
        ("GC", "share of G and C", "", 2, scored.known("gc")),
        ("similarity to training", "similarity to the nearest training record", "", 2, scored.known("similarity")),
    )
    quantities = [
        Quantity(name, label, unit, digits, bins_of(values, scored.is_right))
        for name, label, unit, digits, values in named
    ]
    shown = [quantity for quantity in quantities if len(quantity.bins) > 1]
    lowest = min((one.at_least for quantity in shown for one in quantity.bins), default=0.0)
    return [_draw(quantity, float(scored.is_right.mean()), lowest) for quantity in shown]


def bins_of(values: np.ndarray, is_right: np.ndarray) -> list[Bin]:
    """Divide records (H,) into groups of like size by a value, equal values together, and count those that are right.

    Records of an unknown value, NaN, are in none.
    """
    known = ~np.isnan(values)
    values, is_right = values[known], is_right[known]
    if not len(values):
        return []
    num_bins = int(np.clip(len(values) // FEWEST_IN_BIN, 1, MOST_BINS))
    edges = np.unique(np.quantile(values, np.linspace(0, 1, num_bins + 1)[1:-1]))
    of_record = np.searchsorted(edges, values, side="left")
    found = []
    for place in np.unique(of_record):
        inside, right = values[of_record == place], is_right[of_record == place]
        low, middle, high = (float(value) for value in (inside.min(), np.median(inside), inside.max()))
        found.append(Bin(low, middle, high, len(right), float(right.mean()), *wilson(int(right.sum()), len(right))))
    return found


def wilson(num_right: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, JASA 1927)."""
    from scipy.stats import binomtest

    found = binomtest(int(num_right), int(count)).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def _draw(quantity: Quantity, overall: float, lowest: float) -> Picture:
    name, label, unit, digits, bins = quantity

    def paint(axes: Axes) -> None:
        axes.axhline(overall, color=FAINT, linewidth=0.8, linestyle=":")
        for one in bins:
            ends = [one.low, one.high]
            axes.plot(ends, [one.accuracy] * 2, color=SERIES[0], linewidth=4, alpha=0.35, solid_capstyle="butt")
            axes.vlines(one.middle, one.at_least, one.at_most, color=SERIES[0], linewidth=1)
        axes.plot([one.middle for one in bins], [one.accuracy for one in bins], "o", markersize=4, color=SERIES[0])
        axes.set(xlabel=label, ylabel="accuracy", ylim=(max(0.0, lowest - ROOM) - 0.02, 1.02))
        if unit and bins[-1].middle > WIDE_RANGE * bins[0].middle:
            _set_lengths(axes, bins)

    said = "; ".join(
        f"{one.low:,.{digits}f} to {one.high:,.{digits}f}{unit} {number(one.accuracy)} of {one.num_records:,}"
        for one in bins
    )
    counts = sorted({one.num_records for one in bins})
    size = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    note = f"{len(bins)} groups of {size} records with 95 % intervals; wide lines: what is in a group. Dotted: all."
    return draw(f"Accuracy against {name}", f"Share that is right by {name}: {said}.", paint, note=note)


def _set_lengths(axes: Axes, bins: list[Bin]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_xlim(max(bins[0].low, 1) / 1.1, bins[-1].high * 1.1)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if bins[-1].high < 1000 * bins[0].low else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
