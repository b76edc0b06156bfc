"""Files and directories that are written: whole or not at all, over nothing of the user's, by one process at a time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from genomix.errors import CannotWriteError


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Generator[Path]:
    """Give a temporary path beside `path`; when the block ends well, sync it and move it to its final name.

    Whoever looks sees the old file or the whole new one. If the block raises, the temporary file is removed.

    Raises:
        CannotWriteError: If the directory is missing, full or not writable.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
    except OSError as error:
        raise CannotWriteError(f"{path}: cannot write here ({error.strerror}); choose another place") from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.umask(mask := os.umask(0))  # there is no other way to read it
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CannotWriteError(f"{path}: cannot write ({error.strerror or error}); nothing was replaced") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_file(path: Path, *, force: bool) -> None:
    """Find out, before any work, whether a file can be written.

    Raises:
        CannotWriteError: If it exists (without `force`), is a directory, or has no directory to be in.
    """
    if path.is_dir():
        raise CannotWriteError(f"{path}: is a directory; name a file")
    if path.exists() and not force:
        raise CannotWriteError(f"{path}: exists; use --force to replace it")
    if not path.parent.is_dir():
        raise CannotWriteError(f"{path}: there is no directory {path.parent}; make it first (mkdir -p {path.parent})")


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_new_directory(path: Path, *, force: bool) -> None:
    """Raise what `new_directory` would of a path that holds something, and make nothing: before any computing."""
    try:
        if path.exists() and not path.is_dir():
            raise CannotWriteError(f"{path}: is a file; name a directory that does not exist yet")
        if path.is_dir() and any(path.iterdir()) and not force:
            raise CannotWriteError(f"{path}: exists and is not empty; name another directory, or --force to replace it")
    except OSError as error:
        raise CannotWriteError(f"{path}: cannot read this directory ({error.strerror})") from error


def new_directory(path: str | Path, *, force: bool) -> Path:
    """Make a directory for results; one that holds anything already is only accepted with `force`, and left as it is.

    Raises:
        CannotWriteError: If it exists and holds files (without `force`), is a file, or cannot be made.
    """
    path = Path(path)
    check_new_directory(path, force=force)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise CannotWriteError(f"{path}: cannot make or write this directory ({error.strerror})") from error
    return path


@contextlib.contextmanager
def locked(directory: Path) -> Generator[None]:
    """Keep other processes from writing into a directory as long as the block takes.

    The lock goes with the process, however it ends. Where the file system has no locks there is none.

    Raises:
        CannotWriteError: If another process writes there.
    """
    import fcntl

    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotWriteError(
                f"{directory}: another process is writing there; wait for it, or end it, and try again"
            ) from error
        except OSError:
            pass
        yield
    finally:
        os.close(handle)


def hash_file(path: str | Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with Path(path).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
