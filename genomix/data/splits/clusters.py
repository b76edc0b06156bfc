"""Clusters of similar records, to be kept together.

R records, H hashes of k-mers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genomix.data.labelled import LabelledRecords
from genomix.data.splits.units import Units, join_groups

if TYPE_CHECKING:
    from genomix.data.similarity import Sketches

MOST_HASHES = 20_000_000
"""Up to so many k-mers, about as many as bases, all are compared; in about 1 GB."""
DEVIATIONS = 3
"""How far an estimate from some of the k-mers may be below the truth, in standard deviations."""
LEAST_SHARE = 0.25
"""Of the shared k-mers that the threshold means; a lower estimate never makes a cluster."""


def by_similarity(records: LabelledRecords, threshold: float) -> Units:
    """Keep records together that are at least so similar on either strand, or linked by others that are, and groups.

    A cluster is called by the id of its first record. Records without any whole k-mer are similar to what is the same.
    """
    from genomix.data.similarity import clusters, identical

    sketches = sketch_all(records)
    notes = []
    lowest = lower_threshold(sketches, threshold)
    if lowest < threshold:
        notes.append(
            f"similarities are estimated from {100 * sketches.fraction:.0f} % of the k-mers; to be safe, records "
            f"are kept together from an estimate of {lowest:.3f} on"
        )
    numbers = clusters(sketches, lowest)
    if threshold == 1 and sketches.fraction < 1:
        numbers = _count_anew(records, sketches, numbers, notes)
    empty = np.flatnonzero(sketches.sizes == 0)
    _, firsts, same = np.unique(
        identical(records.store, records.indices[empty]).groups, return_index=True, return_inverse=True
    )
    numbers[empty] = numbers[empty[firsts]][same]
    ids = records.ids
    name_of: dict[int, str] = {}
    names = [name_of.setdefault(number, ids[row]) for row, number in enumerate(numbers.tolist())]
    mend = f"a higher --similarity than {threshold:g} makes smaller clusters"
    return join_groups(Units(names, "cluster", mend, notes), records)


def sketch_all(records: LabelledRecords) -> Sketches:
    """Return sketches of the labelled records, (R,), of all their k-mers where these are not too many."""
    from genomix.data.similarity import sketch

    return sketch(records.store, records.indices, most_hashes=MOST_HASHES)


def lower_threshold(sketches: Sketches, threshold: float) -> float:
    """Return the least estimate that a pair of this similarity is expected to have; the threshold, if all is counted.

    Of the m k-mers kept of the smaller record, each is shared with probability c = threshold^k, and f of all are kept:
    the share found has the variance c (1 - c) (1 - f) / m. For m stands what all but the smallest twentieth have.
    """
    sizes = sketches.sizes[sketches.sizes > 0]
    if sketches.fraction >= 1 or not len(sizes):
        return threshold
    share = threshold**sketches.k
    deviation = np.sqrt(share * (1 - share) * (1 - sketches.fraction) / np.quantile(sizes, 0.05))
    return float(max(share - DEVIATIONS * deviation, LEAST_SHARE * share) ** (1 / sketches.k))


def _count_anew(records: LabelledRecords, sketches: Sketches, numbers: np.ndarray, notes: list[str]) -> np.ndarray:
    """Part what only looks the same in a sample: clusters of similarity 1 (R,), from all k-mers of their records.

    What has similarity 1 has it in every sample, so clusters can only become smaller. As many of them are counted at a
    time as have `MOST_HASHES` k-mers together; one that has more by itself stays as it was estimated, which is noted.
    """
    from genomix.data.similarity import clusters, sketch

    counts = np.bincount(numbers)
    rows = np.flatnonzero(counts[numbers] > 1)
    rows = rows[np.argsort(numbers[rows], kind="stable")]
    ends = np.append(np.flatnonzero(np.diff(numbers[rows])) + 1, len(rows))
    sums = np.concatenate(([0], np.cumsum(records.store.lengths[records.indices[rows]])))
    parted, next_number, first, estimated = numbers.copy(), len(counts), 0, 0
    while first < len(rows):
        fitting = ends[(ends > first) & (sums[ends] - sums[first] <= MOST_HASHES)]
        end = int(fitting[-1] if len(fitting) else ends[np.searchsorted(ends, first, side="right")])
        if len(fitting):
            batch = rows[first:end]
            found = clusters(sketch(records.store, records.indices[batch], k=sketches.k, most_hashes=MOST_HASHES), 1.0)
            parted[batch] = next_number + found
            next_number += int(found.max()) + 1
        else:
            estimated += end - first
        first = end
    if estimated:
        notes.append(
            f"{estimated:,} records are in clusters too large to count all their k-mers; similarities of these are "
            f"estimated from {100 * sketches.fraction:.0f} %, so that some may differ in a few bases"
        )
    return parted
