"""The tables of `genomix compare`, on stdout."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from genomix.cli.tables import print_table
from genomix.compare import ComparedRuns
from genomix.metrics import HIGHER_IS_BETTER, Interval

METRICS_ABREAST = 5
"""Metrics in one table; more of them stand in further tables, to keep each as wide as a page."""


def print_comparison(found: ComparedRuns, *, holm: bool) -> None:
    """Print the metrics of each run, what sets it apart from the baseline, and which records are right in which run.

    Args:
        found: The runs and their comparison.
        holm: Also print p-values that are adjusted for the number of runs.
    """
    metrics = list(found.comparison.runs[0].values)
    for start in range(0, len(metrics), METRICS_ABREAST):
        print_table(_values(found, metrics[start : start + METRICS_ABREAST]))
    print_table(_differences(found, holm=holm))
    print_table(_right_and_wrong(found, holm=holm))
    notes = list(found.comparison.notes)
    others = len(found.runs) - 1
    if others > 1:
        adjusted = "p (Holm) is, within each metric" if holm else "--holm also prints p-values that are"
        notes.append(f"p is not adjusted for there being {others} runs to set against the baseline; {adjusted}")
    for note in notes:
        Console().print(f"note: {note}", markup=False, emoji=False, highlight=False, soft_wrap=True)


def _values(found: ComparedRuns, metrics: Sequence[str]) -> Table:
    comparison = found.comparison
    table = _new_table(
        f"{comparison.num_records} held-out records ({100 * comparison.confidence_level:g} % bootstrap intervals)"
    )
    table.add_column("run", overflow="fold")
    table.add_column("model", overflow="fold")
    _add_numbers(table, ["parameters", *(metric.replace("_", " ") for metric in metrics)])
    for run, one in zip(found.runs, comparison.runs, strict=True):
        cells = [_number(one.values[metric]) + _below(one.intervals.get(metric)) for metric in metrics]
        size = "-" if run.num_parameters is None else f"{run.num_parameters:,}"
        table.add_row(Text(run.name), Text(run.model or "-"), size, *cells)
    return table


def _differences(found: ComparedRuns, *, holm: bool) -> Table:
    comparison = found.comparison
    table = _new_table(
        f"run less baseline {comparison.baseline} ({100 * comparison.confidence_level:g} % paired bootstrap intervals, "
        f"{comparison.num_resamples} resamples)"
    )
    table.add_column("run", overflow="fold")
    table.add_column("metric", no_wrap=True)
    _add_numbers(table, ["difference", "interval", "p", *["p (Holm)"] * holm])
    for one in comparison.runs:
        for metric, found_difference in one.differences.items():
            difference, interval = found_difference.difference, found_difference.interval
            table.add_row(
                Text(one.run),
                metric.replace("_", " ") + ("" if HIGHER_IS_BETTER[metric] else " (less is better)"),
                "-" if difference is None else f"{difference:+.3f}",
                "-" if interval is None else f"{interval.low:+.3f} to {interval.high:+.3f}",
                *_p_values(found_difference.p, found_difference.p_holm, holm=holm),
            )
    return table


def _right_and_wrong(found: ComparedRuns, *, holm: bool) -> Table:
    table = _new_table(f"records right, beside baseline {found.comparison.baseline} (McNemar's exact test)")
    table.add_column("run", overflow="fold")
    _add_numbers(table, ["in both", "in the run only", "in the baseline only", "in neither", "p", *["p (Holm)"] * holm])
    for one in found.comparison.runs:
        if one.mcnemar is not None:
            counts = one.mcnemar
            table.add_row(
                Text(one.run),
                *map(str, (counts.both_right, counts.only_run_right, counts.only_baseline_right, counts.both_wrong)),
                *_p_values(counts.p, one.mcnemar_p_holm, holm=holm),
            )
    return table


def _new_table(title: str) -> Table:
    return Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _add_numbers(table: Table, names: Sequence[str]) -> None:
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _below(interval: Interval | None) -> str:
    return f"\n{interval.low:.3f}-{interval.high:.3f}" if interval else ""


def _p_values(p: float | None, p_holm: float | None, *, holm: bool) -> list[str]:
    shown = [p, p_holm] if holm else [p]
    return ["-" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}" for value in shown]
