"""The training loop: one pass after another over the records, the best weights on the validation records kept."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genomix.config import TrainingConfig
from genomix.data.dataset import Batch, Group, TrainingSet
from genomix.errors import UsageError
from genomix.metrics import HIGHER_IS_BETTER, score
from genomix.nn.classifier import Classifier
from genomix.nn.pooling import STATISTICS_RECORDS, PooledNorm
from genomix.train.history import REPORTED, Epoch, Step
from genomix.train.optimise import learning_rate_factor, make_optimizer, set_learning_rate


@dataclass
class Fit:
    """Trains a classifier.

    Attributes:
        classifier: Trained in place; ends with the weights of the best epoch.
        training_set: What to train on.
        config: Resolved training configuration.
        device: Where the classifier is.
        validate: Returns the probabilities (R, C) of the validation records by the module it is given.
        val_targets: Their classes (R,).
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
            UsageError: If the loss stops being finite.
        """
        self._optimizer = make_optimizer(self.classifier, self.config)
        self._precision = _precision(self.config.precision, self.device)
        self._scaler = torch.amp.GradScaler(self.device, enabled=self._precision is torch.float16)
        self._loss = self._make_loss()
        self._average = _average(self.classifier, self.config.ema_decay)
        self._began = time.monotonic()
        self._step = 0
        max_epochs = self.config.max_epochs or 1
        since_best = 0
        best: tuple[float, float] | None = None
        for epoch in range(1, max_epochs + 1):
            loss, speed, learning_rate = self._train_epoch(epoch, max_epochs)
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
                    self._best_state = copy.deepcopy(self._judged().state_dict())
                    self.on_best(self._judged())
            since_best += 1
            row = Epoch(epoch, self._step, loss, scores, learning_rate, speed, time.monotonic() - self._began, is_best)
            self.history.append(row)
            self.on_epoch(row)
            if finished or (scores and since_best >= (self.config.patience or max_epochs)):
                break
        self.classifier.load_state_dict(self._best_state)
        self.classifier.eval()
        return self.history

    def _train_epoch(self, epoch: int, max_epochs: int) -> tuple[float, float, float]:
        self.classifier.train()
        steps = self.training_set.plan(epoch)
        total_loss, num_records, num_bases, learning_rate = 0.0, 0, 0, 0.0
        began = time.monotonic()
        for i, step in enumerate(steps):
            if i and self._time_progress() >= 1:
                break
            progress = max((epoch - 1 + i / len(steps)) / max_epochs, min(1.0, self._time_progress()))
            learning_rate = self.config.learning_rate * learning_rate_factor(
                progress, self.config.schedule, self.config.warmup_fraction
            )
            set_learning_rate(self._optimizer, learning_rate)
            batches = (self._to_device(self.training_set.load(batch)) for batch in step)
            records = sum(len(batch) for batch in step)
            try:
                loss = self._train_step(batches, records, epoch)
            except torch.OutOfMemoryError as error:
                raise UsageError(
                    f"out of memory on {self.device} in epoch {epoch}; use a smaller --batch-bases than "
                    f"{self.training_set.batch_bases}, or a smaller --max-length"
                ) from error
            total_loss += loss * records
            num_records += records
            num_bases += sum(piece.end - piece.start for batch in step for piece, _ in batch)
            elapsed = time.monotonic() - self._began
            self.on_step(
                Step(
                    progress,
                    epoch,
                    loss,
                    num_bases / (time.monotonic() - began),
                    elapsed * (1 - progress) / max(progress, 1e-6),
                )
            )
        return total_loss / num_records, num_bases / (time.monotonic() - began), learning_rate

    def _train_step(self, batches: Iterator[Batch], records: int, epoch: int) -> float:
        losses: list[Tensor] = []
        for batch in batches:
            with torch.autocast(self.device, self._precision, enabled=self._precision is not torch.float32):
                logits = self._logits(batch)
            loss = self._loss(logits.float(), batch.targets) / records
            self._scaler.scale(loss).backward()
            losses.append(loss.detach())
        total = float(torch.stack(losses).sum())
        if not np.isfinite(total):
            raise UsageError(
                f"training stopped: the loss is {total} in epoch {epoch}, after {self._step} steps; "
                "use a smaller --learning-rate, or a smaller model.encoder.link_scale"
            )
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self.classifier.parameters(), self.config.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update_parameters(self.classifier)
        self._step += 1
        return total

    def _logits(self, batch: Batch) -> Tensor:
        if isinstance(self.classifier, Classifier):
            return self.classifier.forward_groups(batch.groups)
        return torch.cat([self.classifier(tokens, lengths) for tokens, lengths in batch.groups])

    @torch.no_grad()
    def _refresh_statistics(self, epoch: int) -> None:
        """Take the running statistics of pooled features anew, with the weights as they are now.

        While the weights move, a running mean lags behind by more than the deviation it is divided by.
        """
        module = self._judged().eval()
        norms = [part for part in module.modules() if isinstance(part, PooledNorm)]
        if not isinstance(module, Classifier) or not norms or len(self.training_set.rows) < PooledNorm.FEWEST:
            return
        pooled: list[Tensor] = []
        for step in self.training_set.plan(epoch):
            for batch in step:
                groups = self._to_device(self.training_set.load(batch)).groups
                pooled += [module.pool(tokens, lengths) for tokens, lengths in groups]
            if sum(len(part) for part in pooled) >= STATISTICS_RECORDS:
                break
        for norm in norms:
            norm.take_statistics(torch.cat(pooled))

    def _scores(self) -> dict[str, float]:
        probabilities = self.validate(self._judged())
        if not np.isfinite(probabilities).all():
            raise UsageError(
                "training stopped: a validation record has a score that is not finite; "
                "use a smaller --learning-rate, or a smaller model.encoder.link_scale"
            )
        names = dict.fromkeys((*REPORTED, self.config.metric))
        return {name: score(name, self.val_targets, probabilities) for name in names}

    def _rank(self, scores: dict[str, float]) -> tuple[float, float]:
        value = scores[self.config.metric]
        value = value if HIGHER_IS_BETTER[self.config.metric] else -value
        return value, -scores["log_loss"]

    def _judged(self) -> nn.Module:
        return self.classifier if self._average is None else self._average.module

    def _make_loss(self) -> nn.CrossEntropyLoss:
        weight = None
        if self.config.classes == "weighted":
            counts = np.bincount(self.training_set.targets, minlength=self.num_classes)
            weight = torch.tensor(counts.sum() / np.maximum(counts, 1) / len(counts), dtype=torch.float32)
            weight = weight.to(self.device)
        return nn.CrossEntropyLoss(weight, reduction="sum", label_smoothing=self.config.label_smoothing)

    def _time_progress(self) -> float:
        limit = self.config.max_time_s
        return 0.0 if limit is None else (time.monotonic() - self._began) / limit

    def _to_device(self, batch: Batch) -> Batch:
        if self.device == "cpu":
            return batch
        groups = [Group(*(self._moved(tensor) for tensor in group)) for group in batch.groups]
        return Batch(groups, self._moved(batch.targets))

    def _moved(self, tensor: Tensor) -> Tensor:
        pinned = tensor.pin_memory() if self.device == "cuda" else tensor
        return pinned.to(self.device, non_blocking=self.device == "cuda")


def _precision(name: str, device: str) -> torch.dtype:
    if name == "auto":
        return torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def _average(classifier: nn.Module, decay: float) -> Any:
    if not decay:
        return None
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    return AveragedModel(classifier, multi_avg_fn=get_ema_multi_avg_fn(decay))
