"""Runs set against each other, and the table that is made of it."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genomix.compare.held_out import align, read_chosen
from genomix.compare.runs import Run, Warn, find_runs, read_runs
from genomix.errors import UsageError
from genomix.metrics import METRIC_NAMES, USUAL_METRICS
from genomix.metrics.comparison import Compared, Comparison, compare_metrics

COLUMNS = (
    *("run", "model", "num_parameters", "num_records", "metric", "value", "low", "high"),
    *("baseline", "difference", "difference_low", "difference_high", "p", "p_holm"),
    *("only_run_right", "only_baseline_right", "mcnemar_p", "mcnemar_p_holm"),
)


@dataclass(frozen=True)
class ComparedRuns:
    """What `compare_runs` found.

    Attributes:
        runs: The runs.
        comparison: Theirs, in the same order.
        is_held_out: Whether no run was trained on the records; None where that is not known of all runs.
        split: Of the table of labels, whose records these are; None for no certain one.
        notes: What is worth knowing of the records, then the comparison's notes.
    """

    runs: list[Run]
    comparison: Comparison
    is_held_out: bool | None
    split: str | None
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts, numbers and None, as JSON takes them."""
        tree = self.comparison.to_dict()
        tree["runs"] = [
            {"run": run.name, "model": run.model, "num_parameters": run.num_parameters, **found}
            for run, found in zip(self.runs, tree["runs"], strict=True)
        ]
        return tree | {"held_out": self.is_held_out, "split": self.split, "notes": self.notes}

    def to_tsv(self) -> str:
        """Return a table with a row for each run and metric; cells are empty where there is no value."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for run, found in zip(self.runs, self.comparison.runs, strict=True):
            writer.writerows(self._row(run, found, metric) for metric in found.values)
        return text.getvalue()

    def _row(self, run: Run, found: Compared, metric: str) -> dict[str, Any]:
        row = {
            "run": run.name,
            "model": run.model,
            "num_parameters": run.num_parameters,
            "num_records": self.comparison.num_records,
            "metric": metric,
            "value": found.values[metric],
            "baseline": self.comparison.baseline,
        }
        if interval := found.intervals.get(metric):
            row |= {"low": interval.low, "high": interval.high}
        if difference := found.differences.get(metric):
            row |= {"difference": difference.difference, "p": difference.p, "p_holm": difference.p_holm}
            if difference.interval:
                row |= {"difference_low": difference.interval.low, "difference_high": difference.interval.high}
        if table := found.mcnemar:
            row |= {"only_run_right": table.only_run_right, "only_baseline_right": table.only_baseline_right}
            row |= {"mcnemar_p": table.p, "mcnemar_p_holm": found.mcnemar_p_holm}
        return row


def compare_runs(
    paths: Sequence[str],
    *,
    baseline: str | None = None,
    metrics: Sequence[str] = USUAL_METRICS,
    labels_path: str | None = None,
    split: str | None = None,
    num_resamples: int = 2000,
    confidence_level: float = 0.95,
    seed: int = 0,
    warn: Warn = lambda _: None,
) -> ComparedRuns:
    """Measure runs on the same records, and set each against one of them.

    Args:
        paths: Run directories or predictions tables. Directories have the labels in their `splits.tsv`.
        baseline: What the others are set against, one of `paths` or a further run; by default the first.
        metrics: Of `METRIC_NAMES`.
        labels_path: A table of labels, of the records to compare; needed where no run has a `splits.tsv`.
        split: Compare only the records of this split of that table.
        num_resamples: Bootstrap resamples.
        confidence_level: Share of the resamples between the ends of an interval.
        seed: Seed of the resampling.
        warn: Called with what is worth knowing, such as records that a run was trained on.

    Raises:
        UsageError: If there are fewer than two runs, one is named twice, a metric is not known, or there are no labels.
        NoInputError: If a run does not exist or has no predictions.
        DataError: If a file is damaged, or the runs differ in their records, labels or classes.
    """
    if not 0 < confidence_level < 1:
        raise UsageError(f"--confidence {confidence_level}: must be between 0 and 1, such as 0.95")
    if split is not None and labels_path is None:
        raise UsageError(f"--split {split}: is a split of the table of labels; name that with --labels")
    metrics = _known(metrics)
    files, place = find_runs(paths, baseline)
    runs = read_runs(files, warn)
    chosen = read_chosen(labels_path, split, warn) if labels_path is not None else None
    held_out = align(runs, chosen, split, warn)
    comparison = compare_metrics(
        held_out.targets,
        held_out.probabilities,
        held_out.classes,
        metrics,
        baseline=runs[place].name,
        num_resamples=num_resamples,
        confidence_level=confidence_level,
        seed=seed,
    )
    notes = [*held_out.notes, *comparison.notes]
    return ComparedRuns(runs, comparison, held_out.is_held_out, split, notes)


def _known(metrics: Sequence[str]) -> list[str]:
    """Return the metrics, each once."""
    for name in metrics:
        if name not in METRIC_NAMES:
            near = difflib.get_close_matches(name, METRIC_NAMES, n=1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise UsageError(f"--metric {name!r} is not known{meant}; choose of {', '.join(METRIC_NAMES)}")
    return list(dict.fromkeys(metrics))
