"""The losses: one class a record, or several labels each decided on its own. B batch, C classes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from genomix.config import TrainingConfig


class MultiLabelLoss(nn.Module):
    """Binary cross-entropy of each label, mean over the labels, summed over the records.

    Args:
        positive_weight: How much a label that a record has weighs beside one that it has not (C,); None for alike.
        smoothing: Each target t becomes t (1 - smoothing) + smoothing / 2.
    """

    def __init__(self, positive_weight: Tensor | None, smoothing: float) -> None:
        super().__init__()
        self.register_buffer("positive_weight", positive_weight)
        self.smoothing = smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of logits (B, C) and of what labels there are (B, C), 0 or 1."""
        smooth = targets * (1 - self.smoothing) + self.smoothing / 2
        weight = self.get_buffer("positive_weight") if self.positive_weight is not None else None
        each = nn.functional.binary_cross_entropy_with_logits(logits, smooth, pos_weight=weight, reduction="none")
        return each.mean(1).sum()


def make_loss(config: TrainingConfig, class_counts: np.ndarray, num_records: int | None = None) -> nn.Module:
    """Return the loss of a configuration, summed over the records of a batch.

    Args:
        config: Of the training; with `classes` weighted, rare classes count more.
        class_counts: Training records of each class (C,).
        num_records: How many training records there are, where each may have several labels or none; None where each
            has one class.
    """
    weighted = config.classes == "weighted"
    if num_records is not None:
        absent_to_present = (num_records - class_counts) / np.maximum(class_counts, 1)
        weights = np.where(absent_to_present > 0, absent_to_present, 1)  # 0 would not learn what all records have
        weight = torch.tensor(weights, dtype=torch.float32) if weighted else None
        return MultiLabelLoss(weight, config.label_smoothing)
    shares = class_counts.sum() / np.maximum(class_counts, 1) / len(class_counts)
    weight = torch.tensor(shares, dtype=torch.float32) if weighted else None
    return nn.CrossEntropyLoss(weight, reduction="sum", label_smoothing=config.label_smoothing)
