"""Tables of splits and of folds, which are tables of labels too."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genomix.data.label_table import HELD_OUT_OF_FOLDS, UNUSED
from genomix.data.splits.parts import SPLIT_NAMES, Splits
from genomix.errors import DataError, NoInputError, Problems
from genomix.files import atomic_path


class SplitTable(NamedTuple):
    """What `write_splits` wrote: ids (R,), labels (R,) and the splits."""

    ids: list[str]
    labels: list[str]
    splits: Splits


class FoldTable(NamedTuple):
    """What `write_folds` wrote.

    Attributes:
        ids: Of the records (R,).
        labels: Of the records (R,).
        groups: What each record was kept together with (R,); None where there were no groups.
        folds: The fold of each record (R,); "" for one that a given split calls test or unused, held out of all folds.
    """

    ids: list[str]
    labels: list[str]
    groups: list[str] | None
    folds: list[str]


def format_splits(ids: Sequence[str], labels: Sequence[str], splits: Splits) -> str:
    """Return the table `id label [group] split` in the order of the records.

    The split of records in no part is `unused`; of a fold, those that are held out of all folds are left out.

    Raises:
        DataError: If a cell has a tab or a line break.
    """
    columns = {"id": ids, "label": labels}
    if splits.groups is not None:
        columns["group"] = splits.groups
    names = splits.names() if splits.fold else [name or UNUSED for name in splits.names()]
    columns["split"] = names
    return _format(columns, [row for row, name in enumerate(names) if name])


def is_table_of(text: str, ids: Sequence[str], labels: Sequence[str], splits: Splits) -> bool:
    """Whether a table is that of `format_splits`, be it with the records in no part or, as it used to be, without."""
    header, *rows = format_splits(ids, labels, splits).splitlines(keepends=True)
    return text in ("".join([header, *rows]), "".join([header, *(r for r in rows if not r.endswith(f"\t{UNUSED}\n"))]))


def format_folds(
    ids: Sequence[str], labels: Sequence[str], folds: Sequence[Splits], given: Sequence[str] | None = None
) -> str:
    """Return the table `id label [group] fold` in the order of the records.

    Where a given split holds records out of all folds, the table has a column `split` before the last: theirs, `test`
    or `unused`, while their fold is empty, and `train` for the others. `given` has it for each record (R,); without it
    they are of the test.

    Raises:
        DataError: If a cell has a tab or a line break.
    """
    names = [""] * len(ids)
    for one in folds:
        for row in one.test.tolist():
            names[row] = one.fold
    columns = {"id": ids, "label": labels}
    if folds[0].groups is not None:
        columns["group"] = folds[0].groups
    if len(folds[0].unused):
        columns["split"] = ["train" if name else given[row] if given else "test" for row, name in enumerate(names)]
    return _format({**columns, "fold": names}, range(len(ids)))


def write_splits(path: str | Path, ids: Sequence[str], labels: Sequence[str], splits: Splits) -> None:
    """Write the table of `format_splits`, whole or not at all.

    Raises:
        DataError: If a cell has a tab or a line break.
        CannotWriteError: If the file cannot be written.
    """
    _write(path, format_splits(ids, labels, splits))


def write_folds(
    path: str | Path,
    ids: Sequence[str],
    labels: Sequence[str],
    folds: Sequence[Splits],
    given: Sequence[str] | None = None,
) -> None:
    """Write the table of `format_folds`, whole or not at all.

    Raises:
        DataError: If a cell has a tab or a line break.
        CannotWriteError: If the file cannot be written.
    """
    _write(path, format_folds(ids, labels, folds, given))


def read_splits(path: str | Path) -> SplitTable:
    """Read the table `id label [group] split`.

    Raises:
        NoInputError: If the file is missing or unreadable.
        DataError: If the columns are others, a split is none of the four, or an id is twice there.
    """
    header, rows = _read(path, (("id", "label", "split"), ("id", "label", "group", "split")), "splits")
    problems = Problems()
    for line, cells in enumerate(rows, 2):
        if len(cells) != len(header) or cells[-1] not in (*SPLIT_NAMES, UNUSED):
            problems.add(f"{path}:{line}: must have an id, a label and train, val, test or unused; found {cells}")
    _check_ids(path, rows, problems)
    table = _columns(header, rows)
    names = np.array(table["split"], dtype=object)
    train, val, test, unused = (np.flatnonzero(names == name) for name in (*SPLIT_NAMES, UNUSED))
    splits = Splits(train, val, test, groups=table.get("group"), unused=unused)
    return SplitTable(table["id"], table["label"], splits)


def read_folds(path: str | Path) -> FoldTable:
    """Read the table `id label [group] [split] fold`.

    Raises:
        NoInputError: If the file is missing or unreadable.
        DataError: If the columns are others, a record that is not held out has no fold, or an id is twice there.
    """
    allowed = [("id", "label", *group, *split, "fold") for group in ((), ("group",)) for split in ((), ("split",))]
    header, rows = _read(path, allowed, "folds")
    problems = Problems()
    for line, cells in enumerate(rows, 2):
        if len(cells) != len(header) or not (cells[-1] or (cells[-2] in HELD_OUT_OF_FOLDS and "split" in header)):
            problems.add(f"{path}:{line}: must have an id, a label and a fold; found {cells}")
    _check_ids(path, rows, problems)
    table = _columns(header, rows)
    return FoldTable(table["id"], table["label"], table.get("group"), table["fold"])


def _format(columns: dict[str, Sequence[str]], rows: Sequence[int]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = [column[row] for column in columns.values()]
        if set("".join(cells)) & set("\t\r\n"):
            raise DataError(
                f'record "{cells[0]}": its id, label or group has a tab or a line break: {cells}; rename it'
            )
        writer.writerow(cells)
    return text.getvalue()


def _write(path: str | Path, text: str) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(text)


def _read(path: str | Path, allowed: Sequence[Sequence[str]], what: str) -> tuple[list[str], list[list[str]]]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as text:
            header, *rows = csv.reader(text, delimiter="\t")
    except OSError as error:
        raise NoInputError(f"{path}: cannot be read ({error.strerror}); name a table of {what}") from error
    except ValueError as error:
        raise DataError(f"{path}: is not a table of text with the columns {', '.join(allowed[0])}") from error
    if tuple(header) not in allowed:
        columns = " or ".join(", ".join(names) for names in allowed)
        raise DataError(f"{path}:1: the columns must be {columns}, separated by tabs; found {header}")
    return header, rows


def _check_ids(path: str | Path, rows: Sequence[Sequence[str]], problems: Problems) -> None:
    seen: set[str] = set()
    for line, cells in enumerate(rows, 2):
        if cells and cells[0] in seen:
            problems.add(f'{path}:{line}: record "{cells[0]}" is here a second time; keep one row of it')
        seen.update(cells[:1])
    problems.raise_if_any()


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    return {name: [cells[i] for cells in rows] for i, name in enumerate(header)}
