"""Tracks: values along sequences, written as a stream to the formats that genome browsers and tables are made of.

A track has one value for each interval (half-open, 0-based, in bp) and none elsewhere. By the suffix of the output:

`.bw`, `.bigWig`    bigWig, one file a track: of several tracks, `scores.bw` becomes `scores.<name>.bw` for each.
`.bedgraph`         bedGraph, one file a track in the same way.
`.bed`              BED6, one row an interval: the name of the highest track, and its value times 1000 within 0 to 1000.
`.tsv`, `.parquet`  One table: `sequence`, `start`, `end`, and a column for each track.

The text formats may end in `.gz`. All hold float32 values, and text has as many digits as tell one float32 from
another, so that every format holds the same numbers. I intervals, T tracks.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from genomix.data.track_sinks import SINKS, TrackSink
from genomix.errors import UsageError
from genomix.files import atomic_path, check_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

TRACK_SUFFIXES = frozenset({".bw", ".bigwig", ".bedgraph", ".bed"})
"""Suffixes of formats that hold tracks and nothing else, in small letters and without `.gz`."""

_ONE_FILE_A_TRACK = frozenset({".bw", ".bigwig", ".bedgraph"})
_COMPRESSIBLE = frozenset({".bedgraph", ".bed", ".tsv"})
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


def is_track_file(path: str | Path) -> bool:
    """Say whether the suffix of a path is that of a format for tracks only."""
    return _split(path)[1] in TRACK_SUFFIXES


def names_highest(path: str | Path) -> bool:
    """Say whether the format of a path has the name of the highest track, and nothing of the others."""
    return _split(path)[1] == ".bed"


def output_paths(path: str | Path, names: Sequence[str]) -> list[Path]:
    """Return the files that tracks of these names are written to.

    Raises:
        UsageError: If the suffix is not that of a format, or two tracks have the same name or would share a file.
    """
    stem, suffix, ending = _split(path)
    if suffix not in SINKS or (ending.endswith(".gz") and suffix not in _COMPRESSIBLE):
        known = ".bw, .bigWig, .bedgraph, .bed, .parquet, .tsv (.bedgraph, .bed and .tsv also with .gz)"
        raise UsageError(f"{path}: the suffix names no format of tracks; use one of {known}")
    if not names:
        raise UsageError(f"{path}: there is no track to write")
    if len(set(names)) < len(names):
        raise UsageError(f"{path}: each track needs a name of its own, got {', '.join(names)}")
    if bad := [name for name in names if set(name) & set("\t\r\n")]:
        raise UsageError(f"{path}: the name {bad[0]!r} has a tab or a line break, which no track can have")
    if len(names) == 1 or suffix not in _ONE_FILE_A_TRACK:
        return [Path(path)]
    taken: dict[str, str] = {}
    for name in names:
        safe = _UNSAFE.sub("_", name)
        if other := taken.get(safe.casefold()):
            raise UsageError(
                f"{path}: the tracks {other!r} and {name!r} would both be written to {stem}.{safe}{ending}; "
                "write .tsv or .parquet, or one of them at a time"
            )
        taken[safe.casefold()] = name
    return [Path(path).with_name(f"{stem}.{_UNSAFE.sub('_', name)}{ending}") for name in names]


def check_track_output(path: str | Path, names: Sequence[str], *, force: bool = False) -> None:
    """Find out, before any work, whether tracks can be written.

    Raises:
        UsageError: As for `output_paths`.
        CannotWriteError: If a file exists (without `force`), is a directory, or has no directory to be in.
    """
    for output in output_paths(path, names):
        check_file(output, force=force)


class TrackWriter:
    """Writes tracks to files that appear whole, under their names, when the `with` block ends well.

    Args:
        path: The output; see the formats above.
        sizes: Length of each sequence in bp, in the order in which they are written.
        names: Of the T tracks.
        force: Replace existing files.

    Raises:
        UsageError, CannotWriteError: As for `check_track_output`.
        DataError: If a sequence is too long for the format, or, as the block ends, there is nothing to write in a
            format that cannot be empty (bigWig).
    """

    def __init__(
        self, path: str | Path, sizes: Mapping[str, int], names: Sequence[str], *, force: bool = False
    ) -> None:
        check_track_output(path, names, force=force)
        self._path = Path(path)
        self._sizes = dict(sizes)
        self._order = {sequence: place for place, sequence in enumerate(self._sizes)}
        self._names = list(names)
        self._last = (0, 0)
        self._resources = ExitStack()
        self._sink: TrackSink

    def __enter__(self) -> Self:
        """Open temporary files beside the output."""
        with self._resources:
            paths = [self._resources.enter_context(atomic_path(path)) for path in output_paths(self._path, self._names)]
            _, suffix, ending = _split(self._path)
            sink = SINKS[suffix](paths, self._sizes, self._names, packed=ending.endswith(".gz"))
            self._sink = self._resources.enter_context(sink)
            self._resources = self._resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Complete the files and give them their names, or remove them after an error."""
        if kind is not None:
            self._resources.__exit__(kind, error, traceback)
            return
        with self._resources:
            self._sink.finish()

    def write(self, sequence: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Add intervals of one sequence, in order of sequence and start, that do not overlap.

        Args:
            sequence: Its name.
            starts: First bases (I,).
            ends: One past the last bases (I,).
            values: Finite (I, T).

        Raises:
            ValueError: If intervals are out of order, empty, overlapping or beyond the sequence, or a value is not
                finite.
        """
        starts, ends = np.asarray(starts, dtype=np.int64), np.asarray(ends, dtype=np.int64)
        values = np.asarray(values, dtype=np.float32)
        if values.shape != (len(starts), len(self._names)) or len(starts) != len(ends):
            raise ValueError(f"{len(starts)} intervals of {len(self._names)} tracks; got values {values.shape}")
        if not len(starts):
            return
        place, end = self._order[sequence], self._last[1] if self._order[sequence] == self._last[0] else 0
        disordered = place < self._last[0] or starts[0] < end or np.any(starts[1:] < ends[:-1])
        if disordered or np.any(starts >= ends) or ends[-1] > self._sizes[sequence]:
            raise ValueError(f"{sequence}: intervals must be in order, disjoint and within {self._sizes[sequence]} bp")
        if not np.isfinite(values).all():
            raise ValueError(f"{sequence}: values must be finite; leave out intervals that have none")
        self._last = (place, int(ends[-1]))
        self._sink.write(sequence, starts, ends, values)


def _split(path: str | Path) -> tuple[str, str, str]:
    """Return the name without its ending, the suffix in small letters without `.gz`, and the ending as it stands."""
    path = Path(path)
    inner = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    ending = path.name[len(inner.stem) :]
    return inner.stem, inner.suffix.lower(), ending
