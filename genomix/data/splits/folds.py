"""Folds: each record is tested once, by a model that has learnt from the other folds.

R records.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from genomix.data.labelled import natural_key
from genomix.data.splits.assignment import assign_units, deal_records, number_units
from genomix.data.splits.notes import describe_parts, describe_straddling
from genomix.data.splits.partition import divide_rows, group_names
from genomix.data.splits.parts import Splits
from genomix.errors import DataError


def make_folds(
    targets: ArrayLike,
    num_folds: int,
    *,
    groups: Sequence[Hashable] | None = None,
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.15,
    seed: int = 0,
    unit: str = "group",
    unused: Sequence[int] | np.ndarray = (),
) -> list[Splits]:
    """Divide the records at random into folds of like size, each class in proportion; groups stay whole.

    Args:
        targets: Class indices (R,), or which classes each record has, bool (R, C).
        num_folds: At least 2; the folds are called 1, 2 and so on.
        groups: As for `make_splits`.
        classes: As for `make_splits`.
        val_fraction: The share of the records outside the fold that becomes val.
        seed: The same seed gives the same folds.
        unit: What a group is called in the notes.
        unused: Row numbers of records that are held out of all folds.

    Returns:
        For each fold its splits: the fold is the test. The first has the notes on all of them.

    Raises:
        ValueError: If there are fewer than 2 folds, or more than groups or records.
    """
    targets = np.asarray(targets)
    rows = np.setdiff1d(np.arange(len(targets)), unused)
    units = np.arange(len(rows)) if groups is None else number_units(number_units(groups)[rows])
    num_units = int(units.max(initial=-1)) + 1
    if not 2 <= num_folds <= num_units:
        raise ValueError(f"{num_folds} folds cannot be made of {num_units} {unit}s")
    rng = np.random.default_rng(seed)
    fractions = [1 / num_folds] * num_folds
    if groups is None and targets.ndim == 1:
        numbers = deal_records(targets[rows], num_folds, rng)
    else:
        numbers = assign_units(targets[rows], units, fractions, rng)
    names = [f"fold {number + 1}" for number in range(num_folds)]
    notes = describe_parts(targets[rows], numbers, fractions, names, classes, None if groups is None else unit)
    folds = [""] * len(targets)
    for row, number in zip(rows.tolist(), numbers.tolist(), strict=True):
        folds[row] = str(number + 1)
    options = {"groups": groups, "classes": classes, "val_fraction": val_fraction, "seed": seed, "unit": unit}
    return _split_by_fold(folds, targets, notes, **options)


def from_folds(
    folds: Sequence[str],
    targets: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.15,
    seed: int = 0,
    unit: str = "group",
) -> list[Splits]:
    """Take the folds from a column of the labels.

    Args:
        folds: The fold of each record (R,), any names; "" for a record that is held out of all.
        targets: As for `make_folds`.
        groups: As for `make_splits`, where val is made.
        classes: As for `make_splits`.
        val_fraction: The share of the records outside the fold that becomes val.
        seed: As for `make_splits`.
        unit: As for `make_splits`.

    Returns:
        For each fold its splits, in the natural order of their names: the fold is the test. The first has the notes on
        all of them.

    Raises:
        DataError: If there are fewer than 2 folds.
    """
    names = sorted(set(folds) - {""})
    if len(names) < 2:
        found = repr(names[0]) if names else "no name"
        raise DataError(f"the column fold has {found} only; name 2 folds at least, or leave the column out")
    notes = describe_straddling(folds, groups, "fold")
    options = {"groups": groups, "classes": classes, "val_fraction": val_fraction, "seed": seed, "unit": unit}
    return _split_by_fold(folds, np.asarray(targets), notes, **options)


def _split_by_fold(folds: Sequence[str], targets: np.ndarray, notes: Sequence[str], **options: Any) -> list[Splits]:
    """Return the splits of each fold; `notes` are those on all folds, which the first of them gets."""
    of_record = np.array(folds)
    unused = np.flatnonzero(of_record == "")
    groups = group_names(options["groups"])
    if groups is not None:
        options["groups"] = number_units(options["groups"])
    splits: list[Splits] = []
    for name in sorted(set(folds) - {""}, key=natural_key):
        inner = divide_rows(np.flatnonzero((of_record != name) & (of_record != "")), targets, **options)
        splits.append(
            Splits(
                inner.train,
                inner.val,
                np.flatnonzero(of_record == name),
                notes=[*([] if splits else notes), *(f"fold {name}: {note}" for note in inner.notes)],
                groups=groups,
                fold=name,
                unused=unused,
            )
        )
    return splits
