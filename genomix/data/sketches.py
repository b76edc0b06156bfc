"""Sketches of records: hashes of a share of their k-mers, the same share of each, both strands as one.

R records, H hashes. A k-mer and its reverse complement count as one, the smaller of the two (the canonical k-mer). Its
hash is a one-to-one mixing of 64 bits, so that without sampling different k-mers are never taken for the same. Kept are
the hashes below `fraction` of 2^64 (FracMinHash: Irber et al. 2022, bioRxiv 2022.01.11.475838; Hera, Pierce-Ward,
Koslicki 2023, Genome Research 33:1061), the same ones in every record: what two records share is sampled at the same
rate as what they have, however much their lengths differ, and a smaller fraction keeps a part of what a larger does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numba
import numpy as np

from genomix.data import sketch_kernels as kernels
from genomix.data.store import Store

LEAST_K, MOST_K = 11, 21
CHANCE = 1e-4
"""How likely a random k-mer may stand by chance in the longest record."""
FEW_HASHES = 100
"""So many k-mers of a record should be kept; where that needs more room, up to `ROOM` times as much is taken."""
ROOM = 4
PIECE_BP = 1 << 22
LARGEST = 2**64 - 1


@dataclass(frozen=True)
class Sketches:
    """Sketches of R records.

    Attributes:
        k: Length of the k-mers in bp.
        fraction: The share of all k-mers that is kept, over 0 and at most 1.
        hashes: (H,) uint64, sorted and distinct within each record, one record after the other.
        starts: (R + 1,) int64, where each record's hashes begin, then H.
    """

    k: int
    fraction: float
    hashes: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> np.ndarray:
        """How many hashes each record has, int64 (R,)."""
        return np.diff(self.starts)

    def take(self, places: np.ndarray) -> Sketches:
        """Return the sketches of the records at these places (Q,), in that order."""
        sizes = self.sizes[places]
        starts = np.concatenate(([0], np.cumsum(sizes)))
        hashes = self.hashes[np.repeat(self.starts[places] - starts[:-1], sizes) + np.arange(starts[-1])]
        return Sketches(self.k, self.fraction, hashes, starts)

    def thin(self, fraction: float) -> Sketches:
        """Return the sketches that a smaller fraction would have given; themselves if it is not smaller."""
        if fraction >= self.fraction:
            return self
        kept = self.hashes <= largest_kept(fraction)
        starts = np.concatenate(([0], np.cumsum(kept)))[self.starts]
        return Sketches(self.k, fraction, self.hashes[kept], starts)


def sketch(
    store: Store,
    rows: Sequence[int] | np.ndarray,
    *,
    k: int | None = None,
    most_hashes: int = 10_000_000,
    like: Sketches | None = None,
) -> Sketches:
    """Sketch records of a store.

    All k-mers are kept where there are not more than `most_hashes`. Else the fraction is what that number allows; where
    the shortest twentieth of the records would get less than `FEW_HASHES`, it is up to `ROOM` times as much.

    Args:
        store: The records.
        rows: R rows of the store, in any order.
        k: Length of the k-mers, 1 to 31 bp; by default what `choose_k` says.
        most_hashes: See above; it bounds the memory, at about 50 bytes a hash while they are compared.
        like: Take k and fraction from these sketches, so that both can be compared.

    Raises:
        ValueError: If k or `most_hashes` is out of range.
    """
    rows = np.asarray(rows, dtype=np.int64)
    lengths = store.lengths[rows]
    if like is not None:
        k, fraction = like.k, like.fraction
    else:
        k = choose_k(lengths) if k is None else k
        fraction = choose_fraction(np.maximum(lengths - k + 1, 0), most_hashes)
    if not 1 <= k <= 31:
        raise ValueError(f"k must be 1 to 31; got {k}")
    largest = np.uint64(largest_kept(fraction))
    batches = list(_batches(lengths, k))
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        sketched = list(pool.map(lambda batch: _sketch_batch(store, rows, batch, k, largest), batches))
    return _join(batches, sketched, len(rows), k, fraction)


def choose_k(lengths: np.ndarray) -> int:
    """Return the length of k-mers for records (R,) of these lengths in bp.

    It is the least odd k (then no k-mer is its own reverse complement) from `LEAST_K` to `MOST_K` that is not below
    log4(n (1 - q) / q), n the longest record and q the `CHANCE` (Ondov et al. 2016, equation 2; Fofanov et al. 2004).
    Shorter k-mers find more of what has diverged, and less of what shares a short piece only.
    """
    longest = max(1, int(np.max(lengths, initial=1)))
    least = math.ceil(math.log(longest * (1 - CHANCE) / CHANCE, 4))
    return min(max(least + (least + 1) % 2, LEAST_K), MOST_K)


def choose_fraction(num_kmers: np.ndarray, most_hashes: int) -> float:
    """Return the share to keep of records (R,) that have at most so many k-mers each."""
    if most_hashes < 1:
        raise ValueError(f"most_hashes must be at least 1; got {most_hashes}")
    total = int(num_kmers.sum())
    if total <= most_hashes:
        return 1.0
    few = max(1.0, float(np.quantile(num_kmers, 0.05)))
    return min(1.0, max(most_hashes / total, min(FEW_HASHES / few, ROOM * most_hashes / total)))


def largest_kept(fraction: float) -> int:
    """Return the largest hash that is kept."""
    return LARGEST if fraction >= 1 else max(0, int(fraction * 2.0**64) - 1)


Piece = tuple[int, int, int]


def _batches(lengths: np.ndarray, k: int) -> Iterator[list[Piece]]:
    """Yield lists of pieces (record, first base, end), `PIECE_BP` together; those of a record overlap by k - 1."""
    batch: list[Piece] = []
    size = 0
    for place, length in enumerate(lengths.tolist()):
        for start in range(0, max(1, length - k + 1), PIECE_BP):
            end = min(length, start + PIECE_BP + k - 1)
            if size + end - start > PIECE_BP + k and batch:
                yield batch
                batch, size = [], 0
            batch.append((place, start, end))
            size += end - start
    if batch:
        yield batch


def _sketch_batch(
    store: Store, rows: np.ndarray, batch: list[Piece], k: int, largest: np.uint64
) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes of the pieces, sorted and distinct within each, and how many each has."""
    tokens = np.concatenate([store.tokens(int(rows[place]), start, end) for place, start, end in batch])
    bounds = np.concatenate(([0], np.cumsum([end - start for _, start, end in batch], dtype=np.int64)))
    hashes, ends = np.empty(len(tokens), np.uint64), np.empty(len(batch), np.int64)
    kernels.hash_pieces(tokens, bounds, k, largest, hashes, ends)
    for start, end in pairwise([0, *ends.tolist()]):
        hashes[start:end].sort()  # numpy's sort is several times as fast as one that numba compiles
    total = kernels.keep_distinct(hashes, ends)
    return hashes[:total].copy(), np.diff(ends, prepend=0)


def _join(
    batches: list[list[Piece]], sketched: list[tuple[np.ndarray, np.ndarray]], num_records: int, k: int, fraction: float
) -> Sketches:
    """Put the pieces together; those of one record may share hashes."""
    if not batches:
        return Sketches(k, fraction, np.empty(0, np.uint64), np.zeros(1, np.int64))
    places = np.array([place for batch in batches for place, _, _ in batch])
    hashes = np.concatenate([part for part, _ in sketched])
    starts = np.concatenate(([0], np.cumsum(np.concatenate([counts for _, counts in sketched]))))
    firsts = np.searchsorted(places, np.arange(num_records + 1))
    parts = [_merge(hashes, starts[first : end + 1]) for first, end in pairwise(firsts.tolist())]
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    return Sketches(k, fraction, np.concatenate(parts), np.concatenate(([0], np.cumsum(sizes))))


def _merge(hashes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the distinct hashes of pieces that follow each other; there is a bound more than pieces."""
    part = hashes[bounds[0] : bounds[-1]]
    if len(bounds) > 2:
        part.sort()
        part = part[: kernels.keep_distinct(part, np.array([len(part)]))]
    return part
