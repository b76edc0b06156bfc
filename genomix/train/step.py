"""One step of the optimiser: batches in, better weights out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from genomix.config import TrainingConfig
from genomix.data.dataset import Batch
from genomix.distributed import Ranks
from genomix.errors import UsageError
from genomix.nn.classifier import Classifier
from genomix.nn.penalty import total_penalty
from genomix.nn.pooling import PooledNorm
from genomix.train.loss import make_loss
from genomix.train.mixup import Mixup
from genomix.train.optimise import make_optimizer, set_learning_rate


@runtime_checkable
class Grouped(Protocol):
    """A module that computes all groups of a batch, of which there may be none."""

    def forward_groups(self, groups: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """Return the logits of groups of tokens (B, N) and lengths (B,)."""
        ...


class Stepper:
    """Makes steps; holds what lives from one to the next: the optimiser, the scaler, the average of the weights.

    Args:
        classifier: Trained in place.
        config: Resolved training configuration.
        device: Where the classifier is.
        loss: Of logits and targets, summed; or, for classes, the training records of each (C,), see `make_loss`.
        num_records: See `make_loss`.
        ranks: The processes that make each step together.

    Raises:
        UsageError: If the records are to be mixed and this classifier pools none.
    """

    def __init__(
        self,
        classifier: nn.Module,
        config: TrainingConfig,
        device: str,
        loss: nn.Module | np.ndarray,
        num_records: int | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        if config.mixup and not isinstance(classifier, Classifier):
            raise UsageError(
                f"training.mixup: {type(classifier).__name__} has no pooled vectors to mix; leave it out, or choose "
                "another model"
            )
        self.classifier = classifier
        self.config = config
        self.device = device
        self.optimizer = make_optimizer(classifier, config)
        self.precision = choose_precision(config.precision, device)
        self.scaler = torch.amp.GradScaler(device, enabled=self.precision is torch.float16)
        wide = torch.promote_types(next(classifier.parameters()).dtype, torch.float32)
        made = loss if isinstance(loss, nn.Module) else make_loss(config, loss, num_records)
        self.loss = made.to(device, wide)
        self.average = _make_average(classifier, config.ema_decay)
        self.ranks = ranks or Ranks()
        self._apart: list[Tensor] = []
        for part in classifier.modules():
            if isinstance(part, PooledNorm):
                part.ranks = self.ranks
            elif isinstance(part, nn.BatchNorm1d):
                self._apart += [buffer for buffer in part.buffers() if buffer.is_floating_point()]

    @property
    def judged(self) -> nn.Module:
        """The module that is validated and kept: the classifier, or the average of its weights."""
        return self.classifier if self.average is None else self.average.module

    def run(self, batches: Iterable[Batch], num_targets: int, learning_rate: float) -> Tensor:
        """Add up the gradients of some batches, of `num_targets` (mostly records) in all, and make a step.

        What the network asks for the sake of its weights (`total_penalty`) is differentiated once a step, however many
        batches it is made of: it is added to the mean loss of the records.

        Returns:
            The mean loss of the records, or their mixtures, without the penalty, so that it compares with that on other
            records and of other networks; on the device: reading it waits for the step. Where several processes make
            the step, each has its share of the batches, and the gradients and the loss are those of all records.
        """
        set_learning_rate(self.optimizer, learning_rate)
        losses: list[Tensor] = []
        for batch in batches:
            loss = self._loss(batch) / num_targets
            self.scaler.scale(loss).backward()
            losses.append(loss.detach())
        penalty = total_penalty(self.classifier) if self.ranks.is_first else None
        if penalty is not None and penalty.requires_grad:  # that of frozen weights has nothing to tell
            self.scaler.scale(penalty).backward()
        total = torch.stack(losses).sum()
        self._add_up(total)
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.classifier.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.forget()
        if self.average is not None:
            self.average.update_parameters(self.classifier)
        return total

    def to_state(self) -> dict[str, Any]:
        """Return all that a later process must know to make the next step as this one would; on the CPU."""
        return {
            "classifier": _copied(self.classifier.state_dict()),
            "optimizer": _copied(self.optimizer.state_dict()),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else _copied(self.average.state_dict()),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `to_state` of an earlier process gave."""
        self.classifier.load_state_dict(state["classifier"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def _add_up(self, loss: Tensor) -> None:
        """Sum gradients and the loss over all processes; statistics that each takes of its own records are averaged."""
        if self.ranks.size == 1:
            return
        gradients = []
        for parameter in self.classifier.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                gradients.append(parameter.grad)
        self.ranks.add_up([*gradients, loss, *self._apart])
        for statistic in self._apart:
            statistic.div_(self.ranks.size)

    def forget(self) -> None:
        """Drop the gradients that have been added up."""
        self.optimizer.zero_grad(set_to_none=True)

    def _loss(self, batch: Batch) -> Tensor:
        mixup = None
        if self.config.mixup:
            mixup = Mixup.draw(self.config.mixup, len(batch.targets), batch.targets.device)
        with torch.autocast(self.device, self.precision, enabled=self.precision is not torch.float32):
            logits = self._logits(batch, mixup)
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if mixup is None:
            return self.loss(wide, batch.targets)
        return mixup.compute_loss(self.loss, wide, batch.targets)

    def _logits(self, batch: Batch, mixup: Mixup | None) -> Tensor:
        if mixup is not None and isinstance(self.classifier, Classifier):
            return self.classifier.forward_groups(batch.groups, mixup.mix)
        if isinstance(self.classifier, Grouped):
            return self.classifier.forward_groups(batch.groups)
        return torch.cat([self.classifier(tokens, lengths) for tokens, lengths in batch.groups])


def _copied(state: Any) -> Any:
    """Return a copy of a state in which tensors are on the CPU, and no longer change with the training."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list | tuple) else state


def choose_precision(name: str, device: str) -> torch.dtype:
    """Return the type a precision stands for: `auto` is bfloat16 on a GPU that has it, and float32 elsewhere."""
    if name == "auto":
        # bfloat16 that is emulated, as it is on older GPUs, is slower than float32
        has_it = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_it else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def _make_average(classifier: nn.Module, decay: float) -> Any:
    if not decay:
        return None
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    def average(averages: Any, weights: Any, num_averaged: Tensor | int) -> None:
        number = int(num_averaged)
        get_ema_multi_avg_fn(min(decay, (number + 1) / (number + 10)))(averages, weights, num_averaged)

    return AveragedModel(classifier, multi_avg_fn=average)
