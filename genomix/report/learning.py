"""Learning curves: loss and validation metric by epoch, several runs over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genomix.metrics import HIGHER_IS_BETTER
from genomix.report.files import Row
from genomix.report.picture import FAINT, INK, SERIES, Key, Picture, draw
from genomix.report.wording import capital, count_of, metric_word, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAIN, VALIDATION = SERIES[0], SERIES[1]
LOSS = "log_loss"
MARKED = 30
"""Points of a curve up to which each is marked by a dot."""


def draw_learning(histories: Mapping[str, Sequence[Row]], metric: str) -> list[Picture]:
    """Draw the losses, and the metric that chose the epoch, of all runs.

    Args:
        histories: Epochs by the name of the run, one at least.
        metric: The metric that chose the epoch; of runs that did not record it the macro F1.
    """
    recorded = {name for rows in histories.values() for row in rows for name in row.scores}
    metric = metric if metric in recorded else "f1_macro"
    pictures = [_draw_losses(histories)]
    if metric != LOSS and metric in recorded:
        pictures.append(_draw_metric(histories, metric))
    return pictures


def best_row(rows: Sequence[Row]) -> Row:
    """Return the epoch whose weights were kept."""
    return next((row for row in reversed(rows) if row.is_best), rows[-1])


def _draw_losses(histories: Mapping[str, Sequence[Row]]) -> Picture:
    def paint(axes: Axes) -> None:
        for rows in histories.values():
            fade = _fade(histories)
            losses = [(row.epoch, row.train_loss) for row in rows]
            axes.plot(*zip(*losses, strict=True), color=TRAIN, alpha=fade, **_marker(losses))
            _plot_scores(axes, rows, LOSS, fade)
        _mark_best(axes, histories, LOSS)
        axes.set(xlabel="epoch", ylabel="log loss")
        _set_epochs(axes)

    said = []
    for name, rows in histories.items():
        validated = [row for row in rows if LOSS in row.scores]
        text = f"training loss from {number(rows[0].train_loss)} to {number(rows[-1].train_loss)}"
        if validated:
            text += (
                f", validation loss from {number(validated[0].scores[LOSS])} to {number(validated[-1].scores[LOSS])}"
            )
            text += f", lowest {number(min(row.scores[LOSS] for row in validated))}"
        said.append(f"{_prefix(name)}{text}, in {count_of(len(rows), 'epoch')}, epoch {best_row(rows).epoch} kept")
    legend = [Key(TRAIN, "training, on crops with dropout"), Key(VALIDATION, "validation")]
    return draw("Loss by epoch", _sentence(said), paint, legend=legend, note=f"Lower is better. {_kept(histories)}")


def _draw_metric(histories: Mapping[str, Sequence[Row]], metric: str) -> Picture:
    def paint(axes: Axes) -> None:
        for rows in histories.values():
            _plot_scores(axes, rows, metric, _fade(histories))
        _mark_best(axes, histories, metric)
        axes.set(xlabel="epoch", ylabel=metric_word(metric))
        _set_epochs(axes)

    said = []
    for name, rows in histories.items():
        scores = [row.scores[metric] for row in rows if metric in row.scores]
        kept = best_row(rows)
        if scores:
            best = f", {number(kept.scores[metric])} in epoch {kept.epoch}, which was kept" if kept.scores else ""
            said.append(f"{_prefix(name)}{metric_word(metric)} from {number(scores[0])} to {number(scores[-1])}{best}")
    title = f"{capital(metric_word(metric))} on the validation records by epoch"
    direction = "Higher" if HIGHER_IS_BETTER.get(metric, True) else "Lower"
    legend = [Key(VALIDATION, "validation")]
    return draw(title, _sentence(said), paint, legend=legend, note=f"{direction} is better. {_kept(histories)}")


def _plot_scores(axes: Axes, rows: Sequence[Row], name: str, fade: float) -> None:
    points = [(row.epoch, row.scores[name]) for row in rows if name in row.scores]
    if points:
        axes.plot(*zip(*points, strict=True), color=VALIDATION, alpha=fade, **_marker(points))


def _marker(points: Sequence[tuple[int, float]]) -> dict[str, Any]:
    return {"marker": "o", "markersize": 3} if len(points) <= MARKED else {}


def _mark_best(axes: Axes, histories: Mapping[str, Sequence[Row]], name: str) -> None:
    for rows in histories.values():
        kept = best_row(rows)
        if len(histories) == 1:
            axes.axvline(kept.epoch, color=FAINT, linestyle="--", linewidth=1)
        if name in kept.scores:
            axes.plot([kept.epoch], [kept.scores[name]], marker="o", markersize=6, color=INK, fillstyle="none")


def _set_epochs(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _fade(histories: Mapping[str, Sequence[Row]]) -> float:
    return 1.0 if len(histories) == 1 else 0.6


def _kept(histories: Mapping[str, Sequence[Row]]) -> str:
    return "Dashed: the epoch that was kept." if len(histories) == 1 else "Circles: the epochs that were kept."


def _prefix(name: str) -> str:
    return f"{name}: " if name else ""


def _sentence(said: Sequence[str]) -> str:
    return capital("; ".join(said) or "no epoch was validated") + "."
