"""What is finished of unfinished tracks: a directory beside the output with the scores of windows, unit after unit.

`origin.json` says what the scores depend on. `windows.bin` is appended to: each unit is a header (rows, their CRC-32)
and its rows; what follows the last whole unit is cut off, as a kill may leave it. `written` is there from the moment
when all units are: outputs that appear after that are this journal's own.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genomix.data.cache import remove
from genomix.errors import CannotWriteError, UsageError
from genomix.files import new_directory, write_text

SUFFIX = ".partial"
SCORED, N_RICH, TOO_SHORT = 0, 1, 2
_HEADER = struct.Struct("<QI")
_MACHINE = "machine"


def row_type(num_tracks: int) -> np.dtype:
    """Return the type of a window's row: place of its sequence, start, end, what became of it, and T scores."""
    return np.dtype(
        [
            ("sequence", np.uint32),
            ("start", np.int64),
            ("end", np.int64),
            ("state", np.uint8),
            ("scores", np.float32, (num_tracks,)),
        ]
    )


@dataclass
class TrackJournal:
    """Keeps the scores of windows.

    Attributes:
        output: Where the tracks go.
        kind: Of the rows; see `row_type`.
    """

    output: Path
    kind: np.dtype

    @property
    def directory(self) -> Path:
        """Where it is."""
        return self.output.with_name(self.output.name + SUFFIX)

    @property
    def is_written(self) -> bool:
        """Whether all units are there, so that outputs may be."""
        return (self.directory / "written").is_file()

    @property
    def _windows(self) -> Path:
        return self.directory / "windows.bin"

    def open(self, origin: dict[str, str], *, resume: bool, force: bool) -> tuple[int, bool]:
        """Make the directory, or go on with the one that is there.

        Args:
            origin: What the scores depend on, by name.
            resume: Go on with what is there.
            force: Remove what is there if it is not to be resumed, or cannot be.

        Returns:
            How many units are there, and whether they were computed on such a machine.

        Raises:
            CannotWriteError: If there are unfinished tracks, and neither is asked for; or no place for any.
            UsageError: If what is there does not belong to these tracks; what differs is named.
        """
        try:
            found = self._read_origin()
            if found is not None and not resume and not force:
                raise CannotWriteError(
                    f"{self.directory}: holds unfinished tracks; go on with them by --resume, or begin again by --force"
                )
            differing = [] if found is None else differences(found, origin)
            if differing and resume and not force:
                raise UsageError(
                    f"{self.directory}: cannot resume, it was begun by another command:\n"
                    + "\n".join(differing)
                    + f"\nrepeat that command, or start afresh by --force, which removes {self.directory}"
                )
            if found is None or differing or not resume:
                self._start(origin)
                return 0, True
            return self._cut(), found.get(_MACHINE) == origin.get(_MACHINE)
        except OSError as error:
            raise CannotWriteError(f"{self.directory}: cannot be read or written ({error.strerror})") from error

    def append(self, rows: np.ndarray) -> None:
        """Add one unit, so that it is there even if the machine stops in the next moment.

        Raises:
            CannotWriteError: If there is no room.
        """
        data = rows.tobytes()
        try:
            with self._windows.open("ab") as file:
                file.write(_HEADER.pack(len(rows), zlib.crc32(data)) + data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CannotWriteError(f"{self._windows}: cannot write ({error.strerror}); --resume goes on") from error

    def units(self) -> Iterator[np.ndarray]:
        """Yield the rows of each whole unit, in order."""
        left = self._windows.stat().st_size
        with self._windows.open("rb") as file:
            while left >= _HEADER.size:
                num_rows, checksum = _HEADER.unpack(file.read(_HEADER.size))
                left -= _HEADER.size + num_rows * self.kind.itemsize
                if left < 0:
                    return
                data = file.read(num_rows * self.kind.itemsize)
                if zlib.crc32(data) != checksum:
                    return
                yield np.frombuffer(data, self.kind)

    def mark_written(self) -> None:
        """Note that all units are there."""
        write_text(self.directory / "written", "")

    def close(self) -> None:
        """Remove it."""
        remove(self.directory)

    def close_if_of(self, origin: dict[str, str]) -> None:
        """Remove it if it was made of this."""
        found = self._read_origin()
        if found is not None and not differences(found, origin):
            self.close()

    def _start(self, origin: dict[str, str]) -> None:
        """Make the directory anew."""
        others = {"origin.json", "windows.bin", "written"}
        names = [entry.name for entry in self.directory.iterdir()] if self.directory.is_dir() else []
        if foreign := [name for name in names if name not in others and not name.startswith(".")]:
            raise CannotWriteError(f"{self.directory}: holds {foreign[0]}, which is not of tracks; move it away")
        remove(self.directory)
        new_directory(self.directory, force=True)
        write_text(self.directory / "origin.json", json.dumps(origin, indent=2) + "\n")
        self._windows.touch()

    def _read_origin(self) -> dict[str, str] | None:
        try:
            return dict(json.loads((self.directory / "origin.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError):
            return {}

    def _cut(self) -> int:
        """Cut off what follows the last whole unit, and return how many there are."""
        self._windows.touch()
        num_units = num_bytes = 0
        for rows in self.units():
            num_units += 1
            num_bytes += _HEADER.size + rows.nbytes
        with self._windows.open("r+b") as file:
            file.truncate(num_bytes)
        return num_units


def differences(found: Mapping[str, str], origin: Mapping[str, str]) -> list[str]:
    """Return in what the origin of some tracks is not that of others, a line each; the machine may be another."""
    return [
        f"{name}: {_short(found.get(name))} there, {_short(origin.get(name))} here"
        for name in dict.fromkeys([*origin, *found])
        if name != _MACHINE and found.get(name) != origin.get(name)
    ]


def _short(value: object) -> str:
    """Shorten a sha256."""
    text = "nothing" if value is None else str(value)
    return text[:12] if len(text) == 64 else text
