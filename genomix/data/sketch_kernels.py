"""The loops of `sketches`, compiled: from tokens to hashes of canonical k-mers."""

from __future__ import annotations

import numpy as np

from genomix.data.compiled import compiled

UNKNOWN = 4


@compiled
def mix(x: np.uint64) -> np.uint64:
    """Scatter 64 bits one to one: the mixing function of SplitMix64 (Steele, Lea, Flood 2014), a step on from x."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@compiled
def hash_pieces(
    tokens: np.ndarray, bounds: np.ndarray, k: int, largest: np.uint64, hashes: np.ndarray, ends: np.ndarray
) -> None:
    """Hash the k-mers of each piece, both strands as one.

    A k-mer is read as a number of 2 bits a base, and its reverse complement likewise; both roll on with each base. The
    smaller of the two is mixed. Tokens from `UNKNOWN` on are in no k-mer.

    Args:
        tokens: (N,) uint8, the pieces one after the other.
        bounds: (P + 1,) int64, where the pieces begin and end.
        k: 1 to 31.
        largest: The largest hash that is kept.
        hashes: (N,) uint64, receives the hashes of one piece after the other, as they come.
        ends: (P,) int64, receives where those of each piece end.
    """
    one_less = np.uint64(2 * (k - 1))
    mask = (np.uint64(1) << np.uint64(2 * k)) - np.uint64(1)
    three, two = np.uint64(3), np.uint64(2)
    num = 0
    for piece in range(len(bounds) - 1):
        forward, backward = np.uint64(0), np.uint64(0)
        run = 0
        for i in range(bounds[piece], bounds[piece + 1]):
            token = tokens[i]
            if token >= UNKNOWN:
                run = 0
                continue
            base = np.uint64(token)
            forward = ((forward << two) | base) & mask
            backward = (backward >> two) | ((three - base) << one_less)
            run += 1
            if run >= k:
                mixed = mix(min(forward, backward))
                if mixed <= largest:
                    hashes[num] = mixed
                    num += 1
        ends[piece] = num


@compiled
def keep_distinct(hashes: np.ndarray, ends: np.ndarray) -> int:
    """Leave each hash once in each piece, and return how many are left in all.

    Args:
        hashes: (N,) uint64, sorted within each piece; those that stay are moved to the front.
        ends: (P,) int64, where each piece ends, before and after.
    """
    first = end = 0
    for piece in range(len(ends)):
        begin = end
        for i in range(first, ends[piece]):
            if end == begin or hashes[i] != hashes[end - 1]:
                hashes[end] = hashes[i]
                end += 1
        first = ends[piece]
        ends[piece] = end
    return end
