"""Reads predictions tables: those of `predictions`, and those of other programs with the columns that matter."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from genomix.data.prediction_cells import (
    find_confidence,
    parse_confidence,
    parse_cut_label,
    parse_label,
    parse_label_set,
    parse_labels,
    parse_length,
    parse_probabilities,
    parse_statuses,
)
from genomix.data.predictions import ABSTAINED, LABEL_SET, PROBABILITY_PREFIX, TRUNCATED
from genomix.errors import DataError, NoInputError, Problems

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class PredictionTable:
    """Predictions of R records over C classes, in the order of the table.

    Attributes:
        ids: The records' ids.
        lengths: Int64 (R,), in bp; -1 where the table has none.
        labels: The predicted labels; None for skipped records, and where the model was not sure enough.
        confidence: Float64 (R,), how probable the label is, as the table says, or else as its probabilities do; NaN for
            skipped records.
        probabilities: Float64 (R, C), rows sum to 1; NaN for skipped records.
        classes: The C labels, in the order of the columns.
        statuses: One tuple per record; holds `skipped` exactly if there are no probabilities.
        notes: Free text; empty where there is none.
        label_sets: The classes that were not ruled out, none for skipped records; None where the table has no sets.
    """

    ids: list[str]
    lengths: np.ndarray
    labels: list[str | None]
    confidence: np.ndarray
    probabilities: np.ndarray
    classes: list[str]
    statuses: list[tuple[str, ...]]
    notes: list[str]
    label_sets: list[tuple[str, ...]] | None = None

    @property
    def is_abstained(self) -> np.ndarray:
        """Bool (R,), True for records that got no label as the model was not sure enough."""
        return np.array([ABSTAINED in statuses for statuses in self.statuses])

    @property
    def is_skipped(self) -> np.ndarray:
        """Bool (R,), True for records without probabilities."""
        return np.isnan(self.probabilities[:, 0])


def read_predictions(path: str | Path, *, multi_label: bool = False) -> PredictionTable:
    """Read a predictions table: tabs, commas (either also gzipped) or Parquet, seen by its content.

    Only the column `id` and two or more columns `probability_<class>` must be there. A row whose probabilities are all
    empty or NaN is that of a skipped record. Rows are rescaled to sum to exactly 1, as printed decimals do not.

    Args:
        path: The table.
        multi_label: Records may have several labels, or none: the probabilities of a row need not sum to 1.

    Raises:
        NoInputError: If the file is missing, unreadable or empty.
        DataError: If columns are missing, or rows have no id or that of another, or values that are no probabilities
            (each within 0 and 1, a row's sum 1 within 0.01).
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NoInputError(f"{path}: cannot be read ({error.strerror}); name a predictions table") from error
    if not content:
        raise NoInputError(f"{path}: is empty; name a predictions table")
    sheet = _read_parquet(path, content) if content[:4] == b"PAR1" else _read_text(path, content)
    classes = [name.removeprefix(PROBABILITY_PREFIX) for name in sheet.header if name.startswith(PROBABILITY_PREFIX)]
    if "id" not in sheet.header or len(classes) < 2 or len(set(sheet.header)) < len(sheet.header):
        found = ", ".join(sheet.header)
        raise DataError(
            f"{path}:1: a predictions table has a column id and at least two columns {PROBABILITY_PREFIX}<class>, "
            f"each once; found {found}"
        )
    table = _collect(sheet, classes, multi_label=multi_label)
    if not table.ids:
        raise NoInputError(f"{path}: has a header but no rows; name a predictions table with records")
    return table


class _Row(NamedTuple):
    place: str
    cells: list[Any]


class _Sheet(NamedTuple):
    header: list[str]
    rows: Iterator[_Row]


def _read_parquet(path: Path, content: bytes) -> _Sheet:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: is not a whole Parquet file ({error}); write it again") from error
    cells = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return _Sheet(table.column_names, (_Row(f"{path}: row {row}", list(values)) for row, values in enumerate(cells, 1)))


def _read_text(path: Path, content: bytes) -> _Sheet:
    try:
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is neither a whole table of text nor Parquet ({error}); write it again") from error
    is_tsv = "\t" in text.partition("\n")[0]
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, dialect="excel-tab", quoting=csv.QUOTE_NONE) if is_tsv else csv.reader(lines)
    header = next(reader, [])
    return _Sheet(header, (_Row(f"{path}:{reader.line_num}", cells) for cells in reader if cells))


def _collect(sheet: _Sheet, classes: list[str], *, multi_label: bool) -> PredictionTable:
    """Check every row, and gather them; all problems are reported at once."""
    problems = Problems()
    table = PredictionTable([], np.empty(0), [], np.empty(0), np.empty(0), classes, [], [])
    table.label_sets = [] if LABEL_SET in sheet.header else None
    lengths, probabilities, confidences = [], [], []
    places: dict[str, str] = {}
    for place, cells in sheet.rows:
        if len(cells) != len(sheet.header):
            problems.add(f"{place}: has {len(cells)} columns where the header has {len(sheet.header)}; mend the row")
            continue
        named = dict(zip(sheet.header, ("" if cell is None else cell for cell in cells), strict=True))
        record_id = str(named["id"])
        if not record_id:
            problems.add(f"{place}: has no id; give each row the id of its record")
        elif record_id in places:
            problems.add(f'{place}: record "{record_id}" is already at {places[record_id]}; keep one of them')
        places[record_id] = place
        try:
            length = parse_length(named.get("length", ""))
            row = parse_probabilities([named[PROBABILITY_PREFIX + label] for label in classes], multi_label=multi_label)
            statuses = parse_statuses(str(named.get("status", "")), is_skipped=row is None)
            cell = str(named.get("label", ""))
            if ABSTAINED in statuses or row is None:
                label = None
            elif multi_label:
                label = parse_labels(cell, row, classes)
            elif TRUNCATED in statuses:
                label = parse_cut_label(cell, classes)
            else:
                label = parse_label(cell, row, classes)
            confidence = None if row is None else parse_confidence(named.get("confidence", ""))
            label_set = parse_label_set(str(named.get(LABEL_SET, "")), classes)
        except ValueError as error:
            problems.add(f'{place}: record "{record_id}": {error}')
            continue
        table.ids.append(record_id)
        table.labels.append(label)
        table.statuses.append(statuses)
        table.notes.append(str(named.get("note", "")))
        if table.label_sets is not None:
            table.label_sets.append(label_set)
        lengths.append(length)
        if row is None:
            row, confidence = np.full(len(classes), np.nan), np.nan
        elif confidence is None:
            confidence = find_confidence(row, label, classes, multi_label=multi_label)
        probabilities.append(row)
        confidences.append(confidence)
    problems.raise_if_any()
    table.lengths = np.array(lengths, dtype=np.int64)
    table.probabilities = np.array(probabilities, dtype=np.float64).reshape(-1, len(classes))
    table.confidence = np.array(confidences, dtype=np.float64)
    return table
