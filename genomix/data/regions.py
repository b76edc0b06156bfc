"""Regions: intervals of sequences from a BED file, half-open and 0-based, in bp."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from genomix.data.compression import display_name, open_input
from genomix.errors import SHOWN, NoInputError, Problems

_NOT_REGIONS = ("#", "track", "browser")


class Region(NamedTuple):
    """One interval of a sequence.

    Attributes:
        sequence: Its name.
        start: The first base.
        end: One past the last base.
        place: File and line it stands in, as messages name them.
    """

    sequence: str
    start: int
    end: int
    place: str


def read_regions(path: str, problems: Problems) -> list[Region]:
    """Read the first three columns of a BED file, compressed or not; `-` is stdin.

    Comments, blank lines, and lines that begin with `track` or `browser` are passed over.

    Args:
        path: The file.
        problems: Is told of each line that is no region.

    Raises:
        NoInputError: If it cannot be read, or holds no line but such.
        DataError: If its compression is damaged.
    """
    regions: list[Region] = []
    is_empty = True
    with open_input(path) as stream:
        for number, raw in enumerate(stream, 1):
            line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
            words = line.split("\t") if "\t" in line else line.split()
            if not line.strip() or line.startswith("#") or words[0].split()[:1] in ([word] for word in _NOT_REGIONS):
                continue
            is_empty = False
            place = f"{display_name(path)}:{number}"
            if finding := _find_fault(words):
                problems.add(f"{place}: {finding}")
            else:
                regions.append(Region(words[0], int(words[1]), int(words[2]), place))
    if is_empty:
        raise NoInputError(f"{display_name(path)}: holds no regions; give lines of sequence, start and end")
    return regions


def check_regions(regions: Sequence[Region], sizes: Mapping[str, int], problems: Problems) -> None:
    """Find regions that do not lie within the sequences.

    Args:
        regions: What is asked for.
        sizes: Length of each sequence in bp.
        problems: Is told of each region of an unknown sequence, or that reaches beyond the end.
    """
    for region in regions:
        if region.sequence not in sizes:
            near = _nearest(region.sequence, sizes) if problems.total < SHOWN else None
            mend = f"did you mean {near!r}?" if near else "the names must be those of the FASTA file"
            problems.add(f"{region.place}: there is no sequence {region.sequence!r}; {mend}")
        elif region.end > sizes[region.sequence]:
            problems.add(
                f"{region.place}: the region ends at {region.end}, beyond the {sizes[region.sequence]} bp of "
                f"{region.sequence!r}; is it of another assembly?"
            )


def merge_regions(regions: Sequence[Region]) -> dict[str, np.ndarray]:
    """Return the disjoint intervals (R, 2) of each sequence in order; those that overlap or touch become one."""
    merged: dict[str, list[list[int]]] = {}
    for region in sorted(regions):
        intervals = merged.setdefault(region.sequence, [])
        if intervals and region.start <= intervals[-1][1]:
            intervals[-1][1] = max(intervals[-1][1], region.end)
        else:
            intervals.append([region.start, region.end])
    return {sequence: np.array(intervals, dtype=np.int64) for sequence, intervals in merged.items()}


def _find_fault(words: list[str]) -> str | None:
    if len(words) < 3:
        return f"has {len(words)} columns; a region needs sequence, start and end"
    for name, word in zip(("start", "end"), words[1:3], strict=True):
        if not (word.isascii() and word.isdigit()) or len(word) > 18:
            return f"{name} is {word!r}, not a whole number from 0; write sequence, start, end"
    start, end = int(words[1]), int(words[2])
    if start >= end:
        return f"start {start} is not before end {end}; regions are 0-based and half-open, as BED says"
    return None


def _nearest(name: str, sizes: Mapping[str, int]) -> str | None:
    for other in (f"chr{name}", name.removeprefix("chr")):
        if other in sizes:
            return other
    return next(iter(difflib.get_close_matches(name, sizes, 1)), None)
