"""What is kept together when records are divided: nothing, their group, or their sequence (chromosome).

R records.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from genomix.data.labelled import LabelledRecords
from genomix.data.splits.assignment import number_units
from genomix.data.splits.notes import NAMED
from genomix.errors import UsageError

_COLON = re.compile(r"^(?:.*::)?(?P<sequence>.+):c?[\d,]+-[\d,]+(?![\d,])")
_UNDERSCORES = re.compile(r"(?=_(?P<start>\d+)_(?P<end>\d+)(?!\d))")


class Units(NamedTuple):
    """What is kept together.

    Attributes:
        names: For each record the name of its unit (R,); None where each record goes its own way.
        word: What a unit is called.
        mend: What to do where units are too large or too few.
        notes: What is worth knowing.
    """

    names: list[str] | None
    word: str
    mend: str
    notes: list[str]


def by_record(records: LabelledRecords) -> Units:
    """Keep nothing together, and say so where the labels have groups."""
    notes = []
    if records.groups is not None:
        notes.append(
            "the column group of the labels is not used (split random): records of one group may be learnt from and "
            "held out, and what is measured may be too good; --split group keeps them together"
        )
    return Units(None, "record", "give more records", notes)


def by_group(records: LabelledRecords) -> Units:
    """Keep the groups of the labels together.

    Raises:
        UsageError: If the labels have no groups.
    """
    if records.groups is None:
        raise UsageError("split by group: the labels have no column group; add it, or choose another --split")
    return Units(records.groups, "group", "give more groups, or smaller ones", [])


def by_sequence(records: LabelledRecords) -> Units:
    """Keep the pieces of a sequence together, and groups that the labels have.

    Raises:
        UsageError: If ids have no coordinates.
    """
    names = [sequence_name(record_id) for record_id in records.ids]
    without = [record_id for record_id, name in zip(records.ids, names, strict=True) if name is None]
    if without:
        shown = ", ".join(f'"{record_id}"' for record_id in without[:NAMED]) + ", ..." * (len(without) > NAMED)
        raise UsageError(
            f"split by sequence: {len(without):,} of {len(names):,} ids have no coordinates ({shown}); the sequence is "
            "what stands before them in ids like chr2:100-200, chr2:100-200(+) or chr2_100_200: rename the records, or "
            "name their sequences in a column group (--split group)"
        )
    return join_groups(Units([name or "" for name in names], "sequence", "give records of more sequences", []), records)


def sequence_name(record_id: str) -> str | None:
    """Return what stands before the coordinates of an id; None where it has none.

    Coordinates are `:START-END` (samtools, bedtools, UCSC and, with a `c` before START, NCBI), before which a name and
    `::` may stand, or else the last `_START_END` with START below END. What stands behind them, such as a strand,
    counts for nothing.
    """
    if match := _COLON.match(record_id):
        return match["sequence"]
    places = [match.start() for match in _UNDERSCORES.finditer(record_id) if int(match["start"]) < int(match["end"])]
    return record_id[: places[-1]] or None if places else None


def join_groups(units: Units, records: LabelledRecords) -> Units:
    """Let units that share a group of the labels be one, called as that of its first record."""
    if records.groups is None or units.names is None:
        return units
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers, groups = number_units(units.names), number_units(records.groups)
    num_units, num_groups = int(numbers.max()) + 1, int(groups.max()) + 1
    links = coo_array((np.ones(len(groups)), (numbers, num_units + groups)), shape=(num_units + num_groups,) * 2)
    parts = connected_components(links, directed=False)[1][numbers]
    name_of: dict[int, str] = {}
    joined = [name_of.setdefault(part, name) for part, name in zip(parts.tolist(), units.names, strict=True)]
    note = (
        f"{units.word}s are kept together, and so are the groups of the labels: {num_units:,} {units.word}s and "
        f"{num_groups:,} groups became {len(name_of):,} of both"
    )
    return units._replace(names=joined, notes=[*units.notes, note])
