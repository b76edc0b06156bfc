"""Which bases are explained, and which the model reads for that.

N bases read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from genomix.config.explaining import nearest
from genomix.data.records import Record
from genomix.errors import DataError, NoInputError, Problems, UsageError

_PLACE = re.compile(r"(?P<id>.+):(?P<start>[\d,]+)-(?P<end>[\d,]+)")
MOST_COMPARED = 100_000
"""Ids among which one like that of a region is looked for."""


class Region(NamedTuple):
    """Bases to be explained; see `parse_region`.

    Attributes:
        text: As it was written.
        id: Of the record, unless that is `text` itself.
        start: First base, from 0; None for the whole record.
        end: One past the last.
    """

    text: str
    id: str
    start: int | None = None
    end: int | None = None


class Reading(NamedTuple):
    """What the model reads at once, and which of it is explained.

    Attributes:
        id: Of the record.
        length: Of the record, in bp.
        tokens: What is read (N,) uint8.
        offset: Where that begins in the record.
        start: First base that is explained, in the record.
        end: One past the last.
    """

    id: str
    length: int
    tokens: np.ndarray
    offset: int
    start: int
    end: int

    @property
    def explained(self) -> slice:
        """The bases that are explained, among those read."""
        return slice(self.start - self.offset, self.end - self.offset)


def parse_region(text: str) -> Region:
    """Read `id:start-end`, from 0 and without the end as in BED files, or the `id` of a whole record.

    Raises:
        UsageError: If the region holds no base.
    """
    match = _PLACE.fullmatch(text)
    if match is None:
        return Region(text, text)
    start, end = (int(match[name].replace(",", "")) for name in ("start", "end"))
    if start >= end:
        raise UsageError(
            f"--region {text}: holds no base; write id:start-end with the first base as 0 and the end not included"
        )
    return Region(text, match["id"], start, end)


def choose_readings(
    records: Iterable[Record], regions: Sequence[Region], max_length: int | None, *, whole: bool = False
) -> list[Reading]:
    """Return what is to be read, in the order of the records and of the places in them.

    A record of at most `max_length` bp is read whole. Of a longer one that many around the middle of a region are read.

    Args:
        records: Where the regions are looked for; all of it is explained where there is none.
        regions: What is to be explained.
        max_length: Bases that the model reads at once; None for any number.
        whole: Read longer records whole all the same.

    Raises:
        UsageError: If a region is not there or too long, or two of them overlap; all problems at once.
        DataError: If a record comes twice or cannot be read.
        NoInputError: If there is no record.
    """
    chosen = _Chosen(regions, None if whole else max_length)
    for record in records:
        chosen.add(record)
    return chosen.finish()


class _Chosen:
    """Collects the readings, and what is wrong."""

    def __init__(self, regions: Sequence[Region], limit: int | None) -> None:
        self._regions, self._limit = regions, limit
        self._ids: set[str] = set()
        self._met: set[Region] = set()
        self._readings: list[Reading] = []
        self._problems = Problems()

    def add(self, record: Record) -> None:
        is_new = record.id not in self._ids
        self._ids.add(record.id)
        regions = [region for region in self._regions if record.id in (region.text, region.id)]
        if not self._regions and record.problem is None:
            regions = [Region(record.id, record.id)]
        if not regions:
            return
        place = f"{record.source}:{record.line}: record {record.id!r}"
        if record.problem is not None:
            raise DataError(f"{place} was asked for and has {record.problem}; mend it")
        if not is_new:
            raise DataError(f"{place} comes a second time; tracks tell records by their ids, give each its own")
        self._met |= set(regions)
        readings = [reading for region in regions if (reading := self._read(record, region))]
        self._readings += sorted(readings, key=lambda reading: reading.start)

    def finish(self) -> list[Reading]:
        known = self._ids if len(self._ids) <= MOST_COMPARED else ()
        for region in self._regions:
            if region not in self._met:
                self._problems.add(
                    f"--region {region.text}: there is no record {region.id!r}{nearest(region.id, known)}"
                )
        for one, other in pairwise(self._readings):
            if one.id == other.id and other.start < one.end:
                self._problems.add(
                    f"--region {other.id}:{other.start}-{other.end}: overlaps {one.id}:{one.start}-{one.end}; a track "
                    "has one value a base, explain them one after the other"
                )
        self._problems.raise_if_any(UsageError)
        if not self._readings:
            raise NoInputError("there are no records to explain in the input")
        return self._readings

    def _read(self, record: Record, region: Region) -> Reading | None:
        length = len(record.tokens)
        is_whole = region.start is None or region.end is None or record.id == region.text
        start, end = (0, length) if is_whole else (region.start or 0, region.end or 0)
        if end > length:
            self._problems.add(f"--region {region.text}: record {record.id!r} has {length} bp, and so ends at {length}")
            return None
        if self._limit is None or length <= self._limit:
            return Reading(record.id, length, record.tokens, 0, start, end)
        if end - start > self._limit:
            self._problems.add(
                f"record {record.id!r}: {end - start} bp are more than the {self._limit} that the model reads at once; "
                f"choose some with --region {record.id}:0-{self._limit}, or read all of it with --long whole"
            )
            return None
        first = min(max(0, (start + end - self._limit) // 2), length - self._limit)
        return Reading(record.id, length, record.tokens[first : first + self._limit].copy(), first, start, end)
