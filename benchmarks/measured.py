"""Rows of figures, one a run, and what they come to over seeds."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runs import Outcome
from set_notes import notes_on

from genomix.errors import UsageError
from genomix.files import write_text
from genomix.metrics import HIGHER_IS_BETTER, spread_of

METRICS = ("mcc", "accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss")
TITLES = {
    "mcc": "MCC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "macro F1",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
}
MACHINE = ("device", "threads", "processor", "torch")
Row = dict[str, Any]
"""A run: its tags, `model`, `seed`, `failure` (empty if there is none), and figures; as text where read from a file."""


@dataclass(frozen=True)
class Summary:
    """A metric over seeds.

    Attributes:
        mean: Of the seeds' values.
        low, high: The ends of their 95 % intervals over records, averaged: how sure one training is, not the mean.
        deviation: Of the seeds' values (n - 1); None of one.
    """

    mean: float
    low: float | None
    high: float | None
    deviation: float | None

    def __str__(self) -> str:
        """Write `mean [low, high]`, and the deviation where there is one."""
        interval = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.mean:.3f}{interval}" + ("" if self.deviation is None else f" ± {self.deviation:.3f}")


def row_of(outcome: Outcome) -> Row:
    """Return what a run is, and what came of it unless it failed."""
    run = outcome.run
    row: Row = dict(run.tags) | {"model": run.candidate.name, "seed": run.seed, "failure": outcome.failure or ""}
    if outcome.failure:
        return row
    stated, meta, made = outcome.metrics, outcome.meta, outcome.made
    measured, training = stated["metrics"], meta["training"]
    row |= {"split": stated["split"], "records": measured["num_records"]}
    for name in METRICS:
        interval = measured["intervals"].get(name) or {}
        row |= {
            name: measured["values"][name],
            f"{name}_low": interval.get("low"),
            f"{name}_high": interval.get("high"),
        }
    row |= {"parameters": meta["num_parameters"], "seconds": training["seconds"], "epochs": training["epochs"]}
    row |= {"device": training["device"], "threads": training["threads"], "processor": made.get("processor", "")}
    return row | {"torch": meta["versions"]["torch"], "date": meta["created"][:10], "commit": made.get("commit", "")}


def succeeded(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of runs that did not fail."""
    return [row for row in rows if not row["failure"]]


def mean_of(rows: Sequence[Row], name: str) -> float | None:
    """Return the mean of a figure over rows that have it."""
    return spread_of([number_of(row.get(name)) for row in rows]).mean


def summarise(rows: Sequence[Row], metric: str) -> Summary | None:
    """Return a metric over rows that differ in their seed; None where no row has it."""
    spread = spread_of([number_of(row.get(metric)) for row in rows])
    if spread.mean is None:
        return None
    low, high = (mean_of(rows, f"{metric}_{end}") for end in ("low", "high"))
    return Summary(spread.mean, low, high, spread.deviation)


def best_of(summaries: Iterable[Summary | None], metric: str) -> float | None:
    """Return the best mean; None where there is none."""
    means = [one.mean for one in summaries if one is not None]
    return None if not means else max(means) if HIGHER_IS_BETTER[metric] else min(means)


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |" for cells in lines)


def conditions(rows: Sequence[Row]) -> str:
    """Say what rows were made with: machine, budget, seeds, dates, commits; and what must be said of the sets."""
    rows = succeeded(rows)
    if not rows:
        return "No run was made to its end."
    machines = listed(
        f"{row['device']}, threads {row['threads']}, {row['processor']}, torch {row['torch']}" for row in rows
    )
    parts = [
        f"Seeds {listed(row['seed'] for row in rows)}",
        f"budget of a run: {listed(row.get('budget') or 'none' for row in rows)}",
        f"{listed(row['jobs'] for row in rows)} at a time",
        machines,
        listed(row["date"] for row in rows),
        f"commit {listed(row['commit'] for row in rows)}",
    ]
    made = "; ".join(parts) + "."
    return " ".join(filter(None, [made, notes_on(str(row["set"]) for row in rows)]))


def listed(values: Iterable[Any]) -> str:
    """Name different values once each, in order."""
    return ", ".join(sorted({str(value) for value in values}))


def write_tsv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as a table with tabs; the columns are all that any row has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())


def table_path(results: Path, name: str = "rows") -> Path:
    """Return where a table of results stands: RESULTS.tsv (`rows`), or RESULTS-NAME.tsv."""
    return results.with_name(results.name + f"-{name}" * (name != "rows") + ".tsv")


def write_results(results: Path | None, text: str, **tables: Sequence[Row]) -> None:
    """Print a text, and write it as RESULTS.md and tables to their `table_path`, if asked to."""
    print(text)
    if results is None:
        return
    for name, rows in tables.items():
        write_tsv(table_path(results, name), rows)
    write_text(results.with_name(f"{results.name}.md"), text + "\n")


def exit_code(rows: Sequence[Row]) -> int:
    """Say how many runs failed, if any, and return the exit code."""
    failed = len(rows) - len(succeeded(rows))
    if failed:
        print(f"{failed} of {len(rows)} runs failed; the same command tries them again", file=sys.stderr)
    return int(failed > 0)


def read_tsv(path: Path) -> list[Row]:
    """Read what `write_tsv` wrote, every cell as text."""
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table, delimiter="\t"))


def rows_to_keep(results: Path | None, judge: str, budget: str | None = None) -> list[Row]:
    """Return the rows of RESULTS.tsv, none if there is no such file yet.

    Args:
        results: Beginning of its name.
        judge: Records that all rows must be judged on.
        budget: What all rows must say of their time or epochs; None where rows may differ.

    Raises:
        UsageError: If no results are named, or they were made with another --judge or another budget.
    """
    if results is None:
        raise UsageError("--keep: keeps the rows of a table; name it with --results")
    path = table_path(results)
    rows = read_tsv(path) if path.exists() else []
    if others := {row["judge"] for row in rows} - {judge}:
        raise UsageError(f"{path}: has rows of --judge {listed(others)}; leave out --keep, or name other --results")
    if budget is not None and (others := {row["budget"] for row in rows} - {budget}):
        found, asked = (listed(one or "no budget" for one in budgets) for budgets in (others, [budget]))
        raise UsageError(f"{path}: has rows of {found}, not {asked}; leave out --keep, or name other --results")
    return rows


def add_rows(kept: Sequence[Row], made: Sequence[Row], alike: Sequence[str] = ("set", "model", "seed")) -> list[Row]:
    """Return rows with new ones behind them, which replace those that say the same in the columns `alike`."""

    def key(row: Row) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in alike)

    replaced = {key(row) for row in made}
    return [row for row in kept if key(row) not in replaced] + list(made)


def number_of(value: Any) -> float | None:
    """Return what a cell says, None of an empty one."""
    return None if value in (None, "") else float(value)
