"""What a configuration leaves open, decided from the data and the machine, each choice said in a sentence."""

from __future__ import annotations

import math

import numpy as np

from genomix.config import Config, KmerConfig, NetworkConfig, ParamixerConfig
from genomix.errors import UsageError
from genomix.nn.build import build_classifier
from genomix.nn.pooling import STATISTICS_RECORDS
from genomix.runtime import available_memory_bytes
from genomix.train.memory import measure_step_memory, telling_out_of_memory

LONGEST_CROP = 2048
MEMORY_SHARE = 0.6
"""Of the free memory, what training steps may need; the rest is for scoring and for what an estimate misses."""
BASES_A_STEP = 1 << 15
FEWEST_RECORDS, FEWEST_OF_MANY, MOST_RECORDS = 16, 64, 128
STEPS_AN_EPOCH = 25
"""That a step may be of `FEWEST_OF_MANY` records, however long, rather than of `FEWEST_RECORDS`."""
MOST_BASES = 400_000_000
"""That are read in a training, about."""
HIDDEN, FEW_RECORDS = 0.2, 10_000
"""Share of the bases that are hidden of records that are read whole again and again, if there are so few of them."""
MOST_PASSES, MOST_PASSES_OF_MANY = 30, 12
"""Times that a base is read at most, on average: records that are read again and again are known by heart, sooner those
of which nothing is hidden, as they are many."""
FEWEST_EPOCHS, MOST_EPOCHS = 10, 400
VALIDATION_SHARE = 0.5
FEWEST_VALIDATIONS = 20


