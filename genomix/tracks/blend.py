"""From the scores of overlapping windows to the values of bases.

The value of a base is the mean of the probabilities of the windows that cover it. It is the mean of probabilities, not
of their logarithms: it is what each window adds in equal shares, for each class by itself, also where a record may have
several labels or several models predict; and one window that is sure and wrong cannot rule a base out. Between the ends
of windows (and of regions) the value is the same everywhere, so that a run of bases is one interval.

W windows, I intervals, T tracks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Scored(NamedTuple):
    """Windows of one sequence, in order of start and of end.

    Attributes:
        starts: First bases (W,).
        ends: One past the last bases (W,).
        scores: Probabilities (W, T).
    """

    starts: np.ndarray
    ends: np.ndarray
    scores: np.ndarray


class Intervals(NamedTuple):
    """Disjoint runs of bases of one value, in order.

    Attributes:
        starts: First bases (I,).
        ends: One past the last bases (I,).
        values: (I, T).
    """

    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray


def blend(parts: Iterable[Scored], regions: np.ndarray | None = None) -> Iterator[Intervals]:
    """Yield the values of the bases of one sequence, holding no more windows than one part and those that overlap it.

    Args:
        parts: The windows, in order over all parts. The intervals do not depend on how they are parted.
        regions: Disjoint intervals (R, 2) in order, to which the values are confined; None for all bases.
    """
    held: Scored | None = None
    done = 0
    for part in parts:
        if not len(part.starts):
            continue
        if held is not None:
            part = Scored(*map(np.concatenate, zip(held, part, strict=True)))  # noqa: PLW2901 - the same windows and more
        until = int(part.starts[-1])
        yield _runs(part, done, until, regions)
        done = max(done, until)
        still = part.ends > done
        held = Scored(part.starts[still], part.ends[still], part.scores[still])
    if held is not None:
        yield _runs(held, done, int(held.ends[-1]), regions)


def _runs(windows: Scored, after: int, until: int, regions: np.ndarray | None) -> Intervals:
    """Return the runs of bases from `after` to `until`."""
    inner = [windows.starts, windows.ends, [after, until]]
    edges = np.unique(np.concatenate(inner if regions is None else [*inner, regions.ravel()]).astype(np.int64))
    edges = edges[(edges >= after) & (edges <= until)]
    starts, ends = edges[:-1], edges[1:]
    lowest = np.searchsorted(windows.ends, starts, side="right")
    highest = np.searchsorted(windows.starts, starts, side="right")
    wanted = highest > lowest
    if regions is not None:
        place = np.searchsorted(regions[:, 0], starts, side="right") - 1
        wanted &= (place >= 0) & (starts < regions[np.maximum(place, 0), 1])
    starts, ends, lowest, highest = starts[wanted], ends[wanted], lowest[wanted], highest[wanted]
    scores = windows.scores.astype(np.float64)
    padded = np.concatenate([scores, np.zeros((1, scores.shape[1]))])
    bounds = np.stack([lowest, highest], axis=1).ravel()
    sums = np.add.reduceat(padded, bounds, axis=0)[::2] if len(bounds) else padded[:0]
    return Intervals(starts, ends, sums / (highest - lowest)[:, None])
