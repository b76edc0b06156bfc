"""Input files as the store needs them: readable twice, and known by their content."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from genomix.data.cache import UNFINISHED, cannot_write
from genomix.data.compression import STDIN, display_name
from genomix.errors import DataError, NoInputError

BLOCK = 1 << 20


@dataclass(frozen=True)
class Source:
    """One input file.

    Attributes:
        name: As the user named it.
        path: Where its bytes are; a copy if it was a stream.
        sha256: Of its bytes as they are, compressed or not.
        state: Size and time of change when it was hashed.
    """

    name: str
    path: Path
    sha256: str
    state: tuple[int, int]

    def check_unchanged(self) -> None:
        """Make sure that what was read is what was hashed.

        Raises:
            DataError: Somebody wrote to the file in between.
        """
        try:
            unchanged = _state(self.path) == self.state
        except OSError:
            unchanged = False
        if not unchanged:
            raise DataError(f"{self.name}: changed while it was read; run again when it is written to its end")


@contextmanager
def open_sources(files: Sequence[str], spool_dir: Path) -> Generator[list[Source]]:
    """Hash files, and copy streams (stdin, pipes) into a directory for as long as the block runs.

    Raises:
        NoInputError: A file cannot be read.
        CannotWriteError: A stream cannot be copied.
    """
    with ExitStack() as stack:
        yield [_open_source(file, spool_dir, stack) for file in files]


def _open_source(file: str, spool_dir: Path, stack: ExitStack) -> Source:
    name = display_name(file)
    if file == STDIN:
        return _spool(sys.stdin.buffer, name, spool_dir, stack)
    path = Path(file)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            with path.open("rb") as stream:
                return _spool(stream, name, spool_dir, stack)
        state = _state(path)
        with path.open("rb") as stream:
            return Source(name, path, hashlib.file_digest(stream, "sha256").hexdigest(), state)
    except OSError as error:
        raise NoInputError(f"{name}: cannot be read ({error.strerror}); check the path and its permissions") from None


def _spool(stream: BinaryIO, name: str, spool_dir: Path, stack: ExitStack) -> Source:
    digest = hashlib.sha256()
    try:
        handle, path = tempfile.mkstemp(prefix=f"{UNFINISHED}spool-", dir=spool_dir)
        stack.callback(Path(path).unlink, missing_ok=True)
        with os.fdopen(handle, "wb") as copy:
            while block := stream.read(BLOCK):
                digest.update(block)
                copy.write(block)
    except OSError as error:
        raise cannot_write(spool_dir, error) from None
    return Source(name, Path(path), digest.hexdigest(), _state(Path(path)))


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
