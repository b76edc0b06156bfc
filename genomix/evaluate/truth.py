"""What is right: the labels that predictions are held against. Shapes: R records, C classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genomix.data.label_sets import join_names, split_labels
from genomix.data.labels import LabelledRecords, LabelRow
from genomix.data.levels import SEPARATOR, split_path
from genomix.errors import SHOWN, DataError, Problems, UsageError


def choose(records: LabelledRecords, split: str | None) -> np.ndarray:
    """Return the numbers of the records of a split, of all where it is None.

    Raises:
        UsageError: If the labels have no such split.
    """
    if split is None:
        return np.arange(len(records.labels))
    if records.splits is None:
        raise UsageError(
            f"--split {split}: the labels have no split column; a run's splits.tsv is a table of labels with splits "
            f"(genomix evaluate run/ data.fa run/splits.tsv --split {split})"
        )
    chosen = np.flatnonzero(np.array(records.splits) == split)
    if not len(chosen):
        raise UsageError(
            f"--split {split}: no record is in it; the labels have {', '.join(sorted(set(records.splits)))}"
        )
    return chosen


def unique_labels(rows: Sequence[LabelRow], split: str | None, path: str) -> dict[str, str]:
    """Return the labels of the records of a split, of all where it is None, by id.

    Raises:
        UsageError: If the table has no such split.
        DataError: If a record has two labels.
    """
    labels: dict[str, str] = {}
    problems = Problems()
    if split is not None and not any(row.split for row in rows):
        raise UsageError(
            f"--split {split}: {path} has no split column; a run's splits.tsv is a table of labels with splits "
            f"(genomix evaluate --predictions pred.tsv run/splits.tsv --split {split})"
        )
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


def to_targets(
    named: Sequence[str], labels: Sequence[str], classes: Sequence[str], known_by: str, *, multi_label: bool
) -> np.ndarray:
    """Return the class of each record (R,), or which labels it has (R, C) where it may have several.

    Args:
        named: What each record is called in messages.
        labels: The label cell of each.
        classes: The C classes.
        known_by: What knows these classes, for messages.
        multi_label: Whether cells hold several labels.

    Raises:
        DataError: If a label is none of the classes.
    """
    index = {name: i for i, name in enumerate(classes)}
    each = [split_labels(label) if multi_label else (label,) for label in labels]
    known = ", ".join(classes[:SHOWN]) + ", ..." * (len(classes) > SHOWN)
    found = list(dict.fromkeys(label for own in each for label in own))
    if len(each) > 1 and found and not index.keys() & found:
        names = ", ".join(map(repr, found[:SHOWN])) + ", ..." * (len(found) > SHOWN)
        raise DataError(
            f"{named[0]} and all others: no label ({names}) is a class of {known_by} (it knows {known}); give labels "
            "of these classes"
        )
    problems = Problems()
    for record, own in zip(named, each, strict=True):
        for label in own:
            if label not in index:
                problems.add(f"{record}: label {label!r} is not a class of {known_by} (it knows {known})")
    problems.raise_if_any()
    if not multi_label:
        return np.array([index[label] for (label,) in each])
    targets = np.zeros((len(each), len(classes)), dtype=bool)
    for row, own in zip(targets, each, strict=True):
        row[[index[label] for label in own]] = True
    return targets


def spell(labels: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return labels as the classes are spelt: blanks around the names of a path make no difference."""
    spelt = {SEPARATOR.join(split_path(name)): name for name in classes} | {name: name for name in classes}
    return [spelt.get(label) or spelt.get(SEPARATOR.join(split_path(label)), label) for label in labels]


def canonical(cell: str, classes: Sequence[str]) -> str:
    """Return several labels in the order of the classes, unknown ones at the end."""
    own = split_labels(cell)
    return join_names([*(name for name in classes if name in own), *(name for name in own if name not in classes)])


def as_deep(answer: str | None, label: str) -> str | None:
    """Return an answer that was cut off above the record's own label, and is right so far, as that label."""
    return label if answer is not None and label.startswith(answer + SEPARATOR) else answer
