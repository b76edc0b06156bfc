"""Partition of the records into train, val and test.

Within a class the parts are random and in proportion; records of one group are never in two parts, because records that
descend from each other would let a model be tested on what it has seen (compare Kapoor and Narayanan, Patterns 2023).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genomix.errors import DataError, NoInputError, Problems
from genomix.runtime import atomic_path

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike

SPLIT_NAMES = ("train", "val", "test")
COLUMNS = ["id", "label", "split"]


@dataclass
class Splits:
    """Row numbers (0 to R - 1, int64, rising) of each part; every record is in exactly one.

    Attributes:
        train: Records to learn from.
        val: Records to choose the best epoch by.
        test: Records for the final measure; may be empty.
        notes: What was chosen or could not be kept.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    notes: list[str] = field(default_factory=list)

    def names(self) -> list[str]:
        """Return the name of each record's part (R,)."""
        parts = np.empty(len(self.train) + len(self.val) + len(self.test), dtype=np.int64)
        for part, rows in enumerate((self.train, self.val, self.test)):
            parts[rows] = part
        return [SPLIT_NAMES[part] for part in parts]


class SplitTable(NamedTuple):
    """What `write_splits` wrote: ids (R,), labels (R,) and the splits."""

    ids: list[str]
    labels: list[str]
    splits: Splits


def from_column(
    splits: Sequence[str],
    targets: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.15,
    seed: int = 0,
) -> Splits:
    """Take the splits from a column of the labels; without val there, a part of train becomes val.

    Args:
        splits: `train`, `val` or `test` for each record (R,).
        targets: Class indices (R,).
        groups: As for `make_splits`, where val is made.
        classes: As for `make_splits`.
        val_fraction: The share of the train records that becomes val.
        seed: As for `make_splits`.

    Raises:
        DataError: If a value is not one of the three, or no record is for training.
    """
    problems = Problems()
    for row, name in enumerate(splits, 1):
        if name not in SPLIT_NAMES:
            problems.add(f"record {row}: the split {name!r} is not train, val or test; mend the column split")
    if not problems.total and "train" not in splits:
        problems.add("the column split has no train; name the records to learn from")
    problems.raise_if_any()
    names, targets = np.array(splits), np.asarray(targets)
    train, val, test = (np.flatnonzero(names == name) for name in SPLIT_NAMES)
    notes = _straddling(names, groups)
    notes += [] if len(test) else ["the column split has no test: there will be no measure on records never used"]
    if not len(val):
        kept = [groups[row] for row in train.tolist()] if groups is not None else None
        fractions = {"val_fraction": val_fraction, "test_fraction": 0}
        inner = make_splits(targets[train], groups=kept, classes=classes, seed=seed, **fractions)
        notes += [
            f"the column split has no val: {len(inner.val)} of {len(train)} train records became val",
            *inner.notes,
        ]
        train, val = train[inner.train], train[inner.val]
    return Splits(train, val, test, notes)


def make_splits(
    targets: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.15,
    test_fraction: float = 0.15,
    seed: int = 0,
) -> Splits:
    """Divide the records at random, each class in proportion.

    Without groups, a class with at least as many records as there are parts is in every part, and otherwise within one
    record of its proportion; of two records one is for training, one for the test. With groups both hold as far as the
    groups allow: from the largest on, each goes to the part that lacks its classes most. See the notes for what failed.

    Args:
        targets: Class indices (R,).
        groups: For each record what is kept together (R,); None and the empty string are groups of one record.
        classes: The labels, to name a class in the notes.
        val_fraction: Share of the records in val; may be 0.
        test_fraction: Share of the records in test; may be 0.
        seed: The same seed gives the same splits.

    Raises:
        ValueError: If the fractions leave nothing to train on, or the lengths differ.
    """
    targets = np.asarray(targets, dtype=np.int64)
    fractions = np.array([1 - val_fraction - test_fraction, val_fraction, test_fraction])
    if fractions.min() < 0 or fractions[0] <= 0:
        raise ValueError(f"fractions of {val_fraction} for val and {test_fraction} for test leave none to train on")
    if groups is not None and len(groups) != len(targets):
        raise ValueError(f"{len(groups)} groups do not fit {len(targets)} records")
    rng = np.random.default_rng(seed)
    num_classes = int(targets.max(initial=-1)) + 1
    if groups is None:
        parts = _stratify(targets, num_classes, fractions, rng)
    else:
        parts = _stratify_groups(targets, num_classes, _numbered(groups), fractions, rng)
    notes = []
    for part in np.flatnonzero(fractions > 0).tolist():
        for index in np.setdiff1d(targets, targets[parts == part]).tolist():
            label = repr(classes[index]) if classes is not None else f"number {index}"
            few = "records" if groups is None else "groups"
            notes.append(f"class {label} has no record in {SPLIT_NAMES[part]}: it has too few {few}")
    train, val, test = (np.flatnonzero(parts == part) for part in range(3))
    return Splits(train, val, test, notes)


