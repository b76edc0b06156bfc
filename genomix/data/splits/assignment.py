"""Which part each record goes to: class by class for single records, greedily for larger units, which stay whole.

Targets are the class of each record, int64 (R,), or which classes it has, bool (R, C). Everything random comes from the
generator that is given. R records, U units, P parts, C classes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from genomix.data.splits.singles import deal_singles

TOLERANCE = 1e-9
"""Of sums of shares."""


class Memberships(NamedTuple):
    """Pairs of a record and a class it has.

    Attributes:
        rows: Of the records, int64.
        classes: Class indices, int64.
        num_classes: C.
    """

    rows: np.ndarray
    classes: np.ndarray
    num_classes: int


def list_memberships(targets: np.ndarray) -> Memberships:
    """Return the records of each class, of targets (R,) or (R, C)."""
    if targets.ndim == 2:
        rows, classes = np.nonzero(targets)
        return Memberships(rows, classes, targets.shape[1])
    return Memberships(np.arange(len(targets)), targets, int(targets.max(initial=-1)) + 1)


def deal_records(targets: np.ndarray, num_parts: int, rng: np.random.Generator) -> np.ndarray:
    """Give each record one of P parts of equal size (R,), as cards are dealt, one class after the other.

    The parts differ by at most one record, of each class and altogether.
    """
    order = rng.permutation(len(targets))
    order = order[np.argsort(targets[order], kind="stable")]
    parts = np.empty(len(targets), dtype=np.int64)
    parts[order] = np.arange(len(targets)) % num_parts
    return parts


def stratify(targets: np.ndarray, fractions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give each record train, val or test (0, 1, 2), class by class; what rounding leaves goes where it left most.

    Args:
        targets: Class indices (R,).
        fractions: Of train, val and test (3,), the first over 0.
        rng: Draws the order.
    """
    parts = np.zeros(len(targets), dtype=np.int64)
    owed = np.zeros(3)
    for index in range(targets.max(initial=-1) + 1):
        rows = rng.permutation(np.flatnonzero(targets == index))
        ideal = fractions * len(rows)
        counts = np.floor(ideal + 1e-9).astype(np.int64)
        if len(rows) >= np.count_nonzero(fractions):
            counts = np.maximum(counts, fractions > 0)
        else:
            counts = np.array([len(rows) > 0, 0, len(rows) > 1], dtype=np.int64)
        owed += ideal - counts
        while counts.sum() != len(rows):
            step = int(np.sign(len(rows) - counts.sum()))
            part = int(np.argmax(np.where(ideal > counts, owed, -np.inf))) if step > 0 else int(np.argmax(counts))
            counts[part] += step
            owed[part] -= step
        parts[rows] = np.repeat(np.arange(3), counts)
    return parts


def assign_units(
    targets: np.ndarray,
    units: np.ndarray,
    fractions: Sequence[float],
    rng: np.random.Generator,
    *,
    train: int | None = None,
) -> np.ndarray:
    """Give each record the part of its unit (R,), so that the parts have their fractions of each class and of all.

    From the largest unit on, each goes to the part that lacks its records most, as in scikit-learn's
    StratifiedGroupKFold, but for parts of unequal size, and to one that has room for all of it where there is one. The
    last units of a class are kept for the parts that have none of it, the very last for `train`. Units of one record
    are dealt after all others, class by class (see `deal_singles`), but where records have several classes.

    Args:
        targets: Class indices (R,), or which classes each record has (R, C).
        units: The number of each record's unit (R,), from 0 without gaps.
        fractions: The share of each part (P,); a part of share 0 gets nothing. Of parts that lack a unit alike, the
            first gets it.
        rng: Draws the order among units of one size.
        train: The part that must have every class; None where none must.
    """
    having = list_memberships(targets)
    num_classes = having.num_classes
    sizes = np.bincount(units)
    is_placed = (sizes > 1) | (targets.ndim == 2)
    shares, units_left = _shares(having, units, is_placed)
    used = [part for part, fraction in enumerate(fractions) if fraction > 0]
    filled = [[0.0] * (num_classes + 1) for _ in fractions]
    lacking = [set(used) for _ in range(num_classes)]

    def cost(part: int, unit: int) -> float:
        """How much further from its fractions the part would be; each class counts alike, and so do all together."""
        fraction, have = fractions[part], filled[part]
        return sum(share * (share + 2 * (have[column] - fraction)) for column, share in shares[unit]) / fraction

    def has_room(part: int, unit: int) -> bool:
        return all(filled[part][column] + share <= fractions[part] + TOLERANCE for column, share in shares[unit])

    choice = np.zeros(len(sizes), dtype=np.int64)
    shuffled = rng.permutation(np.flatnonzero(is_placed))
    for unit in shuffled[np.argsort(-sizes[shuffled], kind="stable")].tolist():
        own = [column for column, _ in shares[unit][:-1]]
        scarce = [column for column in own if units_left[column] <= len(lacking[column])]
        allowed = sorted(set().union(*(lacking[column] for column in scarce))) or used
        if train is not None and any(train in lacking[column] and units_left[column] == 1 for column in own):
            allowed = [train]
        roomy = [part for part in allowed if has_room(part, unit)]
        part = min(roomy or allowed, key=lambda part: cost(part, unit))
        choice[unit] = part
        for column, share in shares[unit]:
            filled[part][column] += share
        for column in own:
            lacking[column].discard(part)
            units_left[column] -= 1
    parts = choice[units]
    if not is_placed.all():
        deal_singles(targets, parts, ~is_placed[units], fractions, rng, train=train)
    return parts


def number_units(groups: Sequence[Hashable] | np.ndarray) -> np.ndarray:
    """Number what is kept together from 0 (R,); None and the empty string are a unit of one record.

    Numbers from 0 on, as an array (R,), are made to be without gaps.
    """
    if isinstance(groups, np.ndarray):
        return (np.cumsum(np.bincount(groups) > 0) - 1)[groups]
    numbers: dict[Hashable, int] = {}
    keys = [(row,) if group in (None, "") else group for row, group in enumerate(groups)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _shares(
    having: Memberships, units: np.ndarray, is_placed: np.ndarray
) -> tuple[dict[int, list[tuple[int, float]]], list[int]]:
    """Return the shares of each unit that `is_placed`, of its classes and, as class C, of all; and the units by class.

    Args:
        having: The classes of the records.
        units: Of the records (R,).
        is_placed: Which units' shares are wanted, bool (U,).
    """
    num_classes = having.num_classes
    keys, counts = np.unique(units[having.rows] * (num_classes + 1) + having.classes, return_counts=True)
    of_units, classes = np.divmod(keys, num_classes + 1)
    of_class = counts / np.bincount(having.classes, minlength=num_classes)[classes]
    wanted = is_placed[of_units]
    shares: dict[int, list[tuple[int, float]]] = {unit: [] for unit in np.flatnonzero(is_placed).tolist()}
    for unit, column, share in zip(*(array[wanted].tolist() for array in (of_units, classes, of_class)), strict=True):
        shares[unit].append((column, share))
    sizes = np.bincount(units)
    for unit, own in shares.items():
        own.append((num_classes, float(sizes[unit]) / len(units)))
    return shares, np.bincount(classes, minlength=num_classes).tolist()
