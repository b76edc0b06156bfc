"""From one vector a position to one a record; padding never counts.

B batch, N positions, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from genomix.distributed import Ranks

Pooling = Literal["mean", "max", "mean-max", "regions", "attention", "cls", "flatten"]
STATISTICS_RECORDS, FINAL_RECORDS = 512, 8192
"""Records that suffice to take the running statistics of `PooledNorm` anew: while training, and in the end."""
NUM_REGIONS = 8
"""Equal parts that `RegionPooling` cuts a record into."""


class MeanPooling(nn.Module):
    """The mean over a record's real positions."""

    def forward(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Pool (B, N, D) under mask (B, N) to (B, D)."""
        return (encoded * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


class MaxPooling(nn.Module):
    """The maximum of every channel over a record's real positions."""

    def forward(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Pool (B, N, D) under mask (B, N) to (B, D)."""
        return encoded.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1)


class MeanMaxPooling(nn.Module):
    """The mean and the maximum side by side: how often something occurs, and whether it occurs at all."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.max = MeanPooling(), MaxPooling()

    def forward(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Pool (B, N, D) under mask (B, N) to (B, 2 D)."""
        return torch.cat([self.mean(encoded, mask), self.max(encoded, mask)], 1)


class RegionPooling(nn.Module):
    """The mean and the maximum over a record, and the means of its equal parts, so that the head sees what lies where.

    The parts follow the length of each record, whether it is long or short. Part r of R of a record of L positions
    begins at floor(r L / R) and ends before ceil((r + 1) L / R): neighbours share a position where R does not divide L,
    and none is empty.

    Args:
        num_regions: R.
    """

    def __init__(self, num_regions: int = NUM_REGIONS) -> None:
        super().__init__()
        self.num_regions = num_regions
        self.whole = MeanMaxPooling()

    def shares(self, mask: Tensor) -> Tensor:
        """Return what each position of mask (B, N) weighs in the mean of each part (B, R, N)."""
        lengths = mask.sum(1)[:, None]
        part = torch.arange(self.num_regions, device=mask.device)
        first = part * lengths // self.num_regions
        end = -(-(part + 1) * lengths // self.num_regions)
        place = torch.arange(mask.shape[1], device=mask.device)
        inside = (place >= first[..., None]) & (place < end[..., None])
        return inside / (end - first)[..., None]

    def forward(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Pool (B, N, D) under mask (B, N), real positions first, to (B, (2 + R) D)."""
        parts = self.shares(mask).to(encoded.dtype) @ (encoded * mask.unsqueeze(-1))
        return torch.cat([self.whole(encoded, mask), parts.flatten(1)], 1)


class AttentionPooling(nn.Module):
    """A weighted mean, the weights a softmax over the real positions of one learned score a position."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1, bias=False)

    def forward(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Pool (B, N, D) under mask (B, N) to (B, D)."""
        weights = self.score(encoded).masked_fill(~mask.unsqueeze(-1), -torch.inf).softmax(1)
        return (weights * encoded).sum(1)


class ClsPooling(nn.Module):
    """The vector at the first position, where the classifier has put a learned token that stands for the record."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(dim) / dim**0.5)

    def prepend(self, embedded: Tensor) -> Tensor:
        """Put the learned token before the positions of (B, N, D), giving (B, N + 1, D)."""
        return torch.cat([self.token.to(embedded).expand(embedded.shape[0], 1, -1), embedded], dim=1)

    def forward(self, encoded: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002 (the first position is always real)
        """Pool (B, N, D) to (B, D)."""
        return encoded[:, 0]


class FlattenPooling(nn.Module):
    """All positions side by side, as the paper's genome model reads them: the head sees every position at its place.

    Args:
        max_length: The positions there is room for; shorter records leave zeros, longer ones are a ValueError.
    """

    def __init__(self, max_length: int) -> None:
        super().__init__()
        self.max_length = max_length

    def forward(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Pool (B, N, D) under mask (B, N) to (B, max_length * D).

        Raises:
            ValueError: If N exceeds the room.
        """
        missing = self.max_length - encoded.shape[1]
        if missing < 0:
            raise ValueError(f"flatten pooling holds {self.max_length} positions, not {encoded.shape[1]}")
        return nn.functional.pad(encoded * mask.unsqueeze(-1), (0, 0, 0, missing)).flatten(1)


class PooledNorm(nn.BatchNorm1d):
    """Standardises each pooled feature by its mean and deviation over records (Ioffe and Szegedy 2015).

    Means over thousands of positions differ little between records beside what they have in common; without this the
    head learns from those differences very slowly. In training the statistics are those of the batch, and otherwise, or
    in a batch of fewer than `FEWEST` records, the running ones, so that a prediction does not depend on the batch.

    Attributes:
        ranks: The processes whose records make one batch together, in training.
    """

    FEWEST = 4
    USUAL_MOMENTUM = 0.1
    ranks = Ranks()

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features, eps=1e-6, momentum=self.USUAL_MOMENTUM)

    @torch.no_grad()
    def take_statistics(self, pooled: Tensor) -> None:
        """Make the mean and the variance of these records, (R, P) with R >= 2, the running statistics."""
        if self.running_mean is None or self.running_var is None:
            raise AssertionError("running statistics are always kept")
        exact = pooled.double()
        self.running_mean.copy_(exact.mean(0))
        self.running_var.copy_(exact.var(0))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name is that of the class it extends)
        """Standardise (B, P)."""
        if self.training and self.ranks.size > 1:
            return self._forward_together(input)
        if not self.training or len(input) >= self.FEWEST:
            return super().forward(input)
        pooled = input.detach().to(self.weight.dtype)
        self._follow(pooled.mean(0), lambda before: (pooled - before).square().mean(0))
        return self._by_running(input)

    def _forward_together(self, input: Tensor) -> Tensor:  # noqa: A002
        """Standardise (B, P), B of 0 or more, by the statistics of the records of all processes."""
        wide = input.to(self.weight.dtype)
        ones = wide.new_ones(len(wide), 1)
        *sums, count = self.ranks.sum_with_gradient(torch.cat([wide, ones], 1).sum(0)).split([wide.shape[1], 1])
        mean = sums[0] / count
        if count < self.FEWEST:
            pooled = wide.detach()
            self._follow(
                mean.detach(),
                lambda before: self.ranks.sum_with_gradient((pooled - before).square().sum(0)) / count.detach(),
            )
            return self._by_running(input)
        variance = self.ranks.sum_with_gradient((wide - mean).square().sum(0)) / count
        with torch.no_grad():
            if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
                raise AssertionError("running statistics are always kept")
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.USUAL_MOMENTUM)
            self.running_var.lerp_(variance * count / (count - 1), self.USUAL_MOMENTUM)
        return ((wide - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias).to(input.dtype)

    def _by_running(self, input: Tensor) -> Tensor:  # noqa: A002
        if self.running_mean is None or self.running_var is None:
            raise AssertionError("running statistics are always kept")
        mean, variance = self.running_mean.clone(), self.running_var.clone()
        return nn.functional.batch_norm(input, mean, variance, self.weight, self.bias, False, 0.0, self.eps)

    def _follow(self, mean: Tensor, deviation: Callable[[Tensor], Tensor]) -> None:
        """Move the running statistics towards a mean (P,) and the squared deviation (P,) from a mean that is given."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            raise AssertionError("running statistics are always kept")
        self.num_batches_tracked.add_(1)
        rate = max(self.momentum or 0.0, 1 / int(self.num_batches_tracked))
        from_before = deviation(self.running_mean)
        self.running_mean.lerp_(mean, rate)
        seen = int(self.num_batches_tracked) - 1
        if seen:
            self.running_var.lerp_(from_before, max(self.momentum or 0.0, 1 / seen))


def pooled_dim(pooling: Pooling, dim: int, max_length: int) -> int:
    """Return how many numbers a record is pooled to."""
    parts = {"mean-max": 2, "regions": 2 + NUM_REGIONS, "flatten": max_length}
    return dim * parts.get(pooling, 1)
