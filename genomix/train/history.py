"""The history of a training: its steps and epochs, as rows and as sentences."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genomix.config import TrainingConfig

REPORTED = ("log_loss", "accuracy", "balanced_accuracy", "f1_macro", "mcc")
IN_SENTENCE = ("log_loss", "accuracy", "f1_macro")


@dataclass(frozen=True)
class Epoch:
    """One row of the history.

    Attributes:
        epoch: From 1.
        step: Optimiser steps so far.
        train_loss: Mean over the records of the epoch, on crops, with dropout.
        validation: Scores on the validation records by name; empty where the epoch was not validated.
        learning_rate: Of the last step.
        bases_per_s: Bases trained on in a second, validation left out.
        seconds: Since training began.
        best: Whether this is the best epoch so far.
    """

    epoch: int
    step: int
    train_loss: float
    validation: dict[str, float]
    learning_rate: float
    bases_per_s: float
    seconds: float
    best: bool

    def row(self) -> dict[str, Any]:
        """Return the epoch as one row of `history.csv`."""
        scores = {f"val_{name}": f"{value:.6f}" for name, value in self.validation.items()}
        return {
            "epoch": self.epoch,
            "step": self.step,
            "train_loss": f"{self.train_loss:.6f}",
            **{f"val_{name}": scores.get(f"val_{name}", "") for name in REPORTED},
            "learning_rate": f"{self.learning_rate:.3e}",
            "bases_per_s": f"{self.bases_per_s:.0f}",
            "seconds": f"{self.seconds:.1f}",
            "best": int(self.best),
        }


@dataclass(frozen=True)
class Step:
    """What there is to show while training goes on: share done, loss, bases per second and seconds left."""

    progress: float
    epoch: int
    loss: float
    bases_per_s: float
    seconds_left: float


def describe(epoch: Epoch, max_epochs: int) -> str:
    """Return an epoch as one line."""
    scores = "".join(f", val {name} {epoch.validation[name]:.3f}" for name in IN_SENTENCE if name in epoch.validation)
    best = " (best)" if epoch.best else ""
    return (
        f"epoch {epoch.epoch}/{max_epochs}: train loss {epoch.train_loss:.3f}{scores}{best}, "
        f"{epoch.bases_per_s / 1000:.0f} kbp/s, {epoch.seconds:.0f} s"
    )


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of the same keys as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def describe_end(last: Epoch, config: TrainingConfig) -> str:
    """Say why training ended with its last epoch; what the configuration leaves open is not known as a reason."""
    if config.budget_s is not None and last.seconds >= config.budget_s:
        reason = f"the time is up ({config.budget_s:g} s)"
    elif last.epoch == config.max_epochs:
        return f"training ended: all {last.epoch} epochs are done"
    else:
        reason = f"no better {config.awaited} for {config.patience} epochs"
    return f"training ended: {reason}, in epoch {last.epoch} of {config.max_epochs}"
