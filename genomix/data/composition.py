"""How far a record's composition lies from that of others, whatever its length.

Composition is the frequencies of canonical 4-mers: both strands count alike. Shapes: R records, N positions, F = 136
canonical 4-mers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

K = 4
NUM_BASES = 4
CHUNK_BP = 1 << 16
SMALLEST_VARIANCE = 1e-3
"""Least noise of a frequency, as a share of that of letters drawn independently."""


def _canonical() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the codes of known 4-mers over five letters, the other strand of each, and one of each pair."""
    codes = np.arange(NUM_BASES**K).reshape((NUM_BASES,) * K)
    other_strand = np.flip(codes).transpose(range(K - 1, -1, -1)).ravel()
    digits = np.indices(codes.shape).reshape(K, -1)
    with_unknown = (NUM_BASES + 1) ** np.arange(K - 1, -1, -1) @ digits
    return with_unknown, other_strand, np.flatnonzero(codes.ravel() <= other_strand)


_KNOWN, _OTHER_STRAND, _CANONICAL = _canonical()
_IS_PALINDROME = _OTHER_STRAND[_CANONICAL] == _CANONICAL
NUM_KMERS = len(_CANONICAL)


def count_kmers(tokens: np.ndarray) -> np.ndarray:
    """Return how often each canonical 4-mer without unknown bases occurs in tokens (N,) uint8, int64 (F,)."""
    counts = np.zeros((NUM_BASES + 1) ** K, np.int64)
    for start in range(0, len(tokens) - K + 1, CHUNK_BP):
        chunk = tokens[start : start + CHUNK_BP + K - 1].astype(np.uint16)
        size = len(chunk) - K + 1
        codes = chunk[:size].copy()
        for offset in range(1, K):
            codes *= NUM_BASES + 1
            codes += chunk[offset : offset + size]
        counts += np.bincount(codes, minlength=len(counts))
    known = counts[_KNOWN]
    return np.where(_IS_PALINDROME, known[_CANONICAL], known[_CANONICAL] + known[_OTHER_STRAND][_CANONICAL])


class Composition(NamedTuple):
    """The distribution of the frequencies of some records, in which a record's length has its place.

    A record with n 4-mers has frequencies of covariance B + S / n: B is how records differ, S / n is chance, which
    weighs more the shorter the record. Both are kept as the directions in which S is the identity and B diagonal.

    Attributes:
        mean: Of the frequencies (F,).
        directions: (F, F), one a column.
        between: Diagonal of B in these directions (F,), not negative.
    """

    mean: np.ndarray
    directions: np.ndarray
    between: np.ndarray

    def distances(self, counts: np.ndarray) -> np.ndarray:
        """Return Mahalanobis distances of records by their counts (R, F), each of at least one 4-mer, (R,).

        They are divided by the square root of F: that of a record like the others is about 1, whatever its length.
        """
        totals = counts.sum(axis=1, keepdims=True)
        places = (counts / totals - self.mean) @ self.directions
        return np.sqrt((places**2 / (self.between + 1 / totals)).mean(axis=1))


def fit_composition(wholes: np.ndarray, firsts: np.ndarray, seconds: np.ndarray) -> Composition:
    """Fit the distribution of frequencies to records, with covariances shrunk by Ledoit and Wolf's rule (2004).

    S is what two neighbouring pieces of a record differ by, B what is left of the covariance of whole records.

    Args:
        wholes: Counts of the records (R, F).
        firsts: Counts of a piece of each (R, F).
        seconds: Counts of the piece beside it (R, F).
    """
    from scipy.linalg import eigh
    from sklearn.covariance import LedoitWolf

    totals = [counts.sum(axis=1, keepdims=True) for counts in (wholes, firsts, seconds)]
    frequencies, first, second = (
        counts / total for counts, total in zip((wholes, firsts, seconds), totals, strict=True)
    )
    pooled = wholes.sum(axis=0) + 0.5
    scale = np.sqrt(pooled / pooled.sum())  # the deviation of a frequency by chance is this over the root of n
    differences = (first - second) / np.sqrt(1 / totals[1] + 1 / totals[2]) / scale
    noise = LedoitWolf(assume_centered=True).fit(differences).covariance_ + SMALLEST_VARIANCE * np.eye(NUM_KMERS)
    total = LedoitWolf().fit(frequencies / scale).covariance_
    between, directions = eigh(total - noise * (1 / totals[0]).mean(), noise)
    return Composition(frequencies.mean(axis=0), directions / scale[:, None], np.maximum(between, 0))
