"""What a model has seen: the records that it, and the classifiers that its weights come from, were trained with.

Shapes: Q records that are asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genomix.checkpoint.directory import META, REFERENCE, SPLITS, WEIGHTS
from genomix.checkpoint.meta import load_meta
from genomix.data.reference import read_reference
from genomix.data.seen import compare_with_seen
from genomix.data.splits import read_splits
from genomix.data.store import Store
from genomix.files import hash_file

BELIEVED = 0.5
"""Share of the records with the id of a training record that must be like one, lest they be of other data."""


class Familiar(NamedTuple):
    """Which records a model knows.

    Attributes:
        used: Were learnt from, or chose the epoch, with their labels, bool (Q,).
        alike: Are nearly the same as such a record, or as a part of one, and none themselves, bool (Q,).
    """

    used: np.ndarray
    alike: np.ndarray


def find_lineage(directory: Path) -> list[Path]:
    """Return the directory of a classifier and those of the classifiers that its weights come from, its own first.

    A run that is gone, or whose weights are not those any more that were started from, says nothing and ends the line.
    """
    line: list[Path] = []
    while directory not in line:
        line.append(directory)
        origin = load_meta(directory).training.get("init_from") if (directory / META).is_file() else None
        if not isinstance(origin, dict) or origin.get("kind") != "classifier":
            break
        directory = Path(str(origin.get("path")))
        weights = directory / WEIGHTS
        if not weights.is_file() or hash_file(weights) != origin.get("sha256"):
            break
    return line


def find_familiar(directories: Iterable[Path], store: Store, rows: np.ndarray) -> Familiar:
    """Return which records the models in some directories know.

    A record was used if it has the id of one that was. Other data may have the same ids: they are not believed where
    most records that have one are unlike all that was learnt from.

    Args:
        directories: Of classifiers; what their weights come from counts too.
        store: Where the records are.
        rows: The records asked about (Q,).

    Raises:
        DataError, NoInputError: If a file of theirs is damaged.
    """
    line = list(dict.fromkeys(one for directory in directories for one in find_lineage(directory)))
    seen = [read_reference(one / REFERENCE).seen for one in line if (one / REFERENCE).is_file()]
    compared = compare_with_seen(store, rows, [one for one in seen if one is not None])
    ids = [store.ids[row] for row in rows.tolist()]
    learnt, chose = (_is_in(ids, line, part) for part in ("train", "val"))
    told = learnt & compared.told
    is_same = not told.any() or compared.alike[told].mean() >= BELIEVED
    used = (learnt | chose) & is_same
    return Familiar(used, compared.alike & ~used)


def _is_in(ids: Sequence[str], directories: Iterable[Path], part: str) -> np.ndarray:
    """Return which ids are those of a record in a part of the division of a run, bool (Q,)."""
    known = set[str]()
    for path in (directory / SPLITS for directory in directories):
        if path.is_file():
            table = read_splits(path)
            known |= {table.ids[row] for row in getattr(table.splits, part).tolist()}
    return np.fromiter((name in known for name in ids), bool, len(ids))
