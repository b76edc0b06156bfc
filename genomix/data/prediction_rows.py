"""The rows of a predictions table as text and as Parquet; `predictions` says what is in them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, TextIO

from genomix.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PARQUET_GROUP_ROWS = 8192
LEAST = 1e-4
"""From which on 6 decimals have 3 digits at least."""


class TextRows:
    """Rows separated by tabs without quotes, or by commas with quotes where needed; numbers as `show` gives them.

    Args:
        text: Where they go.
        delimiter: A tab or a comma.
        flush: Write each call's rows through.
    """

    def __init__(self, text: TextIO, delimiter: str, *, flush: bool = False) -> None:
        self._text = text
        self._flush = flush
        quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        quotechar = None if delimiter == "\t" else '"'
        self._rows = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=quoting, quotechar=quotechar)

    def write_header(self, columns: dict[str, type]) -> None:
        """Write the names of the columns."""
        self.write([list(columns)])

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows.

        Raises:
            DataError: An id or a label has a tab or line break, in a table separated by tabs.
        """
        for cells in rows:
            try:
                self._rows.writerow([show(cell) if isinstance(cell, float) else cell for cell in cells])
            except csv.Error as error:
                text = next((cell for cell in cells if isinstance(cell, str) and set("\t\r\n") & set(cell)), cells[0])
                message = f"{text!r} has a tab or a line break, which this table cannot hold; write .csv or .parquet"
                raise DataError(message) from error
        if self._flush:
            self._text.flush()


def show(number: float) -> str:
    """Write a probability with 6 decimals, and below 0.0001 with 4 digits: how small it is decides the log loss."""
    return f"{number:.6f}" if abs(number) >= LEAST or not number else f"{number:.4g}"


class ParquetRows:
    """Rows in groups of one size, whatever was written at once, so that the same rows are the same bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: list[Sequence[Any]] = []

    def write_header(self, columns: dict[str, type]) -> None:
        """Open the file for columns of these names and types."""
        import pyarrow as pa
        from pyarrow import parquet

        kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
        self._schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
        self._writer = parquet.ParquetWriter(self._path, self._schema, compression="zstd")

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows; None is no value."""
        self._pending.extend(rows)
        while len(self._pending) >= PARQUET_GROUP_ROWS:
            self._write_group(self._pending[:PARQUET_GROUP_ROWS])
            del self._pending[:PARQUET_GROUP_ROWS]

    def close(self) -> None:
        """Write what waits, and complete the file."""
        if self._pending:
            self._write_group(self._pending)
        self._writer.close()

    def _write_group(self, rows: Sequence[Sequence[Any]]) -> None:
        import pyarrow as pa

        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
