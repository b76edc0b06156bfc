"""Sentences on what a division could not keep.

R records, P parts, C classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from genomix.data.splits.assignment import list_memberships

NAMED = 3
"""Classes or ids that a sentence lists."""
GIANT = 0.5
"""A unit with more than this share of the records is worth a word."""
OFF_BY = 0.05
"""So far from its share, or a quarter of it (or of what is not in it) if that is more, a part is worth a word."""
FEWEST = 5
"""Records of a class that a part should have before its share of them is looked at."""


def describe_parts(
    targets: np.ndarray,
    parts: np.ndarray,
    fractions: Sequence[float],
    names: Sequence[str],
    classes: Sequence[str] | None,
    unit: str | None,
) -> list[str]:
    """Say which classes a part lacks, and where units that stay whole put parts off their shares.

    Args:
        targets: Class indices (R,), or which classes each record has (R, C).
        parts: The part of each record (R,).
        fractions: What share of the records each part should have (P,).
        names: Of the parts (P,).
        classes: The labels (C,), if known.
        unit: What stays whole, such as `group`; None where single records were divided.
    """
    having = list_memberships(targets)
    counts = np.zeros((len(fractions), having.num_classes), dtype=np.int64)
    np.add.at(counts, (parts[having.rows], having.classes), 1)
    labels = [repr(classes[i]) if classes is not None else f"number {i}" for i in range(having.num_classes)]
    wanted = [part for part, fraction in enumerate(fractions) if fraction > 0]
    occurring = np.flatnonzero(counts.sum(axis=0)).tolist()
    notes = []
    for part in wanted:
        absent = [labels[i] for i in occurring if not counts[part, i]]
        if absent:
            few = "records" if unit is None else f"{unit}s"
            noun, verb, who = ("class", "has", "it has") if len(absent) == 1 else ("classes", "have", "they have")
            notes.append(f"{noun} {listed(absent)} {verb} no record in {names[part]}: {who} too few {few}")
    if unit is None or not occurring:
        return notes
    sizes = np.bincount(parts, minlength=len(fractions)) / len(parts)
    off = [part for part in wanted if _is_off(sizes[part], fractions[part])]
    if off:
        those = listed([f"{names[part]} has {_instead(sizes[part], fractions[part])}" for part in off])
        notes.append(f"as {unit}s stay whole, parts are not of the size asked for: {those} of the records")
    of_class = [
        f"{names[part]} has {_instead(counts[part, i] / total, fractions[part])} of {labels[i]}"
        for part in sorted(set(wanted) - set(off))
        for i, total in enumerate(counts.sum(axis=0).tolist())
        if counts[part, i] and total * fractions[part] >= FEWEST and _is_off(counts[part, i] / total, fractions[part])
    ]
    if of_class:
        notes.append(f"as {unit}s stay whole, classes are not in proportion: {listed(of_class)}")
    return notes


def describe_giant(units: Sequence[str], unit: str, mend: str) -> list[str]:
    """Say if one unit holds more than half of the records, and what to do about it."""
    if not units:
        return []
    (name, size), *others = Counter(units).most_common()
    if not others or size <= GIANT * len(units):
        return []
    share = f"{size:,} of {len(units):,} records ({100 * size / len(units):.0f} %)"
    return [f"the {unit} {name!r} has {share}, which stay on one side: {mend}"]


def describe_straddling(names: Sequence[str], groups: Sequence[Hashable] | None, parts: str) -> list[str]:
    """Say how many groups have records in more than one part; `names` (R,) has the part of each record, "" for none."""
    found: dict[Hashable, set[str]] = {}
    for name, group in zip(names, groups or (), strict=False):
        if group and name:
            found.setdefault(group, set()).add(name)
    torn = [group for group, where in found.items() if len(where) > 1]
    if not torn:
        return []
    sentence = f"{len(torn)} of {len(found)} groups have records in more than one {parts}, such as {torn[0]!r}"
    return [f"{sentence}: what is measured on the held-out records may be too good"]


def listed(words: Sequence[str]) -> str:
    """Return the first few words, and how many more there are."""
    more = [f"and {len(words) - NAMED} more"] if len(words) > NAMED else []
    return ", ".join([*words[:NAMED], *more])


def _instead(share: float, fraction: float) -> str:
    return f"{100 * share:.0f} % instead of {100 * fraction:.0f} %"


def _is_off(share: float, fraction: float) -> bool:
    return abs(share - fraction) > max(OFF_BY, min(fraction, 1 - fraction) / 4)
