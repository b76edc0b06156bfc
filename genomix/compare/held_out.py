"""The records that runs are compared on, which must be the same, with the same labels, for all of them.

Shapes: R records, C classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from genomix.compare.differing import check_classes, check_records, counted, quoted
from genomix.compare.runs import Labels, Run, Warn
from genomix.data.labels import LabelRow, read_labels
from genomix.errors import DataError, Problems, UsageError


class HeldOut(NamedTuple):
    """The records that are compared.

    Attributes:
        ids: Of the R records.
        targets: Int64 (R,), places in the classes.
        classes: The C labels.
        probabilities: Float64 (R, C), by the name of each run.
        is_held_out: Whether no run was trained on the records; None where that is not known of all runs.
        notes: What is worth knowing, a sentence each.
    """

    ids: list[str]
    targets: np.ndarray
    classes: list[str]
    probabilities: dict[str, np.ndarray]
    is_held_out: bool | None
    notes: list[str]


def read_chosen(path: str, split: str | None, warn: Warn) -> Labels:
    """Read the labels of the records to compare: all of a table, or those of one split.

    Raises:
        NoInputError: If it cannot be read or is empty.
        DataError: If rows are bad, or a record has two labels.
        UsageError: If no record is in that split.
    """
    rows = [row for row in read_labels(path, warn) if split in (None, row.split)]
    if not rows:
        raise UsageError(f"--split {split}: no record of {path} is in it")
    problems = Problems()
    labels = _merge([rows], problems)
    problems.raise_if_any()
    return labels


def align(runs: Sequence[Run], chosen: Labels | None, split: str | None, warn: Warn) -> HeldOut:
    """Bring the predictions of all runs into one order of records and classes, those of the first run.

    Args:
        runs: The runs.
        chosen: The records to compare; without it they are all those predicted, labelled by the runs' `splits.tsv`.
        split: What they were chosen by.
        warn: Told what is left out, and which records a run was trained on.

    Raises:
        UsageError: If nothing says what the right labels are.
        DataError: If the runs differ in their classes, or else in their records or labels, all of which is reported.
    """
    if chosen is None and not any(run.labels for run in runs):
        raise UsageError(
            "nothing says what the right labels are: name a table of them (--labels test.tsv), or name the run "
            "directories, whose splits.tsv has them, instead of the tables in them"
        )
    check_classes(runs)
    rows_of = {
        run.name: {name: row for row, name in enumerate(run.table.ids) if chosen is None or name in chosen}
        for run in runs
    }
    problems = Problems()
    sources = [[row for row in run.labels if row.id in rows_of[run.name]] for run in runs]
    labels = _merge([*sources, (chosen or {}).values()], problems)
    first = runs[0]
    check_records(runs, rows_of, chosen, problems)
    _check_labels(first, rows_of[first.name], labels, problems)
    problems.raise_if_any()
    ids = _leave_out(runs, rows_of, chosen, warn)
    is_held_out = _find_use(runs, ids, split, warn)
    classes = first.table.classes
    probabilities = {}
    for run in runs:
        columns = [run.table.classes.index(label) for label in classes]
        probabilities[run.name] = run.table.probabilities[[rows_of[run.name][name] for name in ids]][:, columns]
    targets = np.array([classes.index(labels[name].label) for name in ids])
    return HeldOut(ids, targets, classes, probabilities, is_held_out, _notes(runs, rows_of))


def _merge(sources: Iterable[Iterable[LabelRow]], problems: Problems) -> dict[str, LabelRow]:
    """Return the first row of each record, after checking that the others say the same."""
    labels: dict[str, LabelRow] = {}
    for row in itertools.chain.from_iterable(sources):
        first = labels.setdefault(row.id, row)
        if first.label != row.label:
            mend = "" if problems.total else "; mend the wrong one, and train again what has learnt from it"
            problems.add(
                f'{row.place}: record "{row.id}" is labelled {row.label!r}, but {first.label!r} at {first.place}{mend}'
            )
    return labels


def _check_labels(first: Run, names: Iterable[str], labels: Labels, problems: Problems) -> None:
    classes = first.table.classes
    known = ", ".join(classes[:10]) + ", ..." * (len(classes) > 10)
    missing = [name for name in names if name not in labels]
    if missing:
        problems.add(
            f"{first.path}: {counted(missing)} in no splits.tsv of the runs; name a table of all labels (--labels)"
        )
    unknown: dict[str, list[str]] = {}
    for name in names:
        if name in labels and labels[name].label not in classes:
            unknown.setdefault(labels[name].label, []).append(name)
    for label, those in unknown.items():
        problems.add(
            f"{labels[those[0]].place}: label {label!r} of {quoted(those)} is not a class of {first.path} "
            f"(it knows {known}); mend the label"
        )


def _leave_out(
    runs: Sequence[Run], rows_of: Mapping[str, Mapping[str, int]], chosen: Labels | None, warn: Warn
) -> list[str]:
    """Return the records that all runs have probabilities for, in the order of the first run, and say what is not."""
    names = rows_of[runs[0].name]
    if chosen is not None and len(names) < len(chosen):
        warn(
            f"{len(chosen) - len(names)} of {len(chosen)} records with a label have no prediction and are not compared"
        )
    is_skipped = {run.name: run.table.is_skipped for run in runs}
    skipped = [name for name in names if any(is_skipped[run.name][rows_of[run.name][name]] for run in runs)]
    if skipped:
        warn(f"{len(skipped)} records were skipped when predicting and are not compared, such as {skipped[0]!r}")
    left_out = set(skipped)
    ids = [name for name in names if name not in left_out]
    if not ids:
        raise DataError(f"{runs[0].path}: no prediction left to compare; name the labels of its records with --labels")
    return ids


def _find_use(runs: Sequence[Run], ids: Sequence[str], split: str | None, warn: Warn) -> bool | None:
    """Return whether no run was trained on the records, None where that is not known, and warn of those that were."""
    used = {run.name: len(run.trained_on.intersection(ids)) for run in runs if run.trained_on is not None}
    for name, learnt in used.items():
        if learnt:
            warn(
                f"{name}: {learnt} of its {len(ids)} records were used in its training (to learn from, or to choose "
                "the epoch by): this is no measure of how new records will fare"
            )
    if any(used.values()):
        return False
    if split in ("train", "val") and len(used) < len(runs):
        purpose = "learn from" if split == "train" else "choose the epoch by"
        warn(
            f"--split {split}: these are records to {purpose}: of a model that was trained with this table this is no "
            "measure of how new records will fare"
        )
    return True if len(used) == len(runs) else None


def _notes(runs: Sequence[Run], rows_of: Mapping[str, Mapping[str, int]]) -> list[str]:
    notes = []
    others = [
        f"{len(run.table.ids) - len(rows_of[run.name])} of {len(run.table.ids)} of {run.name}"
        for run in runs
        if len(rows_of[run.name]) < len(run.table.ids)
    ]
    if others:
        notes.append(f"predictions of records that are not compared: {', '.join(others)}")
    unknown = [run.name for run in runs if run.trained_on is None]
    if unknown:
        notes.append(
            f"it is not known what was trained on of {', '.join(unknown)}: if these records were among it, this is no "
            "measure of how new records will fare"
        )
    return notes
