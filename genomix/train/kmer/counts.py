"""Counts of the k-mers of many records, as sparse matrices.

R records, F features: the 4^k k-mers in lexical order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from scipy import sparse

from genomix.data.store import Store
from genomix.data.vocabulary import UNKNOWN
from genomix.nn.kmer import NUM_BASES, canonical_ranks

CHUNK_BP = 1 << 22


def count_kmers(store: Store, rows: np.ndarray, k: int) -> sparse.csr_array:
    """Count the k-mers of records as they are read, float32 (R, 4^k); those with an unknown base do not count.

    Args:
        store: The encoded bases.
        rows: Rows of the store (R,).
        k: Length of the k-mers in bp.
    """
    num_kmers = NUM_BASES**k
    places, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for tokens, owners in _chunks(store, rows, k):
        keys = _codes(tokens, owners, k)
        if not len(keys):
            continue
        first = int(keys.min()) // num_kmers * num_kmers
        span = int(keys.max()) + 1 - first
        if span <= 2 * len(tokens):
            found = np.bincount(keys - first)
            place = np.flatnonzero(found)
            places.append(place + first)
            counts.append(found[place])
        else:
            place, count = np.unique(keys, return_counts=True)
            places.append(place)
            counts.append(count)
    place = np.concatenate(places)
    values = np.concatenate(counts).astype(np.float32)
    return sparse.csr_array((values, (place // num_kmers, place % num_kmers)), shape=(len(rows), num_kmers))


def most_counts(lengths: np.ndarray, k: int) -> int:
    """Return how many different k-mers records of these lengths (R,) in bp have at most, added up: without counting."""
    return int(np.clip(lengths.astype(np.int64) - k + 1, 0, NUM_BASES**k).sum())


def shape_of(matrix: np.ndarray | sparse.csr_array) -> tuple[int, int]:
    """Return rows and columns, of which scipy's types say that there may be none."""
    if matrix.shape is None:
        raise AssertionError("a matrix has a shape")
    return matrix.shape[0], matrix.shape[1]


def join_strands(counts: sparse.csr_array, k: int) -> sparse.csr_array:
    """Add up the counts (R, 4^k) of k-mers and their reverse complements; as many columns as canonical k-mers."""
    return join_columns(counts, canonical_ranks(k))


def join_columns(counts: sparse.csr_array, ranks: np.ndarray) -> sparse.csr_array:
    """Add up the columns of counts (R, F) that have the same rank, of ranks (F,) from 0 on."""
    ones = np.ones(len(ranks), np.float32)
    return sparse.csr_array(counts @ sparse.csr_array((ones, (np.arange(len(ranks)), ranks))))


def _pieces(store: Store, rows: Iterable[int], k: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the place of each record among the rows and its tokens, those of long ones in pieces that share k - 1."""
    for owner, row in enumerate(rows):
        tokens = store.tokens(row)
        for start in range(0, max(1, len(tokens) - k + 1), CHUNK_BP):
            yield owner, tokens[start : start + CHUNK_BP + k - 1]


def _chunks(store: Store, rows: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield tokens of many pieces, an unknown base behind each, and whose they are (int64)."""
    separator = np.array([UNKNOWN], np.uint8)
    pieces: list[np.ndarray] = []
    owners: list[int] = []
    bases = 0
    for owner, tokens in _pieces(store, rows.tolist(), k):
        if pieces and bases + len(tokens) > CHUNK_BP:
            yield _join(pieces, owners, separator)
            pieces, owners, bases = [], [], 0
        pieces.append(tokens)
        owners.append(owner)
        bases += len(tokens)
    if pieces:
        yield _join(pieces, owners, separator)


def _join(pieces: list[np.ndarray], owners: list[int], separator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tokens = np.concatenate([part for piece in pieces for part in (piece, separator)])
    return tokens, np.repeat(np.array(owners), [len(piece) + 1 for piece in pieces])


def _codes(tokens: np.ndarray, owners: np.ndarray, k: int) -> np.ndarray:
    """Return, for each whole k-mer, its owner times 4^k plus its code."""
    size = len(tokens) - k + 1
    if size <= 0:
        return np.empty(0, np.int64)
    codes = np.zeros(size, np.int32)
    known = np.ones(size, bool)
    for offset in range(k):
        part = tokens[offset : offset + size]
        codes *= NUM_BASES
        codes += part
        known &= part < UNKNOWN
    return owners[:size][known] * NUM_BASES**k + codes[known]
