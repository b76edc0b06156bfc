"""Whether the process of a trial still lives, seen from any machine that shares the directory."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Generator
from pathlib import Path

ALIVE = "alive"
BEAT_S = 10.0
SILENT_S = 180.0
"""After so long without a beat a process on another machine is taken for dead."""


def claim(directory: Path) -> None:
    """Write down that this process works in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / ALIVE).write_text(f"{socket.gethostname()} {os.getpid()}\n", encoding="utf-8")


@contextlib.contextmanager
def beating(directory: Path) -> Generator[None]:
    """Show, as long as the block takes, that the process that claimed a directory lives; the claim ends with it."""
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(directory / ALIVE, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        (directory / ALIVE).unlink(missing_ok=True)


def is_deserted(directory: Path) -> bool:
    """Say whether nobody works in a directory any more.

    A process of this machine is asked for by its number. One that may live must have shown so within `SILENT_S`; both
    times are those of the file system, as the clocks of machines differ.
    """
    try:
        host, number = (directory / ALIVE).read_text(encoding="utf-8").split()
        last = (directory / ALIVE).stat().st_mtime
    except (OSError, ValueError):
        return True
    if host == socket.gethostname() and not _lives(int(number)):
        return True
    clock = directory / f".clock-{socket.gethostname()}-{os.getpid()}"
    clock.touch()
    now = clock.stat().st_mtime
    clock.unlink(missing_ok=True)
    return now - last > SILENT_S


def last_sign(directory: Path, *names: str) -> float | None:
    """Return when the process that claimed a directory last beat, or wrote one of these files in it; None if never.

    In seconds since 1970, by the clock of the file system.
    """
    moments = list[float]()
    for name in (ALIVE, *names):
        with contextlib.suppress(OSError):
            moments.append((directory / name).stat().st_mtime)
    return max(moments, default=None)


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        with contextlib.suppress(OSError):
            path.touch()


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
