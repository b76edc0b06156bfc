"""Makes the reference of a model from its training and validation records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from genomix.data.composition import Composition, K, count_kmers, fit_composition
from genomix.data.reference import FEWEST_KMERS, Reference
from genomix.data.seen import remember
from genomix.data.store import Store

FEWEST_RECORDS = 10
MOST_RECORDS = 4000
MOST_BASES = 100_000_000
PIECE_BP = 512
NUM_FOLDS = 5
FEWEST_FOR_QUANTILE = 200
"""Distances from which on their quantile is the limit; of fewer it is the highest."""
LIMIT_QUANTILE = 0.995
SHORT_QUANTILE = 0.05
"""Records shorter than this quantile of the training records have limits of their own."""


class _Judged(NamedTuple):
    """A record whose distance says how far records of its kind lie, and the distribution of others."""

    tokens: np.ndarray
    composition: Composition


def make_reference(store: Store, train: np.ndarray, val: np.ndarray, *, seed: int = 0) -> Reference | None:
    """Describe training records, and how far further ones of their kind lie from them.

    The limits are the 99.5 % quantile (the highest, where there are fewer than 200) of the distances of the validation
    records, and of the training records from the other four fifths of these. For records shorter than nearly all of
    these they come from pieces of them, cut at random, at each power of two: chance has a wider reach there.

    Args:
        store: The encoded bases.
        train: Rows of the training records.
        val: Rows of the validation records.
        seed: Of the samples, the folds and the pieces.

    Returns:
        The reference; None where fewer than 10 training records have the 32 known 4-mers it takes.
    """
    rng = np.random.default_rng(seed)
    learnt = [store.tokens(row) for row in _sample(store, train, rng)]
    if len(learnt) < FEWEST_RECORDS:
        return None
    wholes = _count(learnt)
    firsts, seconds = (_count(pieces) for pieces in zip(*(_neighbours(tokens, rng) for tokens in learnt), strict=True))
    usable = np.flatnonzero((wholes.sum(1) >= FEWEST_KMERS) & (firsts.sum(1) > 0) & (seconds.sum(1) > 0))
    if len(usable) < FEWEST_RECORDS:
        return None
    learnt, wholes, firsts, seconds = [learnt[i] for i in usable], wholes[usable], firsts[usable], seconds[usable]
    fold = rng.permutation(len(learnt)) % NUM_FOLDS
    composition = fit_composition(wholes, firsts, seconds)
    folds = [fit_composition(*(part[fold != k] for part in (wholes, firsts, seconds))) for k in range(NUM_FOLDS)]
    judged = [_Judged(tokens, folds[k]) for tokens, k in zip(learnt, fold, strict=True)]
    judged += [_Judged(store.tokens(row), composition) for row in _sample(store, val, rng)]
    lengths, limits = zip(*_limits(judged, rng), strict=True)
    seen = remember(store, train)
    return Reference(composition, np.array(lengths, np.float64), np.array(limits), len(learnt), seen)


def _sample(store: Store, rows: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Draw records long enough to say something of, no more than can be counted in seconds."""
    chosen = rng.permutation(rows[store.lengths[rows] >= FEWEST_KMERS + K - 1])[:MOST_RECORDS]
    num_affordable = int(np.searchsorted(np.cumsum(store.lengths[chosen]), MOST_BASES))
    return chosen[: max(num_affordable, FEWEST_RECORDS)].tolist()


def _count(records: Iterable[np.ndarray]) -> np.ndarray:
    return np.array([count_kmers(tokens) for tokens in records])


def _neighbours(tokens: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return two pieces of a record side by side, at a random place."""
    size = min(len(tokens) // 2, PIECE_BP)
    start = int(rng.integers(len(tokens) - 2 * size, endpoint=True))
    return tokens[start : start + size], tokens[start + size : start + 2 * size]


def _limits(judged: list[_Judged], rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Yield numbers of 4-mers, rising, each with the limit of the distances of records or pieces of that many."""
    shortest = float(np.quantile([len(tokens) - K + 1 for tokens, _ in judged], SHORT_QUANTILE))
    num_pieces = math.ceil(FEWEST_FOR_QUANTILE / len(judged))
    size = FEWEST_KMERS
    while size < shortest:
        bp = size + K - 1
        pieces = [
            _Judged(tokens[start : start + bp], composition)
            for tokens, composition in judged
            if len(tokens) >= bp
            for start in rng.integers(len(tokens) - bp, size=num_pieces, endpoint=True).tolist()
        ]
        yield size, _limit(pieces)
        size *= 2
    yield shortest, _limit(judged)


def _limit(judged: list[_Judged]) -> float:
    distances = [
        float(composition.distances(counts[None])[0])
        for tokens, composition in judged
        if (counts := count_kmers(tokens)).sum() > 0
    ]
    many = len(distances) >= FEWEST_FOR_QUANTILE
    return float(np.quantile(distances, LIMIT_QUANTILE) if many else max(distances))
