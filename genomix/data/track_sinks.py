"""The formats of tracks, one class each: they take intervals in order and complete the files at the end.

I intervals, T tracks.
"""

from __future__ import annotations

import gzip
import io
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, TextIO

import numpy as np

from genomix.data.bigwig import BigWigSink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

PARQUET_GROUP_ROWS = 1 << 16
HIGHEST_SCORE = 1000


class TrackSink(Protocol):
    """One format, being written: a context manager that frees what it holds, however it ends."""

    def __init__(
        self, paths: Sequence[Path], sizes: Mapping[str, int], names: Sequence[str], *, packed: bool = False
    ) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def write(self, sequence: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Add intervals (I,) and their float32 values (I, T)."""
        ...

    def finish(self) -> None:
        """Complete the files."""
        ...


class _FileSink(ABC):
    """Holds open files; one for each path."""

    def __init__(
        self, paths: Sequence[Path], sizes: Mapping[str, int], names: Sequence[str], *, packed: bool = False
    ) -> None:
        del sizes
        self._paths = list(paths)
        self._names = list(names)
        self._packed = packed
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        with self._resources:
            self._open()
            self._resources = self._resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self._resources.__exit__(kind, error, traceback)

    @abstractmethod
    def _open(self) -> None: ...

    def finish(self) -> None:
        self._resources.close()


class _TextSink(_FileSink):
    header: ClassVar[bool] = False

    def _open(self) -> None:
        self._texts = [self._open_text(path) for path in self._paths]

    def _open_text(self, path: Path) -> TextIO:
        if not self._packed:
            return self._resources.enter_context(path.open("w", encoding="utf-8", newline=""))
        raw = self._resources.enter_context(path.open("wb"))
        packed = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0)
        return self._resources.enter_context(io.TextIOWrapper(packed, encoding="utf-8", newline=""))


class TableSink(_TextSink):
    """One table separated by tabs."""

    def _open(self) -> None:
        super()._open()
        self._texts[0].write("\t".join(["sequence", "start", "end", *self._names]) + "\n")

    def write(self, sequence: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Add rows."""
        rows = zip(starts.tolist(), ends.tolist(), _digits(values), strict=True)
        self._texts[0].writelines("\t".join((sequence, str(start), str(end), *row)) + "\n" for start, end, row in rows)


class BedGraphSink(_TextSink):
    """One file a track: sequence, start, end, value."""

    def write(self, sequence: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Add rows."""
        firsts, lasts = starts.tolist(), ends.tolist()
        for text, column in zip(self._texts, _digits(values).T, strict=True):
            text.writelines(
                f"{sequence}\t{start}\t{end}\t{value}\n"
                for start, end, value in zip(firsts, lasts, column, strict=True)
            )


class BedSink(_TextSink):
    """BED6: the highest track's name and value."""

    def write(self, sequence: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Add rows."""
        highest = values.argmax(axis=1)
        scores = np.clip(np.rint(values.max(axis=1) * float(HIGHEST_SCORE)), 0, HIGHEST_SCORE).astype(np.int64)
        rows = zip(starts.tolist(), ends.tolist(), highest.tolist(), scores.tolist(), strict=True)
        self._texts[0].writelines(
            f"{sequence}\t{start}\t{end}\t{self._names[best]}\t{score}\t.\n" for start, end, best, score in rows
        )


class ParquetSink(_FileSink):
    """One table; row groups have the same rows however the intervals came."""

    def _open(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        columns = [("sequence", pa.string()), ("start", pa.int64()), ("end", pa.int64())]
        self._schema = pa.schema([*columns, *((name, pa.float32()) for name in self._names)])
        self._pending = self._schema.empty_table()
        self._writer = self._resources.enter_context(
            parquet.ParquetWriter(self._paths[0], self._schema, compression="zstd")
        )

    def write(self, sequence: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Add rows."""
        import pyarrow as pa

        arrays = [pa.array([sequence] * len(starts), pa.string()), pa.array(starts), pa.array(ends)]
        arrays += [pa.array(np.ascontiguousarray(column)) for column in values.T]
        self._pending = pa.concat_tables([self._pending, pa.Table.from_arrays(arrays, schema=self._schema)])
        while len(self._pending) >= PARQUET_GROUP_ROWS:
            self._writer.write_table(self._pending.slice(0, PARQUET_GROUP_ROWS).combine_chunks())
            self._pending = self._pending.slice(PARQUET_GROUP_ROWS)

    def finish(self) -> None:
        """Write what is left."""
        if len(self._pending):
            self._writer.write_table(self._pending.combine_chunks())
        super().finish()


def _digits(values: np.ndarray) -> np.ndarray:
    """Return float32 values as text, each the shortest that reads back as the same float32."""
    return values.astype(str)


SINKS: dict[str, type[TrackSink]] = {
    ".bw": BigWigSink,
    ".bigwig": BigWigSink,
    ".bedgraph": BedGraphSink,
    ".bed": BedSink,
    ".tsv": TableSink,
    ".parquet": ParquetSink,
}
