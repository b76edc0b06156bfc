"""Writing a store: records go to disk as they are read, and memory does not grow with the file."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np

from genomix.data.compression import open_input
from genomix.data.records import OnInvalid, ReadReport, Record, read_stream
from genomix.data.sources import Source
from genomix.data.vocabulary import UNKNOWN
from genomix.errors import Problems

VERSION = 1
BASES = "bases.u8"
HEADERS = "headers.bin"
INDEX = "index.npy"
SKIPPED = "skipped.txt"
META = "meta.json"
BUFFER_SIZE = 1 << 20
INDEX_BLOCK = 1 << 14

INDEX_DTYPE = np.dtype(
    [
        ("offset", "<i8"),
        ("length", "<i8"),
        ("header_offset", "<i8"),
        ("header_length", "<i8"),
        ("line", "<i8"),
        ("num_unknown", "<i8"),
        ("file", "<i4"),
    ]
)


def write_store(directory: Path, sources: Sequence[Source], *, on_invalid: OnInvalid, problems: Problems) -> None:
    """Read the sources and write the files of a store into an empty directory; `META` comes last.

    Raises:
        NoInputError: A source is empty.
        DataError: A source is damaged or no sequence file. Bad records are added to `problems`.
        OSError: The directory cannot be written.
    """
    report = ReadReport()
    with _Writer(directory) as writer:
        for number, source in enumerate(sources):
            with open_input(str(source.path), name=source.name) as stream:
                for record in read_stream(stream, source.name, on_invalid=on_invalid, problems=problems, report=report):
                    writer.add(record, number)
            source.check_unchanged()
    np.save(directory / INDEX, writer.index())
    meta = {
        "version": VERSION,
        "sha256": [source.sha256 for source in sources],
        "ids_are_unique": writer.ids_are_unique(),
        "report": {name: value for name, value in asdict(report).items() if name != "files"},
        "sizes": {name: (directory / name).stat().st_size for name in (BASES, HEADERS, INDEX, SKIPPED)},
    }
    (directory / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
    for path in [*directory.iterdir(), directory]:
        sync(path)


class _Writer(ExitStack):
    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._bases = self.enter_context((directory / BASES).open("wb", BUFFER_SIZE))
        self._headers = self.enter_context((directory / HEADERS).open("wb", BUFFER_SIZE))
        self._skipped = self.enter_context((directory / SKIPPED).open("wb"))
        self._num_bases = 0
        self._num_header_bytes = 0
        self._blocks: list[np.ndarray] = []
        self._rows: list[tuple[int, ...]] = []
        self._id_hashes = array("q")

    def add(self, record: Record, file: int) -> None:
        """Write a record, or only note its id if it was skipped."""
        if record.problem:
            self._skipped.write(record.id.encode() + b"\n")
            return
        header = record.header.encode()
        num_unknown = int(np.count_nonzero(record.tokens == UNKNOWN))
        length = len(record.tokens)
        self._rows.append(
            (self._num_bases, length, self._num_header_bytes, len(header), record.line, num_unknown, file)
        )
        self._id_hashes.append(hash(record.id))
        self._bases.write(record.tokens.data)
        self._headers.write(header)
        self._num_bases += length
        self._num_header_bytes += len(header)
        if len(self._rows) == INDEX_BLOCK:
            self._pack()

    def index(self) -> np.ndarray:
        """Return the rows (R,) of what was written."""
        self._pack()
        return np.concatenate(self._blocks)

    def ids_are_unique(self) -> bool:
        """Whether no two ids have the same hash; so rarely wrong that the real ids are then looked at."""
        return len(np.unique(np.frombuffer(self._id_hashes, np.int64))) == len(self._id_hashes)

    def _pack(self) -> None:
        self._blocks.append(np.array(self._rows, dtype=INDEX_DTYPE))
        self._rows.clear()


def sync(path: Path) -> None:
    """Make the disk hold what was written to a file or a directory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
