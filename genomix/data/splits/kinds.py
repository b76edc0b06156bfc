"""What records are divided by, and what must hold before and after."""

from __future__ import annotations

import numpy as np

from genomix.config.schema import DataConfig
from genomix.data.labelled import LabelledRecords
from genomix.data.splits.assignment import list_memberships
from genomix.data.splits.clusters import by_similarity
from genomix.data.splits.notes import describe_giant, listed
from genomix.data.splits.parts import Splits
from genomix.data.splits.units import Units, by_group, by_record, by_sequence
from genomix.errors import DataError, Problems


def choose_kind(records: LabelledRecords, data: DataConfig, *, is_given: bool) -> str:
    """Return what `data.split` says, and for `auto`: what is given, else groups if there are any, else random."""
    if data.split != "auto":
        return data.split
    if is_given:
        return "given"
    return "random" if records.groups is None else "group"


def find_units(records: LabelledRecords, kind: str, data: DataConfig) -> Units:
    """Return what stays together: with a given split, parts of which are divided further, the groups if there are any.

    Raises:
        UsageError: If what they are to be divided by is not there.
    """
    match kind:
        case "group":
            return by_group(records)
        case "sequence":
            return by_sequence(records)
        case "similarity":
            return by_similarity(records, data.similarity)
        case "given" if records.groups is not None:
            return by_group(records)
        case _:
            return by_record(records)


def describe_unused(records: LabelledRecords, kind: str, *, needs_folds: bool) -> list[str]:
    """Say which columns of the labels are passed over."""
    notes = []
    if kind != "given" and records.splits is not None:
        notes.append(f"the column split of the labels is not used (split {kind})")
    if records.folds is not None and not (needs_folds and kind == "given"):
        notes.append("the column fold of the labels is not used; it is with --folds and --split auto or given")
    return notes


def check_units(units: Units, rows: np.ndarray, num_parts: int, parts: str) -> list[str]:
    """Return what is worth knowing of the sizes of the units of some records.

    Raises:
        DataError: If there are fewer of them than parts.
    """
    if units.names is None:
        if len(rows) < num_parts:
            raise DataError(f"{len(rows)} records are too few for {parts}; {units.mend}")
        return []
    names = [units.names[row] for row in rows.tolist()]
    found = list(dict.fromkeys(names))
    if len(found) < num_parts:
        count = f"{len(found)} {units.word}{'s' * (len(found) != 1)}"
        raise DataError(
            f"the {len(rows):,} records are of {count} ({listed(found)}), which stay whole: too few for {parts}; "
            f"{units.mend}"
        )
    return describe_giant(names, units.word, units.mend)


def check_learnt(records: LabelledRecords, splits: Splits, mend: str, problems: Problems) -> None:
    """Add a problem if a class has no training record, or no record is there to validate on."""
    where = f"fold {splits.fold}: " if splits.fold else ""
    learnt = np.bincount(list_memberships(records.truth[splits.train]).classes, minlength=len(records.classes))
    absent = [name for name, count in zip(records.classes, learnt, strict=True) if not count]
    if absent:
        problems.add(
            f"{where}no training record of class {', '.join(map(repr, absent))}: nothing to learn it from; {mend}"
        )
    if not len(splits.val):
        problems.add(f"{where}no record to validate on: {mend}, or a larger data.val_fraction")