def write_splits(path: str | Path, ids: Sequence[str], labels: Sequence[str], splits: Splits) -> None:
    """Write the table `id label split`, whole or not at all, in the order of the records.

    Raises:
        DataError: If an id or a label has a tab or a line break.
        CannotWriteError: If the file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as text:
        rows = csv.writer(text, delimiter="\t", lineterminator="\n")
        rows.writerow(COLUMNS)
        for record_id, label, name in zip(ids, labels, splits.names(), strict=True):
            if set(record_id + label) & set("\t\r\n"):
                raise DataError(f'record "{record_id}": its id or label {label!r} has a tab or a line break; rename it')
            rows.writerow([record_id, label, name])


def read_splits(path: str | Path) -> SplitTable:
    """Read the table `id label split`.

    Raises:
        NoInputError: If the file is missing or unreadable.
        DataError: If the columns are others, a split is none of the three, or an id is twice there.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            header, *rows = csv.reader(text, delimiter="\t")
    except OSError as error:
        raise NoInputError(f"{path}: cannot be read ({error.strerror}); name a table of splits") from error
    except ValueError as error:
        raise DataError(f"{path}: is not a table of text with the columns {', '.join(COLUMNS)}") from error
    if header != COLUMNS:
        raise DataError(f"{path}:1: the columns must be {', '.join(COLUMNS)}, separated by tabs; found {header}")
    problems, seen = Problems(), set()
    for line, cells in enumerate(rows, 2):
        if len(cells) != len(COLUMNS) or cells[2] not in SPLIT_NAMES:
            problems.add(f"{path}:{line}: must have an id, a label and train, val or test; found {cells}")
        elif cells[0] in seen:
            problems.add(f'{path}:{line}: record "{cells[0]}" is here a second time; keep one row of it')
        seen.add(cells[0] if cells else "")
    problems.raise_if_any()
    table = np.array(rows, dtype=object).reshape(-1, len(COLUMNS))
    train, val, test = (np.flatnonzero(table[:, 2] == name) for name in SPLIT_NAMES)
    return SplitTable(table[:, 0].tolist(), table[:, 1].tolist(), Splits(train, val, test))


def _straddling(names: np.ndarray, groups: Sequence[Hashable] | None) -> list[str]:
    parts: dict[Hashable, set[str]] = {}
    for name, group in zip(names.tolist(), groups or (), strict=False):
        if group:
            parts.setdefault(group, set()).add(name)
    torn = [group for group, found in parts.items() if len(found) > 1]
    if not torn:
        return []
    return [
        (
            f"{len(torn)} of {len(parts)} groups have records in more than one split, such as {torn[0]!r}: "
            "what is measured on the held-out records may be too good"
        )
    ]


def _stratify(targets: np.ndarray, num_classes: int, fractions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give each record its part (R,), class by class; what rounding leaves goes where it left most so far."""
    parts = np.zeros(len(targets), dtype=np.int64)
    owed = np.zeros(3)
    for index in range(num_classes):
        rows = rng.permutation(np.flatnonzero(targets == index))
        ideal = fractions * len(rows)
        counts = np.floor(ideal + 1e-9).astype(np.int64)
        if len(rows) >= np.count_nonzero(fractions):
            counts = np.maximum(counts, fractions > 0)
        else:
            counts = np.array([len(rows) > 0, 0, len(rows) > 1], dtype=np.int64)
        owed += ideal - counts
        while counts.sum() != len(rows):
            step = int(np.sign(len(rows) - counts.sum()))
            part = int(np.argmax(np.where(ideal > counts, owed, -np.inf))) if step > 0 else int(np.argmax(counts))
            counts[part] += step
            owed[part] -= step
        parts[rows] = np.repeat(np.arange(3), counts)
    return parts


def _stratify_groups(
    targets: np.ndarray, num_classes: int, groups: np.ndarray, fractions: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Give each record its part (R,), greedily as scikit-learn's StratifiedGroupKFold does, but for parts of unequal
    size, and with the last groups of a class kept for the parts that lack it.
    """
    members = np.zeros((groups.max(initial=-1) + 1, num_classes))
    np.add.at(members, (groups, targets), 1)
    shares = members / np.maximum(members.sum(axis=0), 1)
    groups_left = (members > 0).sum(axis=0)
    used = fractions > 0
    filled = np.zeros((3, num_classes))
    choice = np.zeros(len(members), dtype=np.int64)
    shuffled = rng.permutation(len(members))
    for group in shuffled[np.argsort(-members[shuffled].sum(axis=1), kind="stable")]:
        own = members[group] > 0
        lacking = (filled == 0) & used[:, None]
        scarce = own & (groups_left <= lacking.sum(axis=0))
        allowed = lacking[:, scarce].any(axis=1) if lacking[:, scarce].any() else used
        excess = filled - fractions[:, None]
        cost = ((excess + shares[group]) ** 2 - excess**2).sum(axis=1) / np.maximum(fractions, 1e-12)
        choice[group] = np.argmin(np.where(allowed, cost, np.inf))
        filled[choice[group]] += shares[group]
        groups_left[own] -= 1
    return choice[groups]


def _numbered(groups: Sequence[Hashable]) -> np.ndarray:
    """Number the groups from 0 (R,); a record without one gets its own."""
    numbers: dict[Hashable, int] = {}
    keys = [(row,) if group in (None, "") else group for row, group in enumerate(groups)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
