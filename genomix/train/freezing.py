"""Parts of a network that are not trained, for all epochs or for the first."""

from __future__ import annotations

from torch import nn

from genomix.config import TrainingConfig
from genomix.nn.build import FEATURES


def is_frozen(config: TrainingConfig, epoch: int) -> bool:
    """Say whether the features are frozen in an epoch, numbered from 1."""
    return config.freeze == "features" and (config.freeze_epochs is None or epoch <= config.freeze_epochs)


def freeze_features(network: nn.Module, *, frozen: bool) -> None:
    """Keep embedding, stem and encoder as they are, or let them learn again.

    What is frozen is in evaluation mode, so that neither dropout nor running statistics change what it gives; call
    this behind `network.train()`. An optimiser leaves weights without a gradient alone, their decay included.
    """
    for name in FEATURES:
        part = getattr(network, name, None)
        if isinstance(part, nn.Module):
            part.requires_grad_(not frozen)
            if frozen:
                part.eval()
