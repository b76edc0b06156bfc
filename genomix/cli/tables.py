"""Tables of results for people, on stdout."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from genomix.metrics import METRIC_NAMES, USUAL_METRICS, Metrics

WIDTH = 100
"""Columns of a table that goes to a file or a pipe."""
MOST_IN_MATRIX, MOST_CONFUSIONS, COUNT_WIDTH = 10, 15, 5


def print_comparison(results: Mapping[str, Metrics], split: str) -> None:
    """Print one row a model: the metrics on the same held-out records, with their intervals."""
    first = next(iter(results.values()))
    table = Table(
        title=f"{split}: {first.num_records} held-out records (95 % bootstrap intervals)",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("model", no_wrap=True)
    for name in USUAL_METRICS:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for model, metrics in results.items():
        table.add_row(Text(model), *(_cell(metrics, name) for name in USUAL_METRICS))
    print_table(table)
    _print_notes(first)


def print_metrics(metrics: Metrics, title: str) -> None:
    """Print every metric with its interval, the table of classes and the confusion matrix."""
    table = Table(
        title=Text(f"{title}: {metrics.num_records} records (95 % bootstrap intervals)"), title_justify="left"
    )
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("interval", justify="right")
    for name in METRIC_NAMES:
        value, interval = metrics.values[name], metrics.intervals.get(name)
        between = f"{interval.low:.3f} to {interval.high:.3f}" if interval else ""
        table.add_row(name.replace("_", " "), _number(value), between)
    print_table(table)
    classes = Table(title="classes", title_justify="left")
    classes.add_column("label", overflow="fold")
    for name in ("precision", "recall", "f1", "support", "roc auc", "pr auc"):
        classes.add_column(name, justify="right")
    for entry in metrics.per_class:
        numbers = (entry.precision, entry.recall, entry.f1)
        classes.add_row(
            Text(entry.label), *map(_number, numbers), str(entry.support), _number(entry.roc_auc), _number(entry.pr_auc)
        )
    print_table(classes)
    confusion = _confusion(metrics) if len(metrics.classes) <= MOST_IN_MATRIX else _largest_confusions(metrics)
    print_table(confusion)
    _print_notes(metrics)


def _confusion(metrics: Metrics) -> Table:
    table = Table(title="confusion: rows true, columns predicted", title_justify="left")
    table.add_column("", overflow="fold")
    for label in metrics.classes:
        table.add_column(Text(label), justify="right", overflow="fold", min_width=COUNT_WIDTH)
    for label, row in zip(metrics.classes, metrics.confusion, strict=True):
        table.add_row(Text(label), *(str(count) for count in row))
    return table


def _largest_confusions(metrics: Metrics) -> Table:
    counts = [
        (count, metrics.classes[i], metrics.classes[j])
        for i, row in enumerate(metrics.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    table = Table(title="most frequent confusions (all of them: --json)", title_justify="left")
    for name in ("true", "predicted"):
        table.add_column(name, overflow="fold")
    table.add_column("records", justify="right")
    for count, true, predicted in sorted(counts, key=lambda entry: -entry[0])[:MOST_CONFUSIONS]:
        table.add_row(Text(true), Text(predicted), str(count))
    return table


def _print_notes(metrics: Metrics) -> None:
    for note in metrics.notes:
        Console().print(f"note: {note}", markup=False, emoji=False, highlight=False, soft_wrap=True)


def _cell(metrics: Metrics, name: str) -> str:
    interval = metrics.intervals.get(name)
    return _number(metrics.values[name]) + (f"\n{interval.low:.3f}-{interval.high:.3f}" if interval else "")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal, or `WIDTH` at least where there is none."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, WIDTH))
    console.print(table)
