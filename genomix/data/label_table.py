"""Reading labels from a table."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from genomix.data.compression import display_name, open_input
from genomix.data.entries import FormError
from genomix.data.tables import Row, counted_cells, made_up_id, read_rows, split_header
from genomix.errors import SHOWN, DataError, NoInputError, Problems

COLUMNS = ("id", "label", "group", "split", "fold")
UNUSED = "unused"
"""The split of a record that is in none of train, val and test."""
NUM_WITHOUT_HEADER = 4
"""So many columns may be told by their place alone."""
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    UNUSED: UNUSED,
}
HELD_OUT_OF_FOLDS = ("test", UNUSED)
"""Splits whose records have no fold."""


@dataclass(slots=True)
class LabelRow:
    """The label of one record, and where it is given.

    Attributes:
        id: Of the record.
        label: Its class.
        group: Records of one group are kept on one side of a split.
        split: "train", "val", "test", or "unused" for one that is in none of them.
        fold: Any name; none for a record of the splits test and unused, which is held out of all folds.
        source: The file as the user named it.
        line: In it, from 1.
    """

    id: str
    label: str
    group: str | None
    split: str | None
    source: str
    line: int
    fold: str | None = None

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.source}:{self.line}"

    @property
    def should_have_fold(self) -> bool:
        """Whether the fold must be filled in where others are: not for what is held out of all folds and has none."""
        return self.fold is not None or self.split not in HELD_OUT_OF_FOLDS


def read_labels(path: str, warn: Callable[[str], None], problems: Problems | None = None) -> list[LabelRow]:
    """Read a table of labels, or the labels in a table of sequences.

    A header names the columns `id`, `label`, `group`, `split` and `fold` in any order; without it they are the first
    two, three or four in this one. Ids end at the first blank, as those of records do.

    Args:
        path: A file with tabs or commas between cells, possibly compressed, or `-`.
        warn: Told what is mapped or ignored.
        problems: Collects bad rows; without it, all of them are raised together.

    Raises:
        NoInputError: It cannot be read or is empty.
        DataError: It is no table of labels; or some rows are bad, if there is no `problems`.
    """
    table = _Table(display_name(path), warn, Problems() if problems is None else problems)
    with open_input(path) as stream:
        table.check_start(stream.peek(1))
        try:
            table.read(read_rows(stream))
        except FormError as error:
            table.problems.add(f"{table.name}:{error.line}: {error}")
    table.check_columns()
    if problems is None:
        table.problems.raise_if_any()
    return table.rows


def has_label_column(path: str) -> bool:
    """Whether a file is a table of sequences with a column `label`.

    Raises:
        NoInputError: It cannot be read.
    """
    with open_input(path) as stream:
        names = split_header((stream.peek(1).lstrip().splitlines() or [b""])[0])
    return "sequence" in names and "label" in names


class _Table:
    """A table of labels while it is read."""

    def __init__(self, name: str, warn: Callable[[str], None], problems: Problems) -> None:
        self.name = name
        self.problems = problems
        self.rows: list[LabelRow] = []
        self._warn = warn
        self._columns: list[str] = []
        self._has_header = False

    def check_start(self, start: bytes) -> None:
        """Raise if this cannot be a table."""
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DataError(f"{self.name}: is UTF-16 text; save it as UTF-8")
        if not start.strip():
            raise NoInputError(f"{self.name}: is empty; give a table with the columns id and label")
        if start.lstrip().startswith(b">"):
            raise DataError(f"{self.name}: is FASTA, not a table of labels; give the sequences first, then the labels")

    def read(self, cells: Iterator[Row]) -> None:
        """Read all rows."""
        first = next(cells)
        self._read_header(first)
        for number, row in enumerate(cells if self._has_header else itertools.chain([first], cells), start=1):
            self._add(row, number)

    def check_columns(self) -> None:
        """Look at what only shows when all rows are read, and bring splits into their usual words."""
        if not self._has_header and len(self._columns) == 3:
            groups = {row.group.lower() for row in self.rows if row.group}
            if groups and groups <= SPLIT_WORDS.keys():
                self.problems.add(
                    f"{self.name}:1: the third column looks like the split, but without a header it is the group;"
                    " add a first line that names the columns: id, label, split"
                )
        for column in ("group", "split"):
            self._check_filled(column, self.rows)
        self._map_splits()
        self._check_filled("fold", [row for row in self.rows if row.should_have_fold])

    def _read_header(self, first: Row) -> None:
        names = [cell.decode("utf-8", "replace").lower() for cell in first.cells]
        self._has_header = "id" in names or "label" in names
        if not self._has_header:
            if not 2 <= len(names) <= NUM_WITHOUT_HEADER:
                raise DataError(
                    f"{self.name}:{first.line}: has {len(names)} column{'s' * (len(names) != 1)}; labels are a table of"
                    " 2 to 4 columns (id, label, group, split) with tabs or commas between them, or of more with a"
                    " header that names these"
                )
            self._columns = list(COLUMNS[: len(names)])
            return
        needed = ["label"] if "sequence" in names else ["id", "label"]
        if missing := [column for column in needed if column not in names]:
            raise DataError(
                f"{self.name}:{first.line}: has no column {missing[0]!r} but {', '.join(map(repr, names))};"
                " rename the column in the first line"
            )
        if twice := [column for column in COLUMNS if names.count(column) > 1]:
            raise DataError(f"{self.name}:{first.line}: has the column {twice[0]!r} twice; remove one")
        if extra := [column for column in names if column not in (*COLUMNS, "sequence")]:
            self._warn(f"{self.name}: columns that are not used: {', '.join(extra)}")
        self._columns = names

    def _add(self, row: Row, number: int) -> None:
        place = f"{self.name}:{row.line}"
        if len(row.cells) != len(self._columns):
            if "sequence" in self._columns:
                return  # the reader of the sequences says so
            first_cell = row.cells[0].decode("utf-8", "replace")
            self.problems.add(
                f'{place}: the row of "{first_cell}" has {counted_cells(row.cells)} instead of {len(self._columns)};'
                " mend its tabs, commas or quotation marks"
            )
            return
        raw = dict(zip(self._columns, row.cells, strict=True))
        try:
            cells = {column: raw[column].decode() for column in COLUMNS if column in raw}
        except UnicodeDecodeError:
            self.problems.add(f"{place}: is not UTF-8; convert the file, e.g. with iconv -f latin1 -t utf-8")
            return
        words = raw["id"].split(None, 1) if "id" in raw else [made_up_id(number).encode()]
        if not words and "sequence" in self._columns:
            return
        if not words:
            self.problems.add(f"{place}: the id is empty; fill it in or remove the row")
            return
        id_ = words[0].decode()
        if not cells["label"]:
            self.problems.add(f'{place}: the label of "{id_}" is empty; fill it in or remove the row')
            return
        group, split, fold = (cells.get(column) or None for column in ("group", "split", "fold"))
        self.rows.append(LabelRow(id_, cells["label"], group, split, self.name, row.line, fold))

    def _check_filled(self, column: str, rows: list[LabelRow]) -> None:
        lines = [row.line for row in rows if getattr(row, column) is None]
        if not lines or len(lines) == len(rows):
            return
        shown = ", ".join(map(str, lines[:SHOWN])) + ", ..." * (len(lines) > SHOWN)
        self.problems.add(
            f"{self.name}:{lines[0]}: the {column} is empty in {len(lines):,} of {len(rows):,} rows"
            f" (lines {shown}); fill it in for all records or for none"
        )

    def _map_splits(self) -> None:
        mapped: dict[str, str] = {}
        for row in self.rows:
            if row.split is None:
                continue
            split = SPLIT_WORDS.get(row.split.lower())
            if split is None:
                self.problems.add(
                    f'{self.name}:{row.line}: record "{row.id}": the split is "{row.split}"; use train, val, test or '
                    "unused"
                )
            elif split != row.split:
                mapped[row.split] = split
                row.split = split
        if mapped:
            pairs = ", ".join(f'"{word}" as {split}' for word, split in sorted(mapped.items()))
            self._warn(f"{self.name}: splits are read as the usual words: {pairs}")
