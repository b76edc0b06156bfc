"""Local patterns before the mixing: convolutions that stay within a record, and fewer positions where asked for.

B batch, N positions, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ConvStem(nn.Module):
    """Convolutions over neighbouring bases with GELU between them, then `stride` bases are merged into one position.

    A convolution between equal numbers of channels adds to its input. Every convolution sees zeros beyond a record's
    ends, whether the batch is padded there or not.

    Args:
        input_dim: Channels of the embedding.
        dim: D, channels of every layer.
        widths: Bases each convolution spans, odd, one entry a layer.
        stride: Bases merged into a position, by a convolution of that width; 1 merges none.
    """

    def __init__(self, input_dim: int, dim: int, widths: Sequence[int], stride: int = 1) -> None:
        super().__init__()
        if any(width % 2 == 0 for width in widths):
            raise ValueError(f"the widths of convolutions must be odd, not {list(widths)}")
        dims = [input_dim] + [dim] * len(widths)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(dims[i], dims[i + 1], width, padding=width // 2) for i, width in enumerate(widths)
        )
        self.stride = stride
        self.merge = nn.Conv1d(dim, dim, stride, stride) if stride > 1 else None
        self.activation = nn.GELU()
        self.norm = nn.LayerNorm(dim)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return how many positions records of these lengths (B,) have behind the stem: ceil(length / stride)."""
        return (lengths + self.stride - 1) // self.stride

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Turn (B, N, input_dim), of which lengths (B,) are real, into (B, ceil(N / stride), D).

        Positions behind a record's `output_lengths` are zero.
        """
        channels = embedded.transpose(1, 2)
        inside = _inside(lengths, channels.shape[2])
        for i, convolution in enumerate(self.convolutions):
            convolved = self.activation(convolution(channels)) * inside
            channels = convolved if i == 0 else channels + convolved
        if self.merge is not None:
            channels = nn.functional.pad(channels, (0, -channels.shape[2] % self.stride))
            channels = self.activation(self.merge(channels))
        inside = _inside(self.output_lengths(lengths), channels.shape[2])
        return self.norm(channels.transpose(1, 2)) * inside.transpose(1, 2)


def _inside(lengths: Tensor, num_positions: int) -> Tensor:
    return (torch.arange(num_positions, device=lengths.device) < lengths[:, None]).unsqueeze(1)
