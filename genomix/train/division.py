"""Which records are learnt from, which choose the epoch, and which are held out."""

from __future__ import annotations

from genomix.config import Config, NetworkConfig
from genomix.data.curriculum import Curriculum
from genomix.data.dataset import TrainingSet
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits, divide_into_folds, divide_records
from genomix.nn.build import padded_length


def divide(records: LabelledRecords, config: Config) -> Splits:
    """Divide labelled records into train, val and test as the configuration says, see `divide_records`.

    Raises:
        UsageError: If what they are to be divided by is not there.
        DataError: If there are too few units, a class has no training record, or there is no record to validate on.
    """
    return divide_records(records, config.data, config.training.seed)


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
