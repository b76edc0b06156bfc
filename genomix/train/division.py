"""Which records are learnt from, which choose the epoch, and which are held out."""

from __future__ import annotations

from typing import Any

import numpy as np

from genomix.config import Config, NetworkConfig
from genomix.data.dataset import TrainingSet
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits, from_column, make_splits
from genomix.errors import DataError
from genomix.nn.build import padded_length


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


def make_training_set(records: LabelledRecords, splits: Splits, config: Config) -> TrainingSet:
    """Return the training records as a resolved configuration of a network says they are to be learnt from."""
    model, training = config.model, config.training
    if (
        not isinstance(model, NetworkConfig)
        or model.max_length is None
        or training.batch_bases is None
        or training.batch_records is None
    ):
        raise AssertionError("the configuration is not that of a network, or not resolved")
    return TrainingSet(
        store=records.store,
        rows=records.indices[splits.train],
        targets=records.targets[splits.train],
        max_length=model.max_length,
        batch_records=training.batch_records,
        batch_bases=training.batch_bases,
        reverse_complement=training.reverse_complement,
        balanced=training.classes == "sampled",
        seed=training.seed,
        padded_length=padded_length(model),
    )
