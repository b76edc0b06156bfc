"""Evaluation: how good a model, or a table of predictions, is on labelled records."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genomix import checkpoint
from genomix.data.labels import LabelledRecords, LabelRow, read_labels
from genomix.data.prediction_reader import read_predictions
from genomix.data.predictions import PredictionRow, PredictionWriter
from genomix.data.splits import read_splits
from genomix.errors import DataError, Problems, UsageError
from genomix.metrics import Metrics, compute_metrics
from genomix.runtime import new_directory, write_text
from genomix.scoring import Scorer, StoredRecord, stack_probabilities


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found.

    Attributes:
        metrics: On the evaluated records.
        rows: The predictions, in input order; empty where they were read from a table.
    """

    metrics: Metrics
    rows: list[PredictionRow]


def evaluate_model(
    scorer: Scorer, records: LabelledRecords, *, split: str | None = None, warn: Callable[[str], None] = lambda _: None
) -> Evaluated:
    """Score labelled records with a model and measure it.

    Args:
        scorer: The model and how it is applied.
        records: Records with labels, all of classes that the model knows.
        split: Evaluate only the records of this split of the label table.
        warn: Called with what is worth knowing, such as records that the model was trained on.

    Raises:
        DataError: If a label is not a class of the model.
        UsageError: If a split is asked for that the labels do not have.
    """
    chosen = _choose(records, split)
    classes = scorer.model.classes
    ids = [records.store.ids[int(row)] for row in records.indices[chosen]]
    labels = [records.labels[i] for i in chosen]
    named = [f'{records.store.place(int(records.indices[i]))}: record "{ids[n]}"' for n, i in enumerate(chosen)]
    targets = _to_targets(named, labels, classes, "this model")
    seen = _used_in_training(scorer.model.path) & set(ids)
    if seen:
        warn(
            f"{len(seen)} of {len(ids)} records were used in training (to learn from, or to choose the epoch by): "
            "this is no measure of how new records will fare"
        )
    rows = list(scorer.predict(StoredRecord(records.store, int(records.indices[i])) for i in chosen))
    return Evaluated(compute_metrics(targets, stack_probabilities(rows), classes), rows)


def evaluate_predictions(
    table_path: str, labels_path: str, *, split: str | None = None, warn: Callable[[str], None] = lambda _: None
) -> Evaluated:
    """Measure a table of predictions against labels, without a model.

    Args:
        table_path: What `genomix predict` wrote, or any table with an id and one probability column a class.
        labels_path: Label table.
        split: Evaluate only the records of this split of the label table.
        warn: Called with what is worth knowing, such as predictions that are left out.

    Raises:
        DataError: If a record with a label has no prediction, or labels and classes differ.
        UsageError: If a split is asked for that the labels do not have.
    """
    table = read_predictions(table_path)
    labels = _unique_labels(read_labels(labels_path, warn), split, labels_path)
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
    targets = _to_targets(named, [labels[record_id] for record_id in ids], table.classes, table_path)
    rows = np.array([row_of[record_id] for record_id in ids])
    return Evaluated(compute_metrics(targets, table.probabilities[rows], table.classes), [])


def write_evaluation(directory: Path, evaluated: Evaluated, stated: dict[str, Any], *, force: bool) -> None:
    """Write `metrics.json` (with what is stated beside the metrics) and `predictions.tsv` into a new directory.

    Raises:
        CannotWriteError: If the directory holds something already (without `force`), or cannot be written.
    """
    new_directory(directory, force=force)
    content = {**stated, "metrics": evaluated.metrics.to_dict()}
    if evaluated.rows:
        with PredictionWriter(directory / checkpoint.PREDICTIONS, evaluated.metrics.classes, force=force) as writer:
            writer.write(evaluated.rows)
    else:
        (directory / checkpoint.PREDICTIONS).unlink(missing_ok=True)
    write_text(directory / checkpoint.METRICS, json.dumps(content, indent=2) + "\n")


def _choose(records: LabelledRecords, split: str | None) -> np.ndarray:
    if split is None:
        return np.arange(len(records.labels))
    if records.splits is None:
        raise UsageError(f"--split {split}: the labels have no split column")
    chosen = np.flatnonzero(np.array(records.splits) == split)
    if not len(chosen):
        raise UsageError(
            f"--split {split}: no record is in it; the labels have {', '.join(sorted(set(records.splits)))}"
        )
    return chosen


def _unique_labels(rows: Sequence[LabelRow], split: str | None, path: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    problems = Problems()
    if split is not None and not any(row.split for row in rows):
        raise UsageError(f"--split {split}: {path} has no split column")
    for row in rows:
        if split is not None and row.split != split:
            continue
        if labels.setdefault(row.id, row.label) != row.label:
            problems.add(
                f'{row.source}:{row.line}: record "{row.id}" has two labels, {labels[row.id]!r} and {row.label!r}'
            )
    problems.raise_if_any()
    if not labels:
        raise UsageError(f"--split {split}: no record of {path} is in it")
    return labels


def _to_targets(named: Sequence[str], labels: Sequence[str], classes: Sequence[str], known_by: str) -> np.ndarray:
    index = {name: i for i, name in enumerate(classes)}
    problems = Problems()
    for record, label in zip(named, labels, strict=True):
        if label not in index:
            names = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
            problems.add(f"{record}: label {label!r} is not a class of {known_by} (it knows {names})")
    problems.raise_if_any()
    return np.array([index[label] for label in labels])


def _used_in_training(directory: Path) -> set[str]:
    path = directory / checkpoint.SPLITS
    if not path.is_file():
        return set()
    table = read_splits(path)
    return {table.ids[row] for part in (table.splits.train, table.splits.val) for row in part.tolist()}
