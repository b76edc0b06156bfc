"""Which short words the attribution falls on.

N bases, k bp of a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from genomix.data.vocabulary import UNKNOWN, decode
from genomix.errors import UsageError

NUM_BASES = 4
LONGEST = 10


class TopKmer(NamedTuple):
    """A word, and what was attributed to it.

    Attributes:
        label: The class that was explained.
        kmer: Its letters.
        mean: Attribution of its bases, the mean over them and over all its places.
        num_places: How many places it has.
        id: Record of the place where it has the most.
        start: First base there.
    """

    label: str
    kmer: str
    mean: float
    num_places: int
    id: str
    start: int


@dataclass
class _Tally:
    """Of one class, for each of the 4^k words."""

    sums: np.ndarray
    counts: np.ndarray
    best: np.ndarray
    places: np.ndarray


@dataclass
class KmerTable:
    """Adds attributions up by the k-mer they fall on, on the strand as read; those with an unknown base do not count.

    Attributes:
        k: Length of the words in bp, at most `LONGEST`.

    Raises:
        UsageError: If k is not possible.
    """

    k: int
    _ids: list[str] = field(default_factory=list, init=False)
    _tallies: dict[str, _Tally] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Check k."""
        if not 1 <= self.k <= LONGEST:
            raise UsageError(f"--kmer-length {self.k}: use 1 to {LONGEST}")

    def add(self, label: str, record_id: str, start: int, tokens: np.ndarray, attribution: np.ndarray) -> None:
        """Count the k-mers of tokens (N,), which begin at a base of a record, with their attribution (N,)."""
        if len(tokens) < self.k:
            return
        words = np.lib.stride_tricks.sliding_window_view(tokens, self.k)
        means = np.lib.stride_tricks.sliding_window_view(attribution, self.k).mean(1)
        known = (words < UNKNOWN).all(1) & np.isfinite(means)
        codes = words[known] @ (NUM_BASES ** np.arange(self.k - 1, -1, -1))
        means, starts = means[known], start + np.flatnonzero(known)
        tally = self._tallies.setdefault(label, self._empty())
        np.add.at(tally.sums, codes, means)
        np.add.at(tally.counts, codes, 1)
        order = np.argsort(means, kind="stable")
        better = order[means[order] > tally.best[codes[order]]]
        tally.best[codes[better]] = means[better]  # of several the last one stays, which is the highest
        tally.places[codes[better], 0], tally.places[codes[better], 1] = len(self._ids), starts[better]
        self._ids.append(record_id)

    def top(self, number: int) -> Iterator[TopKmer]:
        """Yield the k-mers of each class with the highest mean attribution, the highest first."""
        for label, tally in sorted(self._tallies.items()):
            found = np.flatnonzero(tally.counts)
            means = tally.sums[found] / tally.counts[found]
            for i in np.lexsort((found, -means))[:number]:
                code = found[i]
                letters = code // NUM_BASES ** np.arange(self.k - 1, -1, -1) % NUM_BASES
                record, start = tally.places[code].tolist()
                kmer = decode(letters.astype(np.uint8))
                yield TopKmer(label, kmer, float(means[i]), int(tally.counts[code]), self._ids[record], start)

    def _empty(self) -> _Tally:
        size = NUM_BASES**self.k
        return _Tally(np.zeros(size), np.zeros(size, np.int64), np.full(size, -np.inf), np.zeros((size, 2), np.int64))
