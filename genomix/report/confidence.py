"""How far the confidence of predictions can be believed. Shapes: H held-out records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genomix.metrics import score
from genomix.metrics.calibration import Calibration, reliability, soften
from genomix.report.page import Section
from genomix.report.picture import FAINT, SERIES, Key, Picture, draw
from genomix.report.scored import Scored
from genomix.report.strata import wilson
from genomix.report.wording import capital, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AFTER, BEFORE = SERIES[0], SERIES[1]
RIGHT, WRONG = SERIES[0], SERIES[1]
NUM_BARS = 20
SURE = 0.9


def describe_confidence(scored: Scored, calibration: Calibration | None) -> Section:
    """Return how often predictions are right against how sure they are, and what the calibration did."""
    section = Section("confidence", "How far the confidence can be believed")
    section.pictures = [_draw_reliability(scored, calibration), _draw_confidence(scored)]
    if calibration is not None:
        section.sentences.append(f"{capital(calibration.describe())}.")
        section.sentences += [f"Note on the calibration: {note}." for note in calibration.notes]
    return section


def _draw_reliability(scored: Scored, calibration: Calibration | None) -> Picture:
    found = {"as predicted": (AFTER, scored.probabilities)}
    if calibration is not None and calibration.temperature != 1:
        raw = soften(scored.probabilities, 1 / calibration.temperature)
        found = {"before calibration": (BEFORE, raw), "calibrated, as predicted": (AFTER, scored.probabilities)}

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":")
        for colour, probabilities in found.values():
            one = reliability(scored.targets, probabilities)
            filled = np.flatnonzero(one.counts)
            confidence, accuracy, counts = one.confidence[filled], one.accuracy[filled], one.counts[filled]
            bounds = np.array([wilson(*pair) for pair in zip(np.rint(accuracy * counts), counts, strict=True)])
            axes.vlines(confidence, bounds[:, 0], bounds[:, 1], color=colour, linewidth=0.8, alpha=0.6)
            axes.plot(confidence, accuracy, color=colour, linewidth=0.8, alpha=0.6)
            axes.scatter(confidence, accuracy, color=colour, s=6 + 50 * counts / counts.max(), linewidths=0)
        axes.set(xlabel="confidence", ylabel="share that is right", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))

    errors = {name: score("ece", scored.targets, probabilities) for name, (_, probabilities) in found.items()}
    return draw(
        "Reliability",
        "Expected calibration error on these records: "
        + "; ".join(f"{name} {errors[name]:.3f}" for name in found)
        + ".",
        paint,
        legend=[Key(colour, f"{name}: calibration error {errors[name]:.3f}") for name, (colour, _) in found.items()],
        note="Dotted: right as often as sure. Points below it: too sure. The larger a point, the more records; lines: "
        "95 % intervals.",
    )


def _draw_confidence(scored: Scored) -> Picture:
    right, wrong = scored.confidence[scored.is_right], scored.confidence[~scored.is_right]

    def paint(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        edges = np.linspace(0, 1, NUM_BARS + 1).tolist()
        axes.hist([right, wrong], bins=edges, stacked=True, color=[RIGHT, WRONG])
        axes.set(xlabel="confidence", ylabel="records", xlim=(-0.02, 1.02))

    is_sure = scored.confidence >= SURE
    said = f"{percent(float(is_sure.mean()))} of the records are predicted with a confidence of {SURE} or more"
    if is_sure.any():
        said += f", and {percent(float(scored.is_right[is_sure].mean()))} of these are right"
    if len(wrong):
        said += f"; the median confidence of the wrong predictions is {number(float(np.median(wrong)))}"
    legend = [Key(RIGHT, f"right: {len(right):,}"), Key(WRONG, f"wrong: {len(wrong):,}")]
    return draw("Confidence of the predictions", f"{said}.", paint, legend=legend, note=f"{said}.")
