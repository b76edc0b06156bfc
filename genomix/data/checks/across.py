"""What stands in several splits: val is held against train, test against train and val."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from genomix.data.checks.wording import share_of


class Leaks(NamedTuple):
    """Records with something in common with one of a split used before.

    Attributes:
        counts: How many by held-out split, 0 included.
        places: Their places, int64 (L,).
        earlier: For each of them, the place of the first such record, int64 (L,).
        worst_share: The largest share of a held-out split, 0 where there is none.
    """

    counts: dict[str, int]
    places: np.ndarray
    earlier: np.ndarray
    worst_share: float


def find_leaks(parts: Mapping[str, np.ndarray], keys: np.ndarray) -> Leaks:
    """Find the records whose key a record of an earlier split has.

    Args:
        parts: Places by split, in the order in which they are used, train first.
        keys: Of all records, int64 (R,).
    """
    counts: dict[str, int] = {}
    shares, found, earlier = [0.0], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    before = np.empty(0, np.int64)
    for name, places in parts.items():
        if name != "train":
            known, firsts = np.unique(keys[before], return_index=True)
            at = np.minimum(np.searchsorted(known, keys[places]), max(len(known) - 1, 0))
            again = known[at] == keys[places] if len(known) else np.zeros(len(places), bool)
            counts[name] = int(again.sum())
            shares.append(float(again.mean()))
            found.append(places[again])
            earlier.append(before[firsts[at[again]]])
        before = np.concatenate([before, places])
    return Leaks(counts, np.concatenate(found), np.concatenate(earlier), max(shares))


def where(counts: Mapping[str, int], parts: Mapping[str, np.ndarray]) -> str:
    """Return `14 of 613 val records (2.3 %) and 6 of 613 test records (0.98 %)`."""
    shares = [share_of(count, len(parts[name]), f"{name} records") for name, count in counts.items() if count]
    return " and ".join(shares)
