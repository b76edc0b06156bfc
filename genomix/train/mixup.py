"""Records of a batch mixed with each other, and the loss of what a network says of the mixtures.

R records, P features of a pooled vector, C classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class Mixup(NamedTuple):
    """How each record of a batch is mixed with one of the same batch (manifold mixup, Verma et al. 2019).

    Of a vector x with target y comes x' = share x + (1 - share) x[order], and the loss of what is said of x' is
    share loss(y) + (1 - share) loss(y[order]).

    Attributes:
        share: What is kept of each record, the lambda of the paper, 0 to 1.
        order: Which record each is mixed with, a permutation (R,).
    """

    share: float
    order: Tensor

    @classmethod
    def draw(cls, alpha: float, num_records: int, device: torch.device | str) -> Mixup:
        """Draw the share from Beta(alpha, alpha), and a permutation; torch's generator of the CPU decides both.

        The share is not drawn by torch itself, which gives 0.5 for 0 and 1 where alpha is small.
        """
        rng = np.random.default_rng(int(torch.randint(1 << 62, ())))
        return cls(float(rng.beta(alpha, alpha)), torch.randperm(num_records).to(device))

    def mix(self, vectors: Tensor) -> Tensor:
        """Return the mixtures of vectors (R, P)."""
        return self.share * vectors + (1 - self.share) * vectors[self.order]

    def compute_loss(self, loss: nn.Module, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of the logits (R, C) of mixtures, whose records had targets (R,) or (R, C)."""
        return self.share * loss(logits, targets) + (1 - self.share) * loss(logits, targets[self.order])
