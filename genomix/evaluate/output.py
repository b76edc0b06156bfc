"""What an evaluation leaves in a directory; nothing is replaced but what an evaluation wrote there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from genomix import checkpoint
from genomix.data.predictions import PredictionWriter
from genomix.data.splits import Splits, write_splits
from genomix.data.splits.parts import no_rows
from genomix.errors import CannotWriteError
from genomix.evaluate.evaluation import Evaluated
from genomix.files import new_directory, write_text

WRITTEN = (checkpoint.METRICS, checkpoint.PREDICTIONS, checkpoint.SPLITS, checkpoint.REPORT)


def check_replaceable(directory: Path, read: Iterable[str] = ()) -> None:
    """Check that an evaluation may write into a directory, or replace what is there.

    Args:
        directory: Where the results are to go.
        read: Files and directories that are read meanwhile.

    Raises:
        CannotWriteError: If it holds a model, or something that is read, or files that no evaluation wrote.
    """
    if checkpoint.is_model(directory) or (directory / checkpoint.META).is_file():
        raise CannotWriteError(f"{directory}: holds a model, which results would spoil; name another directory")
    here = directory.resolve()
    for path in map(Path, read):
        if here in (path.resolve(), path.resolve().parent, path.parent.resolve()):
            raise CannotWriteError(f"{directory}: holds {path}, which is read; name another directory")
    found = [name for name in WRITTEN if (directory / name).exists()]
    if found and not _is_evaluation(directory):
        raise CannotWriteError(
            f"{directory}: holds {', '.join(found)}, not written by genomix evaluate; name another directory"
        )


def write_evaluation(directory: Path, evaluated: Evaluated, stated: dict[str, Any], *, force: bool) -> None:
    """Write `metrics.json` (with what is stated beside what was found) into a new directory; of a model also
    `predictions.tsv` and, with the right labels, `splits.tsv`.

    Raises:
        CannotWriteError: If the directory holds something already (without `force`), or what no evaluation wrote, or
            cannot be written.
    """
    check_replaceable(directory)
    new_directory(directory, force=force)
    content = stated | evaluated.to_dict()
    rows = evaluated.rows
    if rows:
        with PredictionWriter(
            directory / checkpoint.PREDICTIONS,
            evaluated.metrics.classes,
            force=force,
            deviations=any(row.deviations is not None for row in rows),
            label_sets=any(row.label_set is not None for row in rows),
        ) as writer:
            writer.write(rows)
        test = Splits(no_rows(), no_rows(), np.arange(len(rows)))
        write_splits(directory / checkpoint.SPLITS, [row.id for row in rows], evaluated.labels, test)
    else:
        for name in (checkpoint.PREDICTIONS, checkpoint.SPLITS):
            (directory / name).unlink(missing_ok=True)
    write_text(directory / checkpoint.METRICS, json.dumps(content, indent=2) + "\n")


def _is_evaluation(directory: Path) -> bool:
    """Say whether the metrics in a directory are those of an evaluation, which say what was evaluated."""
    try:
        stated = json.loads((directory / checkpoint.METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(stated, dict) and bool({"sequences", "predictions"} & stated.keys())
