"""Where what is made once and used again is kept."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from genomix.errors import CannotWriteError

VARIABLE = "GENOMIX_CACHE"
UNFINISHED = ".unfinished-"

_DAY_S = 24 * 3600


def default_cache_dir() -> Path:
    """Return `$GENOMIX_CACHE`, else `$XDG_CACHE_HOME/genomix`, else `~/.cache/genomix`."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else _home() / ".cache").absolute() / "genomix"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # neither $HOME nor an entry for this user, as in some containers
        return Path("/nonexistent")


def usable_cache_dir(chosen: Path | None, log: Callable[[str], None]) -> Path:
    """Return a cache directory that exists and can be written.

    Args:
        chosen: The user's choice; without one, and without `$GENOMIX_CACHE`, a temporary directory is the way out where
            the home directory cannot be written, as on some clusters.
        log: Told about that way out.

    Raises:
        CannotWriteError: The directory that the user chose cannot be written.
    """
    directory = chosen or default_cache_dir()
    try:
        _prepare(directory)
    except OSError as error:
        if chosen or os.environ.get(VARIABLE):
            raise cannot_write(directory, error) from None
        fallback = _temporary_cache_dir()
        log(
            f"{directory}: cannot be written ({error.strerror}); encoded sequences are kept in {fallback} instead,"
            f" set {VARIABLE} to choose another place"
        )
        return fallback
    return directory


def cannot_write(directory: Path, error: OSError) -> CannotWriteError:
    """Return the error that says why the cache failed, and the mend."""
    return CannotWriteError(
        f"{directory}: cannot write encoded sequences here ({error.strerror}); set {VARIABLE} to a directory with space"
    )


def remove_leftovers(directory: Path) -> None:
    """Remove what builds that crashed more than a day ago left behind."""
    for leftover in directory.glob(f"{UNFINISHED}*"):
        with suppress(OSError):  # another job may be cleaning, too
            parts = [leftover, *leftover.iterdir()] if leftover.is_dir() else [leftover]
            if time.time() - max(part.stat().st_mtime for part in parts) > _DAY_S:
                remove(leftover)


def remove(path: Path) -> None:
    """Remove a file or a directory with all it holds, whether or not it is still there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _prepare(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory):
        pass


def _temporary_cache_dir() -> Path:
    directory = Path(tempfile.gettempdir()) / f"genomix-{os.getuid()}"
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():  # somebody else's trap
        return Path(tempfile.mkdtemp(prefix="genomix-"))
    return directory
