"""How similar records are, from the k-mers they share on either strand.

R records, Q queries, P pairs. The similarity of two records is

    (shared distinct canonical k-mers / those of the record that has fewer) ** (1/k),

the identity of the shorter record to a part of the longer one if it lies in it from end to end with mismatches spread
evenly (containment ANI: Ondov et al. 2016, Genome Biology 17:132; Hera, Pierce-Ward, Koslicki 2023, Genome Research
33:1061). A record that lies whole in another, on either strand, has similarity 1 to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from genomix.data import comparing_kernels as comparing
from genomix.data import linkage_kernels as linkage
from genomix.data.identical import Identical, identical
from genomix.data.postings import rank, run_in_chunks
from genomix.data.search import may_miss, prepare, report_missed
from genomix.data.sketches import Sketches, sketch

__all__ = ["Identical", "Neighbours", "Pairs", "Sketches", "clusters", "identical", "nearest", "pairs", "sketch"]

TRIES = 8
"""Hashes of each record by which likely pairs are sought first, to join them."""
ROOM = 1 << 20
"""Pairs are listed about so many at a time."""

_LOG = logging.getLogger(__name__)
Log = Callable[[str], None]


class Neighbours(NamedTuple):
    """The most similar reference of each of Q queries.

    Attributes:
        nearest: Int64 (Q,), its place in the references, -1 where none shares a k-mer.
        similarity: Float64 (Q,), 0 there.
    """

    nearest: np.ndarray
    similarity: np.ndarray


class Pairs(NamedTuple):
    """P pairs of records, in the order of the first, then the second.

    Attributes:
        first: Int64 (P,), place of a record.
        second: Int64 (P,), place of a later one.
        similarity: Float64 (P,).
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray


def nearest(queries: Sketches, references: Sketches, *, log: Log = _LOG.warning) -> Neighbours:
    """Find the most similar reference of each query, the first of several; the smaller of both fractions is used.

    Args:
        queries: Q records.
        references: R records.
        log: See `pairs`. The similarity of what is found is computed from all hashes nevertheless.

    Raises:
        ValueError: If the two were made with different k.
    """
    if queries.k != references.k:
        raise ValueError(f"sketches of k {queries.k} and of k {references.k} cannot be compared")
    fraction = min(queries.fraction, references.fraction)
    queries, references = queries.thin(fraction), references.thin(fraction)
    hashes = np.concatenate((queries.hashes, references.hashes))
    starts = np.concatenate((queries.starts, queries.starts[-1] + references.starts[1:]))
    groups = np.repeat(np.arange(2), [len(queries), len(references)])
    layout, thinned = prepare(Sketches(queries.k, fraction, hashes, starts), groups, 0.0, log)
    found = np.full(len(queries), -1, np.int64)

    def work(first: int, end: int) -> None:
        comparing.find_nearest(layout, first, end, thinned.sizes, found)

    run_in_chunks(work, layout.steps()[: len(queries)])
    found[found >= 0] -= len(queries)
    missed = np.flatnonzero(found < 0)
    if thinned.fraction < fraction and 0 < len(missed) < len(queries):
        found[missed] = nearest(queries.take(missed), references, log=log).nearest
    similarity = np.empty(len(queries))
    comparing.compare_each(
        queries.hashes, queries.starts, references.hashes, references.starts, found, queries.k, similarity
    )
    apart = layout.num_common[len(queries) :] / np.maximum(1, thinned.sizes[len(queries) :])
    report_missed(similarity**queries.k < np.max(apart, initial=0.0), log)
    return Neighbours(found, similarity)


def pairs(sketches: Sketches, threshold: float, *, log: Log = _LOG.warning) -> Pairs:
    """Return all pairs of a similarity at or above the threshold.

    Args:
        sketches: R records.
        threshold: Over 0, at most 1.
        log: Told where records share so much that a sample of their hashes is counted, or that pairs may be missed.

    Raises:
        ValueError: If the threshold is out of range.
    """
    _check(threshold)
    layout, thinned = prepare(sketches, np.arange(len(sketches)), threshold**sketches.k, log)
    report_missed(may_miss(layout, thinned, threshold**sketches.k), log)

    def work(first: int, end: int) -> list[Pairs]:
        found = []
        while first < end:
            room = Pairs(*(np.empty(ROOM + len(thinned), type_) for type_ in (np.int64, np.int64, np.float64)))
            first, num = comparing.list_similar(layout, first, end, thinned.sizes, thinned.k, float(threshold), *room)
            found.append(Pairs(*(array[:num].copy() for array in room)))
        return found

    parts = [Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for found in run_in_chunks(work, layout.steps()):
        parts += found
    first, second, similarity = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.lexsort((second, first))
    return Pairs(first[order], second[order], similarity[order])


def clusters(sketches: Sketches, threshold: float, *, log: Log = _LOG.warning) -> np.ndarray:
    """Return the cluster of each record, int64 (R,): single linkage of all pairs at or above the threshold.

    Clusters are numbered from 0 in the order of their first members. The pairs are never held in memory.

    Args:
        sketches: R records.
        threshold: Over 0, at most 1.
        log: See `pairs`.

    Raises:
        ValueError: If the threshold is out of range.
    """
    _check(threshold)
    parents = np.arange(len(sketches))
    linkage.join_likely(sketches.hashes, sketches.starts, *rank(sketches), TRIES, sketches.k, float(threshold), parents)
    layout, thinned = prepare(sketches, _roots(parents), threshold**sketches.k, log)
    report_missed(may_miss(layout, thinned, threshold**sketches.k), log)

    def work(first: int, end: int) -> np.ndarray:
        joined = parents.copy()
        linkage.join_similar(layout, first, end, thinned.sizes, thinned.k, float(threshold), joined)
        return joined

    for joined in run_in_chunks(work, layout.steps()):
        linkage.join_all(parents, joined)
    return np.unique(_roots(parents), return_inverse=True)[1].astype(np.int64)


def _check(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise ValueError(f"a threshold of similarity is over 0 and at most 1; got {threshold}")


def _roots(parents: np.ndarray) -> np.ndarray:
    while not np.array_equal(parents, parents[parents]):
        parents = parents[parents]
    return parents
