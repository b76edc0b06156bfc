"""Tables of text with a comma or a tab between cells, for labels and for sequences."""

from __future__ import annotations

import csv
import io
import itertools
import sys
from collections.abc import Iterator
from typing import NamedTuple

from genomix.data.entries import Entry, FormError
from genomix.data.letters import Letters

_BLANKS = " \t\r\n"  # not those of Unicode, as a byte of a longer letter may look like one


class Row(NamedTuple):
    """One row that is not blank: its first line in the file, and its cells as bytes without blanks around them."""

    line: int
    cells: list[bytes]


def split_header(line: bytes) -> list[str]:
    """Return the lower-case column names in the first line of a table."""
    text = line.decode("utf-8", "replace")
    cells = text.split("\t" if "\t" in text else ",")
    return [cell.strip().strip('"').strip().lower() for cell in cells]


def read_rows(stream: io.BufferedReader) -> Iterator[Row]:
    """Yield the rows of a table that is not empty; its first line says whether tabs or commas stand between its cells.

    Raises:
        FormError: A quotation mark is never closed, or stands where it must not.
    """
    csv.field_size_limit(sys.maxsize)  # a cell may hold a chromosome
    text = io.TextIOWrapper(stream, encoding="latin-1", newline="")  # every byte has its letter: nothing can fail here
    start: list[str] = []  # blank lines, if any, and the first that is not
    for first in text:
        start.append(first)
        if first.strip():
            break
    rows = csv.reader(itertools.chain(start, text), delimiter="\t" if "\t" in start[-1] else ",", strict=True)
    line = 1
    try:
        for cells in rows:
            stripped = [cell.strip(_BLANKS).encode("latin-1") for cell in cells]
            if any(stripped):
                yield Row(line, stripped)
            line = rows.line_num + 1
    except csv.Error as error:
        raise FormError(line, f"not a row of a table ({error}); mend its quotation marks") from None


def read_sequence_table(stream: io.BufferedReader) -> Iterator[Entry]:
    """Yield the entries of a table with a `sequence` and perhaps an `id` column.

    Rows of a table without ids are called `row_1`, `row_2` and so on.

    Raises:
        FormError: As `read_rows` does.
    """
    rows = read_rows(stream)
    names = [cell.decode("utf-8", "replace").lower() for cell in next(rows).cells]
    sequence_column = names.index("sequence")
    id_column = names.index("id") if "id" in names else None
    for number, (line, cells) in enumerate(rows, start=1):
        flaw = None if len(cells) == len(names) else f"{counted_cells(cells)} instead of {len(names)}"
        letters = Letters()
        letters.add(_cell(cells, sequence_column), line)
        header = made_up_id(number).encode() if id_column is None else _cell(cells, id_column)
        yield Entry(header, line, letters, id_column is not None, flaw)


def counted_cells(cells: list[bytes]) -> str:
    """Return "1 cell" or "2 cells"."""
    return "1 cell" if len(cells) == 1 else f"{len(cells)} cells"


def made_up_id(number: int) -> str:
    """Return what the n-th row of a table without ids is called, from 1."""
    return f"row_{number}"


def _cell(cells: list[bytes], column: int) -> bytes:
    return cells[column] if column < len(cells) else b""
