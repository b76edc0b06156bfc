"""Tables of results for people, on stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from genomix.metrics import METRIC_NAMES, USUAL_METRICS, Metrics, Spread
from genomix.metrics.answered import Answered
from genomix.metrics.conformal import Coverage

NO_LIMIT = 100_000
"""Columns of a table that goes to a file or a pipe: more than there is in any."""
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


def print_levels(levels: Mapping[str, Metrics]) -> None:
    """Print the usual metrics of each level of hierarchical labels, from the top down."""
    names = ["level", "nodes", *(name.replace("_", " ") for name in USUAL_METRICS)]
    rows = [
        [level, str(len(metrics.classes)), *(_cell(metrics, name) for name in USUAL_METRICS)]
        for level, metrics in levels.items()
    ]
    print_rows("levels (95 % bootstrap intervals)", names, rows)


def print_spread(spread: Mapping[str, Spread]) -> None:
    """Print the mean and the deviation of the usual metrics over the folds."""
    rows = [
        [name.replace("_", " "), *map(_number, (spread[name].mean, spread[name].deviation))] for name in USUAL_METRICS
    ]
    count = len(next(iter(spread.values())).values)
    print_rows(f"{count} folds, each by itself", ["metric", "mean", "deviation"], rows)


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
    if metrics.confusion:
        print_table(_confusion(metrics) if len(metrics.classes) <= MOST_IN_MATRIX else _largest_confusions(metrics))
    _print_notes(metrics)


def print_answers(answered: Answered | None, coverage: Coverage | None) -> None:
    """Print how the records fare that were answered, and how often the sets of labels hold the right one."""
    if answered is not None:
        sure = "" if answered.min_confidence is None else f" (probability {answered.min_confidence:g} or more)"
        right, interval = _number(answered.accuracy), answered.interval
        between = f" ({interval.low:.3f} to {interval.high:.3f})" if interval else ""
        _print_line(
            f"answered{sure}: {answered.num_answered} of {answered.num_records} records ({answered.share:.1%}), "
            f"accuracy on these {right}{between}"
        )
    if coverage is not None:
        stated = "" if coverage.stated is None else f", {coverage.stated:g} asked for"
        _print_line(
            f"sets of labels{stated}: {coverage.found:.3f} hold the right one ({coverage.interval.low:.3f} to "
            f"{coverage.interval.high:.3f}), {coverage.mean_size:.2f} labels in the mean"
        )


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


def print_table(table: Table, *, width: int | None = None) -> None:
    """Print a table as wide as the terminal, its title and caption on a line each; elsewhere without padding.

    Args:
        table: The table.
        width: Of it where stdout is no terminal; by default it is as wide as what is in it.
    """
    console = Console()
    for_terminal = console.is_terminal
    if not for_terminal:
        console = Console(width=width or NO_LIMIT)
    title, caption, table.title, table.caption = table.title, table.caption, None, None
    with console.capture() as shown:
        console.print(table)
    lines = shown.get().split("\n")
    _print_line(title)
    sys.stdout.write("\n".join(lines if for_terminal else map(str.rstrip, lines)))
    _print_line(caption)


def print_rows(title: str, names: Sequence[str], rows: Sequence[Sequence[str]], num_keys: int = 1) -> None:
    """Print rows whose cells are never cut: columns that do not fit beside the keys stand in further tables below.

    Where a terminal is too narrow for the keys and one column, each row is a block of lines under its first cell.

    Args:
        title: Of the first table.
        names: Of the columns.
        rows: The cells of each row, in the order of the columns; they may have several lines.
        num_keys: So many columns at the left name the row; they are in every table.
    """
    console = Console()
    room = console.width if console.is_terminal else NO_LIMIT
    keys, others = list(range(num_keys)), list(range(num_keys, len(names)))
    if any(_width(names, rows, [*keys, column]) > room for column in others):
        _print_line(title)
        for row in rows:
            _print_line("\n" + row[0])
            for column in range(1, len(names)):
                _print_line(f"  {names[column]}: {'  '.join(row[column].splitlines())}")
        return
    shown: list[int] = []
    for column in others:
        if _width(names, rows, [*keys, *shown, column]) > room:
            print_table(_table_of(title, names, rows, [*keys, *shown], num_keys))
            title, shown = "", []
        shown.append(column)
    print_table(_table_of(title, names, rows, [*keys, *shown], num_keys))


def _table_of(
    title: str, names: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int], num_keys: int
) -> Table:
    table = Table(title=Text(title) if title else None, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        justify = "left" if column < num_keys else "right"
        table.add_column(Text(names[column]), justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(row[column]) for column in columns))
    return table


def _width(names: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int]) -> int:
    console = Console(width=NO_LIMIT)
    return console.measure(_table_of("", names, rows, columns, 0)).maximum


def _print_line(text: RenderableType | None) -> None:
    if text is not None:
        Console().print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)
