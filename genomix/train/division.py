"""Which records are learnt from, which choose the epoch, and which are held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genomix.config import Config, KmerConfig, NetworkConfig
from genomix.data.curriculum import Curriculum
from genomix.data.dataset import TrainingSet
from genomix.data.identical import identical
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits, divide_into_folds, divide_records
from genomix.errors import UsageError
from genomix.metrics import score
from genomix.nn.build import padded_length

FEWEST_LEFT = 10
"""Validation records that must be left without the copies of training records."""


def divide(records: LabelledRecords, config: Config) -> Splits:
    """Divide labelled records into train, val and test as the configuration says, see `divide_records`.

    Validation records that are copies of training records are put into no part, see `leave_out_copies`.

    Raises:
        UsageError: If what they are to be divided by is not there.
        DataError: If there are too few units, a class has no training record, or there is no record to validate on.
    """
    return leave_out_copies(records, divide_records(records, config.data, config.training.seed))


def leave_out_copies(records: LabelledRecords, splits: Splits) -> Splits:
    """Take the validation records out of a division that are the same as a training record, on either strand.

    What chooses k-mers, epochs and weights must be new to what is chosen: copies choose what knows by heart. They stay
    where fewer than `FEWEST_LEFT` would be left, or not all classes, which is said too.
    """
    train, val = splits.train, splits.val
    groups = identical(records.store, records.indices[np.concatenate([train, val])]).groups
    copied = np.isin(groups[len(train) :], groups[: len(train)])
    if not copied.any():
        return splits
    kept = val[~copied]
    found = f"{copied.sum():,} of {len(val):,} validation records are copies of training records"
    classes = [set(_classes(records.truth[rows])) for rows in (val, kept)]
    if len(kept) < FEWEST_LEFT or classes[0] != classes[1]:
        note = f"{found}: too few others are there to choose by, so that what knows records by heart may be chosen"
        return replace(splits, notes=[*splits.notes, note])
    note = f"{found}: they are left out, as they would choose what knows records by heart"
    unused = np.sort(np.concatenate([splits.unused, val[copied]]))
    return replace(splits, val=kept, unused=unused, notes=[*splits.notes, note])


def check_metric(config: Config, records: LabelledRecords, splits: Splits) -> None:
    """Check that the metric that chooses epochs, k-mers or trials can be computed on the validation records.

    Raises:
        UsageError: If it is undefined for them.
    """
    if isinstance(config.model, KmerConfig) and config.model.is_settled:
        return
    metric, truth = config.training.metric, records.truth[splits.val]
    num_classes = len(records.classes)
    if not np.isfinite(score(metric, truth, np.full((len(truth), num_classes), 1 / num_classes))):
        raise UsageError(
            f"training.metric: {metric} is undefined on these validation records (a class is missing among them); "
            "choose another metric by --set training.metric=..., or give more records"
        )


def _classes(truth: np.ndarray) -> list[int]:
    """Return which classes, or labels, some records have: truth (R,), or (R, C) of what labels each has."""
    return (np.flatnonzero(truth.any(axis=0)) if truth.ndim == 2 else np.unique(truth)).tolist()


def divide_folds(records: LabelledRecords, config: Config, num_folds: int | None = None) -> list[Splits]:
    """Divide labelled records into folds as the configuration says, see `divide_into_folds`.

    Raises:
        UsageError: If what they are to be divided by is not there, or the number is impossible.
        DataError: If there are too few units, or some fold leaves no training record of a class or none to validate on.
    """
    return divide_into_folds(records, config.data, config.training.seed, num_folds)


def make_training_set(records: LabelledRecords, splits: Splits, config: Config, num_shares: int = 1) -> TrainingSet:
    """Return the training records as a resolved configuration of a network says they are to be learnt from."""
    model, training = config.model, config.training
    if (
        not isinstance(model, NetworkConfig)
        or model.max_length is None
        or training.batch_bases is None
        or training.batch_records is None
        or training.max_epochs is None
    ):
        raise AssertionError("the configuration is not that of a network, or not resolved")
    curriculum = None
    if training.first_length is not None:
        curriculum = Curriculum(training.first_length, training.full_length_share, training.max_epochs)
    return TrainingSet(
        store=records.store,
        rows=records.indices[splits.train],
        targets=records.targets[splits.train],
        max_length=model.max_length,
        batch_records=training.batch_records,
        batch_bases=training.batch_bases,
        reverse_complement=bool(training.reverse_complement),
        mask_fraction=training.mask_fraction or 0.0,
        balanced=training.classes == "sampled",
        seed=training.seed,
        padded_length=padded_length(model),
        num_shares=num_shares,
        curriculum=curriculum,
        combinations=None if records.label_sets is None else records.label_sets.has_label,
    )
