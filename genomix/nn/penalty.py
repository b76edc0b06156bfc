"""What modules ask to be added to the loss for the sake of their weights, whatever the records."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Penalised(Protocol):
    """A module whose weights, as they are, cost something."""

    def penalty(self) -> Tensor:
        """Return the cost of the module's own weights, a scalar, without that of the modules in it."""
        ...


def total_penalty(network: nn.Module) -> Tensor | None:
    """Return the sum of the penalties of the modules of a network, a scalar, or None if none has any."""
    penalties = [module.penalty() for module in network.modules() if isinstance(module, Penalised)]
    return torch.stack(penalties).sum() if penalties else None
