"""A step that the memory may not suffice for, and what to do then."""

from __future__ import annotations

import logging
from dataclasses import replace

import torch
from torch import Tensor

from genomix.data.dataset import PlannedBatch, TrainingSet
from genomix.distributed import RankLostError
from genomix.errors import UsageError
from genomix.runtime import is_out_of_memory
from genomix.train.feed import feed
from genomix.train.progress import Progress, seed_step
from genomix.train.step import Stepper

LOG = logging.getLogger("genomix")


def try_step(
    stepper: Stepper, training_set: TrainingSet, batches: list[PlannedBatch], num_targets: int, progress: Progress
) -> Tensor | None:
    """Make the next step.

    Args:
        stepper: Makes it.
        training_set: What the batches are of.
        batches: The step.
        num_targets: See `Stepper.run`.
        progress: How far the training has come; says the learning rate.

    Returns:
        The loss; None if the memory did not suffice, with no gradient left over.

    Raises:
        UsageError: If the memory did not suffice and other processes make the same step.
        RankLostError: If another process is gone; the step is then not made.
    """
    ranks, classifier = stepper.ranks, stepper.classifier
    seed_step(stepper.config.seed, progress.step, ranks.rank)
    shares = [training_set.share(batch, ranks.rank) for batch in batches]
    before = [buffer.clone() for buffer in classifier.buffers()] if ranks.size > 1 else []
    try:
        loaded = feed(training_set, shares, stepper.device)
        return stepper.run(loaded, num_targets, progress.tally.learning_rate)
    except RankLostError:  # no statistics of the step are kept either
        for buffer, value in zip(classifier.buffers(), before, strict=True):
            buffer.copy_(value)
        raise
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if ranks.size > 1:  # the others have begun this step as it is
            raise out_of_memory(training_set, stepper.device, progress.epoch) from error
        # what the step held is only free once this block is left
    stepper.forget()
    if stepper.device == "cuda":
        torch.cuda.empty_cache()
    return None


def halve_batches(training_set: TrainingSet, device: str, progress: Progress) -> TrainingSet:
    """Return records of which half as much is computed at once, in as many more batches a step; once only.

    Raises:
        UsageError: If that is half already.
    """
    if progress.halved:
        raise out_of_memory(training_set, device, progress.epoch)
    half = training_set.batch_bases // 2
    LOG.warning(
        "out of memory on %s: from now on %d bp are computed at once instead of %d, and the gradients of more "
        "batches added up for a step of as many records",
        device,
        half,
        training_set.batch_bases,
    )
    progress.batch_bases, progress.halved = half, True
    return replace(training_set, batch_bases=half)


def out_of_memory(training_set: TrainingSet, device: str, epoch: int) -> UsageError:
    """Return the error that says what to do."""
    return UsageError(
        f"out of memory on {device} in epoch {epoch}; use a smaller --batch-bases than "
        f"{training_set.batch_bases}, or a smaller --max-length"
    )
