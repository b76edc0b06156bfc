"""Whether the strand matters, told by k-mers and the part of a record that they stand in.

What is read in one direction, such as a promoter, need not hold other k-mers than its reverse complement; they stand in
other places. R records, P parts of a record, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from genomix.data.labelled import LabelledRecords
from genomix.data.store import Store
from genomix.metrics.calibration import calibrate
from genomix.nn.kmer import NUM_BASES, reverse_complements
from genomix.train.kmer.counts import count_kmers, join_columns
from genomix.train.kmer.design import find_probabilities
from genomix.train.kmer.fit import sample
from genomix.train.kmer.linear import fit_logistic

GRIDS = ((3, 8), (3, 32))
"""Lengths of k-mers in bp, and into how many parts of a record they are told apart."""
PENALTIES = tuple(10.0**power for power in range(-5, 1))
ITERATIONS = 100
LONGEST_BP = 2048
"""Where a record is longer, networks read crops by default, which have no place in it."""
MOST_RECORDS, MOST_BP = 20_000, 1 << 25
"""Of the training records that are looked at."""


class Placed(NamedTuple):
    """The least log loss on the validation records, with the strand that is given and with both as one."""

    forward: float
    canonical: float


class _Parts:
    """Stands for a store in which each part of a record is a record: k-mers belong to the part they start in."""

    def __init__(self, store: Store, rows: np.ndarray, k: int, num_parts: int) -> None:
        self._store, self._rows, self._k, self._num_parts = store, rows, k, num_parts

    def tokens(self, row: int) -> np.ndarray:
        """Return the tokens of part `row % P` of record `row // P`."""
        tokens = self._store.tokens(int(self._rows[row // self._num_parts]))
        number = max(0, len(tokens) - self._k + 1)
        part, twice = row % self._num_parts, 2 * self._num_parts
        first = (2 * number * part - self._num_parts) // twice + 1
        behind = -(-(2 * number * (part + 1) - self._num_parts) // twice)
        return tokens[first : behind + self._k - 1] if behind > first else tokens[:0]


def count_placed(store: Store, rows: np.ndarray, k: int, num_parts: int) -> sparse.csr_array:
    """Count the k-mers of each of P parts of records, as long as each other, float32 (R, P 4^k).

    Args:
        store: The encoded bases.
        rows: Rows of the store (R,).
        k: Length of the k-mers in bp.
        num_parts: P. A k-mer at place i of n belongs to the part that (i + 1/2) / n is in, and to none if it is between
            two, or the other strand could be told by it.
    """
    parts = _Parts(store, rows, k, num_parts)
    counts = count_kmers(parts, np.arange(len(rows) * num_parts), k)  # pyright: ignore[reportArgumentType]
    return sparse.csr_array(counts.reshape((len(rows), num_parts * NUM_BASES**k)))


def join_placed(counts: sparse.csr_array, k: int, num_parts: int) -> sparse.csr_array:
    """Add up what is the same on the other strand: the reverse complement in the part that lies opposite."""
    codes = np.arange(num_parts * NUM_BASES**k)
    part, kmer = codes // NUM_BASES**k, codes % NUM_BASES**k
    other = (num_parts - 1 - part) * NUM_BASES**k + reverse_complements(k)[kmer]
    ranks = np.unique(np.minimum(codes, other), return_inverse=True)[1]
    return join_columns(counts, ranks)


def try_places(
    records: LabelledRecords, train: np.ndarray, val: np.ndarray, seed: int, *, balanced: bool
) -> Placed | None:
    """Fit k-mers in their places, with the given strand and with both; None where records are too long for networks.

    Args:
        records: All labelled records.
        train: Rows of those that are learnt from.
        val: Rows of those that judge.
        seed: Of the sample that is drawn of many records.
        balanced: Weigh the classes alike, however many records they have.
    """
    lengths = records.lengths[train]
    if lengths.max() > LONGEST_BP:
        return None
    most = int(min(MOST_RECORDS, MOST_BP / max(1.0, lengths.mean())))
    train = train[sample(records.truth[train], most, seed)]
    targets, wanted = records.truth[train], records.truth[val]
    forward, canonical = [], []
    for k, num_parts in GRIDS:
        counts, judging = (count_placed(records.store, records.indices[rows], k, num_parts) for rows in (train, val))
        forward += _losses(counts, judging, targets, wanted, balanced=balanced)
        counts, judging = (join_placed(one, k, num_parts) for one in (counts, judging))
        canonical += _losses(counts, judging, targets, wanted, balanced=balanced)
    return Placed(min(forward), min(canonical))


def _losses(
    counts: sparse.csr_array, judging: sparse.csr_array, targets: np.ndarray, wanted: np.ndarray, *, balanced: bool
) -> Iterator[float]:
    """Yield the log loss for one C after the other, until it rises."""
    last = np.inf
    for linear in fit_logistic(counts, targets, PENALTIES, roots=True, balanced=balanced, iterations=ITERATIONS):
        probabilities = find_probabilities(linear, judging, roots=True, multi_label=wanted.ndim == 2)
        loss = calibrate(probabilities, wanted, chose_epoch=False).log_loss.after
        yield loss
        if loss > last:
            return
        last = loss
