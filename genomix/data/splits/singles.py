"""Which part each record that is kept together with no other goes to: dealt class by class, whatever is placed already.

R records, S single ones, P parts, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ROUNDING = 1e-9


def deal_singles(
    targets: np.ndarray,
    parts: np.ndarray,
    is_single: np.ndarray,
    fractions: Sequence[float],
    rng: np.random.Generator,
    *,
    train: int | None = None,
) -> None:
    """Give each single record a part, so that with the others the parts have their fractions of each class.

    Of each class, a part gets what it lacks, to within one record; where others hold too much of it, the rest of the
    parts get the singles by their fractions. What rounding leaves goes to the part that lacks most records altogether.
    A part that has none of a class gets at least one of its singles; where they are too few, `train` does first, then
    the parts of larger fractions, and of like ones those that lack most, or else stand first.

    Args:
        targets: Class indices (R,).
        parts: The part of each record (R,); those of the single ones are written.
        is_single: Which records are to be dealt (R,).
        fractions: The share of each part (P,); a part of share 0 gets nothing.
        rng: Draws the order.
        train: The part that must have every class; None where none must.
    """
    used = np.flatnonzero(np.asarray(fractions) > 0)
    shares = np.asarray(fractions, dtype=float)[used]
    num_classes = int(targets.max(initial=-1)) + 1
    rows = rng.permutation(np.flatnonzero(is_single))
    rows = rows[np.argsort(targets[rows], kind="stable")]
    num_singles = np.bincount(targets[rows], minlength=num_classes)
    filled = np.zeros((num_classes, len(fractions)), dtype=np.int64)
    np.add.at(filled, (targets[~is_single], parts[~is_single]), 1)
    filled = filled[:, used]
    ideal = _level(filled, num_singles, shares)
    owed = shares * len(targets) - filled.sum(axis=0) - ideal.sum(axis=0)
    counts = np.zeros_like(filled)
    for index in np.flatnonzero(num_singles).tolist():
        least = _least(filled[index], int(num_singles[index]), shares, owed + ideal[index], used == train)
        counts[index] = _round(ideal[index], least, int(num_singles[index]), owed)
    parts[rows] = np.repeat(np.tile(used, num_classes), counts.ravel())


def _level(filled: np.ndarray, num_singles: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return how many singles each part should get, float (C, P): those that have least for their share are filled up.

    Args:
        filled: What each part has of each class (C, P).
        num_singles: Of each class (C,).
        shares: Of each part (P,), over 0.
    """
    order = np.argsort(filled / shares, axis=1)
    above = np.cumsum(np.take_along_axis(filled, order, axis=1), axis=1) + num_singles[:, None]
    levels = np.min(above / np.cumsum(shares[order], axis=1), axis=1)
    return np.maximum(shares * levels[:, None] - filled, 0.0)


def _least(filled: np.ndarray, num: int, shares: np.ndarray, owed: np.ndarray, is_train: np.ndarray) -> np.ndarray:
    """Return which parts must get one of the singles of a class (P,), as 0 or 1."""
    order = np.lexsort((np.arange(len(shares)), -np.round(owed, 6), -shares, ~is_train))
    lacking = order[filled[order] == 0]
    least = np.zeros(len(shares), dtype=np.int64)
    least[lacking[:num]] = 1
    return least


def _round(ideal: np.ndarray, least: np.ndarray, num: int, owed: np.ndarray) -> np.ndarray:
    """Return whole numbers near the ideal that sum to `num` (P,), and add what each part lacks of it to `owed`."""
    counts = np.maximum(np.floor(ideal + ROUNDING).astype(np.int64), least)
    owed += ideal - counts
    while counts.sum() != num:
        if counts.sum() < num:
            part, step = int(np.argmax(np.where(ideal > counts, owed, -np.inf))), 1
        else:
            part, step = int(np.argmax(np.where(counts > least, counts - ideal, -np.inf))), -1
        counts[part] += step
        owed[part] -= step
    return counts
