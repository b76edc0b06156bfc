"""The run that first weights come from: what it has seen of the held-out records, and that it is not replaced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genomix.checkpoint.lineage import find_familiar
from genomix.data.checks import Check
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits
from genomix.errors import UsageError
from genomix.train.init import InitFrom
from genomix.train.measure import held_out_split

NAME = "starting_weights"
FEW = 0.01
"""Share of the held-out records from which on they may move a result by a point of a hundred."""


def check_lineage(init_from: InitFrom | None, records: LabelledRecords, divisions: Sequence[Splits]) -> Check | None:
    """Look for held-out records that the starting weights have learnt from, with their labels.

    Args:
        init_from: Where the weights come from; None for chance.
        records: All labelled records.
        divisions: How they are divided: once, or once a fold.

    Returns:
        None where the weights come from chance, or from a pretraining, which sees no labels.

    Raises:
        DataError, NoInputError: If what the run says of its records is damaged.
    """
    if init_from is None or init_from.kind != "classifier":
        return None
    rows = np.unique(np.concatenate([held_out_split(splits)[1] for splits in divisions]))
    used, alike = find_familiar([Path(init_from.path)], records.store, records.indices[rows])
    num_used, num_alike, total = int(used.sum()), int(alike.sum()), len(rows)
    figures = {"num_used": num_used, "num_alike": num_alike, "num_held_out": total}
    run = init_from.path
    if not num_used + num_alike:
        return Check(NAME, "PASS", f"No held-out record was learnt from by {run}, where the weights start.", figures)
    known = (num_used, "were used in its training"), (num_alike, "are nearly the same as some that were")
    found = " and ".join(f"{count:,} {what}" for count, what in known if count)
    sentence = (
        f"Of {total:,} held-out records {found}, with their labels, by {run}, where the weights start: what is "
        "measured on them is memory. Train both with the same division (the splits.tsv of the first), or start from a "
        "pretrained run."
    )
    return Check(NAME, "FAIL" if num_used + num_alike >= FEW * total else "WARN", sentence, figures)


def check_apart(path: str, directory: Path) -> None:
    """Check that a training does not replace the run that it is to start from.

    Raises:
        UsageError: If the run is, or lies in, the run directory.
    """
    if directory.resolve() in (Path(path).resolve(), *Path(path).resolve().parents):
        where = "is" if directory.resolve() == Path(path).resolve() else "lies in"
        raise UsageError(
            f"--init-from {path}: {where} the directory that the training would be written to ({directory}); name "
            "another (--out)"
        )
