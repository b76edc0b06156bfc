"""Hidden bases are to be said: the objective of a pretraining."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from genomix.data.dataset import PlannedBatch, TrainingSet
from genomix.errors import TrainingFailedError
from genomix.pretrain.held_out import HeldOut
from genomix.pretrain.masking import IGNORED
from genomix.pretrain.windows import MaskedSet
from genomix.train.history import Epoch


@dataclass(frozen=True)
class MaskedBases:
    """The cross-entropy over A, C, G and T at the chosen positions, and nowhere else.

    Attributes:
        held_out: What is validated on.
        device: Where the network is.
    """

    held_out: HeldOut
    device: str

    def make_loss(self, training_set: TrainingSet) -> nn.Module:
        """Return the loss of logits (P, 4) and targets (P,), summed over the chosen positions."""
        del training_set
        return nn.CrossEntropyLoss(reduction="sum", ignore_index=IGNORED)

    def count(self, training_set: TrainingSet, step: list[PlannedBatch]) -> int:
        """Return the chosen positions of a step, 1 at least."""
        if not isinstance(training_set, MaskedSet):
            raise TypeError(f"{type(training_set).__name__} hides no bases")
        return max(1, training_set.count_masked(step))

    def score(self, module: nn.Module) -> dict[str, float]:
        """Return the mean cross-entropy of the hidden bases, in nats, and the share of them that is right.

        Raises:
            TrainingFailedError: If the cross-entropy is not finite.
        """
        said = self.held_out.say(module, self.device)
        if not np.isfinite(said.nats):
            raise TrainingFailedError(
                "training stopped: a held-out base has a score that is not finite; use a smaller --learning-rate"
            )
        return {"log_loss": said.nats / said.num_bases, "accuracy": said.accuracy}


def to_row(epoch: Epoch) -> Mapping[str, Any]:
    """Return an epoch as one row of `history.csv`, losses in bits a base."""
    row = epoch.row()
    validated = bool(epoch.validation)
    return {
        "epoch": row["epoch"],
        "step": row["step"],
        "train_bits_per_base": f"{epoch.train_loss / math.log(2):.6f}",
        "val_bits_per_base": f"{epoch.validation['log_loss'] / math.log(2):.6f}" if validated else "",
        "val_accuracy": row["val_accuracy"],
        **{name: row[name] for name in ("learning_rate", "bases_per_s", "seconds", "best")},
    }


def describe(epoch: Epoch, max_epochs: int) -> str:
    """Return an epoch as one line."""
    said = f"epoch {epoch.epoch}/{max_epochs}: train {epoch.train_loss / math.log(2):.4f} bits a base"
    if epoch.validation:
        bits, accuracy = epoch.validation["log_loss"] / math.log(2), epoch.validation["accuracy"]
        said += f", val {bits:.4f} bits, accuracy {accuracy:.4f}{' (best)' if epoch.best else ''}"
    return f"{said}, {epoch.bases_per_s / 1000:.0f} kbp/s, {epoch.seconds:.0f} s"
