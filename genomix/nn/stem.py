"""Local patterns before the mixing: convolutions that stay within a record, and fewer positions where asked for.

B batch, N positions, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genomix.nn.positions import real_positions

BLOCK_BASES = 1 << 17
"""Bases of a batch that are computed at once."""


class ConvStem(nn.Module):
    """A convolution over neighbouring bases, a merger of `stride` bases into one position, and convolutions over those.

    Beside the first one others may read the same bases over other widths, as in Szegedy et al. 2015 (CVPR); the merger
    reads the channels of all. Each is followed by GELU, and those behind the merger add to their input. At the end the
    channels of a position are normalised. Every convolution sees zeros beyond a record's ends, whether the batch is
    padded there or not.

    Args:
        input_dim: Channels of the embedding.
        base_dim: Channels of each convolution that runs over single bases: the first, and those beside it.
        dim: D, channels of what follows.
        widths: What each convolution spans, odd: the first in bp, the others in positions behind the merger.
        stride: Bases merged into a position, by a convolution of that width.
        beside: What each convolution beside the first one spans, odd, in bp.
    """

    def __init__(
        self,
        input_dim: int,
        base_dim: int,
        dim: int,
        widths: Sequence[int],
        stride: int,
        beside: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if any(width % 2 == 0 for width in (*widths, *beside)):
            raise ValueError(f"the widths of convolutions must be odd, not {[*widths, *beside]}")
        first, *others = widths
        self._margin_bp = max((first, *beside)) // 2
        self._reach = sum(width // 2 for width in others)  # in positions behind the merger
        self.stride = stride
        self.first = nn.Conv1d(input_dim, base_dim, first, padding=first // 2)
        self.beside = nn.ModuleList(nn.Conv1d(input_dim, base_dim, width, padding=width // 2) for width in beside)
        self.merge = nn.Conv1d(base_dim * (1 + len(beside)), dim, stride, stride)
        self.others = nn.ModuleList(nn.Conv1d(dim, dim, width, padding=width // 2) for width in others)
        self.activation = nn.GELU()
        self.norm = nn.LayerNorm(dim)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return how many positions records of these lengths (B,) have behind the stem: ceil(length / stride)."""
        return (lengths + self.stride - 1) // self.stride

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Turn (B, N, input_dim), of which lengths (B,) are real and the rest zero, into (B, ceil(N / stride), D).

        Positions behind a record's `output_lengths` are zero. Long inputs are computed a block of bases after another,
        each with the neighbours it sees, so that the channels of single bases are never all in memory at once; in
        training they are then computed again on the way back.
        """
        num_batch, num_bases, _ = embedded.shape
        num_positions = -(-num_bases // self.stride)
        block = max(1, BLOCK_BASES // (num_batch * self.stride))
        if num_positions <= block:
            return self._compute(embedded, lengths, 0, num_positions)
        save_memory = torch.is_grad_enabled()
        blocks: list[Tensor] = []
        for first in range(0, num_positions, block):
            last = min(first + block, num_positions)
            if save_memory:
                computed: Any = checkpoint(
                    self._compute, embedded, lengths, first, last, use_reentrant=False, preserve_rng_state=False
                )
            else:
                computed = self._compute(embedded, lengths, first, last)
            blocks.append(computed)
        return torch.cat(blocks, 1)

    def _compute(self, embedded: Tensor, lengths: Tensor, first: int, last: int) -> Tensor:
        """Return the positions first to last - 1 behind the stem, (B, last - first, D)."""
        num_bases = embedded.shape[1]
        before, behind = max(0, first - self._reach), last + self._reach
        start, end = before * self.stride, min(behind * self.stride, num_bases)
        left, right = min(self._margin_bp, start), min(self._margin_bp, num_bases - end)
        bases = embedded[:, start - left : end + right].transpose(1, 2)
        read = [convolution(bases)[:, :, left : left + end - start] for convolution in (self.first, *self.beside)]
        channels = self.activation(torch.cat(read, 1) if len(read) > 1 else read[0])
        channels = channels * real_positions(lengths - start, channels.shape[2]).unsqueeze(1)
        channels = nn.functional.pad(channels, (0, -channels.shape[2] % self.stride))
        channels = self.activation(self.merge(channels))
        inside = real_positions(self.output_lengths(lengths) - before, channels.shape[2]).unsqueeze(1)
        channels = channels * inside
        for convolution in self.others:
            channels = channels + self.activation(convolution(channels)) * inside
        wanted = slice(first - before, last - before)
        return self.norm(channels[:, :, wanted].transpose(1, 2)) * inside[:, :, wanted].transpose(1, 2)
