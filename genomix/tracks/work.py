"""The windows of a genome: planned, scored unit after unit, and kept.

A unit is a fixed number of windows, counted from the beginning of the input, those that are skipped included. It is
scored by itself: numbers that a network computes depend in their last digits on what else is in a batch, and so a
resumed run has the very numbers of one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from genomix.data.records import ReadReport
from genomix.data.regions import Region, check_regions
from genomix.data.vocabulary import UNKNOWN
from genomix.data.windows import Window
from genomix.errors import DataError, Problems
from genomix.stopping import Stopping
from genomix.tracks.genome import Genome
from genomix.tracks.journal import N_RICH, SCORED, TOO_SHORT, TrackJournal
from genomix.tracks.settings import TrackSettings

Regions = dict[str, np.ndarray]

BATCHES = 2
"""Of a unit, on each strand: a kill loses at most so much computing, and a stop waits for it."""


@dataclass
class TrackSummary:
    """What became of a genome.

    Attributes:
        num_windows: Windows, those that were skipped and those that were resumed included.
        num_scored: Windows that were scored.
        num_n_rich: Windows skipped because too many of their bases are unknown.
        num_too_short: Sequences skipped because they are too short.
        num_resumed: Windows that were there already.
        was_complete: Whether the tracks were there already, so that nothing was done or counted.
        num_bases: Bases with a value.
        num_regions: Regions asked for, and how many are left after merging; None without any.
        by_index: Whether the sequences were read by random access.
        report: What the readers counted.
    """

    num_windows: int = 0
    num_scored: int = 0
    num_n_rich: int = 0
    num_too_short: int = 0
    num_resumed: int = 0
    was_complete: bool = False
    num_bases: int = 0
    num_regions: tuple[int, int] | None = None
    by_index: bool = False
    report: ReadReport = field(default_factory=ReadReport)

    def count(self, rows: np.ndarray) -> None:
        """Add the windows of a unit."""
        states = np.bincount(rows["state"], minlength=3)
        self.num_windows += len(rows)
        self.num_scored += int(states[SCORED])
        self.num_n_rich += int(states[N_RICH])
        self.num_too_short += int(states[TOO_SHORT])


class _Planned(NamedTuple):
    """One window, before it is scored: its sequence's place, where it is, why it is skipped, and its bases."""

    sequence: int
    window: Window
    state: int
    tokens: np.ndarray


@dataclass
class Work:
    """The windows of a genome and what scores them."""

    settings: TrackSettings
    genome: Genome
    regions: Regions | None
    asked: Sequence[Region]
    sizes: dict[str, int] | None

    def score(
        self,
        journal: TrackJournal,
        num_units: int,
        stopping: Stopping,
        summary: TrackSummary,
        progress: Callable[[int, int | None], None],
    ) -> dict[str, int]:
        """Score the units that are not there, and return the lengths of the sequences in bp."""
        seen: dict[str, int] = {}
        for unit in islice(journal.units(), num_units):
            summary.count(unit)
        summary.num_resumed = summary.num_windows
        total = None if self.sizes is None else self._count(self.sizes)
        progress(summary.num_windows, total)
        planned = self._plan(seen, skip=summary.num_windows)
        while some := list(islice(planned, self._unit_size)):
            with stopping.deferred():
                rows = self._score_unit(some, journal.kind)
                journal.append(rows)
                summary.count(rows)
                progress(summary.num_windows, total)
                stopping.check(f"after {summary.num_windows} windows")
        if self.sizes is None:
            problems = Problems()
            check_regions(self.asked, seen, problems)
            problems.raise_if_any()
        if not summary.num_scored:
            raise DataError(
                f"no window could be scored: {summary.num_n_rich} of {summary.num_windows} have too many unknown bases "
                f"(--max-unknown {self.settings.max_unknown:g}), {summary.num_too_short} sequences are shorter than "
                f"{self.settings.shortest} bp"
            )
        return self.sizes or seen

    @property
    def _unit_size(self) -> int:
        bases = BATCHES * max(member.batch_bases for member in self.settings.scorer.members)
        return max(1, bases // self.settings.grid.window)

    def _count(self, sizes: Mapping[str, int]) -> int:
        return sum(
            sum(map(len, self.settings.grid.touching(length, intervals)))
            for name, length in sizes.items()
            if (intervals := self._of(name)) is None or len(intervals)
        )

    def _of(self, name: str) -> np.ndarray | None:
        """Return the regions of a sequence; None if all of it is wanted."""
        return None if self.regions is None else self.regions.get(name, np.empty((0, 2), np.int64))

    def _plan(self, seen: dict[str, int], *, skip: int) -> Iterator[_Planned]:
        """Yield all windows but the first ones, in order; note the lengths of the sequences."""
        for place, sequence in enumerate(self.genome.sequences()):
            if self.sizes is not None and self.sizes.get(sequence.name) != sequence.length:
                raise DataError(f"{sequence.name}: changed while it was read; start again")
            seen[sequence.name] = sequence.length
            if self.sizes is None:
                problems = Problems()
                check_regions([region for region in self.asked if region.sequence == sequence.name], seen, problems)
                problems.raise_if_any()
            windows = self.settings.grid.windows(sequence.length, self._of(sequence.name))
            for window in windows:
                if skip:
                    skip -= 1
                    continue
                yield self._planned(place, window, sequence.length, sequence.read(*window))

    def _planned(self, place: int, window: Window, length: int, tokens: np.ndarray) -> _Planned:
        if length < self.settings.shortest:
            return _Planned(place, window, TOO_SHORT, tokens)
        unknown = np.count_nonzero(tokens >= UNKNOWN) / len(tokens)
        return _Planned(place, window, N_RICH if unknown > self.settings.max_unknown else SCORED, tokens)

    def _score_unit(self, planned: Sequence[_Planned], kind: np.dtype) -> np.ndarray:
        rows = np.zeros(len(planned), kind)
        rows["sequence"] = [one.sequence for one in planned]
        rows["start"] = [one.window.start for one in planned]
        rows["end"] = [one.window.end for one in planned]
        rows["state"] = [one.state for one in planned]
        scored = [one.tokens for one in planned if one.state == SCORED]
        if scored:
            probabilities = np.stack(list(self.settings.scorer.score(scored)))
            rows["scores"][rows["state"] == SCORED] = probabilities[:, list(self.settings.classes)]
        return rows
