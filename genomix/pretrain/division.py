"""What is learnt from, and what is held out to measure by: records, or regions of them.

R regions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genomix.data.identical import identical
from genomix.data.store import Store
from genomix.errors import DataError

REGIONS = 100
"""Into about so many regions of like length the sequences are cut where whole records are too few or too uneven."""
SHORTEST_BP = 64


class Regions(NamedTuple):
    """Parts of records: rows of the store (R,), and starts and ends (R,), half-open, in bp."""

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @property
    def num_bases(self) -> int:
        """Of all regions, in bp."""
        return int((self.ends - self.starts).sum())

    def take(self, chosen: np.ndarray) -> Regions:
        """Return some of them."""
        return Regions(self.rows[chosen], self.starts[chosen], self.ends[chosen])


class Division(NamedTuple):
    """What is learnt from, what is held out, and sentences for the user."""

    train: Regions
    val: Regions
    notes: list[str]


def divide(store: Store, val_fraction: float, seed: int) -> Division:
    """Hold out records by chance until they have the fraction of all bases, or regions of records.

    Whole records are held out where none is longer than all that is to be held out. Where one is (a genome, a few
    chromosomes, one contig that outweighs the others), all are cut into regions of like length, and some of these held
    out. Records that are the same as another one, base for base on either strand, are left out, so that nothing is both
    learnt from and measured by; records and regions that are merely similar may be on both sides.

    Raises:
        DataError: If there is too little to hold any out.
    """
    groups = identical(store, np.arange(len(store))).groups
    rows = np.unique(groups, return_index=True)[1]
    lengths = store.lengths[rows]
    notes = []
    if copies := len(store) - len(rows):
        notes.append(f"{copies:,} records are copies of others, on either strand, and are left out")
    total = int(lengths.sum())
    whole = lengths.max() <= val_fraction * total
    units = Regions(rows, np.zeros_like(lengths), lengths) if whole else _cut(rows, lengths, total)
    order = np.random.default_rng((seed, total)).permutation(len(units.rows))
    before = np.cumsum((units.ends - units.starts)[order]) - (units.ends - units.starts)[order]
    count = int((before < val_fraction * total).sum())
    if count == len(order):
        raise DataError(
            f"{', '.join(store.report.files)}: {total} bp are too little to hold some out and learn from the others; "
            f"give {2 * SHORTEST_BP} bp at least"
        )
    held = np.zeros(len(order), bool)
    held[order[:count]] = True
    train, val = units.take(~held), units.take(held)
    what = "records" if whole else f"regions of about {total // len(order):,} bp, the records being few or uneven"
    share = 100 * val.num_bases / total
    notes.append(f"held out: {count:,} of {len(order):,} {what}; {val.num_bases:,} bp, {share:.1f} % of all")
    return Division(_join(train), val, notes)


def _cut(rows: np.ndarray, lengths: np.ndarray, total: int) -> Regions:
    size = max(SHORTEST_BP, total // REGIONS)
    parts = [np.linspace(0, length, max(1, round(length / size)) + 1).astype(np.int64) for length in lengths.tolist()]
    counts = [len(bounds) - 1 for bounds in parts]
    return Regions(
        np.repeat(rows, counts),
        np.concatenate([bounds[:-1] for bounds in parts]),
        np.concatenate([bounds[1:] for bounds in parts]),
    )


def _join(regions: Regions) -> Regions:
    """Make one region of neighbours, so that windows may lie across what was cut."""
    rows, starts, ends = regions
    follows = (rows[1:] == rows[:-1]) & (starts[1:] == ends[:-1])
    first, last = np.concatenate([[True], ~follows]), np.concatenate([~follows, [True]])
    return Regions(rows[first], starts[first], ends[last])
