"""What trials may see: the training and the validation records. The test records are not there at all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from genomix.data.label_sets import find_label_sets
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits
from genomix.data.store import Store


class PartOfStore(Store):
    """Some records of a store, in order, numbered anew from 0; the others cannot be reached through it.

    Args:
        directory: Where the store is.
        files: The inputs as the user named them.
        rows: Of the store: what is kept (R,).

    Attributes:
        sha256: Of the bases that are kept.
    """

    def __init__(self, directory: Path, files: Sequence[str], rows: np.ndarray) -> None:
        super().__init__(directory, files)
        self._rows = rows
        numbers = rows.tolist()
        self.ids = [self.ids[row] for row in numbers]
        self.headers = [self.headers[row] for row in numbers]
        self.lengths, self.num_unknown = self.lengths[rows], self.num_unknown[rows]
        self.file_indices = self.file_indices[rows]
        self._offsets, self._lines = self._offsets[rows], self._lines[rows]
        content = hashlib.sha256(self.lengths.tobytes())
        for row in range(len(rows)):
            content.update(self.tokens(row).data)
        self.sha256 = content.hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        return PartOfStore, (self.directory, self.files, self._rows)


def without_test(records: LabelledRecords, splits: Splits) -> tuple[LabelledRecords, Splits]:
    """Return the records of train and val alone, and their division, whose test part is empty.

    Neither the sequences nor the labels of other records are in what is returned.
    """
    seen = np.sort(np.concatenate([splits.train, splits.val]))
    numbers = seen.tolist()
    store = PartOfStore(records.store.directory, records.store.files, records.indices[seen])
    labels = [records.labels[row] for row in numbers]
    label_sets = None
    if records.label_sets is not None:
        labels, label_sets = find_label_sets(labels, records.classes)
    kept = LabelledRecords(
        store=store,
        indices=np.arange(len(seen)),
        labels=labels,
        groups=None if records.groups is None else [records.groups[row] for row in numbers],
        splits=None,
        classes=records.classes,
        label_sets=label_sets,
    )
    nothing = np.empty(0, np.int64)
    train, val = np.searchsorted(seen, splits.train), np.searchsorted(seen, splits.val)
    groups = None if splits.groups is None else [splits.groups[row] for row in numbers]
    return kept, replace(splits, train=train, val=val, test=nothing, unused=nothing, groups=groups)
