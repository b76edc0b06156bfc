"""What a method finds: tracks along the bases that the model read.

N bases read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Saliency:
    """Numbers for each of N bases.

    Attributes:
        tracks: Name to values (N,) float64; the first is the attribution, positive where the base speaks for the class.
            NaN where nothing is said, as of unknown bases.
        columns: Further columns of the table, name to values (N,).
        facts: What else is worth knowing, by name.
    """

    tracks: dict[str, np.ndarray]
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def attribution(self) -> np.ndarray:
        """The first track (N,)."""
        return next(iter(self.tracks.values()))

    def flipped(self) -> Saliency:
        """Return what was found on the other strand in the order of this one; columns of bases change their names."""
        columns = {complement(name): values[::-1] for name, values in self.columns.items()}
        return Saliency({name: values[::-1] for name, values in self.tracks.items()}, columns, self.facts)


def complement(column: str) -> str:
    """Return the name of a column on the other strand: `delta_A` is `delta_T`."""
    stem, _, base = column.rpartition("_")
    return f"{stem}_{base.translate(str.maketrans('ACGT', 'TGCA'))}" if stem == "delta" else column


def mean_of_strands(one: Saliency, other: Saliency) -> Saliency:
    """Return the mean of what was found on the strand as given and, flipped, on the other; facts are of each."""
    tracks = {name: (values + other.tracks[name]) / 2 for name, values in one.tracks.items()}
    columns = {name: (values + other.columns[name]) / 2 for name, values in one.columns.items()}
    facts: dict[str, Any] = {name: [value, other.facts[name]] for name, value in one.facts.items()}
    return Saliency(tracks, columns, facts)
