"""ROC and precision-recall curves, each class against the rest. Shapes: H held-out records, C classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from genomix.metrics import ClassMetrics, Metrics
from genomix.report.picture import FAINT, INK, SERIES, Key, Picture, draw
from genomix.report.scored import Scored
from genomix.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMED = len(SERIES)
MOST_DRAWN = 40
"""Curves in a picture; of more classes only the named ones are drawn, and the mean."""
MOST_WITHOUT_MEAN = 2
GRID_POINTS = 201

Curve = tuple[np.ndarray, np.ndarray]


def draw_curves(scored: Scored, metrics: Metrics) -> list[Picture]:
    """Draw both kinds of curves for the classes that have records; none where the records are all of one class.

    Args:
        scored: The records.
        metrics: Of the same records.
    """
    present = [
        number
        for number in range(len(scored.classes))
        if 0 < np.count_nonzero(scored.targets == number) < len(scored.targets)
    ]
    if not present:
        return []
    return [_draw_roc(scored, metrics, present), _draw_precision_recall(scored, metrics, present)]


def _draw_roc(scored: Scored, metrics: Metrics, present: list[int]) -> Picture:
    from sklearn.metrics import roc_curve

    def curve(target: int) -> Curve:
        false, true, _ = roc_curve(scored.targets == target, scored.probabilities[:, target])
        return false, true

    present = present[-1:] if len(scored.classes) == 2 else present  # the other's curve is the same, seen in a mirror
    named = _worst(present, metrics.per_class, lambda entry: entry.roc_auc)
    grid = np.linspace(0, 1, GRID_POINTS)

    def mean() -> Curve:
        return grid, np.mean([np.interp(grid, *curve(target)) for target in present], axis=0)

    def paint(axes: Axes) -> None:
        _plot(axes, curve, mean, present, named)
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":")
        axes.set(
            xlabel="false positive rate", ylabel="true positive rate (recall)", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02)
        )

    areas = [(target, metrics.per_class[target].roc_auc) for target in named]
    return draw(
        "ROC curves",
        _alt("Area under the ROC curve", scored.classes, areas, present, metrics.values.get("roc_auc")),
        paint,
        legend=_legend(scored.classes, areas, present, metrics.values.get("roc_auc")),
        note="Dotted: guessing.",
    )


def _draw_precision_recall(scored: Scored, metrics: Metrics, present: list[int]) -> Picture:
    from sklearn.metrics import precision_recall_curve

    def curve(target: int) -> Curve:
        precision, recall, _ = precision_recall_curve(
            scored.targets == target, scored.probabilities[:, target], drop_intermediate=True
        )
        return recall[::-1], precision[::-1]

    named = _worst(present, metrics.per_class, lambda entry: entry.pr_auc)
    grid = np.linspace(0, 1, GRID_POINTS)

    def mean() -> Curve:
        curves = (curve(target) for target in present)
        return grid, np.mean([precision[np.searchsorted(recall, grid)] for recall, precision in curves], axis=0)

    def paint(axes: Axes) -> None:
        _plot(axes, curve, mean, present, named, drawstyle="steps-pre")
        axes.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))

    areas = [(target, metrics.per_class[target].pr_auc) for target in named]
    macro = metrics.values.get("pr_auc")
    return draw(
        "Precision-recall curves",
        _alt("Average precision", scored.classes, areas, present, macro),
        paint,
        legend=_legend(scored.classes, areas, present, macro),
        note="Guessing reaches a precision that is the share of the class.",
    )


def _worst(
    present: Sequence[int], per_class: Sequence[ClassMetrics], area: Callable[[ClassMetrics], float | None]
) -> list[int]:
    """Return the classes with the smallest areas, in their own order; all where they are few."""
    ranked = sorted(present, key=lambda target: area(per_class[target]) or 0.0)
    return sorted(ranked[:MOST_NAMED]) if len(present) <= MOST_NAMED else ranked[:MOST_NAMED]


def _plot(
    axes: Axes,
    curve: Callable[[int], Curve],
    mean: Callable[[], Curve],
    present: Sequence[int],
    named: Sequence[int],
    *,
    drawstyle: str = "default",
) -> None:
    if len(present) <= MOST_DRAWN:
        for target in present:
            if target not in named:
                axes.plot(*curve(target), color=FAINT, linewidth=0.6, alpha=0.6, drawstyle=drawstyle)
    for target, colour in zip(named, SERIES, strict=False):
        axes.plot(*curve(target), color=colour, drawstyle=drawstyle)
    if len(present) > MOST_WITHOUT_MEAN:
        axes.plot(*mean(), color=INK, linestyle="--", linewidth=1.2)


def _legend(
    classes: Sequence[str], areas: Sequence[tuple[int, float | None]], present: Sequence[int], macro: float | None
) -> list[Key]:
    keys = [
        Key(colour, f"{classes[target]}: {number(area)}") for (target, area), colour in zip(areas, SERIES, strict=False)
    ]
    others = len(present) - len(areas)
    if others:
        where = "" if len(present) <= MOST_DRAWN else ", not drawn"
        keys.append(Key(FAINT, f"the {others} other classes, none with a smaller area{where}"))
    if len(present) > MOST_WITHOUT_MEAN:
        keys.append(Key(INK, f"mean of the classes: {number(macro)}", is_dashed=True))
    return keys


def _alt(
    what: str,
    classes: Sequence[str],
    areas: Sequence[tuple[int, float | None]],
    present: Sequence[int],
    macro: float | None,
) -> str:
    said = ", ".join(f"{classes[target]} {number(area)}" for target, area in areas)
    which = "" if len(areas) == len(present) else f" of the {len(areas)} worst of {len(present)} classes"
    mean = f"; mean of the classes {number(macro)}" if len(present) > MOST_WITHOUT_MEAN else ""
    return f"{what}{which}: {said}{mean}."
