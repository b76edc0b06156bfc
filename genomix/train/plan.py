"""What a configuration leaves open, decided from the data and the machine, each choice said in a sentence."""

from __future__ import annotations

import math

import numpy as np
from torch import nn

from genomix.config import Config, KmerConfig
from genomix.errors import UsageError
from genomix.nn.build import build_classifier, is_position_bound, measure_saved_bytes_per_base
from genomix.nn.pooling import STATISTICS_RECORDS
from genomix.runtime import available_memory_bytes

LONGEST_CROP = 2048
TRIED_LENGTH = 4096
MEMORY_SHARE = 0.4
BASES_A_STEP = 1 << 15
FEWEST_RECORDS, MOST_RECORDS = 16, 128
TARGET_STEPS = 12_000
FEWEST_EPOCHS, MOST_EPOCHS = 10, 400
VALIDATION_SHARE = 0.5
FEWEST_VALIDATIONS = 20


def resolve(
    config: Config, lengths: np.ndarray, val_bases: int, num_classes: int, device: str
) -> tuple[Config, list[str]]:
    """Fill in what the configuration leaves open.

    Args:
        config: As asked for; it is not changed.
        lengths: Of the training records (R,), in bp.
        val_bases: Bases of the validation records.
        num_classes: C.
        device: Where training will run.

    Returns:
        The resolved configuration, and a sentence for each value that was decided here.

    Raises:
        UsageError: If one record does not fit into the memory, or parts of the configuration contradict each other.
    """
    config = config.model_copy(deep=True)
    said: list[str] = []
    if isinstance(config.model, KmerConfig):
        return config, said
    model, training = config.model, config.training
    if model.max_length is None:
        model.max_length = _choose_length(lengths)
        said.append(f"model.max_length: {model.max_length} bp (training records: {_describe(lengths)})")
    seen = np.minimum(lengths, model.max_length)
    longest = int(model.max_length if model.padding == "token" else seen.max())
    if training.batch_records is None:
        training.batch_records = int(np.clip(BASES_A_STEP // longest, FEWEST_RECORDS, MOST_RECORDS))
        said.append(f"training.batch_records: {training.batch_records} records a step")
    if training.batch_bases is None:
        wanted = training.batch_records * longest
        room = _bases_that_fit(build_classifier(model, num_classes).to(device), longest, device)
        if room < longest:
            raise UsageError(
                f"not enough memory to train on {longest} bp at once (room for about {room}); "
                "use a smaller --max-length, or more memory"
            )
        training.batch_bases = min(wanted, room)
        if room < wanted:
            said.append(
                f"training.batch_bases: {training.batch_bases}, less than wanted ({wanted}), for want of memory"
            )
    if training.max_epochs is None:
        steps = max(1, math.ceil(len(lengths) / training.batch_records))
        training.max_epochs = int(np.clip(round(TARGET_STEPS / steps), FEWEST_EPOCHS, MOST_EPOCHS))
        said.append(f"training.max_epochs: {training.max_epochs} ({steps} steps an epoch)")
    if training.validate_every is None:
        read = val_bases + min(int(seen.sum()), STATISTICS_RECORDS * longest)
        wanted_every = math.ceil(read / (VALIDATION_SHARE * int(seen.sum())))
        training.validate_every = max(1, min(wanted_every, training.max_epochs // FEWEST_VALIDATIONS))
        if training.validate_every > 1:
            said.append(f"training.validate_every: {training.validate_every} epochs")
    if training.patience is None:
        training.patience = max(10, training.max_epochs // 4, 5 * training.validate_every)
        said.append(f"training.patience: {training.patience} epochs without a better {training.metric}")
    stride = config.prediction.stride
    if stride is not None and stride > model.max_length:
        raise UsageError(f"prediction.stride: {stride} leaves gaps between windows of {model.max_length} bp")
    if is_position_bound(model) and config.prediction.long == "whole":
        raise UsageError("prediction.long: whole does not go with learned positions, flatten pooling or padding: token")
    return config, said


def _choose_length(lengths: np.ndarray) -> int:
    return int(min(LONGEST_CROP, lengths.max()))


def _describe(lengths: np.ndarray) -> str:
    return f"{lengths.min()} to {lengths.max()} bp, median {int(np.median(lengths))}"


def _bases_that_fit(classifier: nn.Module, longest: int, device: str) -> int:
    tried = min(longest, TRIED_LENGTH) if getattr(classifier, "padded_length", None) is None else longest
    per_base = measure_saved_bytes_per_base(classifier.train(), tried)
    return int(MEMORY_SHARE * available_memory_bytes(device) / per_base)
