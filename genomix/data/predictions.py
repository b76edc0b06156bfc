"""The predictions table: one row per record, written as a stream. `prediction_reader` reads it back.

Columns: `id`, `length` (bp), `label`, `confidence` (the probability of the label), `probability_<class>` for each of
the classes, where several models predict `deviation_<class>`, where sets were asked for `label_set` (its classes joined
by `;`, or by `|` where the name of any class holds a `;`), `status` (one or more of `STATUSES`, joined by `;`), `note`.
A skipped record has no label, confidence or probabilities; one with the status `abstained` has no label.
"""

from __future__ import annotations

import gzip
import io
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from genomix.data.prediction_rows import ParquetRows, TextRows
from genomix.errors import UsageError
from genomix.files import atomic_path, check_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

PROBABILITY_PREFIX = "probability_"
DEVIATION_PREFIX = "deviation_"
LABEL_SET = "label_set"
SKIPPED, ABSTAINED, TRUNCATED, UNLIKE_TRAINING = "skipped", "abstained", "truncated", "unlike_training"
STATUSES = ("ok", "cut", "n_rich", "too_short", UNLIKE_TRAINING, TRUNCATED, ABSTAINED, SKIPPED)
DELIMITERS = {".tsv": "\t", ".txt": "\t", ".csv": ","}
PARQUET_SUFFIX = ".parquet"


class PredictionRow(NamedTuple):
    """What is said of one record.

    Attributes:
        id: The record's id.
        length: Length of the record in bp.
        probabilities: One per class (C,), or None for a skipped record.
        statuses: Of `STATUSES`; holds `skipped` exactly if there are no probabilities.
        note: Free text.
        deviations: Standard deviation of the probabilities over several models (C,), or None.
        label: That of the highest probability where it is None; none is written for the status `abstained`.
        label_set: The classes that were not ruled out, or None.
        confidence: The probability of the label; the highest of all where it is None.
    """

    id: str
    length: int
    probabilities: Sequence[float] | np.ndarray | None
    statuses: tuple[str, ...] = ("ok",)
    note: str = ""
    deviations: Sequence[float] | np.ndarray | None = None
    label: str | None = None
    label_set: tuple[str, ...] | None = None
    confidence: float | None = None


def label_separator(classes: Sequence[str]) -> str:
    """Return what stands between the classes of a set of labels; names of hierarchical classes hold semicolons."""
    return "|" if any(";" in name for name in classes) else ";"


def check_output(path: str | Path, *, force: bool = False) -> None:
    """Find out, before any work, whether predictions can be written to `path` (`-` is stdout).

    Raises:
        UsageError: If the suffix is not that of a format.
        CannotWriteError: If the file exists (without `force`), is a directory, or has no directory to be in.
    """
    if str(path) == "-":
        return
    path = Path(path)
    if _suffix(path) not in (*DELIMITERS, PARQUET_SUFFIX) or path.suffixes[-2:] == [PARQUET_SUFFIX, ".gz"]:
        known = ", ".join([*DELIMITERS, *(f"{suffix}.gz" for suffix in DELIMITERS), PARQUET_SUFFIX])
        raise UsageError(f"{path}: the suffix names no format of predictions; use one of {known}")
    check_file(path, force=force)


