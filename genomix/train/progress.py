"""How far a training has come: all that it must remember, beside its weights, to go on where it was stopped."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from genomix.metrics import HIGHER_IS_BETTER
from genomix.train.history import Epoch


@dataclass
class Tally:
    """What an epoch has come to so far.

    Attributes:
        loss: Sum over its records.
        num_records: Trained on.
        num_bases: Trained on.
        learning_rate: Of the last step.
        seconds: That its steps took.
    """

    loss: float = 0.0
    num_records: int = 0
    num_bases: int = 0
    learning_rate: float = 0.0
    seconds: float = 0.0

    @property
    def bases_per_s(self) -> float:
        """Bases trained on in a second."""
        return self.num_bases / max(self.seconds, 1e-9)


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        epoch: The one at work, from 1.
        steps_done: Steps of it that are done.
        step: Steps done in all.
        seconds: That training took so far, validation included.
        tally: Of the epoch at work.
        since_best: Epochs since the metric or the log loss was better than ever, or could not be yet.
        best: How the best epoch ranks: the metric, higher is better, then log loss; None before any.
        batch_bases: Most bases computed at once.
        halved: Whether that is half of what it was, as memory has run out once.
        finished: Whether training has ended; its best weights are what it leaves.
        history: The epochs so far.
    """

    batch_bases: int
    halved: bool = False
    epoch: int = 1
    steps_done: int = 0
    step: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    since_best: int = 0
    best: tuple[float, float] | None = None
    finished: bool = False
    history: list[Epoch] = field(default_factory=list)

    @property
    def where(self) -> str:
        """In words."""
        return f"in epoch {self.epoch}, after {self.step} steps"

    def compare(self, scores: dict[str, float], metric: str) -> bool:
        """Return whether the epoch at work is the best so far, and count it as better than all before, or as not.

        A lower log loss counts too: the network learns, though the metric does not show it yet.

        Args:
            scores: On the validation records; empty where it was not validated.
            metric: What chooses the epoch, before the log loss.
        """
        self.since_best += 1
        if not scores:
            return False
        ranked, before = rank(scores, metric), self.best
        log_losses = [row.validation["log_loss"] for row in self.history if row.validation]
        if before is None or ranked[0] > before[0] or scores["log_loss"] < min(log_losses):
            self.since_best = 0
        if before is not None and ranked <= before:
            return False
        self.best = ranked
        return True

    def end_epoch(self, scores: dict[str, float], *, is_best: bool, seconds: float) -> Epoch:
        """Add the epoch at work to the history, and begin the next; return its row.

        Args:
            scores: On the validation records; empty where it was not validated.
            is_best: Whether it is the best so far.
            seconds: That training took so far.
        """
        tally = self.tally
        row = Epoch(
            epoch=self.epoch,
            step=self.step,
            train_loss=tally.loss / tally.num_records,
            validation=scores,
            learning_rate=tally.learning_rate,
            bases_per_s=tally.bases_per_s,
            seconds=seconds,
            best=is_best,
        )
        self.history.append(row)
        self.epoch, self.steps_done, self.tally = self.epoch + 1, 0, Tally()
        return row

    def to_state(self) -> dict[str, Any]:
        """Return all of it as plain numbers, lists and dictionaries."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Progress:
        """Return what `to_state` was made from."""
        best = state["best"]
        return cls(
            **state
            | {
                "tally": Tally(**state["tally"]),
                "best": None if best is None else (best[0], best[1]),
                "history": [Epoch(**row) for row in state["history"]],
            }
        )


class Clock:
    """Seconds that go on where those of an earlier process ended."""

    def __init__(self, before: float = 0.0) -> None:
        self._began = time.monotonic() - before

    @property
    def seconds(self) -> float:
        """Since the beginning, all processes together."""
        return time.monotonic() - self._began


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make what a step draws at random, such as dropout, a function of the seed, the step and the process alone.

    So a training that goes on from a checkpoint draws what it would have drawn.
    """
    [number] = np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)
    torch.manual_seed(int(number))


def rank(scores: dict[str, float], metric: str) -> tuple[float, float]:
    """Return how good an epoch is, to be compared with others: by its metric, then by its log loss."""
    value = scores[metric]
    return (value if HIGHER_IS_BETTER[metric] else -value), -scores["log_loss"]
