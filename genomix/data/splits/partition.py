"""Partition of the records into train, val and test.

Within a class the parts are random and in proportion; records of one unit are never in two parts, because records that
descend from each other would let a model be tested on what it has seen (compare Kapoor and Narayanan, Patterns 2023).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from genomix.data.label_table import UNUSED
from genomix.data.splits.assignment import assign_units, number_units, stratify
from genomix.data.splits.notes import describe_parts, describe_straddling
from genomix.data.splits.parts import SPLIT_NAMES, Splits
from genomix.errors import Problems

ORDER = [0, 2, 1]
"""Train, test, val: what has records for two parts only is learnt and tested."""


def make_splits(
    targets: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.15,
    test_fraction: float = 0.15,
    seed: int = 0,
    unit: str = "group",
) -> Splits:
    """Divide the records at random, each class in proportion.

    Without groups, a class with at least as many records as there are parts is in every part, and otherwise within one
    record of its proportion; of two records one is for training, one for the test. With groups both hold as far as the
    groups allow: from the largest on, each goes to the part that lacks its classes most. See the notes for what failed.

    Args:
        targets: Class indices (R,), or which classes each record has, bool (R, C).
        groups: For each record what is kept together (R,); None and the empty string are groups of one record.
        classes: The labels, to name a class in the notes.
        val_fraction: Share of the records in val; may be 0.
        test_fraction: Share of the records in test; may be 0.
        seed: The same seed gives the same splits.
        unit: What a group is called in the notes.

    Raises:
        ValueError: If the fractions leave nothing to train on, or the lengths differ.
    """
    targets = np.asarray(targets)
    if groups is not None and len(groups) != len(targets):
        raise ValueError(f"{len(groups)} groups do not fit {len(targets)} records")
    units = None if groups is None else number_units(groups)
    splits = _divide(targets, units, classes, val_fraction, test_fraction, seed, unit)
    splits.groups = group_names(groups)
    return splits


def from_column(
    splits: Sequence[str],
    targets: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.15,
    seed: int = 0,
    unit: str = "group",
) -> Splits:
    """Take the splits from a column of the labels; without val there, a part of train becomes val.

    Args:
        splits: `train`, `val`, `test` or `unused` for each record (R,).
        targets: As for `make_splits`.
        groups: As for `make_splits`, where val is made.
        classes: As for `make_splits`.
        val_fraction: The share of the train records that becomes val.
        seed: As for `make_splits`.
        unit: As for `make_splits`.

    Raises:
        DataError: If a value is not one of the four, or no record is for training.
    """
    problems = Problems()
    for row, name in enumerate(splits, 1):
        if name not in (*SPLIT_NAMES, UNUSED):
            problems.add(f"record {row}: the split {name!r} is not train, val, test or unused; mend the column split")
    if not problems.total and "train" not in splits:
        problems.add("the column split has no train; name the records to learn from")
    problems.raise_if_any()
    names, targets = np.array(splits), np.asarray(targets)
    train, val, test, unused = (np.flatnonzero(names == name) for name in (*SPLIT_NAMES, UNUSED))
    notes = describe_straddling(["" if name == UNUSED else name for name in splits], groups, "split")
    notes += [] if len(test) else ["the column split has no test: there will be no measure on records never used"]
    notes += [f"the column split says of {len(unused):,} records that they are unused"] if len(unused) else []
    if not len(val):
        inner = divide_rows(
            train, targets, groups=groups, classes=classes, val_fraction=val_fraction, seed=seed, unit=unit
        )
        notes += [
            f"the column split has no val: {len(inner.val)} of {len(train)} train records became val",
            *inner.notes,
        ]
        train, val = inner.train, inner.val
    return Splits(train, val, test, notes, group_names(groups), "given", unused=unused)


def divide_rows(
    rows: np.ndarray,
    targets: np.ndarray,
    *,
    groups: Sequence[Hashable] | np.ndarray | None,
    classes: Sequence[str] | None,
    val_fraction: float,
    seed: int,
    unit: str,
) -> Splits:
    """Divide some of the records into train and val, as `make_splits` does; the row numbers are those among all."""
    units = None if groups is None else number_units(groups)[rows]
    inner = _divide(targets[rows], units, classes, val_fraction, 0.0, seed, unit)
    return Splits(rows[inner.train], rows[inner.val], rows[inner.test], inner.notes)


def _divide(
    targets: np.ndarray,
    units: np.ndarray | None,
    classes: Sequence[str] | None,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    unit: str,
) -> Splits:
    """Divide records whose units have numbers (R,), if they are kept together."""
    fractions = np.array([1 - val_fraction - test_fraction, val_fraction, test_fraction])
    if fractions.min() < 0 or fractions[0] <= 0:
        raise ValueError(f"fractions of {val_fraction} for val and {test_fraction} for test leave none to train on")
    rng = np.random.default_rng(seed)
    if units is None and targets.ndim == 1:
        parts = stratify(targets, fractions, rng)
    else:
        numbers = np.arange(len(targets)) if units is None else number_units(units)
        parts = np.array(ORDER)[assign_units(targets, numbers, fractions[ORDER].tolist(), rng, train=0)]
    notes = describe_parts(targets, parts, fractions.tolist(), SPLIT_NAMES, classes, None if units is None else unit)
    train, val, test = (np.flatnonzero(parts == part) for part in range(3))
    return Splits(train, val, test, notes)


def group_names(groups: Sequence[Hashable] | None) -> list[str] | None:
    """Return the groups as text (R,), "" for none."""
    return None if groups is None else ["" if group is None else str(group) for group in groups]
