"""The training loop: one pass after another over the records, the best weights on the validation records kept."""

from __future__ import annotations

import copy
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genomix.config import TrainingConfig
from genomix.data.dataset import PlannedBatch, TrainingSet
from genomix.errors import UsageError
from genomix.metrics import HIGHER_IS_BETTER, score
from genomix.nn.classifier import Classifier
from genomix.nn.pooling import STATISTICS_RECORDS, PooledNorm
from genomix.runtime import is_out_of_memory
from genomix.train.feed import feed
from genomix.train.history import REPORTED, Epoch, Step
from genomix.train.optimise import learning_rate_factor
from genomix.train.step import Stepper

LOG = logging.getLogger("genomix")


class _Launched(NamedTuple):
    """A step whose loss has not been looked at yet."""

    number: int
    loss: Tensor
    num_records: int
    num_bases: int
    progress: float


@dataclass
class _Tally:
    """What an epoch has come to so far."""

    began: float = field(default_factory=time.monotonic)
    loss: float = 0.0
    num_records: int = 0
    num_bases: int = 0
    learning_rate: float = 0.0

    @property
    def bases_per_s(self) -> float:
        return self.num_bases / (time.monotonic() - self.began)


@dataclass
class Fit:
    """Trains a classifier.

    Attributes:
        classifier: Trained in place; ends with the weights of the best epoch.
        training_set: What to train on; its `batch_bases` is halved once if the memory does not suffice.
        config: Resolved training configuration.
        device: Where the classifier is.
        validate: Returns the probabilities (R, C) of the validation records by the module it is given.
        val_targets: Their classes (R,), or what labels each has (R, C).
        num_classes: C.
        on_epoch: Called after each epoch.
        on_best: Called with the module when it is the best so far.
        on_step: Called after each optimiser step.
    """

    classifier: nn.Module
    training_set: TrainingSet
    config: TrainingConfig
    device: str
    validate: Callable[[nn.Module], np.ndarray]
    val_targets: np.ndarray
    num_classes: int
    on_epoch: Callable[[Epoch], None] = lambda _: None
    on_best: Callable[[nn.Module], None] = lambda _: None
    on_step: Callable[[Step], None] = lambda _: None
    history: list[Epoch] = field(default_factory=list)

    def run(self) -> list[Epoch]:
        """Train until the epochs, the time or the patience are used up; return the history.

        Raises:
            UsageError: If the loss stops being finite, or the memory does not suffice for half the batch either.
        """
        self._stepper = self._make_stepper()
        self._began = time.monotonic()
        self._step = 0
        self._halved = False
        max_epochs = self.config.max_epochs or 1
        since_best = 0
        best: tuple[float, float] | None = None
        for epoch in range(1, max_epochs + 1):
            tally = self._train_epoch(epoch, max_epochs)
            speed = tally.bases_per_s
            finished = epoch == max_epochs or self._time_progress() >= 1
            scores = {}
            is_best = False
            if finished or epoch == 1 or epoch % (self.config.validate_every or 1) == 0:
                self._refresh_statistics(epoch)
                scores = self._scores()
                if not np.isfinite(scores[self.config.metric]):
                    raise UsageError(
                        f"training.metric: {self.config.metric} is undefined on these validation records "
                        "(a class is missing among them); choose another metric, or give more records"
                    )
                rank = self._rank(scores)
                is_best = best is None or rank > best
                if best is None or rank[0] > best[0]:
                    since_best = -1
                if is_best:
                    best = rank
                    self._best_state = copy.deepcopy(self._stepper.judged.state_dict())
                    self.on_best(self._stepper.judged)
            since_best += 1
            elapsed = time.monotonic() - self._began
            mean_loss = tally.loss / tally.num_records
            row = Epoch(epoch, self._step, mean_loss, scores, tally.learning_rate, speed, elapsed, is_best)
            self.history.append(row)
            self.on_epoch(row)
            if finished or (scores and since_best >= (self.config.patience or max_epochs)):
                break
        self.classifier.load_state_dict(self._best_state)
        self.classifier.eval()
        return self.history

    def _make_stepper(self) -> Stepper:
        targets, combinations = self.training_set.targets, self.training_set.combinations
        if combinations is None:
            counts = np.bincount(targets, minlength=self.num_classes)
            return Stepper(self.classifier, self.config, self.device, counts)
        counts = combinations[targets].sum(axis=0)
        return Stepper(self.classifier, self.config, self.device, counts, num_records=len(targets))

    def _train_epoch(self, epoch: int, max_epochs: int) -> _Tally:
        self.classifier.train()
        steps = self.training_set.plan(epoch)
        tally = _Tally()
        launched: deque[_Launched] = deque()
        ahead = 0 if self.device == "cpu" else 1  # a GPU computes a step while the loss of the last one is looked at
        for i in range(len(steps)):
            if i and self._time_progress() >= 1:
                break
            progress = max((epoch - 1 + i / len(steps)) / max_epochs, min(1.0, self._time_progress()))
            tally.learning_rate = self.config.learning_rate * learning_rate_factor(
                progress, self.config.schedule, self.config.warmup_fraction
            )
            loss = self._try_step(steps[i], tally.learning_rate)
            if loss is None:
                steps = self._halve_batches(epoch)
                loss = self._try_step(steps[i], tally.learning_rate)
            if loss is None:
                raise self._out_of_memory(epoch)
            self._step += 1
            pieces = [piece for batch in steps[i] for piece, _ in batch]
            num_bases = sum(piece.end - piece.start for piece in pieces)
            launched.append(_Launched(self._step, loss, len(pieces), num_bases, progress))
            if len(launched) > ahead:
                self._settle(launched.popleft(), epoch, tally)
        for step in launched:
            self._settle(step, epoch, tally)
        return tally

    def _settle(self, step: _Launched, epoch: int, tally: _Tally) -> None:
        """Look at the loss of a step, count it, and report it."""
        loss = float(step.loss)
        if not np.isfinite(loss):
            raise UsageError(
                f"training stopped: the loss is {loss} in epoch {epoch}, after {step.number - 1} steps; "
                "use a smaller --learning-rate"
            )
        tally.loss += loss * step.num_records
        tally.num_records += step.num_records
        tally.num_bases += step.num_bases
        elapsed = time.monotonic() - self._began
        left = elapsed * (1 - step.progress) / max(step.progress, 1e-6)
        self.on_step(Step(step.progress, epoch, loss, tally.bases_per_s, left))

    def _try_step(self, batches: list[PlannedBatch], learning_rate: float) -> Tensor | None:
        """Make a step; None if the memory did not suffice, with no gradient left over."""
        num_records = sum(len(batch) for batch in batches)
        try:
            return self._stepper.run(feed(self.training_set, batches, self.device), num_records, learning_rate)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            # what the step held is only free once this block is left
        self._stepper.forget()
        if self.device == "cuda":
            torch.cuda.empty_cache()
        return None

    def _halve_batches(self, epoch: int) -> list[list[PlannedBatch]]:
        """Compute half as much at once from now on, in as many more batches a step, and plan the epoch anew."""
        if self._halved:
            raise self._out_of_memory(epoch)
        self._halved = True
        half = self.training_set.batch_bases // 2
        LOG.warning(
            "out of memory on %s: from now on %d bp are computed at once instead of %d, and the gradients of more "
            "batches added up for a step of as many records",
            self.device,
            half,
            self.training_set.batch_bases,
        )
        self.training_set = replace(self.training_set, batch_bases=half)
        return self.training_set.plan(epoch)

    def _out_of_memory(self, epoch: int) -> UsageError:
        return UsageError(
            f"out of memory on {self.device} in epoch {epoch}; use a smaller --batch-bases than "
            f"{self.training_set.batch_bases}, or a smaller --max-length"
        )

    @torch.no_grad()
    def _refresh_statistics(self, epoch: int) -> None:
        """Take the running statistics of pooled features anew, with the weights as they are now.

        While the weights move, a running mean lags behind by more than the deviation it is divided by.
        """
        module = self._stepper.judged.eval()
        norms = [part for part in module.modules() if isinstance(part, PooledNorm)]
        if not isinstance(module, Classifier) or not norms or len(self.training_set.rows) < PooledNorm.FEWEST:
            return
        pooled: list[Tensor] = []
        for step in self.training_set.plan(epoch):
            for batch in feed(self.training_set, step, self.device):
                pooled += [module.pool(tokens, lengths) for tokens, lengths in batch.groups]
            if sum(len(part) for part in pooled) >= STATISTICS_RECORDS:
                break
        for norm in norms:
            norm.take_statistics(torch.cat(pooled))

    def _scores(self) -> dict[str, float]:
        probabilities = self.validate(self._stepper.judged)
        if not np.isfinite(probabilities).all():
            raise UsageError(
                "training stopped: a validation record has a score that is not finite; use a smaller --learning-rate"
            )
        names = dict.fromkeys((*REPORTED, self.config.metric))
        return {name: score(name, self.val_targets, probabilities) for name in names}

    def _rank(self, scores: dict[str, float]) -> tuple[float, float]:
        value = scores[self.config.metric]
        value = value if HIGHER_IS_BETTER[self.config.metric] else -value
        return value, -scores["log_loss"]

    def _time_progress(self) -> float:
        limit = self.config.max_time_s
        return 0.0 if limit is None else (time.monotonic() - self._began) / limit
