"""What stays beside finished tracks that were to be resumed if need be: what they were made of, and their sums.

A job that is queued again after its end finds by it that nothing is left to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from genomix.files import hash_file, write_text
from genomix.tracks.journal import differences

SUFFIX = ".complete.json"


def note_path(output: Path) -> Path:
    """Return the file beside an output that says that it is complete."""
    return output.with_name(output.name + SUFFIX)


def note_complete(output: Path, files: Sequence[Path], origin: Mapping[str, str]) -> None:
    """Note of which tracks these files hold all.

    Raises:
        CannotWriteError: If it cannot be written.
    """
    content = {"origin": dict(origin), "files": {file.name: hash_file(file) for file in files}}
    write_text(note_path(output), json.dumps(content, indent=2) + "\n")


def is_complete(output: Path, files: Sequence[Path], origin: Mapping[str, str]) -> bool:
    """Say whether the files of an output are those that were noted, and hold the tracks of this origin."""
    try:
        stated = json.loads(note_path(output).read_text(encoding="utf-8"))
        found, sums = dict(stated["origin"]), dict(stated["files"])
    except (OSError, ValueError, TypeError, KeyError):
        return False
    if differences(found, origin) or set(sums) != {file.name for file in files}:
        return False
    return all(file.is_file() and hash_file(file) == sums[file.name] for file in files)
