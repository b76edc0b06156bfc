"""The training loop: one pass after another over the records, the best weights on the validation records kept."""

from __future__ import annotations

import contextlib
import copy
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from genomix.config import TrainingConfig
from genomix.data.dataset import TrainingSet
from genomix.distributed import RankLostError, Ranks
from genomix.errors import PreemptedError, TrainingFailedError
from genomix.nn.pooling import FINAL_RECORDS
from genomix.stopping import AbandonedError, Stopping
from genomix.train.attempt import halve_batches, out_of_memory, try_step
from genomix.train.freezing import freeze_features, is_frozen
from genomix.train.history import Epoch, Step
from genomix.train.objective import ClassObjective, Objective
from genomix.train.optimise import learning_rate_factor
from genomix.train.progress import Clock, Progress
from genomix.train.statistics import refresh_statistics
from genomix.train.step import Stepper

LOG = logging.getLogger("genomix")


class _Launched(NamedTuple):
    """A step whose loss has not been looked at yet."""

    number: int
    loss: Tensor
    num_targets: int
    num_bases: int
    progress: float


@dataclass
class Fit:
    """Trains a classifier.

    Attributes:
        classifier: Trained in place; ends with the weights of the best epoch.
        training_set: What to train on; its `batch_bases` is halved once if the memory does not suffice.
        config: Resolved training configuration.
        device: Where the classifier is.
        validate, val_targets, num_classes: See `ClassObjective`; left out where there is another `objective`.
        objective: What is made better, if that is not to give records their classes.
        on_epoch: Called after each epoch.
        on_best: Called with the module when it is the best so far.
        on_step: Called after each optimiser step.
        on_checkpoint: Called after each step, and before the training stops or ends, with a function that returns what
            `load` takes, and whether this is the last chance to ask it.
        stop: Says when to stop.
        ranks: The processes that train together.
    """

    classifier: nn.Module
    training_set: TrainingSet
    config: TrainingConfig
    device: str
    validate: Callable[[nn.Module], np.ndarray] | None = None
    val_targets: np.ndarray | None = None
    num_classes: int = 0
    objective: Objective | None = None
    on_epoch: Callable[[Epoch], None] = lambda _: None
    on_best: Callable[[nn.Module], None] = lambda _: None
    on_step: Callable[[Step], None] = lambda _: None
    on_checkpoint: Callable[[Callable[[], dict[str, Any]], bool], None] = lambda *_: None
    stop: Stopping = field(default_factory=Stopping)
    ranks: Ranks = field(default_factory=Ranks)

    def __post_init__(self) -> None:
        """Begin with nothing done."""
        self._state: dict[str, Any] | None = None
        self._progress = Progress(self.training_set.batch_bases)
        self._best_state: dict[str, Tensor] = {}
        self._launched: deque[_Launched] = deque()
        self._clock = Clock()
        self._time_share = 0.0
        if self.objective is not None:
            self._objective = self.objective
        elif self.validate is not None and self.val_targets is not None:
            self._objective = ClassObjective(self.validate, self.val_targets, self.num_classes, self.config)
        else:
            raise ValueError("there is nothing to make better: neither an objective, nor validation records")

    @property
    def history(self) -> list[Epoch]:
        """The epochs so far."""
        return self._progress.history

    @property
    def where(self) -> str:
        """How far training has come."""
        return self._progress.where

    def load(self, state: dict[str, Any]) -> None:
        """Go on where another process stopped, from what it handed to `on_checkpoint`."""
        self._progress = Progress.from_state(state["progress"])
        self._best_state = state["best"]
        self._state = state["stepper"]
        self.training_set = replace(self.training_set, batch_bases=self._progress.batch_bases)

    def run(self) -> list[Epoch]:
        """Train until the epochs, the time or the patience are used up; return the history.

        Raises:
            TrainingFailedError: If the loss stops being finite; in all processes alike.
            UsageError: If the memory does not suffice for half the batch either.
            PreemptedError, KeyboardInterrupt: If it was asked to stop; what was done is handed to `on_checkpoint`.
            RankLostError: If another process is gone; likewise.
        """
        self._stepper = self._make_stepper()
        if self._state is not None:
            self._stepper.load_state(self._state)
        self._clock = Clock(self._progress.seconds)
        with self.stop.deferred():
            try:
                while not self._progress.finished:
                    self._run_epoch(self._progress)
            except AbandonedError:
                raise
            except (PreemptedError, KeyboardInterrupt):
                self._save(must=True)
                with contextlib.suppress(RankLostError):
                    self.ranks.barrier()  # a launcher may end all of them as soon as one is gone
                raise
            except RankLostError:
                if self.device == "cpu":  # what a GPU still computes with the others never ends
                    self._save(must=True)
                raise
            self._save(must=True)
        self.classifier.load_state_dict(self._best_state)
        refresh_statistics(self.classifier, self.training_set, 1, self.device, self.ranks, FINAL_RECORDS)
        self.classifier.eval()
        return self.history

    def _run_epoch(self, progress: Progress) -> None:
        max_epochs = self.config.max_epochs or 1
        self._train_epoch(progress, max_epochs)
        finished = progress.epoch == max_epochs or self._time_share >= 1
        validated = finished or progress.epoch == 1 or progress.epoch % (self.config.validate_every or 1) == 0
        scores = self._validate(progress.epoch) if validated else {}
        is_best = progress.compare(scores, self.config.metric)
        if is_best:
            self._best_state = copy.deepcopy(self._stepper.judged.state_dict())
            self.on_best(self._stepper.judged)
        if is_frozen(self.config, progress.epoch) and self.config.freeze_epochs is not None:
            progress.since_best = 0  # what will be learnt from then on has had no chance yet
        if self.training_set.crop_length(progress.epoch) < self.training_set.max_length:
            progress.since_best = 0  # nor has what longer crops show
        row = progress.end_epoch(scores, is_best=is_best, seconds=self._clock.seconds)
        progress.finished = finished or (bool(scores) and progress.since_best >= (self.config.patience or max_epochs))
        self.on_epoch(row)

    def _make_stepper(self) -> Stepper:
        loss = self._objective.make_loss(self.training_set)
        return Stepper(self.classifier, self.config, self.device, loss, ranks=self.ranks)

    def _train_epoch(self, progress: Progress, max_epochs: int) -> None:
        self.classifier.train()
        if self.config.freeze == "features":
            freeze_features(self.classifier, frozen=is_frozen(self.config, progress.epoch))
        self._agree()
        steps = self.training_set.plan(progress.epoch)
        ahead = 0 if self.device == "cpu" else 1  # a GPU computes a step while the loss of the last one is looked at
        for i in range(progress.steps_done, len(steps)):
            if i and self._time_share >= 1:
                break
            began = time.monotonic()
            done = max((progress.epoch - 1 + i / len(steps)) / max_epochs, min(1.0, self._time_share))
            progress.tally.learning_rate = self.config.learning_rate * learning_rate_factor(
                done, self.config.schedule, self.config.warmup_fraction
            )
            num_targets = self._objective.count(self.training_set, steps[i])
            loss = try_step(self._stepper, self.training_set, steps[i], num_targets, progress)
            if loss is None:
                self.training_set = halve_batches(self.training_set, self.device, progress)
                steps = self.training_set.plan(progress.epoch)
                loss = try_step(self._stepper, self.training_set, steps[i], num_targets, progress)
            if loss is None:
                raise out_of_memory(self.training_set, self.device, progress.epoch)
            progress.step += 1
            progress.steps_done = i + 1
            pieces = [piece for batch in steps[i] for piece, _ in batch]
            num_bases = sum(piece.end - piece.start for piece in pieces)
            self._launched.append(_Launched(progress.step, loss, num_targets, num_bases, done))
            if len(self._launched) > ahead:
                self._settle(self._launched.popleft())
            progress.tally.seconds += time.monotonic() - began
            if self._agree():
                self.stop.check(progress.where)
            self._save(must=False)
        while self._launched:
            self._settle(self._launched.popleft())

    def _settle(self, step: _Launched) -> None:
        """Look at the loss of a step, count it, and report it."""
        loss = float(step.loss)
        progress = self._progress
        if not np.isfinite(loss):
            raise TrainingFailedError(
                f"training stopped: the loss is {loss} in epoch {progress.epoch}, after {step.number - 1} steps; "
                "use a smaller --learning-rate"
            )
        tally = progress.tally
        tally.loss += loss * step.num_targets
        tally.num_records += step.num_targets
        tally.num_bases += step.num_bases
        left = self._clock.seconds * (1 - step.progress) / max(step.progress, 1e-6)
        self.on_step(Step(step.progress, progress.epoch, loss, tally.bases_per_s, left))

    def _validate(self, epoch: int) -> dict[str, float]:
        """Return the scores on the validation records."""
        module = self._stepper.judged
        refresh_statistics(module, self.training_set, epoch, self.device, self.ranks)
        return self._objective.score(module)

    def _agree(self) -> bool:
        """Look at the clock, and return whether to stop: alike in all processes, even if only one was asked."""
        limit = self.config.budget_s
        share = 0.0 if limit is None else self._clock.seconds / limit
        asked, self._time_share = self.ranks.most(self.stop.asked is not None, share)
        if asked:
            self.stop.ask("a signal to another process")
        return bool(asked)

    def _save(self, *, must: bool) -> None:
        """Offer what is to be remembered."""

        def state() -> dict[str, Any]:
            while self._launched:
                self._settle(self._launched.popleft())
            self._progress.seconds = self._clock.seconds
            return {
                "progress": self._progress.to_state(),
                "best": dict(self._best_state),
                "stepper": self._stepper.to_state(),
            }

        self.on_checkpoint(state, must)
