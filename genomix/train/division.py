"""Which records are learnt from, which choose the epoch, and which are held out."""

from __future__ import annotations

from typing import Any

import numpy as np

from genomix.config import Config
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits, from_column, make_splits
from genomix.errors import DataError


def divide(records: LabelledRecords, config: Config) -> Splits:
    """Divide labelled records into train, val and test: as their split column says, or at random by the configuration.

    Raises:
        DataError: If a class has no training record, or there is no record to validate on.
    """
    data = config.data
    options: dict[str, Any] = {
        "groups": records.groups,
        "classes": records.classes,
        "val_fraction": data.val_fraction,
        "seed": config.training.seed,
    }
    if records.splits is not None:
        splits = from_column(records.splits, records.targets, **options)
    else:
        splits = make_splits(records.targets, test_fraction=data.test_fraction, **options)
    learnt = np.bincount(records.targets[splits.train], minlength=len(records.classes))
    absent = [name for name, count in zip(records.classes, learnt, strict=True) if not count]
    if absent:
        raise DataError(
            f"no training record of class {', '.join(map(repr, absent))}: nothing to learn it from; "
            "change the split column, or give more records"
        )
    if not len(splits.val):
        raise DataError("no record to validate on: give more records, or a larger data.val_fraction")
    return splits
