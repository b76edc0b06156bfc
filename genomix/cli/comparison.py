"""The tables of `genomix compare`, on stdout."""

from __future__ import annotations

from rich.console import Console

from genomix.cli.tables import print_rows
from genomix.compare import ComparedRuns
from genomix.metrics import HIGHER_IS_BETTER, Interval


def print_comparison(found: ComparedRuns, *, holm: bool) -> None:
    """Print the metrics of each run, what sets it apart from the baseline, and which records are right in which run.

    Args:
        found: The runs and their comparison.
        holm: Also print p-values that are adjusted for the number of runs.
    """
    _print_values(found)
    _print_differences(found, holm=holm)
    _print_right_and_wrong(found, holm=holm)
    notes = list(found.notes)
    others = len(found.runs) - 1
    if others > 1:
        adjusted = "p (Holm) is, within each metric" if holm else "--holm also prints p-values that are"
        notes.append(f"p is not adjusted for there being {others} runs to set against the baseline; {adjusted}")
    for note in notes:
        Console().print(f"note: {note}", markup=False, emoji=False, highlight=False, soft_wrap=True)


def _print_values(found: ComparedRuns) -> None:
    comparison = found.comparison
    metrics = list(comparison.runs[0].values)
    rows = []
    for run, one in zip(found.runs, comparison.runs, strict=True):
        cells = [_number(one.values[metric]) + _below(one.intervals.get(metric)) for metric in metrics]
        size = "-" if run.num_parameters is None else f"{run.num_parameters:,}"
        rows.append([run.name, run.model or "-", size, *cells])
    names = ["run", "model", "parameters", *(metric.replace("_", " ") for metric in metrics)]
    held_out = "held-out " if found.is_held_out else ""
    of_split = f" of the split {found.split}" if found.split else ""
    title = f"{comparison.num_records} {held_out}records{of_split}"
    print_rows(f"{title} ({100 * comparison.confidence_level:g} % bootstrap intervals)", names, rows, num_keys=2)


def _print_differences(found: ComparedRuns, *, holm: bool) -> None:
    comparison = found.comparison
    rows = []
    for one in comparison.runs:
        for metric, found_difference in one.differences.items():
            difference, interval = found_difference.difference, found_difference.interval
            rows.append(
                [
                    one.run,
                    metric.replace("_", " ") + ("" if HIGHER_IS_BETTER[metric] else " (less is better)"),
                    "-" if difference is None else f"{difference:+.3f}",
                    "-" if interval is None else f"{interval.low:+.3f} to {interval.high:+.3f}",
                    *_p_values(found_difference.p, found_difference.p_holm, holm=holm),
                ]
            )
    title = (
        f"run less baseline {comparison.baseline} ({100 * comparison.confidence_level:g} % paired bootstrap intervals, "
        f"{comparison.num_resamples} resamples)"
    )
    names = ["run", "metric", "difference", "interval", "p", *["p (Holm)"] * holm]
    print_rows(title, names, rows, num_keys=2)


def _print_right_and_wrong(found: ComparedRuns, *, holm: bool) -> None:
    rows = []
    for one in found.comparison.runs:
        if one.mcnemar is not None:
            table = one.mcnemar
            counts = (table.both_right, table.only_run_right, table.only_baseline_right, table.both_wrong)
            rows.append([one.run, *map(str, counts), *_p_values(table.p, one.mcnemar_p_holm, holm=holm)])
    names = ["in both", "in the run only", "in the baseline only", "in neither", "p", *["p (Holm)"] * holm]
    title = f"records right, beside baseline {found.comparison.baseline} (McNemar's exact test)"
    print_rows(title, ["run", *names], rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _below(interval: Interval | None) -> str:
    return f"\n{interval.low:.3f}-{interval.high:.3f}" if interval else ""


def _p_values(p: float | None, p_holm: float | None, *, holm: bool) -> list[str]:
    shown = [p, p_holm] if holm else [p]
    return ["-" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}" for value in shown]
