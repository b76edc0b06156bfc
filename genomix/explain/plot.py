"""A picture of one explanation: the tracks along the sequence, and the letters at the highest peak.

N bases explained.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genomix.data.vocabulary import decode
from genomix.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ZOOM_BP = 60
PEAK_BP = 11
MOST_DRAWN = 2000
"""Points along the sequence; of more bases the highest and lowest of a stretch are drawn."""
INK, FOR, AGAINST, SHADE = "#333333", "#0b6e99", "#c4572e", "#f2d98d"
COLOURS = {"A": "#2a8f3c", "C": "#2457c5", "G": "#e08a00", "T": "#c8312b", "N": "#888888"}
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "genomix",
    "svg.fonttype": "path",
}


def find_peak(attribution: np.ndarray, width: int) -> tuple[int, int]:
    """Return the stretch of `width` bases (fewer where there are none) about the place with the most attribution.

    The place is where the absolute attribution of `PEAK_BP` bases in a row is largest.
    """
    size = len(attribution)
    if size <= width:
        return 0, size
    heights = np.convolve(np.abs(np.nan_to_num(attribution)), np.ones(min(PEAK_BP, size)), "same")
    start = min(max(0, int(heights.argmax()) - width // 2), size - width)
    return start, start + width


def write_plot(
    stem: Path, tracks: Mapping[str, np.ndarray], tokens: np.ndarray, start: int, *, title: str, unit: str
) -> None:
    """Draw tracks (N,) of tokens (N,) into `stem.png` and `stem.svg`, whole or not at all.

    Args:
        stem: The files without their suffix.
        tracks: By name; of the first the letters are drawn at its highest peak.
        tokens: The bases.
        start: Where the first lies in its record.
        title: What is shown.
        unit: What the first track is measured in.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    names = list(tracks)
    style: dict[Any, Any] = STYLE
    with mpl.rc_context(style):
        figure = Figure(figsize=(10, 2.1 * (len(names) + 1) + 0.5), layout="constrained")
        axes = figure.subplots(len(names) + 1, 1)
        peak = find_peak(tracks[names[0]], ZOOM_BP)
        for axis, name in zip(axes, names, strict=False):
            _draw_track(axis, tracks[name], start)
            axis.axvspan(start + peak[0], start + peak[1], color=SHADE, alpha=0.6, linewidth=0, zorder=0)
            axis.set_ylabel(name)
        for axis in axes[: len(names) - 1]:
            axis.tick_params(labelbottom=False)
        axes[len(names) - 1].set_xlabel("position (bp, from 0)")
        within = slice(*peak)
        _draw_letters(axes[-1], tracks[names[0]][within], decode(tokens[within]), start + peak[0])
        axes[-1].set_ylabel(names[0])
        axes[-1].set_xlabel(f"position (bp, from 0): the shaded {peak[1] - peak[0]} bp")
        figure.align_ylabels()
        axes[0].set_title("\n".join([*textwrap.wrap(title, 110), f"unit: {unit}"]), loc="left", fontsize=10)
        with atomic_path(stem.with_name(f"{stem.name}.png")) as temporary:
            figure.savefig(temporary, format="png", dpi=150)
        with atomic_path(stem.with_name(f"{stem.name}.svg")) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


def _draw_track(axis: Axes, values: np.ndarray, start: int) -> None:
    """Fill from zero to the values; where there are many, to the highest and the lowest of each stretch."""
    from matplotlib.ticker import StrMethodFormatter

    values = np.nan_to_num(values)
    edges = np.unique(np.linspace(0, len(values), min(len(values), MOST_DRAWN) + 1).astype(int))
    highest, lowest = (
        np.append(reduce(values, edges[:-1]), 0) for reduce in (np.maximum.reduceat, np.minimum.reduceat)
    )
    for heights, colour in ((np.maximum(highest, 0), FOR), (np.minimum(lowest, 0), AGAINST)):
        axis.fill_between(start + edges, heights, step="post", color=colour, linewidth=0.3)
    axis.axhline(0, color=INK, linewidth=0.6)
    axis.set_xlim(start, start + len(values))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _draw_letters(axis: Axes, values: np.ndarray, letters: str, start: int) -> None:
    """Draw each base as high as its value, below the axis where that is negative."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter
    from matplotlib.transforms import Affine2D

    font = FontProperties(family="DejaVu Sans", weight="bold")
    shapes = {letter: TextPath((0, 0), letter, size=1, prop=font) for letter in set(letters)}
    values = np.nan_to_num(values)
    for place, (letter, value) in enumerate(zip(letters, values, strict=True)):
        if value == 0:
            continue
        box = shapes[letter].get_extents()
        fit = Affine2D().translate(-box.x0, -box.y0).scale(0.9 / box.width, abs(value) / box.height)
        fit = fit.translate(start + place + 0.05, min(value, 0.0))
        colour = COLOURS[letter]
        axis.add_patch(PathPatch(shapes[letter], transform=fit + axis.transData, facecolor=colour, linewidth=0))
    low, high = min(0.0, float(values.min(initial=0))), max(0.0, float(values.max(initial=0)))
    margin = 0.05 * (high - low) or 1.0
    axis.set_xlim(start, start + max(1, len(values)))
    axis.set_ylim(low - margin * (low < 0), high + margin)
    axis.axhline(0, color=INK, linewidth=0.6)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
