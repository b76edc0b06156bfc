"""The windows of a sequence: those of one grid, whether all of it or only some regions are asked for.

Window i of a sequence of L bp begins at min(i * stride, L - window): the last is shifted left to end with the sequence.
A sequence not longer than a window is one window. With regions, the windows are those of the same grid that touch them,
so that a region has the values that it has in a track of the whole sequence, whatever other regions there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genomix.data.windows import Window


@dataclass(frozen=True)
class Grid:
    """Where windows begin.

    Attributes:
        window: Size of the windows in bp.
        stride: Distance between the starts of neighbours in bp, at most `window`.
    """

    window: int
    stride: int

    def count(self, length: int) -> int:
        """Return how many windows a sequence of this length in bp has."""
        return 1 + max(0, -(-(length - self.window) // self.stride))

    def at(self, index: int, length: int) -> Window:
        """Return a window of a sequence of this length in bp."""
        start = max(0, min(index * self.stride, length - self.window))
        return Window(start, min(length, start + self.window))

    def touching(self, length: int, regions: np.ndarray | None) -> list[range]:
        """Return the windows that touch any region, as disjoint ranges of their indices in order.

        Args:
            length: Of the sequence in bp.
            regions: Disjoint intervals (R, 2) in order; None for the whole sequence.
        """
        last = self.count(length) - 1
        if regions is None:
            return [range(last + 1)]
        found: list[range] = []
        following = 0
        for start, end in regions.tolist():
            lowest = max(following, min(last, max(0, (start - self.window) // self.stride + 1)))
            highest = last if self.at(last, length).start < end else min(last - 1, (end - 1) // self.stride)
            if highest >= lowest:
                found.append(range(lowest, highest + 1))
                following = highest + 1
        return found

    def windows(self, length: int, regions: np.ndarray | None) -> Iterator[Window]:
        """Yield the windows of `touching`."""
        for indices in self.touching(length, regions):
            for index in indices:
                yield self.at(index, length)
