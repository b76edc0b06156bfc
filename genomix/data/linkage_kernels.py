"""The loops of `similarity`, compiled: records joined into clusters.

R records, H hashes. Clusters are trees: each record has a parent, and the root of a tree, its own parent, is the first
of its records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genomix.data.comparing_kernels import count_shared, find_place, find_similar, to_similarity
from genomix.data.compiled import compiled

if TYPE_CHECKING:
    from genomix.data.postings import Layout

GLANCE = 256
"""So many hashes are compared first."""


@compiled
def find_root(parents: np.ndarray, record: int) -> int:
    """Return the root of a record, and shorten the way to it."""
    while parents[record] != record:
        parents[record] = parents[parents[record]]
        record = parents[record]
    return record


@compiled
def join(parents: np.ndarray, record: int, other: int) -> None:
    """Make two records have the same root."""
    root, other_root = find_root(parents, record), find_root(parents, other)
    if root != other_root:
        parents[max(root, other_root)] = min(root, other_root)


@compiled
def join_all(parents: np.ndarray, joined: np.ndarray) -> None:
    """Join in `parents` (R,) what is joined in `joined` (R,)."""
    for record in range(len(parents)):
        join(parents, record, joined[record])


@compiled
def are_similar(own: np.ndarray, others: np.ndarray, k: int, threshold: float) -> bool:
    """Whether two records reach the threshold; seldom no although they do, where their smallest hashes mislead.

    Args:
        own: Hashes of one, sorted; at least one.
        others: Those of the other.
        k: Length of the k-mers.
        threshold: The least similarity.
    """
    least = threshold**k
    few = own[:GLANCE]
    many = others[: find_place(others, 0, few[-1])]
    fewer = min(len(few), len(many))
    if count_shared(few, many, fewer) < least * fewer / 2:
        return False
    fewer = min(len(own), len(others))
    enough = max(1, int(least * fewer))
    while to_similarity(enough, fewer, k) < threshold:
        enough += 1
    return count_shared(own, others, enough) == enough


@compiled
def join_likely(
    hashes: np.ndarray,
    starts: np.ndarray,
    ranks: np.ndarray,
    num_postings: int,
    tries: int,
    k: int,
    threshold: float,
    parents: np.ndarray,
) -> None:
    """Compare each record with the last one that has one of its smallest hashes, and join those that are similar.

    Records that are much alike mostly have the same smallest hashes, so that this joins most of them in linear time.

    Args:
        hashes: (H,) uint64, sorted within each record.
        starts: (R + 1,) int64.
        ranks: (H,) int32, the number of each hash, -1 where it stands once.
        num_postings: How many numbers there are.
        tries: How many hashes of a record are tried.
        k: Length of the k-mers.
        threshold: The least similarity that joins.
        parents: (R,) int64.
    """
    last = np.full(num_postings, -1, np.int64)
    for record in range(len(starts) - 1):
        tried = 0
        for i in range(starts[record], starts[record + 1]):
            if ranks[i] < 0:
                continue
            other = last[ranks[i]]
            last[ranks[i]] = record
            if tried == tries or other < 0:
                continue
            tried += 1
            if find_root(parents, record) != find_root(parents, other):
                own, others = hashes[starts[record] : starts[record + 1]], hashes[starts[other] : starts[other + 1]]
                if are_similar(own, others, k, threshold):
                    join(parents, record, other)


@compiled
def join_similar(
    layout: Layout, first: int, end: int, sizes: np.ndarray, k: int, threshold: float, parents: np.ndarray
) -> None:
    """Join records from `first` to `end` with those at or above the threshold."""
    counts, met, values = np.zeros(len(sizes), np.int32), np.empty(len(sizes), np.int32), np.empty(len(sizes))
    for record in range(first, end):
        for i in range(find_similar(layout, record, sizes, k, threshold, counts, met, values)):
            join(parents, record, met[i])
