"""bigWig, written by pybigtools: it wants all intervals at once, so they are kept on disk until the end.

Format: Kent et al. 2010, "BigWig and BigBed: enabling browsing of large distributed datasets". Positions have 32 bits.
I intervals, T tracks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from genomix.errors import CannotWriteError, DataError

if TYPE_CHECKING:
    from types import TracebackType

LONGEST = 2**32 - 1
AT_ONCE = 1 << 14
"""Intervals held in memory."""


class BigWigSink:
    """One bigWig a track.

    Sequences stand in the order of their names, as the index of the format wants; those without values are left out.

    Args:
        paths: One a track.
        sizes: Length of each sequence in bp.
        names: Of the tracks.
        packed: Not possible; the format is compressed within.

    Raises:
        DataError: If a sequence is too long for the format.
    """

    def __init__(
        self, paths: Sequence[Path], sizes: Mapping[str, int], names: Sequence[str], *, packed: bool = False
    ) -> None:
        del packed
        if long := [name for name, size in sizes.items() if size > LONGEST]:
            raise DataError(f"{long[0]}: bigWig holds sequences of up to {LONGEST:,} bp; write .bedgraph or .parquet")
        self._paths = list(paths)
        self._sizes = sizes
        self._names = list(names)
        self._kind = np.dtype([("start", np.uint32), ("end", np.uint32), ("values", np.float32, (len(names),))])
        self._counts: dict[str, tuple[int, int]] = {}
        self._total = 0

    def __enter__(self) -> Self:
        """Open the file that keeps the intervals."""
        self._folder = tempfile.TemporaryDirectory(dir=self._paths[0].parent, prefix=".bigwig.")
        self._kept = (Path(self._folder.name) / "intervals").open("w+b")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Remove what was kept."""
        self._kept.close()
        self._folder.cleanup()

    def write(self, sequence: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Keep intervals (I,) and their float32 values (I, T)."""
        rows = np.empty(len(starts), self._kind)
        rows["start"], rows["end"], rows["values"] = starts, ends, values
        self._kept.write(rows.tobytes())
        first, count = self._counts.get(sequence, (self._total, 0))
        self._counts[sequence] = (first, count + len(rows))
        self._total += len(rows)

    def finish(self) -> None:
        """Write the files, and read each back: pybigtools does not raise where it fails.

        Raises:
            DataError: If there are no intervals.
            CannotWriteError: If a file does not hold what it should.
        """
        import pybigtools

        library: Any = pybigtools
        if not self._total:
            raise DataError("no base has a value, and a bigWig cannot be empty; write .bedgraph or .tsv")
        self._kept.flush()
        sizes = {sequence: self._sizes[sequence] for sequence in sorted(self._counts, key=str.encode)}
        for track, path in enumerate(self._paths):
            written = Path(self._folder.name) / "track.bw"
            failures: list[BaseException] = []
            library.open(str(written), "w").write(sizes, _noting(self._rows(sizes, track), failures))
            if failures:
                raise failures[0]
            if not self._is_whole(written, sizes, track, library):
                raise CannotWriteError(f"{path}: the bigWig could not be written whole; is the disk full?")
            written.replace(path)

    def _rows(self, sequences: Mapping[str, int], track: int) -> Iterator[tuple[str, int, int, float]]:
        for sequence in sequences:
            for part in self._parts(sequence):
                values = part["values"][:, track].tolist()
                for start, end, value in zip(part["start"].tolist(), part["end"].tolist(), values, strict=True):
                    yield sequence, start, end, value

    def _parts(self, sequence: str) -> Iterator[np.ndarray]:
        first, count = self._counts[sequence]
        for start in range(first, first + count, AT_ONCE):
            num_rows = min(AT_ONCE, first + count - start)
            self._kept.seek(start * self._kind.itemsize)
            yield np.frombuffer(self._kept.read(num_rows * self._kind.itemsize), self._kind)

    def _is_whole(self, path: Path, sequences: Mapping[str, int], track: int, library: Any) -> bool:
        try:
            found = library.open(str(path))
            if found.chroms() != dict(sequences):
                return False
            read = ((sequence, *row) for sequence in sequences for row in found.records(sequence))
            return all(one == other for one, other in zip(read, self._rows(sequences, track), strict=True))
        except Exception:  # noqa: BLE001 - whatever its reader complains of, the file is not what it should be
            return False


def _noting(rows: Iterator[tuple[str, int, int, float]], failures: list[BaseException]) -> Iterator[Any]:
    """Yield rows, and note what goes wrong, which pybigtools does not pass on."""
    try:
        yield from rows
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised again by who asked for the rows
        failures.append(error)
