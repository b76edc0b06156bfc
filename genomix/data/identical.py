"""Records that are the same, base for base, on either strand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genomix.data.store import Store
from genomix.data.vocabulary import reverse_complement

DIGEST_BYTES = 16


class Identical(NamedTuple):
    """Which of R records are the same.

    Attributes:
        groups: Int64 (R,), the same number for records of the same bases on either strand, from 0 in the order of the
            groups' first members.
        is_reversed: Bool (R,), whether a record equals the first member of its group as its reverse complement only.
    """

    groups: np.ndarray
    is_reversed: np.ndarray


def identical(store: Store, rows: Sequence[int] | np.ndarray) -> Identical:
    """Find which of some rows (R,) of a store are the same, by 128 bits of BLAKE2b of either strand.

    Unknown bases equal each other.
    """
    rows = np.asarray(rows, dtype=np.int64)
    groups, is_reversed = np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
    lengths = store.lengths[rows]
    _, same_length, counts = np.unique(lengths, return_inverse=True, return_counts=True)
    seen: dict[bytes, int] = {}
    firsts: list[bytes] = []
    for place, row in enumerate(rows.tolist()):
        if counts[same_length[place]] == 1:  # no other record can be the same
            groups[place] = len(firsts)
            firsts.append(b"")
            continue
        tokens = store.tokens(row)
        forward = _digest(tokens)
        group = seen.get(forward)
        if group is None:
            group = len(firsts)
            firsts.append(forward)
            seen[forward] = group
            seen.setdefault(_digest(reverse_complement(tokens)), group)
        groups[place] = group
        is_reversed[place] = firsts[group] != forward
    return Identical(groups, is_reversed)


def _digest(tokens: np.ndarray) -> bytes:
    return hashlib.blake2b(tokens.data, digest_size=DIGEST_BYTES).digest()
