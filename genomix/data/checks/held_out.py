"""What is known of each held-out record before it is predicted, and its table. Shapes: Q held-out records."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genomix.data.checks.base_counts import BaseCounts, count_bases
from genomix.data.similarity import Sketches, nearest, sketch
from genomix.data.splits import SPLIT_NAMES
from genomix.errors import DataError, NoInputError, Problems
from genomix.files import atomic_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genomix.data.labels import LabelledRecords
    from genomix.data.splits import Splits

COLUMNS = ["id", "split", "length", "gc", "unknown", "nearest", "similarity"]


@dataclass
class HeldOut:
    """Q held-out records.

    Attributes:
        ids: Of each record.
        split: `val` or `test`, of each; `train` where such records were asked for.
        lengths: In bp, int64 (Q,).
        gc: Share of G and C among the known bases, float64 (Q,); NaN where none is known.
        unknown: Share of N among all bases, float64 (Q,).
        nearest: Id of the most similar training record, "" where none shares a k-mer.
        similarity: To that record, float64 (Q,), 0 there; see `genomix.data.similarity`.
    """

    ids: list[str]
    split: list[str]
    lengths: np.ndarray
    gc: np.ndarray
    unknown: np.ndarray
    nearest: list[str]
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def describe_held_out(
    records: LabelledRecords,
    splits: Splits,
    rows: Sequence[int] | np.ndarray,
    *,
    sketches: Sketches | None = None,
    base_counts: BaseCounts | None = None,
) -> HeldOut:
    """Describe some of the labelled records, and find the training record that each resembles most.

    Args:
        records: R labelled records.
        splits: Their splits; training records are those of `splits.train`.
        rows: Numbers (Q,) among the labelled records, 0 to R - 1.
        sketches: Of all R records, if they are there already.
        base_counts: Of all R records, if they are there already.
    """
    rows = np.asarray(rows, dtype=np.int64)
    if sketches is None:
        sketches = sketch(records.store, records.indices)
    if base_counts is None:
        counted = count_bases(records.store, records.indices[rows])
    else:
        counted = BaseCounts(base_counts.counts[rows])
    found = nearest(sketches.take(rows), sketches.take(splits.train))
    names = splits.names()
    return HeldOut(
        ids=[records.ids[row] for row in rows.tolist()],
        split=[names[row] for row in rows.tolist()],
        lengths=records.lengths[rows],
        gc=counted.gc,
        unknown=counted.unknown,
        nearest=[records.ids[int(splits.train[place])] if place >= 0 else "" for place in found.nearest.tolist()],
        similarity=found.similarity,
    )


def write_held_out(path: str | Path, held_out: HeldOut) -> None:
    """Write the table `id split length gc unknown nearest similarity`, whole or not at all; undefined GC is empty.

    Raises:
        DataError: If an id has a tab or a line break.
        CannotWriteError: If the file cannot be written.
    """
    columns = (
        held_out.ids,
        held_out.split,
        held_out.lengths.tolist(),
        ["" if np.isnan(value) else f"{value:.6f}" for value in held_out.gc],
        [f"{value:.6f}" for value in held_out.unknown],
        held_out.nearest,
        [f"{value:.6f}" for value in held_out.similarity],
    )
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as text:
        rows = csv.writer(text, delimiter="\t", lineterminator="\n")
        rows.writerow(COLUMNS)
        for row in zip(*columns, strict=True):
            if set(row[0] + row[5]) & set("\t\r\n"):
                raise DataError(f'record "{row[0]}": its id or that of "{row[5]}" has a tab or a line break; rename it')
            rows.writerow(row)


def read_held_out(path: str | Path) -> HeldOut:
    """Read what `write_held_out` wrote.

    Raises:
        NoInputError: If the file is missing or unreadable.
        DataError: If the columns are others, a cell is not what it must be, or an id is twice there.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            header, *rows = csv.reader(text, delimiter="\t")
    except OSError as error:
        raise NoInputError(f"{path}: cannot be read ({error.strerror}); name a table of held-out records") from error
    except ValueError as error:
        raise DataError(f"{path}: is not a table of text with the columns {', '.join(COLUMNS)}") from error
    if header != COLUMNS:
        raise DataError(f"{path}:1: the columns must be {', '.join(COLUMNS)}, separated by tabs; found {header}")
    problems, seen = Problems(), set()
    numbers: list[tuple[int, float, float, float]] = []
    for line, cells in enumerate(rows, 2):
        try:
            numbers.append(_numbers(cells))
        except ValueError:
            problems.add(f"{path}:{line}: must have {', '.join(COLUMNS)}; found {cells}")
            continue
        if cells[0] in seen:
            problems.add(f'{path}:{line}: record "{cells[0]}" is here a second time; keep one row of it')
        seen.add(cells[0])
    problems.raise_if_any()
    lengths, gc, unknown, similarity = (
        (np.array(column) for column in zip(*numbers, strict=True)) if rows else 4 * [np.empty(0)]
    )
    texts = [[cells[column] for cells in rows] for column in (0, 1, 5)]
    return HeldOut(texts[0], texts[1], lengths.astype(np.int64), gc, unknown, texts[2], similarity)


def _numbers(cells: Sequence[str]) -> tuple[int, float, float, float]:
    """Return length, GC, N and similarity of a row.

    Raises:
        ValueError: If they are none, or the row is otherwise not as it must be.
    """
    if len(cells) != len(COLUMNS) or cells[1] not in SPLIT_NAMES:
        raise ValueError
    shares = [float(cell) if cell else np.nan for cell in (cells[3], cells[4], cells[6])]
    if not all(0 <= share <= 1 for share in shares if not np.isnan(share)) or np.isnan(shares[1:]).any():
        raise ValueError
    gc, unknown, similarity = shares
    return int(cells[2]), gc, unknown, similarity
