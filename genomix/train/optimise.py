"""The optimiser, its schedule, and the average of the weights it passes."""

from __future__ import annotations

import math

import torch
from torch import nn

from genomix.config import TrainingConfig

MOMENTUM = 0.9


def make_optimizer(classifier: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimiser of a configuration; biases, gains and other vectors are not decayed.

    It is AdamW (Loshchilov and Hutter, 2019), or RAdam (Liu et al., 2020), decayed as AdamW is, or stochastic gradient
    descent with Nesterov's momentum (Sutskever et al., 2013), whose decay is part of the gradient.

    What has one number for each of its rows is a vector, like the lengths of weight normalisation, (D, 1).
    """
    decayed, free = [], []
    for parameter in classifier.parameters():
        (decayed if parameter.ndim > 1 and parameter[0].numel() > 1 else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    # one operation for all tensors: one after another, small ones cost more than the rest of a short step
    together = {parameter.device.type for parameter in classifier.parameters()} <= {"cpu", "cuda"}
    match config.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=config.learning_rate, fused=together)
        case "radam":
            return torch.optim.RAdam(groups, lr=config.learning_rate, decoupled_weight_decay=True, foreach=together)
        case "sgd":
            return torch.optim.SGD(groups, lr=config.learning_rate, momentum=MOMENTUM, nesterov=True, fused=together)


def learning_rate_factor(progress: float, schedule: str, warmup_fraction: float) -> float:
    """Return what the learning rate is multiplied by when `progress` (0 to 1) of the training is done.

    A linear warm-up, then a cosine to zero (Loshchilov and Hutter, 2017), or constant.
    """
    if progress < warmup_fraction:
        return min(1.0, max(progress, 1e-3) / warmup_fraction)
    if schedule == "constant":
        return 1.0
    rest = (progress - warmup_fraction) / (1 - warmup_fraction)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Make every group of the optimiser use this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