def resolve(
    config: Config,
    lengths: np.ndarray,
    val_bases: int,
    num_classes: int,
    device: str,
    num_shares: int = 1,
    *,
    one_strand: bool | None = None,
) -> tuple[Config, list[str]]:
    """Fill in what the configuration leaves open.

    Args:
        config: As asked for; it is not changed.
        lengths: Of the training records (R,), in bp.
        val_bases: Bases of the validation records.
        num_classes: C.
        device: Where training will run.
        num_shares: Processes that share the memory of the device.
        one_strand: Whether the classes are told apart better by the strand that is given than by both (see
            `genomix.train.kmer.reads_one_strand`); None where that is not known, and then both are read.

    Returns:
        The resolved configuration, and a sentence for each value that was decided here.

    Raises:
        UsageError: If one record does not fit into the memory, or parts of the configuration contradict each other.
    """
    config = config.model_copy(deep=True)
    said: list[str] = []
    if isinstance(config.model, KmerConfig):
        if config.training.mixup:
            raise UsageError(
                "training.mixup: k-mer models have no vectors to mix; choose another --model, or leave it out"
            )
        if config.training.first_length is not None:
            raise UsageError(
                "training.first_length: k-mer models count whole records; choose another --model, or leave it out"
            )
        config.prediction.strands = config.prediction.strands or "forward"
        return config, said
    model, training = config.model, config.training
    if model.max_length is None:
        model.max_length = _choose_length(lengths)
        said.append(f"model.max_length: {model.max_length} bp (training records: {_describe(lengths)})")
    if training.first_length is not None and training.first_length > model.max_length:
        raise UsageError(
            f"training.first_length: {training.first_length} bp are more than model.max_length, the {model.max_length} "
            f"bp that crops grow to (training records: {_describe(lengths)}); make it smaller, or leave it out"
        )
    whole = int(lengths.max()) <= model.max_length
    many = False
    if training.mask_fraction is None:
        same = whole and training.first_length is None
        many, few = same and len(lengths) > FEW_RECORDS, same and len(lengths) <= FEW_RECORDS
        training.mask_fraction = HIDDEN if few else 0.0
        if few:
            said.append(f"training.mask_fraction: {HIDDEN}, as records are few and read whole")
    if model.pooling is None:
        model.pooling = "regions" if whole else "mean"
        said.append(f"model.pooling: {model.pooling}, as records are {'read whole' if whole else 'cropped'}")
    if training.reverse_complement is None and model.both_strands:
        training.reverse_complement = False
        said.append("training.reverse_complement: false, as the network reads both strands of every record")
    if training.reverse_complement is None:
        training.reverse_complement = not one_strand
        if one_strand:
            said.append(
                "training.reverse_complement: false, as k-mers of the strand given tell more than those of both"
            )
    if config.prediction.strands is None:
        config.prediction.strands = "both" if training.reverse_complement else "forward"
    seen = np.minimum(lengths, model.max_length)
    longest = int(model.max_length if model.padding == "token" else seen.max())
    if training.batch_records is None:
        fewest = np.clip(len(lengths) // STEPS_AN_EPOCH, FEWEST_RECORDS, FEWEST_OF_MANY)
        training.batch_records = int(np.clip(BASES_A_STEP // longest, fewest, MOST_RECORDS))
        said.append(f"training.batch_records: {training.batch_records} records a step")
    if training.batch_bases is None:
        _fit_into_memory(config, model, longest, num_classes, device, num_shares, said)
    if training.max_epochs is None:
        steps = max(1, math.ceil(len(lengths) / training.batch_records))
        most_passes = MOST_PASSES_OF_MANY if many else MOST_PASSES
        passes = math.ceil(most_passes * int(lengths.sum()) / int(seen.sum()))
        wanted = min(round(MOST_BASES / int(seen.sum())), passes)
        training.max_epochs = int(np.clip(wanted, FEWEST_EPOCHS, MOST_EPOCHS))
        said.append(f"training.max_epochs: {training.max_epochs} ({steps} steps an epoch)")
    if training.validate_every is None:
        read = val_bases + min(int(seen.sum()), STATISTICS_RECORDS * longest)
        wanted_every = math.ceil(read / (VALIDATION_SHARE * int(seen.sum())))
        training.validate_every = max(1, min(wanted_every, training.max_epochs // FEWEST_VALIDATIONS))
        if training.validate_every > 1:
            said.append(f"training.validate_every: {training.validate_every} epochs")
    if training.patience is None:
        training.patience = max(10, training.max_epochs // 2, 5 * training.validate_every)
        said.append(f"training.patience: {training.patience} epochs without a better {training.awaited}")
    stride = config.prediction.stride
    if stride is not None and stride > model.max_length:
        raise UsageError(f"prediction.stride: {stride} leaves gaps between windows of {model.max_length} bp")
    if model.is_position_bound and config.prediction.long == "whole":
        raise UsageError(
            f"prediction.long: whole: this model has a place for each of {model.max_length} bases and no more; "
            "use prediction.long=window or crop"
        )
    return config, said


def _choose_length(lengths: np.ndarray) -> int:
    return int(min(LONGEST_CROP, lengths.max()))


def _describe(lengths: np.ndarray) -> str:
    return f"{lengths.min()} to {lengths.max()} bp, median {int(np.median(lengths))}"


def _fit_into_memory(
    config: Config,
    model: NetworkConfig,
    longest: int,
    num_classes: int,
    device: str,
    num_shares: int,
    said: list[str],
) -> None:
    training = config.training
    wanted = (training.batch_records or 1) * longest
    room = _find_room(config, model, longest, num_classes, device, num_shares)
    if room < longest and isinstance(model.encoder, ParamixerConfig) and model.encoder.recompute is None:
        model.encoder.recompute = True
        said.append("model.encoder.recompute: true, link weights are made again on the way back, for want of memory")
        room = _find_room(config, model, longest, num_classes, device, num_shares)
    if room < longest:
        raise UsageError(
            f"not enough memory to train on {longest} bp at once (room for about {room}); "
            "use a smaller --max-length, or more memory"
        )
    training.batch_bases = min(wanted, room)
    if room < wanted:
        said.append(f"training.batch_bases: {training.batch_bases}, less than wanted ({wanted}), for want of memory")


def _find_room(
    config: Config, model: NetworkConfig, longest: int, num_classes: int, device: str, num_shares: int
) -> int:
    with telling_out_of_memory(device):
        need = measure_step_memory(build_classifier(model, num_classes).to(device), config.training, longest, device)
    room = MEMORY_SHARE * available_memory_bytes(device) / num_shares - need.fixed_bytes
    return max(0, int(room / max(need.bytes_per_base, 1)))
