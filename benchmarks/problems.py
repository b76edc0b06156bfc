"""What length_error.py trains networks on: how records are drawn, the loss of answers, and which are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genomix.data import simulate
from genomix.nn.build import Inputs, build_classifier, build_regressor


class Problem:
    """A task: draws batches, builds its network, knows its loss and what is wrong."""

    def __init__(self, task: str) -> None:
        self.task = task
        self.draw = simulate.adding if task == "adding" else simulate.temporal_order

    def build(self, config: Any) -> nn.Module:
        """Return the untrained network."""
        if self.task == "adding":
            return build_regressor(config, Inputs("values", 2))
        num_tokens = simulate.NUM_NOISE + 2
        return build_classifier(config, len(simulate.ORDER_LABELS), Inputs("tokens", num_tokens + 1))

    def batch(
        self, num_records: int, length: int, generator: np.random.Generator, device: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw inputs, lengths and targets."""
        drawn = self.draw(num_records, length, generator)
        lengths = torch.full((num_records,), length, device=device)
        targets = drawn.targets.astype(np.float32) if self.task == "adding" else drawn.targets
        return torch.from_numpy(drawn.inputs).to(device), lengths, torch.from_numpy(targets).to(device)

    def loss(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch."""
        function = nn.functional.mse_loss if self.task == "adding" else nn.functional.cross_entropy
        return function(answers, targets)

    def wrong(self, answers: Tensor, targets: Tensor) -> int:
        """Count the wrong answers."""
        if self.task == "adding":
            return int((~((answers - targets).abs() < simulate.TOLERANCE)).sum())
        return int((answers.argmax(1) != targets).sum())

    @torch.no_grad()
    def error(
        self, network: nn.Module, num_records: int, length: int, batch: int, generator: np.random.Generator
    ) -> float:
        """Return the error in per cent on new records."""
        device = next(network.parameters()).device.type
        network.eval()
        wrong, left = 0, num_records
        while left > 0:
            inputs, lengths, targets = self.batch(min(batch, left), length, generator, device)
            wrong += self.wrong(network(inputs, lengths), targets)
            left -= len(targets)
        network.train()
        return 100 * wrong / num_records
