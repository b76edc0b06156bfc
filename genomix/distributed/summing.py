"""The sum over processes as something that can be differentiated."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from genomix.distributed.ranks import telling_of_loss


class SumOverRanks(torch.autograd.Function):
    """y = sum of x over all processes; the gradient of x is the sum of theirs of y, as the loss is that of all."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ARG004 (its place is given)
        """Sum a tensor that has the same shape in all processes."""
        return _sum(tensor)

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> Tensor:  # noqa: ARG004  # pyright: ignore[reportIncompatibleMethodOverride]
        """Sum the gradients."""
        return _sum(grad_out)


def _sum(tensor: Tensor) -> Tensor:
    total = tensor.clone()
    with telling_of_loss():
        dist.all_reduce(total)
    return total
