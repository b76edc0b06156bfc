"""A network at work on random bases: one training step, one inference.

B batch, N positions, C classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from genomix.benchmark.machine import synchronize
from genomix.benchmark.results import Phase

NUM_BASES, NUM_CLASSES, SEED = 4, 2, 0
LABEL_SMOOTHING = 0.1


class Workload:
    """Does what training and predicting do to one batch of records of equal length, each time alike.

    The learning rate is zero, so that the weights stay as they are; and the labels are smoothed, because the logits of
    random weights may be so far apart that the gradient consists of subnormal numbers, with which a CPU computes ten
    times slower.

    Args:
        classifier: Maps tokens (B, N) and lengths (B,) to logits (B, C); it is moved to the device.
        make_optimizer: Returns the optimiser of a network.
        length: N.
        batch_size: B.
        clip_norm: What the norm of the gradient is clipped to.
        dtype: The name of the type of autocast; `"float32"` for none.
        device: `"cpu"` or `"cuda"`.
    """

    def __init__(
        self,
        classifier: nn.Module,
        make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
        *,
        length: int,
        batch_size: int,
        clip_norm: float,
        dtype: str,
        device: str,
    ) -> None:
        generator = torch.Generator().manual_seed(SEED)
        tokens = torch.randint(NUM_BASES, (batch_size, length), dtype=torch.uint8, generator=generator)
        targets = torch.randint(NUM_CLASSES, (batch_size,), generator=generator)
        self.classifier = classifier.to(device)
        self.tokens, self.targets = tokens.to(device), targets.to(device)
        self.lengths = torch.full((batch_size,), length, device=device)
        self._optimizer = make_optimizer(self.classifier)
        for group in self._optimizer.param_groups:
            group["lr"] = 0.0
        self._scaler = torch.amp.GradScaler(device, enabled=dtype == "float16")
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._clip_norm = clip_norm
        self._device = device

    def prepare(self, phase: Phase) -> Callable[[], None]:
        """Put the network into the mode of a phase, and return what does the phase's work once and waits for it."""
        self.classifier.train(phase == "training")
        return self._train if phase == "training" else self._infer

    def _train(self) -> None:
        logits = self._logits().float()
        loss = nn.functional.cross_entropy(logits, self.targets, label_smoothing=LABEL_SMOOTHING)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self.classifier.parameters(), self._clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        synchronize(self._device)

    @torch.inference_mode()
    def _infer(self) -> None:
        self._logits()
        synchronize(self._device)

    def _logits(self) -> torch.Tensor:
        with torch.autocast(self._device, self._dtype, enabled=self._dtype is not torch.float32):
            return self.classifier(self.tokens, self.lengths)
