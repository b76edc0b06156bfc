"""A metric of several models against a number, such as the length of context: table and picture.

Rows have, beside what `measured.row_of` gives, `point` (what the table calls the place on the axis) and `x` (where).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measured import (
    TITLES,
    Row,
    best_of,
    conditions,
    exit_code,
    markdown_table,
    mean_of,
    row_of,
    succeeded,
    summarise,
    write_results,
)
from runs import Run, perform_all
from write_cards import find_marks, replace_marked

from genomix.benchmark.plot import DOTS_PER_INCH, MARKERS
from genomix.errors import UsageError
from genomix.files import atomic_path

SIZE_INCHES = (7.0, 4.5)
BESIDE = 1.02
"""Factor between the places of two models at one point, so that their bars can be told apart."""


def add_picture_options(parser: argparse.ArgumentParser) -> None:
    """Declare where a curve is drawn."""
    parser.add_argument("--plot", type=Path, help="picture to write (.png, .svg, .pdf)")
    parser.add_argument("--docs", action="store_true", help="put table and picture into docs/accuracy.md")


def perform_curve(
    runs: Sequence[Run],
    places: Mapping[Path, tuple[str, float]],
    options: argparse.Namespace,
    *,
    kind: str,
    heading: str,
    axis: str,
) -> int:
    """Train what is not trained yet, write the tables, draw the picture if one is asked for, and return the exit code.

    Args:
        runs: What to train.
        places: Of each run, by its path, what the table calls its point, and where it is on the axis.
        options: Those of the command line: `jobs`, `judge`, `results`, `metric`, `plot`, `docs`.
        kind: What the marks and the picture of the docs are called, with the name of the set behind it.
        heading: What the table calls the points.
        axis: What the picture calls them.
    """
    marks = f"{kind} {dict(runs[0].tags)['set']}"
    if options.docs and options.judge != "test":
        raise UsageError("--judge val is for choosing; docs have figures of the test records")
    page = find_marks(marks) if options.docs else None
    rows: list[dict[str, Any]] = []
    for outcome in perform_all(runs, options.jobs):
        point, x = places[outcome.run.path]
        rows.append({"point": point, "x": x} | row_of(outcome))
    table = curve_table(rows, options.metric, heading)
    write_results(options.results, table, rows=rows)
    if options.plot:
        draw(rows, options.metric, options.plot, axis)
    if page:
        picture = page.with_name(f"{marks.replace(' ', '-')}.png")
        draw(rows, options.metric, picture, axis)
        replace_marked(page, f"{table}\n\n![{TITLES[options.metric]} by {axis}]({picture.name})", marks)
    return exit_code(rows)


def curve_table(rows: Sequence[Row], metric: str, title: str) -> str:
    """Write a row a point and a column a model, the best of each point bold; a cell says if runs of it failed."""
    points, models = (list(dict.fromkeys(row[column] for row in rows)) for column in ("point", "model"))
    lines = []
    for point in points:
        of_point = [[row for row in rows if (row["point"], row["model"]) == (point, model)] for model in models]
        summaries = [summarise(succeeded(own), metric) for own in of_point]
        best = best_of(summaries, metric)
        cells = []
        for own, summary in zip(of_point, summaries, strict=True):
            text = "-" if summary is None else f"**{summary}**" if summary.mean == best else str(summary)
            failed = len(own) - len(succeeded(own))
            cells.append(f"{text} ({failed} of {len(own)} failed)" if failed else text)
        lines.append([str(point), *cells])
    split = " and ".join(dict.fromkeys(row["split"] for row in succeeded(rows)))
    note = f"{TITLES[metric]} on the records of {split or 'no split'}, with 95 % intervals over records, ± over seeds."
    failures = dict.fromkeys(row["failure"] for row in rows if row["failure"])
    reasons = [f"Failed: {'; '.join(failures)}"] if failures else []
    return "\n\n".join([note, markdown_table([title, *models], lines), *reasons, conditions(rows)])


def draw(rows: Sequence[Row], metric: str, path: Path, axis: str) -> None:
    """Draw a line a model with the intervals as bars; points of which every run failed are left out.

    Args:
        rows: The runs.
        metric: What is drawn.
        path: The picture, its suffix the format.
        axis: What `x` is.

    Raises:
        CannotWriteError: If the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    rows = succeeded(rows)
    models = list(dict.fromkeys(row["model"] for row in rows))
    for number, model in enumerate(models):
        places, means, below, above = [], [], [], []
        for point in dict.fromkeys(row["point"] for row in rows):
            own = [row for row in rows if (row["point"], row["model"]) == (point, model)]
            summary, place = summarise(own, metric), mean_of(own, "x")
            if summary is None or place is None:
                continue
            places.append(place * BESIDE ** (number - (len(models) - 1) / 2))
            means.append(summary.mean)
            below.append(0 if summary.low is None else max(0.0, summary.mean - summary.low))
            above.append(0 if summary.high is None else max(0.0, summary.high - summary.mean))
        marker = MARKERS[number % len(MARKERS)]
        axes.errorbar(places, means, yerr=[below, above], marker=marker, capsize=3, label=model)
    axes.set_xscale("log", base=2)
    ticks = {point: mean_of([row for row in rows if row["point"] == point], "x") for point in _points(rows)}
    axes.set_xticks([place for place in ticks.values() if place], [f"{point}" for point in ticks], rotation=20)
    axes.set_xticks([], minor=True)
    axes.grid(visible=True, alpha=0.3)
    axes.set(xlabel=axis, ylabel=TITLES[metric], title=", ".join(dict.fromkeys(row["set"] for row in rows)))
    axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=DOTS_PER_INCH)


def _points(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["point"] for row in rows))
