"""The tables of results: beside the baselines, by class, by fold; and the checks of the data."""

from __future__ import annotations

from collections.abc import Mapping

from genomix.data.checks import Checks
from genomix.metrics import HIGHER_IS_BETTER, METRIC_NAMES, Metrics
from genomix.report.files import Results
from genomix.report.page import Cell, Section, Table, cells
from genomix.report.standing import num_right
from genomix.report.wording import BASELINE_WORDS, count_of, metric_word, number, span

MOST_SHOWN = 15
"""Classes in a table that is not folded away."""


def describe_results(results: Results, metric: str) -> Section:
    """Return each metric of the model and of the baselines, the main one first."""
    names = [metric, *(name for name in METRIC_NAMES if name != metric)]
    models = {results.model: results.metrics} | {
        BASELINE_WORDS.get(name, name): baseline for name, baseline in results.baselines.items()
    }
    rows = [
        [Cell(metric_word(name) + (" ↓" * (not HIGHER_IS_BETTER.get(name, True)))), *_values(models, name)]
        for name in names
    ]
    section = Section("results", "Beside the baselines" if results.baselines else "Results")
    section.tables.append(Table(["", *models], rows))
    section.sentences.append(
        "Below each value its 95 % interval over the records: what chance in the choice of records does, "
        "not what happens on data of another kind. ↓: lower is better."
    )
    said = f"{num_right(results.metrics)} of {results.metrics.num_records} records are right"  # the verdict says it
    section.sentences += [f"Note: {note}." for note in results.metrics.notes if not note.startswith(said)]
    section.sentences += _answers(results)
    return section


def describe_levels(levels: Mapping[str, Metrics]) -> Section:
    """Return the metrics of each level of hierarchical labels, from the top down."""
    shown = ("accuracy", "f1_macro")
    rows = [
        [
            Cell(level),
            Cell(f"{len(metrics.classes):,}"),
            *(Cell(number(metrics.values.get(name)), span(metrics.intervals.get(name))) for name in shown),
        ]
        for level, metrics in levels.items()
    ]
    section = Section("levels", "Level by level")
    section.tables.append(Table(["level", "classes", *(metric_word(name) for name in shown)], rows))
    return section


def describe_classes(metrics: Metrics) -> Section:
    """Return the metrics of each class."""
    header = ["class", "records", "precision", "recall", "F1", "ROC AUC", "avg. prec."]
    rows = [
        cells(
            entry.label,
            f"{entry.support:,}",
            *map(number, (entry.precision, entry.recall, entry.f1, entry.roc_auc, entry.pr_auc)),
        )
        for entry in metrics.per_class
    ]
    section = Section("classes", "Class by class")
    caption = "" if len(rows) <= MOST_SHOWN else f"All {len(rows)} classes"
    section.tables.append(Table(header, rows, caption, is_folded=bool(caption)))
    return section


def describe_folds(results: Results) -> Section:
    """Return the metrics of the folds: mean, deviation, and each."""
    count = max(len(spread.values) for spread in results.folds.values())
    rows = [
        cells(metric_word(name), number(spread.mean), number(spread.deviation), *map(number, spread.values))
        for name, spread in results.folds.items()
    ]
    header = ["", "mean", "deviation", *(f"fold {place}" for place in range(1, count + 1))]
    section = Section("folds", "Fold by fold", tables=[Table(header, rows)])
    section.sentences.append(
        "Mean and standard deviation over the folds (n - 1). The folds share training records, so that the deviation "
        "understates how much another data set would change."
    )
    return section


def describe_checks(checks: Checks) -> Section:
    """Return what each check of the data found."""
    rows = [
        [Cell(check.status, status=check.status), Cell(check.name.replace("_", " ")), Cell(check.sentence)]
        for check in checks.checks
    ]
    table = Table([], rows, num_texts=3, is_stacked=True)
    return Section("checks", "Checks of the data", tables=[table])


def _answers(results: Results) -> list[str]:
    """Say how the records fare that were answered, and the sets of labels."""
    sentences = []
    if answered := results.answered:
        sure = "" if answered.min_confidence is None else f" with a confidence of {answered.min_confidence:g} or more"
        said = f"{answered.num_answered:,} of {count_of(answered.num_records, 'record')} were answered{sure}"
        if answered.accuracy is not None:
            said += f"; of these {number(answered.accuracy)} are right ({span(answered.interval)})"
        sentences.append(f"{said}.")
    if coverage := results.coverage:
        asked = "" if coverage.stated is None else f", where {coverage.stated:g} was asked for"
        sentences.append(
            f"{number(coverage.found)} of the sets of labels hold the right one ({span(coverage.interval)}){asked}; "
            f"a set has {coverage.mean_size:.2f} classes in the mean."
        )
    return sentences


def _values(models: dict[str, Metrics], name: str) -> list[Cell]:
    return [Cell(number(found.values.get(name)), span(found.intervals.get(name))) for found in models.values()]
