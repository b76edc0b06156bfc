"""The convolutional baseline of the Genomic Benchmarks (Gresova et al. 2023), for records of any length.

B batch, N positions, D embedding, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from genomix.nn.dropout import Dropout
from genomix.nn.positions import real_positions


class RealBatchNorm(nn.BatchNorm1d):
    """Batch normalisation (Ioffe and Szegedy 2015) that takes its statistics over real positions only.

    One real position has a variance of zero, and comes out as the bias. Statistics are taken in float32 at least.
    A batch of n real positions moves the running ones by 1 - (1 - momentum)^(n / n'), n' the most there have been in a
    batch: in small batches that come to n' positions together, they move as far as in one of n'.

    Args:
        num_features: C.
    """

    most_positions: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.register_buffer("most_positions", torch.tensor(0))

    def forward(self, input: Tensor, real: Tensor) -> Tensor:  # noqa: A002 (the name is that of the class it extends)  # pyright: ignore[reportIncompatibleMethodOverride]
        """Standardise (B, C, N), of which the positions are real where (B, 1, N) is True."""
        if not self.training:
            return super().forward(input)
        wide = input.to(torch.promote_types(input.dtype, torch.float32))
        count = real.sum()
        mean = (wide * real).sum((0, 2)) / count
        centred = (wide - mean[:, None]) * real
        variance = centred.square().sum((0, 2)) / count
        self._follow(count, mean.detach(), (variance * count / (count - 1).clamp(min=1)).detach())
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[:, None] + self.bias[:, None]

    def _follow(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        tracked = self.num_batches_tracked
        if self.running_mean is None or self.running_var is None or tracked is None or self.momentum is None:
            raise AssertionError("running statistics are always kept, with a momentum")
        tracked.add_(1)
        self.most_positions.clamp_(min=count)
        rate = 1 - (1 - self.momentum) ** (count.to(self.running_mean) / self.most_positions)
        self.running_mean.lerp_(mean.to(self.running_mean), rate)
        self.running_var.lerp_(variance.to(self.running_var), rate)


class Stage(nn.Module):
    """A convolution, normalisation, ReLU where asked for, and the maximum of every two positions.

    Args:
        input_dim: Channels that come in.
        output_dim: C, channels that go out.
        width: Of the convolution, in positions; of an even one the longer half lies to the right.
        activate: Whether there is a ReLU.
        dropout: Probability of zeroing an entry of the outcome.
    """

    def __init__(self, input_dim: int, output_dim: int, width: int, *, activate: bool, dropout: float) -> None:
        super().__init__()
        self.margins = (width - 1) // 2, width // 2
        self.convolution = nn.Conv1d(input_dim, output_dim, width)
        self.norm = RealBatchNorm(output_dim)
        self.activation = nn.ReLU() if activate else nn.Identity()
        self.dropout = Dropout(dropout)

    def forward(self, channels: Tensor, lengths: Tensor) -> Tensor:
        """Map (B, input_dim, N), zero behind lengths (B,), to (B, C, ceil(N / 2)), zero behind `halve(lengths)`."""
        real = real_positions(lengths, channels.shape[2]).unsqueeze(1)
        channels = self.convolution(nn.functional.pad(channels, self.margins))
        channels = self.activation(self.norm(channels, real)).masked_fill(~real, -torch.inf)
        channels = nn.functional.max_pool1d(channels, 2, ceil_mode=True)
        real = real_positions(halve(lengths), channels.shape[2]).unsqueeze(1)
        return self.dropout(channels.masked_fill(~real, 0))


class Cnn(nn.Module):
    """Stages one after another, each of which halves the positions; ReLU in the first only, as published.

    Args:
        dim: D, channels of the input.
        channels: Channels behind each stage.
        width: Of each convolution, in positions.
        dropout: Probability of zeroing an entry behind each stage.

    Attributes:
        output_dim: Channels behind the last stage.
    """

    def __init__(self, dim: int, channels: Sequence[int], width: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.output_dim = channels[-1]
        self.stages = nn.ModuleList(
            Stage(before, behind, width, activate=index == 0, dropout=dropout)
            for index, (before, behind) in enumerate(pairwise((dim, *channels)))
        )

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return how many positions records of these lengths (B,) have behind the last stage, at least 1."""
        for _ in self.stages:
            lengths = halve(lengths)
        return lengths

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, N, D), of which lengths (B,) positions are real.

        Returns:
            (B, N', output_dim), where N' are the `output_lengths` of N, zero behind those of a record.
        """
        hidden = embedded.transpose(1, 2) * real_positions(lengths, embedded.shape[1]).unsqueeze(1)
        for stage in self.stages:
            hidden, lengths = stage(hidden, lengths), halve(lengths)
        return hidden.transpose(1, 2)


def halve(lengths: Tensor) -> Tensor:
    """Return ceil(lengths / 2)."""
    return (lengths + 1) // 2
