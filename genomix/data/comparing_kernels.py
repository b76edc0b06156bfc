"""The loops of `similarity`, compiled: what one record shares with others.

R records, Q queries. What a record shares with others in its rare postings is counted for all of them at once; what it
shares in common ones is looked up for those that may matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genomix.data.compiled import compiled

if TYPE_CHECKING:
    from genomix.data.postings import Layout

UNEQUAL = 16
"""Of two lists, one so many times as long as the other is searched instead of read."""
SLACK = 1e-9
"""So much less is counted as enough, before the similarity itself is compared."""


@compiled
def to_similarity(shared: int, fewer: int, k: int) -> float:
    """Return (shared / fewer) ** (1 / k); 0 where nothing is shared."""
    return (shared / fewer) ** (1.0 / k) if shared > 0 else 0.0


@compiled
def find_place(values: np.ndarray, first: int, value: int) -> int:
    """Return the first place from `first` on in a sorted list at which `value` or more stands, its length if none."""
    end = len(values)
    while first < end:
        middle = (first + end) // 2
        if values[middle] < value:
            first = middle + 1
        else:
            end = middle
    return first


@compiled
def count_shared(a: np.ndarray, b: np.ndarray, enough: int) -> int:
    """Return how many values two sorted lists of distinct values share; `enough` where there are at least so many."""
    if len(a) > len(b):
        a, b = b, a
    i = j = num = 0
    if len(a) * UNEQUAL < len(b):
        while i < len(a) and j < len(b) and num < enough:
            j = find_place(b, j, a[i])
            num += j < len(b) and b[j] == a[i]
            i += 1
        return num
    while i < len(a) and j < len(b) and num < enough:
        left, right = a[i], b[j]
        num += left == right
        i += left <= right
        j += left >= right
    return num


@compiled
def count_common(layout: Layout, record: int, other: int) -> int:
    """Return in how many common postings both stand."""
    own = layout.postings[layout.rare_ends[record] : layout.starts[record + 1]]
    others = layout.postings[layout.rare_ends[other] : layout.starts[other + 1]]
    return count_shared(own, others, len(own))


@compiled
def count_in_postings(layout: Layout, first: int, end: int, counts: np.ndarray, met: np.ndarray) -> int:
    """Count in `counts` (R,) what each other record shares in these entries; list the records in `met` (R,).

    Returns:
        How many were met.
    """
    num = 0
    for entry in range(first, end):
        for place in range(layout.begins[entry], layout.ends[layout.postings[entry]]):
            other = layout.members[place]
            if counts[other] == 0:
                met[num] = other
                num += 1
            counts[other] += 1
    return num


@compiled
def find_similar(
    layout: Layout,
    record: int,
    sizes: np.ndarray,
    k: int,
    threshold: float,
    counts: np.ndarray,
    met: np.ndarray,
    values: np.ndarray,
) -> int:
    """Find the records that one record is to be compared with, and that are similar to it.

    Args:
        layout: Of R records.
        record: The one.
        sizes: (R,) int64, hashes of each.
        k: Length of the k-mers.
        threshold: The least similarity.
        counts: (R,) int32, zeros, before and after.
        met: (R,) int32, receives the others.
        values: (R,) float64, receives their similarity.

    Returns:
        How many there are.
    """
    least = threshold**k - SLACK
    own_common = layout.starts[record + 1] - layout.rare_ends[record]
    num = 0
    for i in range(count_in_postings(layout, layout.starts[record], layout.rare_ends[record], counts, met)):
        other = met[i]
        shared = counts[other]
        counts[other] = 0
        fewer = min(sizes[record], sizes[other])
        common = min(own_common, layout.starts[other + 1] - layout.rare_ends[other])
        if shared + common < least * fewer:
            continue
        if common > 0:
            shared += count_common(layout, record, other)
        similarity = to_similarity(shared, fewer, k)
        if similarity >= threshold:
            met[num], values[num] = other, similarity
            num += 1
    return num


@compiled
def list_similar(
    layout: Layout,
    record: int,
    end: int,
    sizes: np.ndarray,
    k: int,
    threshold: float,
    records: np.ndarray,
    others: np.ndarray,
    similarity: np.ndarray,
) -> tuple[int, int]:
    """List the pairs at or above the threshold of the records from `record` to `end`, as far as there is room.

    Args:
        layout: Of R records.
        record: The first record.
        end: One past the last.
        sizes: (R,) int64, hashes of each.
        k: Length of the k-mers.
        threshold: The least similarity.
        records: (P,) int64, receives one record of each pair; P is at least R.
        others: (P,) int64, receives the other one.
        similarity: (P,) float64, receives their similarity.

    Returns:
        The record to go on with, and how many pairs there are.
    """
    counts, met, values = np.zeros(len(sizes), np.int32), np.empty(len(sizes), np.int32), np.empty(len(sizes))
    num_pairs = 0
    while record < end and num_pairs + len(sizes) <= len(records):
        num = find_similar(layout, record, sizes, k, threshold, counts, met, values)
        for i in range(num):
            records[num_pairs], others[num_pairs], similarity[num_pairs] = record, met[i], values[i]
            num_pairs += 1
        record += 1
    return record, num_pairs


@compiled
def find_nearest(layout: Layout, first: int, end: int, sizes: np.ndarray, nearest: np.ndarray) -> None:
    """Put into `nearest` (Q,) the record of which each of the records first..end shares the largest part, or -1.

    Of several the first is taken. Where one that is met in common postings alone could share more, and has as many
    hashes as the record or more, all postings are counted.
    """
    counts, met = np.zeros(len(sizes), np.int32), np.empty(len(sizes), np.int32)
    for record in range(first, end):
        own_end = layout.rare_ends[record]
        own_common = layout.starts[record + 1] - own_end
        best, best_part = -1, 0.0
        while True:
            looked_up = layout.starts[record + 1] - own_end
            num = count_in_postings(layout, layout.starts[record], own_end, counts, met)
            for i in range(num):
                other = met[i]
                shared = counts[other]
                counts[other] = 0
                fewer = min(sizes[record], sizes[other])
                common = min(looked_up, layout.starts[other + 1] - layout.rare_ends[other])
                if shared + common < best_part * fewer:
                    continue
                if common > 0:
                    shared += count_common(layout, record, other)
                part = shared / fewer
                if part > best_part or (part == best_part and other < best):
                    best, best_part = other, part
            if looked_up == 0 or best_part * sizes[record] >= own_common:
                break
            own_end = layout.starts[record + 1]
        nearest[record] = best


@compiled
def compare_each(
    hashes: np.ndarray,
    starts: np.ndarray,
    other_hashes: np.ndarray,
    other_starts: np.ndarray,
    others: np.ndarray,
    k: int,
    similarity: np.ndarray,
) -> None:
    """Put into `similarity` (Q,) that of each record and its other one (Q,), 0 where that is -1."""
    for record in range(len(others)):
        other = others[record]
        similarity[record] = 0.0
        if other >= 0:
            own = hashes[starts[record] : starts[record + 1]]
            compared = other_hashes[other_starts[other] : other_starts[other + 1]]
            fewer = min(len(own), len(compared))
            similarity[record] = to_similarity(count_shared(own, compared, fewer), fewer, k)
