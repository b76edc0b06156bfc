"""Bases and pairs of neighbours of records. Shapes: R records."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np

from genomix.data.vocabulary import BASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from genomix.data.store import Store

NUM_LETTERS, NUM_BASES = len(BASES), 4
CYTOSINE, GUANINE = BASES.index("C"), BASES.index("G")


class BaseCounts(NamedTuple):
    """What records are made of: counts (R, 5) int64 of A, C, G, T and N."""

    counts: np.ndarray

    @property
    def gc(self) -> np.ndarray:
        """Share of G and C among the known bases (R,); NaN where none is known."""
        return gc_of(self.counts)

    @property
    def is_known(self) -> np.ndarray:
        """Whether a record has a base that is known (R,)."""
        return self.counts[:, :NUM_BASES].sum(axis=1) > 0

    @property
    def unknown(self) -> np.ndarray:
        """Share of N among all bases (R,)."""
        return self.counts[:, NUM_BASES] / self.counts.sum(axis=1)


def gc_of(counts: np.ndarray) -> np.ndarray:
    """Return the share of G and C among the known bases of counts (..., 5); NaN where none is known."""
    known = counts[..., :NUM_BASES].sum(axis=-1)
    gc = counts[..., CYTOSINE] + counts[..., GUANINE]
    return np.divide(gc, known, out=np.full(np.shape(known), np.nan), where=known > 0)


def count_bases(store: Store, rows: np.ndarray) -> BaseCounts:
    """Count the bases of rows (R,) of a store."""
    counts = np.zeros((len(rows), NUM_LETTERS), np.int64)
    for place, row in enumerate(rows.tolist()):
        _count_bases(store.tokens(row), counts[place])
    return BaseCounts(counts)


def count_pairs(store: Store, rows: np.ndarray) -> np.ndarray:
    """Return the frequencies (R, 16) of pairs of neighbouring known bases, AA first; 0 where a record has no pair."""
    counts = np.zeros((len(rows), NUM_LETTERS, NUM_LETTERS), np.int64)
    for place, row in enumerate(rows.tolist()):
        _count_pairs(store.tokens(row), counts[place])
    known = counts[:, :NUM_BASES, :NUM_BASES].reshape(len(rows), -1)
    return known / np.maximum(known.sum(axis=1, keepdims=True), 1)


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # there is no place to keep the machine code
        return numba.njit(function)


@_compiled
def _count_bases(tokens: np.ndarray, counts: np.ndarray) -> None:
    for position in range(len(tokens)):
        counts[tokens[position]] += 1


@_compiled
def _count_pairs(tokens: np.ndarray, counts: np.ndarray) -> None:
    for position in range(len(tokens) - 1):
        counts[tokens[position], tokens[position + 1]] += 1
