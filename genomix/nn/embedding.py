"""Tokens, or real numbers, to vectors, with the position in the record added where asked for.

B batch, N positions, D embedding, V vocabulary.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from genomix.nn.dropout import Dropout

Position = Literal["none", "learned", "sinusoidal"]


class PositionedEmbedding(nn.Module):
    """What comes after every embedding: positions where asked for, zeros behind a record's length, dropout.

    Args:
        dim: D.
        position: `"none"`; `"learned"`, a table of `max_length` rows (the paper's APC); or `"sinusoidal"` (Vaswani et
            al. 2017, section 3.5), which has no parameters and no longest length.
        max_length: Rows of the learned table; a longer input is a ValueError.
        dropout: Probability of zeroing an entry.
    """

    def __init__(self, dim: int, position: Position, max_length: int, dropout: float) -> None:
        super().__init__()
        self.positions = nn.Embedding(max_length, dim) if position == "learned" else None
        self.sinusoidal = position == "sinusoidal"
        self.dropout = Dropout(dropout)

    def place(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """Add positions to (B, N, D), and leave only what is real by mask (B, N).

        Raises:
            ValueError: If positions are learned and N exceeds their number.
        """
        num_positions = embedded.shape[1]
        if self.positions is not None:
            if num_positions > self.positions.num_embeddings:
                raise ValueError(
                    f"learned positions reach to {self.positions.num_embeddings}, not to {num_positions}: "
                    "cut the records into windows"
                )
            embedded = embedded + self.positions.weight[:num_positions]
        elif self.sinusoidal:
            embedded = embedded + sinusoids(num_positions, embedded.shape[2], embedded.device).to(embedded)
        return self.dropout(embedded * mask.unsqueeze(-1))


class Embedding(PositionedEmbedding):
    """Looks tokens up in a table.

    Args:
        vocabulary_size: V, with the padding token last.
        dim: See `PositionedEmbedding`, also for what follows.
        position: See there.
        max_length: See there.
        dropout: See there.
    """

    def __init__(self, vocabulary_size: int, dim: int, position: Position, max_length: int, dropout: float) -> None:
        super().__init__(dim, position, max_length, dropout)
        self.tokens = nn.Embedding(vocabulary_size, dim, padding_idx=vocabulary_size - 1)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Embed tokens (B, N) of any integer type, real where mask (B, N) is True, as (B, N, D).

        Raises:
            ValueError: If positions are learned and N exceeds their number.
        """
        return self.place(self.tokens(tokens.long()), mask)


class ValueEmbedding(PositionedEmbedding):
    """Maps the real numbers of a position linearly, as the Paramixer paper does for the adding problem.

    Args:
        num_channels: Numbers a position, F.
        dim: See `PositionedEmbedding`, also for what follows.
        position: See there.
        max_length: See there.
        dropout: See there.
    """

    def __init__(self, num_channels: int, dim: int, position: Position, max_length: int, dropout: float) -> None:
        super().__init__(dim, position, max_length, dropout)
        self.values = nn.Linear(num_channels, dim)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Embed values (B, N, F), real where mask (B, N) is True, as (B, N, D); for errors see `place`."""
        return self.place(self.values(values), mask)


def sinusoids(num_positions: int, dim: int, device: torch.device | None = None) -> Tensor:
    """Return the sinusoidal position table (N, D) in float32: sine in the even, cosine in the odd columns."""
    position = torch.arange(num_positions, dtype=torch.float32, device=device).unsqueeze(1)
    even = torch.arange(0, dim, 2, dtype=torch.float32, device=device)
    angles = position * torch.exp(even * (-math.log(10000.0) / dim))
    table = angles.new_empty(num_positions, dim)
    table[:, 0::2] = torch.sin(angles)
    table[:, 1::2] = torch.cos(angles[:, : dim // 2])
    return table
