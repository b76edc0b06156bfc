"""What is said of a division of records, on stderr."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genomix.data.label_table import UNUSED
from genomix.data.labels import LabelledRecords
from genomix.data.splits import SPLIT_NAMES, Splits, measure_nearness

WORDS = {
    "given": "as given",
    "random": "at random",
    "group": "by group",
    "sequence": "by sequence, which stands before the coordinates in the ids",
    "similarity": "by similarity",
}
UNITS = {"similarity": "clusters", "sequence": "sequences"}


def describe_divisions(records: LabelledRecords, divisions: Sequence[Splits], threshold: float) -> list[str]:
    """Return what the records were divided by, how many of each class are where, and how alike the parts are.

    Args:
        records: That were divided.
        divisions: One, or one a fold.
        threshold: The similarity that is looked at, of clusters and in what is said of the parts.
    """
    first = divisions[0]
    how = WORDS[first.kind]
    if first.kind == "similarity":
        how += f" of {threshold:g}" + " or more" * (threshold < 1)
    if first.groups is not None:
        how += f"; {len(set(first.groups)):,} {UNITS.get(first.kind, 'groups')}"
    if first.kind != "given" and len(first.unused):
        how += f"; the given test {'and unused ' * (UNUSED in (records.splits or ()))}records are held out"
    parts: dict[str, np.ndarray] = dict(zip(SPLIT_NAMES, (first.train, first.val, first.test), strict=True))
    if not first.fold and len(first.unused):
        parts[UNUSED] = first.unused
    if first.fold:
        parts = {f"fold {one.fold}": one.test for one in divisions}
        parts |= {"held out": first.unused} if len(first.unused) else {}
    return [
        f"split {how}",
        *_table(records, parts),
        _describe_nearness(measure_nearness(records, divisions), threshold),
    ]


def _table(records: LabelledRecords, parts: dict[str, np.ndarray]) -> list[str]:
    """Return lines of the records of each class in each part, and of all."""
    has_class = records.truth if records.truth.ndim == 2 else np.eye(len(records.classes), dtype=bool)[records.truth]
    counts = np.array([has_class[rows].sum(axis=0) for rows in parts.values()])
    rows = [["", *parts, "all"]]
    for label, row in zip(records.classes, counts.T, strict=True):
        rows.append([label, *map(str, row), str(row.sum())])
    rows.append(["all", *(str(len(members)) for members in parts.values()), str(len(records.labels))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def _describe_nearness(nearest: np.ndarray, threshold: float) -> str:
    """Say how similar held-out records (Q,) are to the most similar training record of each."""
    alike = int(np.sum(nearest >= threshold))
    most = np.floor(1000 * nearest.max()) / 1000  # rounded up it might look like the threshold
    return (
        f"{len(nearest):,} held-out records, each with its most similar training record: similarity "
        f"{np.median(nearest):.3f} in the median, {most:.3f} at most; {alike:,} "
        f"({100 * alike / len(nearest):.1f} %) at or above {threshold:g}"
    )
