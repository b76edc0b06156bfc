"""Division of labelled records by whatever the configuration says, into train, val and test or into folds."""

from __future__ import annotations

from typing import Any

import numpy as np

from genomix.config.schema import DataConfig
from genomix.data.label_table import HELD_OUT_OF_FOLDS, UNUSED
from genomix.data.labelled import LabelledRecords
from genomix.data.splits.folds import from_folds, make_folds
from genomix.data.splits.kinds import check_learnt, check_units, choose_kind, describe_unused, find_units
from genomix.data.splits.notes import listed
from genomix.data.splits.partition import from_column, make_splits
from genomix.data.splits.parts import SPLIT_NAMES, Splits, no_rows
from genomix.data.splits.units import Units
from genomix.errors import Problems, UsageError

NO_SPLITS = "split given: the labels have no column split; add it, or name a table of splits (--splits FILE)"
GIVEN_MEND = "change the split column, or give more records"


def divide_records(records: LabelledRecords, data: DataConfig, seed: int) -> Splits:
    """Divide labelled records into train, val and test.

    `data.split` says how; `auto` is `given` if the labels have a column split, else `group` if they have groups, else
    `random`.

    Raises:
        UsageError: If what they are to be divided by is not there.
        DataError: If there are too few units, a class has no training record, or there is no record to validate on.
    """
    kind = choose_kind(records, data, is_given=records.splits is not None)
    notes = describe_unused(records, kind, needs_folds=False)
    if kind == "given" and records.splits is None:
        raise UsageError(NO_SPLITS)
    units = find_units(records, kind, data)
    options = _options(records, data, seed, units)
    if kind == "given" and records.splits is not None:
        splits, mend = from_column(records.splits, records.truth, **options), GIVEN_MEND
    else:
        parts = SPLIT_NAMES if data.test_fraction else SPLIT_NAMES[:2]
        notes += [*units.notes, *check_units(units, _all_rows(records), len(parts), listed(parts))]
        splits, mend = make_splits(records.truth, test_fraction=data.test_fraction, **options), units.mend
    return _checked(records, [splits], kind, notes, mend)[0]


def divide_into_folds(
    records: LabelledRecords, data: DataConfig, seed: int, num_folds: int | None = None
) -> list[Splits]:
    """Divide labelled records into folds; of each the splits: the fold is the test, and a part of the rest is val.

    The notes on all folds are with the first.

    `data.split` says how. `auto` and `given` take the column fold of the labels, if there is one. Of a column split
    they hold the test and unused records out of all folds, and divide the others by the groups, if there are any, or at
    random.

    Args:
        records: What to divide.
        data: How.
        seed: The same seed gives the same folds.
        num_folds: How many; None takes them from the column fold.

    Raises:
        UsageError: If what they are to be divided by is not there, or the number is impossible.
        DataError: If there are too few units, or some fold leaves no training record of a class or none to validate on.
    """
    kind = choose_kind(records, data, is_given=records.splits is not None or records.folds is not None)
    notes = describe_unused(records, kind, needs_folds=True)
    unused, held_out = no_rows(), "test"
    if kind == "given" and records.splits is not None:
        unused = np.flatnonzero(np.isin(records.splits, HELD_OUT_OF_FOLDS))
        held_out = "test and unused" if UNUSED in records.splits else "test"
    if kind == "given" and records.folds is not None:
        options = _options(records, data, seed, find_units(records, kind, data))
        folds = _inside(records.folds, unused, held_out, num_folds, notes)
        return _checked(records, from_folds(folds, records.truth, **options), kind, notes, "change the column fold")
    if kind == "given" and records.splits is None:
        raise UsageError(NO_SPLITS)
    if num_folds is None:
        raise UsageError("the labels have no column fold to take; say how many folds to make (--folds 5)")
    if num_folds < 2:
        raise UsageError(f"--folds {num_folds}: make 2 at least")
    rows = np.setdiff1d(_all_rows(records), unused)
    if kind == "given":
        notes.append(
            f"folds are made of the {len(rows):,} records of train and val in the column split; its {len(unused):,} "
            f"{held_out} records are held out of all folds"
        )
    units = find_units(records, kind, data)
    notes += [*units.notes, *check_units(units, rows, num_folds, f"{num_folds} folds")]
    splits = make_folds(records.truth, num_folds, unused=unused, **_options(records, data, seed, units))
    if kind == "given":
        kind = "random" if units.names is None else "group"
    return _checked(records, splits, kind, notes, units.mend)


def _options(records: LabelledRecords, data: DataConfig, seed: int, units: Units) -> dict[str, Any]:
    return {
        "groups": units.names,
        "unit": units.word,
        "classes": records.classes,
        "val_fraction": data.val_fraction,
        "seed": seed,
    }


def _all_rows(records: LabelledRecords) -> np.ndarray:
    return np.arange(len(records.labels))


def _checked(records: LabelledRecords, splits: list[Splits], kind: str, notes: list[str], mend: str) -> list[Splits]:
    problems = Problems()
    splits[0].notes = [*notes, *splits[0].notes]
    for one in splits:
        one.kind = kind
        check_learnt(records, one, mend, problems)
    problems.raise_if_any()
    return splits


def _inside(folds: list[str], unused: np.ndarray, held_out: str, num_folds: int | None, notes: list[str]) -> list[str]:
    """Return the given folds, "" for the records of a given split that are in none."""
    left_out = set(unused.tolist())
    inside = ["" if row in left_out else name for row, name in enumerate(folds)]
    num_given = len(set(inside) - {""})
    if num_folds not in (None, num_given):
        raise UsageError(
            f"--folds {num_folds}: the column fold of the labels has {num_given}; say --folds {num_given} to take "
            "these, or choose another --split to make new ones"
        )
    if inside != folds:
        notes.append(f"{len(unused):,} {held_out} records are held out of all folds, whatever their fold is")
    return inside