class PredictionWriter:
    """Writes predictions to stdout or to a file that appears whole, under its name, when the `with` block ends well.

    The format follows the suffix: `.tsv` and `.txt` (and stdout) separated by tabs without quotes, `.csv` with quotes
    where needed, either with `.gz` after it, and `.parquet`. The text formats write numbers with 6 decimals, those
    below 0.0001 with 4 digits, and the same rows always give the same bytes.

    Args:
        path: The file, or `-` for stdout.
        classes: The C labels.
        force: Replace an existing file.
        deviations: Whether rows have deviations.
        label_sets: Whether rows have sets of labels.

    Raises:
        UsageError: If the suffix is not that of a format, or two classes have the same label.
        CannotWriteError: As for `check_output`.
    """

    def __init__(
        self,
        path: str | Path,
        classes: Sequence[str],
        *,
        force: bool = False,
        deviations: bool = False,
        label_sets: bool = False,
    ) -> None:
        check_output(path, force=force)
        if len(set(classes)) < len(classes):
            raise UsageError(f"{path}: each class needs a label of its own, got {', '.join(classes)}")
        self._path = path
        self._classes = list(classes)
        self._deviations, self._label_sets = deviations, label_sets
        self._resources = ExitStack()
        self._sink: TextRows | ParquetRows

    def __enter__(self) -> Self:
        """Open the temporary file, or stdout, and write the header."""
        with self._resources:
            if str(self._path) == "-":
                self._sink = TextRows(sys.stdout, "\t", flush=True)
            else:
                temporary = self._resources.enter_context(atomic_path(self._path))
                self._sink = self._open(temporary)
            self._sink.write_header(self._columns())
            self._resources = self._resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Complete the file and give it its name, or remove it after an error."""
        self._resources.__exit__(kind, error, traceback)

    def write(self, rows: Sequence[PredictionRow]) -> None:
        """Add rows, in this order.

        Raises:
            ValueError: If a row's probabilities do not fit the classes, or its statuses are not as they should be.
            DataError: If an id or a label has a tab or line break that the format cannot hold.
        """
        self._sink.write([self._cells(row) for row in rows])

    def _open(self, temporary: Path) -> TextRows | ParquetRows:
        suffix = _suffix(Path(self._path))
        if suffix == PARQUET_SUFFIX:
            return self._resources.enter_context(closing(ParquetRows(temporary)))
        if Path(self._path).suffix != ".gz":
            text = self._resources.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        else:
            raw = self._resources.enter_context(temporary.open("wb"))
            packed = self._resources.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0))
            text = self._resources.enter_context(io.TextIOWrapper(packed, encoding="utf-8", newline=""))
        return TextRows(text, DELIMITERS[suffix])

    def _cells(self, row: PredictionRow) -> list[Any]:
        if not row.statuses or not set(row.statuses) <= set(STATUSES):
            raise ValueError(f"record {row.id!r}: statuses must be of {', '.join(STATUSES)}; got {row.statuses}")
        if (row.probabilities is None) != (SKIPPED in row.statuses):
            raise ValueError(f"record {row.id!r}: a record has either probabilities or the status {SKIPPED!r}")
        cells: list[Any] = [row.id, row.length]
        if row.probabilities is None:
            cells += [None] * (2 + len(self._classes) * (1 + self._deviations) + self._label_sets)
        else:
            probabilities = self._numbers(row.id, row.probabilities, "probabilities")
            label = None if ABSTAINED in row.statuses else row.label or self._classes[np.argmax(probabilities)]
            confidence = max(probabilities) if row.confidence is None else row.confidence
            cells += [label, confidence, *probabilities]
            if self._deviations:
                cells += self._numbers(row.id, row.deviations, "deviations")
            if self._label_sets:
                cells.append(label_separator(self._classes).join(row.label_set or ()))
        return [*cells, ";".join(row.statuses), " ".join(row.note.split())]

    def _numbers(self, record_id: str, values: Any, name: str) -> list[float]:
        numbers = np.asarray(values, dtype=np.float64)
        if numbers.shape != (len(self._classes),) or not np.isfinite(numbers).all():
            raise ValueError(f"record {record_id!r}: needs {len(self._classes)} finite {name}; got {values}")
        return numbers.tolist()

    def _columns(self) -> dict[str, type]:
        """Return the names of the columns, and what is in each."""
        prefixes = [PROBABILITY_PREFIX] + [DEVIATION_PREFIX] * self._deviations
        columns: dict[str, type] = {"id": str, "length": int, "label": str, "confidence": float}
        columns |= {prefix + label: float for prefix in prefixes for label in self._classes}
        columns |= {LABEL_SET: str} if self._label_sets else {}
        return columns | {"status": str, "note": str}


def _suffix(path: Path) -> str:
    """Return the suffix that names the format: the one before `.gz`, if that is the last."""
    return path.with_suffix("").suffix.lower() if path.suffix == ".gz" else path.suffix.lower()
