"""Splits or folds of records from a file of their own, by id.

L labelled records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

from genomix.data.compression import display_name, open_input
from genomix.data.entries import FormError
from genomix.data.label_sets import split_labels
from genomix.data.label_table import HELD_OUT_OF_FOLDS, SPLIT_WORDS
from genomix.data.labelled import LabelledRecords, OnMissing
from genomix.data.tables import counted_cells, read_rows
from genomix.errors import DataError, NoInputError, Problems

COLUMNS = ("id", "label", "group", "split", "fold")


class _Row(NamedTuple):
    """What the file says of a record by the names of the columns, "" for nothing, and where."""

    place: str
    cells: dict[str, str]


def take_splits(
    records: LabelledRecords, path: str, *, on_missing: OnMissing = "error", warn: Callable[[str], None]
) -> LabelledRecords:
    """Return the records with the splits and folds of a file in place of those of their labels.

    The file has a header with `id` and `split`, `fold` or both, and perhaps `group`, which is taken where the labels
    have none. What `genomix split` or a training wrote is such a file. A fold may be empty where the split is test
    or unused.

    Args:
        records: The labelled records; each must be in the file.
        path: A table with tabs or commas between cells, possibly compressed, or `-`.
        on_missing: Whether a row of the file without a record is an error, or passed over and counted.
        warn: Told what is passed over.

    Raises:
        NoInputError: If the file cannot be read or is empty.
        DataError: If it is no such table, has an id twice or lacks a record; all of it at once.
    """
    name, problems = display_name(path), Problems()
    warnings = list(records.warnings)

    def tell(message: str) -> None:
        warnings.append(message)
        warn(message)

    columns, rows = _read(path, name, problems)
    by_id = _index(rows, problems)
    chosen: list[_Row] = []
    for record_id, store_row in zip(records.ids, records.indices.tolist(), strict=True):
        row = by_id.pop(record_id, None)
        if row is not None:
            chosen.append(row)
        else:
            wanted = " and ".join(column for column in ("split", "fold") if column in columns)
            problems.add(
                f'{records.store.place(store_row)}: record "{record_id}" is not in {name}; add a row with its id and '
                f"{wanted}"
            )
    others = [row for record_id, row in by_id.items() if record_id not in records.store.skipped_ids]
    if others and on_missing == "skip":
        tell(f"{name}: {len(others):,} rows have no record and are left out (--on-missing skip)")
    elif chosen:
        for row in others:
            problems.add(
                f'{row.place}: there is no record "{row.cells["id"]}"; correct the id, or use --on-missing skip to '
                "leave such rows out"
            )
    problems.raise_if_any()
    _compare_labels(records, chosen, name, tell)
    if records.splits is not None or records.folds is not None:
        tell(f"the columns split and fold of the labels are not used: {name} is (--splits)")
    taken = {
        column: [row.cells[column] for row in chosen] for column in ("group", "split", "fold") if column in columns
    }
    return dataclasses.replace(
        records,
        splits=taken.get("split"),
        folds=taken.get("fold"),
        groups=records.groups if records.groups is not None else taken.get("group"),
        warnings=warnings,
    )


def _read(path: str, name: str, problems: Problems) -> tuple[list[str], list[_Row]]:
    """Return the columns of the file that are not empty, and its rows."""
    with open_input(path) as stream:
        if not stream.peek(1).strip():
            raise NoInputError(f"{name}: is empty; give a table with the columns id and split")
        try:
            header, *table = read_rows(stream)
        except FormError as error:
            raise DataError(f"{name}:{error.line}: {error}") from error
    names = [cell.decode("utf-8", "replace").lower() for cell in header.cells]
    if "id" not in names or not {"split", "fold"} & set(names):
        raise DataError(
            f"{name}:{header.line}: the first line must name the columns id and split (or fold); found "
            f"{', '.join(map(repr, names))}"
        )
    if twice := [column for column in COLUMNS if names.count(column) > 1]:
        raise DataError(f"{name}:{header.line}: has the column {twice[0]!r} twice; remove one")
    rows: list[_Row] = []
    for line, cells in table:
        place = f"{name}:{line}"
        if len(cells) != len(names):
            problems.add(f"{place}: has {counted_cells(cells)} instead of {len(names)}; mend its tabs or commas")
            continue
        texts = {column: cell.decode("utf-8", "replace") for column, cell in zip(names, cells, strict=True)}
        rows.append(_Row(place, texts | {"id": texts["id"].partition(" ")[0]}))
    columns = [column for column in COLUMNS if any(row.cells.get(column) for row in rows)]
    for row in rows:
        _check(row, columns, problems)
    return columns, rows


def _check(row: _Row, columns: Sequence[str], problems: Problems) -> None:
    """Bring the split into its usual word, and find what is empty or unknown."""
    split = row.cells.get("split", "")
    if split.lower() in SPLIT_WORDS:
        row.cells["split"] = SPLIT_WORDS[split.lower()]
    elif split:
        problems.add(f'{row.place}: the split of "{row.cells["id"]}" is "{split}"; use train, val, test or unused')
    for column in columns:
        may_be_empty = column == "fold" and row.cells.get("split") in HELD_OUT_OF_FOLDS
        if not row.cells[column] and not may_be_empty:
            problems.add(f'{row.place}: the {column} of "{row.cells["id"]}" is empty; fill it in')


def _index(rows: Sequence[_Row], problems: Problems) -> dict[str, _Row]:
    by_id: dict[str, _Row] = {}
    for row in rows:
        first = by_id.setdefault(row.cells["id"], row)
        if first is not row:
            problems.add(
                f'{row.place}: record "{row.cells["id"]}" is here a second time, after {first.place}; keep one row'
            )
    return by_id


def _compare_labels(records: LabelledRecords, rows: Sequence[_Row], name: str, warn: Callable[[str], None]) -> None:
    def is_same(one: str, other: str) -> bool:
        """Sets of labels may be written in any order."""
        return one == other or (records.label_sets is not None and set(split_labels(one)) == set(split_labels(other)))

    others = [
        record_id
        for record_id, label, row in zip(records.ids, records.labels, rows, strict=True)
        if not is_same(row.cells.get("label", label), label)
    ]
    if others:
        warn(
            f"{name}: {len(others):,} of {len(rows):,} records have another label there, such as {others[0]!r}: only "
            "its splits are used"
        )
