"""Kinds of labels, and those of which a record may have several, or none: `coding;conserved`.

Shapes: R records, C classes, T combinations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genomix.config import DataConfig

SEPARATOR = ";"
NO_LABEL = "-"
"""How the label cell of a record without any label is written."""


class LabelKind(NamedTuple):
    """How the labels of records are to be read.

    Attributes:
        is_multi: As `a;b`, of which a record may have several, or none, written `-`.
        levels: As paths, such as `Animalia;Chordata`: the names of their levels, from the top down; empty for none.
        positive: The class that is looked for; it becomes the second of the two.
    """

    is_multi: bool = False
    levels: tuple[str, ...] = ()
    positive: str | None = None


PLAIN = LabelKind()
"""One class a record, all classes alike."""


def label_kind(data: DataConfig) -> LabelKind:
    """Return how a configuration says that labels are to be read."""
    return LabelKind(data.labels == "multi", data.levels or (), data.positive)


@dataclass(frozen=True)
class LabelSets:
    """The combinations of labels that records have.

    Attributes:
        names: Of the T combinations, labels in the order of the classes.
        has_label: Which classes each combination has, bool (T, C).
    """

    names: list[str]
    has_label: np.ndarray


def split_labels(cell: str) -> tuple[str, ...]:
    """Return the labels of a cell, each once, none for `-`."""
    return tuple(dict.fromkeys(name for part in cell.split(SEPARATOR) if (name := part.strip()) not in ("", NO_LABEL)))


def join_names(names: Sequence[str]) -> str:
    """Return labels as they are written in one cell."""
    return SEPARATOR.join(names) or NO_LABEL


def find_label_sets(cells: Sequence[str], classes: Sequence[str]) -> tuple[list[str], LabelSets]:
    """Return the label of each record (R,) with its classes in their order, and the combinations there are.

    Args:
        cells: Labels of the records as they were given (R,).
        classes: The C classes in their order.
    """
    places = {name: place for place, name in enumerate(classes)}
    labels = [join_names(sorted(split_labels(cell), key=places.__getitem__)) for cell in cells]
    names = sorted(set(labels), key=lambda label: [places[name] for name in split_labels(label)])
    has_label = np.zeros((len(names), len(classes)), dtype=bool)
    for row, label in zip(has_label, names, strict=True):
        row[[places[name] for name in split_labels(label)]] = True
    return labels, LabelSets(names, has_label)
