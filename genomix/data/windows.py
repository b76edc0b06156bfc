"""Pieces of a record: which bases a network reads at once when a record is longer than it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


class Window(NamedTuple):
    """A piece of a record, half-open and 0-based, in bp.

    Attributes:
        start: The first base.
        end: One past the last base.
    """

    start: int
    end: int


def cover(length: int, window: int, stride: int | None = None) -> list[Window]:
    """Cut a record into windows so that every base is in at least one.

    All windows have the same size: the last is shifted left to end with the record, so that there is no short tail.
    A record not longer than `window` is one window.

    Args:
        length: Length of the record in bp.
        window: Size of the windows in bp.
        stride: Distance between the starts of neighbours in bp; `window` (no overlap) where none is given.

    Returns:
        The windows in the order of their starts; none for a record of no bases.

    Raises:
        ValueError: If `length` is negative, `window` less than 1, or `stride` not in 1..`window`.
    """
    _check(length, window)
    stride = window if stride is None else stride
    if not 1 <= stride <= window:
        raise ValueError(f"stride must be 1 to {window}, the size of the windows, to leave no base out; got {stride}")
    if length <= window:
        return [Window(0, length)] if length else []
    starts = list(range(0, length - window + 1, stride))
    if starts[-1] + window < length:
        starts.append(length - window)
    return [Window(start, start + window) for start in starts]


def crop(length: int, size: int, rng: np.random.Generator) -> Window:
    """Return one window of `size` bp at a uniformly random place, or the whole of a record not longer than that.

    Raises:
        ValueError: If `length` is negative or `size` less than 1.
    """
    _check(length, size)
    start = int(rng.integers(0, length - size, endpoint=True)) if length > size else 0
    return Window(start, min(length, start + size))


def central(length: int, size: int) -> Window:
    """Return the middle `size` bp of a record, or the whole of a record not longer than that.

    Where the rest is odd, the base more is left out at the end.

    Raises:
        ValueError: If `length` is negative or `size` less than 1.
    """
    _check(length, size)
    start = max(0, length - size) // 2
    return Window(start, min(length, start + size))


def coverage_weights(windows: Sequence[Window], length: int) -> np.ndarray:
    """Weigh overlapping windows so that each base counts the same in a weighted mean over the windows.

    Args:
        windows: W windows of one record.
        length: Length of the record in bp.

    Returns:
        Float64 (W,): over the bases of a window, the sum of 1 / (number of windows with that base). The weights sum to
        the number of bases in any window, which is `length` for the windows of `cover`.

    Raises:
        ValueError: If a window is not inside the record.
    """
    bounds = np.array(windows, dtype=np.int64).reshape(-1, 2)
    starts, ends = bounds[:, 0], bounds[:, 1]
    if np.any((starts < 0) | (starts > ends) | (ends > length)):
        raise ValueError(f"a window reaches beyond the record of {length} bp")
    edges, places = np.unique(bounds, return_inverse=True)  # between two edges the coverage is the same everywhere
    first, last = places.reshape(-1, 2).T
    steps = np.zeros(len(edges), dtype=np.int64)
    np.add.at(steps, first, 1)
    np.add.at(steps, last, -1)
    shares = np.diff(edges) / np.maximum(np.cumsum(steps[:-1]), 1)
    share_before = np.concatenate(([0.0], np.cumsum(shares)))
    return share_before[last] - share_before[first]


def _check(length: int, size: int) -> None:
    if length < 0:
        raise ValueError(f"a record cannot have a length of {length} bp")
    if size < 1:
        raise ValueError(f"a window must have at least 1 bp; got {size}")
