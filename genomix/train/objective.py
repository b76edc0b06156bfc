"""What a training makes better: its loss, what it is a mean over, and what the validation records say of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import nn

from genomix.config import TrainingConfig
from genomix.data.dataset import PlannedBatch, TrainingSet
from genomix.errors import TrainingFailedError
from genomix.metrics import score
from genomix.train.history import REPORTED
from genomix.train.loss import make_loss


class Objective(Protocol):
    """What a training makes better."""

    def make_loss(self, training_set: TrainingSet) -> nn.Module:
        """Return the loss of logits and targets, summed over the targets of a batch."""
        ...

    def count(self, training_set: TrainingSet, step: list[PlannedBatch]) -> int:
        """Return how many targets a step has: what its loss is the mean over, 1 at least."""
        ...

    def score(self, module: nn.Module) -> dict[str, float]:
        """Return scores on what is validated on, `log_loss` and the metric that chooses the epoch among them.

        Raises:
            TrainingFailedError: If a score that is needed is not finite.
        """
        ...


@dataclass(frozen=True)
class ClassObjective:
    """Records are to be given their classes.

    Attributes:
        validate: Returns the probabilities (R, C) of the validation records by the module it is given.
        val_targets: Their classes (R,), or what labels each has (R, C).
        num_classes: C.
        config: Resolved training configuration.
    """

    validate: Callable[[nn.Module], np.ndarray]
    val_targets: np.ndarray
    num_classes: int
    config: TrainingConfig

    def make_loss(self, training_set: TrainingSet) -> nn.Module:
        """Return the loss of logits (R, C), summed over the records; see `genomix.train.loss.make_loss`."""
        targets, combinations = training_set.targets, training_set.combinations
        if combinations is None:
            return make_loss(self.config, np.bincount(targets, minlength=self.num_classes))
        return make_loss(self.config, combinations[targets].sum(axis=0), len(targets))

    def count(self, training_set: TrainingSet, step: list[PlannedBatch]) -> int:
        """Return the records of a step."""
        del training_set
        return sum(len(batch) for batch in step)

    def score(self, module: nn.Module) -> dict[str, float]:
        """Return the scores on the validation records.

        Raises:
            TrainingFailedError: If a probability, or the metric that chooses the epoch, is not finite.
        """
        probabilities = self.validate(module)
        if not np.isfinite(probabilities).all():
            raise TrainingFailedError(
                "training stopped: a validation record has a score that is not finite; use a smaller --learning-rate"
            )
        names = dict.fromkeys((*REPORTED, self.config.metric))
        scores = {name: score(name, self.val_targets, probabilities) for name in names}
        if not np.isfinite(scores[self.config.metric]):
            raise TrainingFailedError(
                f"training.metric: {self.config.metric} is undefined on these validation records "
                "(a class is missing among them); choose another metric, or give more records"
            )
        return scores
