"""Hierarchical labels: paths such as `Animalia;Chordata;Aves`, a name a level from the top down.

A classifier tells the whole paths apart, which are its classes; the probability of a node above them is the sum over
the paths through it, so that what is said of one level never contradicts another. Shapes: R records, C classes, T nodes
of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from genomix.errors import DataError, Problems, UsageError
from genomix.metrics import Metrics, compute_metrics

SEPARATOR = ";"


class Node(NamedTuple):
    """A place in the tree.

    Attributes:
        path: Names from the top down to it, as a label is written; empty for the root.
        level: How many names that are; 0 for the root.
        probability: That a record lies below it, or in it.
    """

    path: str
    level: int
    probability: float


def split_path(label: str) -> tuple[str, ...]:
    """Return the names of a label from the top down."""
    return tuple(name.strip() for name in label.split(SEPARATOR))


def join_path(names: Sequence[str]) -> str:
    """Return names from the top down as a label is written, without blanks between them."""
    return SEPARATOR.join(names)


def parse_levels(text: str) -> tuple[str, ...]:
    """Return the names of levels written as `kingdom,phylum,class`.

    Raises:
        UsageError: If there are fewer than two, or one is empty or stands there twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise UsageError(f"--levels {text!r}: name at least two levels from the top down, as in kingdom,phylum,class")
    return names


def check_paths(labels: Sequence[str], places: Sequence[str], levels: Sequence[str]) -> None:
    """Check that every label names something on each level.

    Args:
        labels: Of the records.
        places: What each of the records is called in messages.
        levels: The levels from the top down.

    Raises:
        DataError: If labels have another number of names, or an empty one; the first of them are shown.
    """
    problems = Problems()
    for label, place in zip(labels, places, strict=True):
        names = split_path(label)
        if len(names) != len(levels) or not all(names):
            found = f"{len(names)} names" if all(names) else "an empty name"
            problems.add(
                f"{place}: the label {label!r} has {found}, but there are {len(levels)} levels "
                f"({', '.join(levels)}); separate one name a level by {SEPARATOR!r}, and write e.g. 'unknown' for a "
                "name that is missing"
            )
    problems.raise_if_any(DataError)


@dataclass(frozen=True)
class Levels:
    """The tree that the classes of a model make.

    Attributes:
        names: Of the levels, from the top down (L).
        classes: The C whole paths, in the order of the probabilities.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]

    @cached_property
    def _paths(self) -> list[list[str]]:
        """For each level (L), the path down to it of each class (C)."""
        split = [split_path(label) for label in self.classes]
        return [[join_path(names[: depth + 1]) for names in split] for depth in range(len(self.names))]

    def nodes(self, depth: int) -> list[str]:
        """Return the paths of a level's T nodes, in the order of their first classes; depth 0 is the top level."""
        return list(dict.fromkeys(self._paths[depth]))

    def index(self, depth: int) -> np.ndarray:
        """Return, for each class (C,), the place of its node among `nodes`."""
        places = {path: place for place, path in enumerate(self.nodes(depth))}
        return np.array([places[path] for path in self._paths[depth]])

    def probabilities(self, probabilities: np.ndarray, depth: int) -> np.ndarray:
        """Sum the probabilities (..., C) of classes to those (..., T) of a level's nodes."""
        belongs = np.eye(len(self.nodes(depth)))[self.index(depth)]
        return probabilities @ belongs

    def best(self, probabilities: np.ndarray) -> list[Node]:
        """Return the most probable node of each level (L) for one record's probabilities (C,).

        From the top down, each is sought below the one before, so that together they are one path.
        """
        found: list[Node] = []
        for depth, paths in enumerate(self._paths):
            sums: dict[str, float] = {}
            for path, above, probability in zip(paths, self._paths[depth - 1], probabilities, strict=True):
                if not found or above == found[-1].path:
                    sums[path] = sums.get(path, 0.0) + float(probability)
            path = max(sums, key=sums.__getitem__)
            found.append(Node(path, depth + 1, sums[path]))
        return found

    def truncate(self, probabilities: np.ndarray, min_confidence: float) -> Node:
        """Return the deepest node of the best path that is at least so probable; the root where not even the top is.

        The probability never rises on the way down, so that all above it are at least so probable as well.
        """
        sure = [node for node in self.best(probabilities) if node.probability >= min_confidence]
        return sure[-1] if sure else Node("", 0, 1.0)


def measure_levels(levels: Levels, targets: np.ndarray, probabilities: np.ndarray) -> dict[str, Metrics]:
    """Measure each level by itself, from the top down: which of its nodes is the most probable.

    Args:
        levels: The tree.
        targets: Class indices (R,).
        probabilities: (R, C).

    Returns:
        The metrics by the name of the level; a level of a single node has none.
    """
    found: dict[str, Metrics] = {}
    for depth, name in enumerate(levels.names):
        nodes = levels.nodes(depth)
        if len(nodes) > 1:
            of_level = levels.probabilities(probabilities, depth)
            found[name] = compute_metrics(levels.index(depth)[targets], of_level, nodes)
    return found
