"""Evaluation: how good a model, or a table of predictions, is on labelled records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from genomix.checkpoint.lineage import find_familiar
from genomix.data.labels import LabelledRecords, read_labels
from genomix.data.levels import Levels, check_paths, measure_levels
from genomix.data.prediction_reader import read_predictions
from genomix.data.predictions import ABSTAINED, TRUNCATED, PredictionRow
from genomix.data.seen import NEAR_DUPLICATE
from genomix.errors import DataError, Problems, UsageError
from genomix.evaluate.truth import as_deep, canonical, choose, spell, to_targets, unique_labels
from genomix.metrics import Metrics, compute_metrics
from genomix.metrics.answered import Answered, measure_answered
from genomix.metrics.conformal import Coverage, measure_coverage
from genomix.scoring import AnyScorer, StoredRecord, check_min_confidence, make_answers, stack_probabilities


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found.

    Attributes:
        metrics: On the evaluated records, whether they were answered or not.
        rows: The predictions, in input order; empty where they were read from a table.
        labels: The right labels of these rows.
        answered: How the records fare that were answered; None where all had to be.
        coverage: How the sets of labels fare; None where there are none.
        levels: Metrics by level, from the top down, where labels are hierarchical.
    """

    metrics: Metrics
    rows: list[PredictionRow]
    labels: list[str] = field(default_factory=list)
    answered: Answered | None = None
    coverage: Coverage | None = None
    levels: dict[str, Metrics] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return all but the rows as plain lists, dicts, numbers and None, as JSON takes them."""
        return {
            "metrics": self.metrics.to_dict(),
            "answered": asdict(self.answered) if self.answered else None,
            "coverage": asdict(self.coverage) if self.coverage else None,
            "levels": {name: metrics.to_dict() for name, metrics in self.levels.items()},
        }


def evaluate_model(
    scorer: AnyScorer,
    records: LabelledRecords,
    *,
    split: str | None = None,
    min_confidence: float | None = None,
    coverage: float | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Evaluated:
    """Score labelled records with a model, or several, and measure it.

    Args:
        scorer: The model or models, and how they are applied.
        records: Records with labels, all of classes that the model knows.
        split: Evaluate only the records of this split of the label table.
        min_confidence: Probability below which no label is given.
        coverage: Share of records whose set of labels is to hold the true one.
        warn: Called with what is worth knowing, such as records that the model was trained on.

    Raises:
        DataError: If a label is not a class of the model.
        UsageError: If a split is asked for that the labels do not have, or sets that the model cannot give.
    """
    answers = make_answers(scorer, min_confidence=min_confidence, coverage=coverage)
    chosen = choose(records, split)
    classes = scorer.classes
    ids = [records.store.ids[int(row)] for row in records.indices[chosen]]
    labels = [records.labels[i] for i in chosen]
    named = [f'{records.store.place(int(records.indices[i]))}: record "{ids[n]}"' for n, i in enumerate(chosen)]
    model = scorer.members[0].model
    if not model.is_multi_label:
        labels = spell(labels, classes)
    targets = to_targets(named, labels, classes, "this model", multi_label=model.is_multi_label)
    _warn_of_familiar(scorer, records, chosen, warn)
    stored = (StoredRecord(records.store, int(records.indices[i])) for i in chosen)
    rows = list(map(answers.complete, scorer.predict(stored)))
    probabilities = stack_probabilities(rows)
    metrics = compute_metrics(targets, probabilities, classes)
    levels = measure_levels(model.levels, targets, probabilities) if model.levels is not None else {}
    answered = measured_sets = None
    if min_confidence is not None:
        given = [_answer(row, classes, label) for row, label in zip(rows, labels, strict=True)]
        answered = measure_answered(given, labels, min_confidence)
    if coverage is not None:
        measured_sets = measure_coverage([row.label_set or () for row in rows], labels, coverage)
    return Evaluated(metrics, rows, labels, answered, measured_sets, levels)


def evaluate_predictions(
    table_path: str,
    labels_path: str,
    *,
    split: str | None = None,
    min_confidence: float | None = None,
    multi_label: bool = False,
    levels: Sequence[str] = (),
    warn: Callable[[str], None] = lambda _: None,
) -> Evaluated:
    """Measure a table of predictions against labels, without a model; and its sets of labels, if it has any.

    Args:
        table_path: What `genomix predict` wrote, or any table with an id and one probability column a class.
        labels_path: Label table.
        split: Evaluate only the records of this split of the label table.
        min_confidence: Probability below which a label of the table does not count as an answer.
        multi_label: Labels are `a;b`: records may have several, or none.
        levels: Labels are paths `a;b`: the names of their levels, from the top down, each of which is measured.
        warn: Called with what is worth knowing, such as predictions that are left out.

    Raises:
        DataError: If a record with a label has no prediction, or labels and classes differ, or a class names another
            number of levels.
        UsageError: If a split is asked for that the labels do not have, or the probability is none, or labels are to
            be both several and paths.
    """
    check_min_confidence(min_confidence)
    if levels and multi_label:
        raise UsageError("--multi-label and --levels: labels are either several a record, or paths; leave one out")
    table = read_predictions(table_path, multi_label=multi_label)
    if levels:
        check_paths(table.classes, [f"{table_path}:1"] * len(table.classes), levels)
    labels = unique_labels(read_labels(labels_path, warn), split, labels_path)
    row_of = {record_id: row for row, record_id in enumerate(table.ids)}
    problems = Problems()
    for record_id in labels:
        if record_id not in row_of:
            problems.add(f'{labels_path}: record "{record_id}" has no prediction in {table_path}')
    problems.raise_if_any()
    unlabelled = len(table.ids) - len(labels)
    if unlabelled:
        warn(f"{unlabelled} of {len(table.ids)} predictions are of records that are not evaluated")
    is_skipped = table.is_skipped
    skipped = [record_id for record_id in labels if is_skipped[row_of[record_id]]]
    if skipped:
        warn(f"{len(skipped)} records were skipped when predicting and are not evaluated, such as {skipped[0]!r}")
    ids = [record_id for record_id in labels if not is_skipped[row_of[record_id]]]
    if not ids:
        raise DataError(f"{table_path}: no prediction left to evaluate")
    named = [f'{labels_path}: record "{record_id}"' for record_id in ids]
    right = [labels[record_id] for record_id in ids]
    right = [canonical(label, table.classes) for label in right] if multi_label else spell(right, table.classes)
    targets = to_targets(named, right, table.classes, table_path, multi_label=multi_label)
    rows = np.array([row_of[record_id] for record_id in ids])
    probabilities = table.probabilities[rows]
    metrics = compute_metrics(targets, probabilities, table.classes)
    tree = Levels(tuple(levels), tuple(table.classes))
    answered = coverage = None
    if min_confidence is not None or any({ABSTAINED, TRUNCATED} & set(table.statuses[row]) for row in rows):
        is_sure = table.confidence >= (min_confidence or 0)
        given = [table.labels[row] if is_sure[row] else None for row in rows]
        for place, row in enumerate(rows):
            if TRUNCATED in table.statuses[row]:
                given[place] = as_deep(given[place], right[place])
        answered = measure_answered(given, right, min_confidence)
    if table.label_sets is not None:
        coverage = measure_coverage([table.label_sets[row] for row in rows], right, None)
    return Evaluated(metrics, [], [], answered, coverage, measure_levels(tree, targets, probabilities))


def _answer(row: PredictionRow, classes: Sequence[str], label: str) -> str | None:
    """Return the label a row answers; one that is right as far as it goes is the record's own."""
    if row.probabilities is None or ABSTAINED in row.statuses:
        return None
    answer = classes[int(np.argmax(row.probabilities))] if row.label is None else row.label
    return as_deep(answer, label) if TRUNCATED in row.statuses else answer


def _warn_of_familiar(
    scorer: AnyScorer, records: LabelledRecords, chosen: np.ndarray, warn: Callable[[str], None]
) -> None:
    """Say how many of these records were used in training, and how many others are as good as copies of some."""
    rows = records.indices[chosen]
    used, alike = find_familiar([member.model.path for member in scorer.members], records.store, rows)
    if used.any():
        warn(
            f"{used.sum()} of {len(rows)} records were used in training (to learn from, or to choose the epoch by): "
            "this is no measure of how new records will fare"
        )
    if alike.any():
        first = records.store.ids[int(rows[np.argmax(alike)])]
        warn(
            f"{alike.sum()} of {len(rows) - used.sum()} records that were not used in training, such as {first!r}, are "
            f"nearly the same as some that were, or as a part of one (similarity {NEAR_DUPLICATE:g} or more, on either "
            "strand): of these the model may know the answer by heart"
        )
