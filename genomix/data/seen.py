"""A small memory of the training records, by which near-duplicates of them are told.

Shapes: H hashes, R records, Q records that are asked about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genomix.data.store import Store

NEAR_DUPLICATE = 0.9
MOST_HASHES = 125_000
"""A quarter of the most there may be: records so short that they would get few get up to four times as many."""
FEWEST_HASHES = 10
"""Of a record below which its similarity to another says nothing."""


class Seen(NamedTuple):
    """A sketch of the training records, as numbers only; see `genomix.data.sketches`.

    Attributes:
        k: Length of the k-mers in bp.
        fraction: The share of them that is kept.
        hashes: Uint64 (H,), at most 500,000.
        starts: Int64 (R + 1,), where each record's hashes begin, then H.
    """

    k: int
    fraction: float
    hashes: np.ndarray
    starts: np.ndarray


def remember(store: Store, rows: np.ndarray) -> Seen | None:
    """Sketch training records; None where there are so many that too little would be kept of each."""
    from genomix.data.similarity import sketch

    sketches = sketch(store, rows, most_hashes=MOST_HASHES)
    if not len(rows) or np.median(sketches.sizes) < FEWEST_HASHES:
        return None
    return Seen(sketches.k, sketches.fraction, sketches.hashes, sketches.starts)


class Likeness(NamedTuple):
    """How records stand to training records.

    Attributes:
        alike: Are as good as copies of one, or of a part of one: of a similarity of 0.9 or more on either strand (Q,).
        told: Have hashes enough for that to be said (Q,).
    """

    alike: np.ndarray
    told: np.ndarray


def compare_with_seen(store: Store, rows: np.ndarray, several: Iterable[Seen]) -> Likeness:
    """Return which records of a store are as good as copies of a training record.

    Args:
        store: The encoded bases.
        rows: The records (Q,).
        several: The training records of one model or more.
    """
    from genomix.data.similarity import Sketches, nearest, sketch

    alike, told = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    for seen in several:
        known = Sketches(*seen)
        known = known.take(np.flatnonzero(known.sizes >= FEWEST_HASHES))
        asked = sketch(store, rows, like=known)
        enough = asked.sizes >= FEWEST_HASHES
        told |= enough
        alike |= (nearest(asked, known).similarity >= NEAR_DUPLICATE) & enough
    return Likeness(alike, told)
