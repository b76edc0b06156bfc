"""The cells of a predictions table that was read: each is checked, and becomes what it stands for.

C classes. What cannot be read is a ValueError, which says what was found and how to mend it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from genomix.data.label_sets import join_names, split_labels
from genomix.data.levels import SEPARATOR as LEVEL_SEPARATOR
from genomix.data.predictions import LABEL_SET, PROBABILITY_PREFIX, SKIPPED, label_separator
from genomix.metrics.multilabel import THRESHOLD

SUM_TOLERANCE = 0.01
RANGE_TOLERANCE = 1e-6
UNKNOWN_LENGTH = -1


def parse_probabilities(cells: list[Any], *, multi_label: bool) -> np.ndarray | None:
    """Return the probabilities (C,) of a row, rescaled to sum to 1 unless `multi_label`; None if all are empty.

    Raises:
        ValueError: One is no number from 0 to 1, some are missing, or they sum to something else by more than 0.01.
    """
    try:
        row = np.array([math.nan if cell == "" else float(cell) for cell in cells])
    except ValueError as error:
        raise ValueError(f"a probability is not a number ({error}); write a decimal number") from error
    if np.all(np.isnan(row)):
        return None
    if not np.all((row >= -RANGE_TOLERANCE) & (row <= 1 + RANGE_TOLERANCE)):
        shown = ", ".join(map(str, cells))
        raise ValueError(f"probabilities must be from 0 to 1, all or none of a row; found {shown}")
    row = row.clip(0, 1)
    if multi_label:
        return row
    if abs(row.sum() - 1) > SUM_TOLERANCE:
        raise ValueError(
            f"probabilities must sum to 1 within {SUM_TOLERANCE}; found {row.sum():.6g}; normalise the row, or say "
            "--multi-label if records may have several labels"
        )
    return row / row.sum()


def parse_confidence(cell: Any) -> float | None:
    """Return the probability of the label of a row; None where the table does not say it.

    Raises:
        ValueError: It is no number from 0 to 1.
    """
    if cell == "":
        return None
    try:
        confidence = float(cell)
    except ValueError:
        confidence = math.nan
    if not -RANGE_TOLERANCE <= confidence <= 1 + RANGE_TOLERANCE:
        raise ValueError(
            f"the confidence {cell!r} is no number from 0 to 1: it is the probability of the label; mend it, or leave "
            "out the column"
        )
    return min(max(confidence, 0.0), 1.0)


def find_confidence(row: np.ndarray, label: str | None, classes: list[str], *, multi_label: bool) -> float:
    """Return how probable the label of a row (C,) is: of several labels, the least certain decision.

    A label that was cut off is as probable as all classes that it is the beginning of.
    """
    if multi_label:
        return float(np.maximum(row, 1 - row).min())
    if label is None or label in classes:
        return float(row.max())
    return float(row[[name.startswith(label + LEVEL_SEPARATOR) for name in classes]].sum())


def parse_length(cell: Any) -> int:
    """Return a length in bp; -1 where there is none.

    Raises:
        ValueError: It is not a whole number.
    """
    if cell == "":
        return UNKNOWN_LENGTH
    if not str(cell).isdecimal():
        raise ValueError(f"the length {cell!r} is not a whole number of bp; mend or leave out the column length")
    return int(cell)


def parse_statuses(cell: str, *, is_skipped: bool) -> tuple[str, ...]:
    """Return the statuses of a row, one at least.

    Raises:
        ValueError: `skipped` is there beside probabilities, or something else without.
    """
    statuses = tuple(filter(None, cell.split(";")))
    if is_skipped == (SKIPPED in statuses):
        return statuses or ("ok",)
    if statuses:
        raise ValueError(f"the status is {cell!r} but there are {'no ' * is_skipped}probabilities; mend one of them")
    return (SKIPPED,)


def parse_labels(cell: str, row: np.ndarray, classes: list[str]) -> str:
    """Return the labels of a row as written, in the order of the classes; else those that are likely enough.

    Raises:
        ValueError: One of them is no class.
    """
    stated = set(split_labels(cell)) if cell else {name for name, p in zip(classes, row, strict=True) if p >= THRESHOLD}
    if unknown := sorted(stated - set(classes)):
        raise ValueError(f"the label {unknown[0]!r} has no column {PROBABILITY_PREFIX}{unknown[0]}; add it or mend it")
    return join_names([name for name in classes if name in stated])


def parse_cut_label(cell: str, classes: list[str]) -> str:
    """Return a label that was cut off, as written.

    Raises:
        ValueError: It is not the beginning of any class.
    """
    if not any(label.startswith(cell + LEVEL_SEPARATOR) for label in classes):
        raise ValueError(f"the label {cell!r} is not the beginning of any class; mend the label or the status")
    return cell


def parse_label(cell: str, row: np.ndarray, classes: list[str]) -> str:
    """Return the label of a row as written, as two probabilities may be equal in print; else that of the highest.

    Raises:
        ValueError: It is no class.
    """
    if cell and cell not in classes:
        raise ValueError(f"the label {cell!r} has no column {PROBABILITY_PREFIX}{cell}; add it or mend the label")
    return cell or classes[int(row.argmax())]


def parse_label_set(cell: str, classes: list[str]) -> tuple[str, ...]:
    """Return the classes of a cell; as a class may hold the separator, each is read as far as there is such a class.

    Raises:
        ValueError: Something in it is no class.
    """
    separator = label_separator(classes)
    pieces = cell.split(separator) if cell else []
    found: list[str] = []
    while pieces:
        ends = (end for end in range(len(pieces), 0, -1) if separator.join(pieces[:end]) in classes)
        end = next(ends, 0)
        if not end:
            raise ValueError(
                f"the {LABEL_SET} {cell!r} has a label without a column {PROBABILITY_PREFIX}<label>; mend it"
            )
        found.append(separator.join(pieces[:end]))
        pieces = pieces[end:]
    return tuple(found)
