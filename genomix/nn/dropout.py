"""Dropout whose mask costs little to make and to keep (Srivastava et al. 2014)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """Zeroes entries with probability p in training, and scales the others by 1 / (1 - p).

    On a CPU torch draws one random number an entry, on one thread, and keeps the mask as floats: at long lengths that
    takes longer than a small network. Here 64 random bits decide on four entries and the mask is kept as bytes; p is
    rounded to 1 / 65536.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name is that of the class it extends)
        """Drop entries of a tensor of any shape."""
        dropped = round(self.p * _LEVELS)
        if not self.training or not 0 < dropped < _LEVELS or input.device.type != "cpu":
            return super().forward(input)
        draws = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
        lost = (draws.view(torch.int16)[: input.numel()] < dropped - _LEVELS // 2).view(input.shape)
        return _Drop.apply(input, lost, _LEVELS / (_LEVELS - dropped))


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, lost: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(lost)
        ctx.scale = scale
        return (values * scale).masked_fill_(lost, 0)

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (lost,) = ctx.saved_tensors
        return (grad_out * ctx.scale).masked_fill_(lost, 0), None, None
