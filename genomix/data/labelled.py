"""Records joined with their labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from genomix.data.label_sets import PLAIN, SEPARATOR, LabelKind, LabelSets, find_label_sets, split_labels
from genomix.data.label_table import LabelRow
from genomix.data.levels import check_paths, join_path, split_path
from genomix.data.store import Store
from genomix.errors import SHOWN, Problems, UsageError

OnMissing = Literal["error", "skip"]

_SKIP_MISSING = "use --on-missing skip to leave such ones out"


@dataclass
class LabelledRecords:
    """Records with their labels, in the order of the input.

    Attributes:
        store: The encoded bases.
        indices: (L,) int64, the rows of the store that have a label.
        labels: (L,) the class of each.
        groups: (L,) records of one group stay together, if the user gave groups.
        splits: (L,) "train", "val", "test" or "unused", if the user gave splits.
        classes: The labels there are, in natural order (class2 before class10).
        warnings: What the user was told.
        folds: (L,) any names, if the user gave folds; "" for a record of the test split, held out of all folds.
        label_sets: The combinations of classes there are, where a record may have several or none; `labels` are then
            their names.
    """

    store: Store
    indices: np.ndarray
    labels: list[str]
    groups: list[str] | None
    splits: list[str] | None
    classes: list[str]
    warnings: list[str] = field(default_factory=list)
    folds: list[str] | None = None
    label_sets: LabelSets | None = None

    @cached_property
    def ids(self) -> list[str]:
        """(L,) the id of each record."""
        return [self.store.ids[row] for row in self.indices.tolist()]

    @cached_property
    def targets(self) -> np.ndarray:
        """(L,) int64, the place of each label in `classes`, or of each combination in `label_sets`."""
        names = self.classes if self.label_sets is None else self.label_sets.names
        places = {label: place for place, label in enumerate(names)}
        return np.fromiter((places[label] for label in self.labels), np.int64, len(self.labels))

    @cached_property
    def truth(self) -> np.ndarray:
        """What is right: the class of each record, int64 (L,); which it has, bool (L, C), where it may have several."""
        return self.targets if self.label_sets is None else self.label_sets.has_label[self.targets]

    @property
    def counts(self) -> np.ndarray:
        """Records of each class (C,)."""
        truth = self.truth
        return truth.sum(axis=0) if truth.ndim == 2 else np.bincount(truth, minlength=len(self.classes))

    @cached_property
    def lengths(self) -> np.ndarray:
        """(L,) int64, in bp."""
        return self.store.lengths[self.indices]


def join_labels(
    store: Store,
    rows: Sequence[LabelRow],
    *,
    on_missing: OnMissing = "error",
    min_per_class: int = 3,
    min_classes: int = 2,
    kind: LabelKind = PLAIN,
    warn: Callable[[str], None],
) -> LabelledRecords:
    """Give each record of a store its label by its id.

    Args:
        store: The records; their ids must differ.
        rows: The labels; those of records that the store left out are passed over.
        on_missing: Whether a record without label, or a label without record, is an error or left out and counted.
        min_per_class: Fewer records of a class are an error.
        min_classes: So are fewer classes.
        kind: How labels are to be read.
        warn: Told what is left out.

    Raises:
        UsageError: The positive class is none of two.
        DataError: Ids, labels or classes are not as they should be; all of it at once.
    """
    warnings: list[str] = []
    problems = Problems()

    def tell(message: str) -> None:
        warnings.append(message)
        warn(message)

    by_id = _index_rows(rows, tell, problems)
    indices: list[int] = []
    chosen: list[LabelRow] = []
    unlabelled: list[int] = []
    for i, name in enumerate(store.ids):
        if (row := by_id.pop(name, None)) is None:
            unlabelled.append(i)
        else:
            indices.append(i)
            chosen.append(row)
    orphans = [row for row in by_id.values() if row.id not in store.skipped_ids]
    if not chosen:
        problems.add(_nothing_in_common(store, orphans))
    elif on_missing == "skip":
        if unlabelled:
            tell(f"{len(unlabelled):,} of {len(store):,} records have no label and are left out (--on-missing skip)")
        if orphans:
            tell(f"{len(orphans):,} labels have no record and are left out (--on-missing skip)")
    else:
        for i in unlabelled:
            problems.add(f'{store.place(i)}: record "{store.ids[i]}" has no label; add it, or {_SKIP_MISSING}')
        for row in orphans:
            problems.add(f'{row.place}: the label of "{row.id}" has no record; correct the id, or {_SKIP_MISSING}')
    groups, splits = _whole_column(chosen, "group", problems), _whole_column(chosen, "split", problems)
    folds = _fold_column(chosen, problems)
    problems.raise_if_any()
    labels = [row.label for row in chosen]
    if kind.levels:
        check_paths(labels, [f'{row.place}: record "{row.id}"' for row in chosen], kind.levels)
        labels = [join_path(split_path(label)) for label in labels]
    each = [split_labels(label) for label in labels] if kind.is_multi else [(label,) for label in labels]
    classes = sorted({name for names in each for name in names}, key=natural_key)
    _check_classes([name for names in each for name in names], classes, min_per_class, min_classes, len(labels))
    if kind.positive is not None:
        classes = _with_last(classes, kind.positive)
    label_sets = None
    if kind.is_multi:
        labels, label_sets = find_label_sets(labels, classes)
    elif not kind.levels and (several := [row for row in chosen if SEPARATOR in row.label]):
        tell(
            f"{several[0].place}: {len(several):,} labels have a semicolon, such as {several[0].label!r}: each is read"
            " as one class; use --multi-label where a record may have several labels, --levels where they are a path"
        )
    return LabelledRecords(
        store, np.array(indices, np.int64), labels, groups, splits, classes, warnings, folds, label_sets
    )


def _index_rows(rows: Sequence[LabelRow], warn: Callable[[str], None], problems: Problems) -> dict[str, LabelRow]:
    """Return the rows by id, having compared those of the same id."""
    by_id: dict[str, LabelRow] = {}
    num_repeated = 0
    for row in rows:
        first = by_id.setdefault(row.id, row)
        if first is row:
            continue
        num_repeated += 1
        for column in ("label", "group", "split", "fold"):
            here, before = getattr(row, column), getattr(first, column)
            if here != before:
                problems.add(
                    f'{row.place}: record "{row.id}" has the {column} "{here}" here and "{before}" at {first.place};'
                    " remove one of the rows"
                )
    if num_repeated and not problems.total:
        warn(f"{num_repeated:,} rows of labels say again what an earlier one says")
    return by_id


def _nothing_in_common(store: Store, orphans: Sequence[LabelRow]) -> str:
    if not orphans:
        return "no label is left; give a label to each record"
    ids = ", ".join(f'"{name}"' for name in store.ids[:3])
    label_ids = ", ".join(f'"{row.id}"' for row in orphans[:3])
    return (
        f"{orphans[0].place}: no label has the id of a record: labels are of {label_ids}, ..., but records are called"
        f" {ids}, ...; ids must equal the first word of the headers"
    )


def _with_last(classes: list[str], positive: str) -> list[str]:
    if len(classes) != 2 or positive not in classes:
        found = ", ".join(map(repr, classes[:SHOWN])) + ", ..." * (len(classes) > SHOWN)
        raise UsageError(f"--positive {positive!r}: must be one of two classes; these records have {found}")
    return [*(name for name in classes if name != positive), positive]


def _check_classes(
    labels: list[str], classes: list[str], min_per_class: int, min_classes: int, num_records: int
) -> None:
    problems = Problems()
    counts = Counter(labels)
    for label in classes:
        if counts[label] < min_per_class:
            problems.add(
                f'class "{label}" has {counts[label]} record{"s" * (counts[label] != 1)}, and needs at least'
                f" {min_per_class}; add records, or leave the class out"
            )
    if len(classes) < min_classes:
        found = f'all {num_records:,} records have the label "{classes[0]}"' if classes else "no record has a label"
        problems.add(f"{found}; there must be at least {min_classes} classes, so add records of another")
    problems.raise_if_any()


def _whole_column(rows: list[LabelRow], column: str, problems: Problems) -> list[str] | None:
    values = [getattr(row, column) for row in rows]
    if None not in values:
        return values
    if any(values):
        row = rows[values.index(None)]
        problems.add(f'{row.place}: record "{row.id}" has no {column}, but others have; fill it in for all or for none')
    return None


def _fold_column(rows: list[LabelRow], problems: Problems) -> list[str] | None:
    """Return the folds, if there are any; records of the splits test and unused may have none."""
    folds = _whole_column([row for row in rows if row.should_have_fold], "fold", problems)
    return [row.fold or "" for row in rows] if folds else None


def natural_key(label: str) -> tuple[list[int | str], str]:
    """Sort class2 before class10."""
    parts = re.split(r"([0-9]+)", label)
    return [int(part) if place % 2 else part.lower() for place, part in enumerate(parts)], label
