"""The records that runs are compared on, which must be the same, with the same labels, for all of them.

Shapes: R records, C classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from genomix.compare.runs import Run, Warn
from genomix.data.labels import LabelRow, read_labels
from genomix.errors import DataError, Problems, UsageError

SHOWN = 3
"""Records and classes that are named where runs differ in theirs."""

Labels = Mapping[str, LabelRow]
"""Rows of a table of labels by the ids of the records."""


class HeldOut(NamedTuple):
    """The records: ids (R,), targets (R,), the C classes, and the probabilities (R, C) by the name of each run."""

    ids: list[str]
    targets: np.ndarray
    classes: list[str]
    probabilities: dict[str, np.ndarray]


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


def align(runs: Sequence[Run], chosen: Labels | None, warn: Warn) -> HeldOut:
    """Bring the predictions of all runs into one order of records and classes, those of the first run.

    Args:
        runs: The runs.
        chosen: The records to compare; without it they are all those predicted, labelled by the runs' `splits.tsv`.
        warn: Told what is left out, and which records a run was trained on.

    Raises:
        UsageError: If nothing says what the right labels are.
        DataError: If the runs differ in their records, labels or classes; all of it is reported at once.
    """
    if chosen is None and not any(run.labels for run in runs):
        raise UsageError(
            "nothing says what the right labels are: name a table of them (--labels test.tsv), or name the run "
            "directories, whose splits.tsv has them, instead of the tables in them"
        )
    rows_of = {
        run.name: {name: row for row, name in enumerate(run.table.ids) if chosen is None or name in chosen}
        for run in runs
    }
    problems = Problems()
    sources = [[row for row in run.labels if row.id in rows_of[run.name]] for run in runs]
    labels = _merge([*sources, (chosen or {}).values()], problems)
    first = runs[0]
    for run in runs[1:]:
        if differing := _difference(run, first, run.table.classes, first.table.classes):
            problems.add(
                f"{run.path}:1: the classes differ: {differing}; compare runs that tell the same classes apart"
            )
        if differing := _difference(run, first, rows_of[run.name], rows_of[first.name]):
            problems.add(
                f"{run.path}: the held-out records differ: {differing}; train with the same splits (genomix train "
                f"data.fa {_splits_of(runs)} -o ...), or predict the same file with both and compare that (--labels)"
            )
    _check_labels(first, rows_of[first.name], labels, problems)
    problems.raise_if_any()
    ids = _leave_out(runs, rows_of, chosen, warn)
    for run in runs:
        learnt = sum(row.id in rows_of[run.name] and row.split in ("train", "val") for row in run.labels)
        if learnt:
            warn(
                f"{run.name}: {learnt} of its {len(rows_of[run.name])} records were used in its training (to learn "
                "from, or to choose the epoch by): this is no measure of how new records will fare"
            )
    classes = first.table.classes
    probabilities = {}
    for run in runs:
        columns = [run.table.classes.index(label) for label in classes]
        probabilities[run.name] = run.table.probabilities[[rows_of[run.name][name] for name in ids]][:, columns]
    return HeldOut(ids, np.array([classes.index(labels[name].label) for name in ids]), classes, probabilities)


def _merge(sources: Iterable[Iterable[LabelRow]], problems: Problems) -> dict[str, LabelRow]:
    """Return the first row of each record, after checking that the others say the same."""
    labels: dict[str, LabelRow] = {}
    for row in itertools.chain.from_iterable(sources):
        first = labels.setdefault(row.id, row)
        if first.label != row.label:
            problems.add(
                f'{row.place}: record "{row.id}" is labelled {row.label!r}, but {first.label!r} at {first.place}; '
                "mend the wrong one, and train again what has learnt from it"
            )
    return labels


def _difference(run: Run, first: Run, here: Iterable[str], there: Iterable[str]) -> str:
    """Say how many names are only here or only there, and the first of them; nothing if there are none."""
    here, there = dict.fromkeys(here), dict.fromkeys(there)
    said = []
    for owner, own, others in ((run, here, there), (first, there, here)):
        only = [name for name in own if name not in others]
        if only:
            shown = ", ".join(f'"{name}"' for name in only[:SHOWN]) + ", ..." * (len(only) > SHOWN)
            said.append(f"{len(only)} only in {owner.name} ({shown})")
    return ", ".join(said)


def _splits_of(runs: Sequence[Run]) -> str:
    """Return a table of splits that another run can be trained with."""
    return next((run.labels[0].source for run in runs if run.labels), "run/splits.tsv")


def _check_labels(first: Run, names: Iterable[str], labels: Labels, problems: Problems) -> None:
    classes = first.table.classes
    known = ", ".join(classes[:10]) + ", ..." * (len(classes) > 10)
    for name in names:
        if name not in labels:
            problems.add(f'{first.path}: record "{name}" is in no splits.tsv of the runs; name its label with --labels')
        elif labels[name].label not in classes:
            problems.add(
                f'{labels[name].place}: record "{name}": label {labels[name].label!r} is not a class of {first.path} '
                f"(it knows {known}); mend the label"
            )


def _leave_out(
    runs: Sequence[Run], rows_of: Mapping[str, Mapping[str, int]], chosen: Labels | None, warn: Warn
) -> list[str]:
    """Return the records that all runs have probabilities for, in the order of the first run, and say what is not."""
    for run in runs:
        others = len(run.table.ids) - len(rows_of[run.name])
        if others:
            warn(f"{run.name}: {others} of {len(run.table.ids)} predictions are of records that are not compared")
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
