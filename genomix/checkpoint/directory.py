"""What a run directory holds, by name, and what can be said of one from that alone."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

CONFIG, WEIGHTS, META = "config.yaml", "model.safetensors", "meta.json"
SPLITS, HISTORY, METRICS, PREDICTIONS, LOG = "splits.tsv", "history.csv", "metrics.json", "predictions.tsv", "train.log"
CHECKS, HELD_OUT, REPORT = "checks.json", "held_out.tsv", "report.html"
CALIBRATION, REFERENCE = "calibration.json", "reference.safetensors"
BASELINE = "baseline.tsv"
CHECKPOINT, CHECKPOINT_BEFORE, BEGUN = "checkpoint.pt", "checkpoint-before.pt", "begun.json"
FILES = (
    *(CONFIG, WEIGHTS, META, SPLITS, HISTORY, METRICS, PREDICTIONS, LOG),
    *(CHECKS, HELD_OUT, CALIBRATION, REFERENCE, BASELINE, REPORT, CHECKPOINT, CHECKPOINT_BEFORE, BEGUN),
)
MEMBER = re.compile(r"(?:fold|member)-([0-9]+)")
"""Names of the runs in a directory of several."""


def find_members(directory: str | Path) -> list[Path]:
    """Return the run directories in a directory of several (`fold-1`, `member-1` and so on); none in any other.

    Where its meta data name them (`members`), they are these, in this order, whether they are there or not.
    """
    directory = Path(directory)
    if not directory.is_dir() or (directory / WEIGHTS).is_file():
        return []
    if stated := _stated_members(directory / META):
        return [directory / name for name in stated]
    named = ((MEMBER.fullmatch(path.name), path) for path in directory.iterdir() if path.is_dir())
    return [path for _, path in sorted((int(match[1]), path) for match, path in named if match)]


def clear(directory: Path) -> None:
    """Remove what a run, or several, left in a directory; what is not theirs stays."""
    for folder in [*directory.glob("*-*"), directory]:
        if folder == directory or (MEMBER.fullmatch(folder.name) and (folder / CONFIG).is_file()):
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
            if folder != directory:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def end(directory: Path) -> None:
    """Remove what is only needed to go on with a training, once it is complete."""
    for name in (CHECKPOINT, CHECKPOINT_BEFORE):
        (directory / name).unlink(missing_ok=True)


def is_complete(directory: Path) -> bool:
    """Say whether a run directory holds all that a training, or several, leave at their end."""
    if has_more_to_do(directory):
        return False
    members = _stated_members(directory / META)
    models = [directory / name for name in members] if members else [directory]
    return (directory / METRICS).is_file() and all((one / WEIGHTS).is_file() for one in models)


def has_more_to_do(directory: Path) -> bool:
    """Say whether a run directory is of a training, or several, that stopped before its end, or is at work."""
    stated = _read_object(directory / BEGUN).get("complete", True)
    return not stated or any((directory / name).exists() for name in (CHECKPOINT, CHECKPOINT_BEFORE))


def is_model(path: str | Path) -> bool:
    """Say whether a path looks like a model, or several, rather than like sequences."""
    path = Path(path)
    if path.is_dir():
        return (path / CONFIG).is_file() or (path / WEIGHTS).is_file() or bool(find_members(path))
    return path.name in (CONFIG, WEIGHTS, META)


def _stated_members(path: Path) -> list[str]:
    """Return the names of runs that meta data give; none where they give none, or cannot be read."""
    names = _read_object(path).get("members")
    return [name for name in names if MEMBER.fullmatch(str(name))] if isinstance(names, list) else []


def _read_object(path: Path) -> dict[str, Any]:
    """Return what a JSON file states; nothing where it is missing, damaged or something else."""
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}
