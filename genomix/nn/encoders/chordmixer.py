"""ChordMixer: tracks of channels rotated by powers of two, mixed by two-layer networks (Khalitov et al., ICLR 2023).

B batch, N positions, D embedding, T tracks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genomix.errors import UsageError
from genomix.nn.dropout import Dropout
from genomix.nn.mlp import Mlp
from genomix.nn.positions import inside_records, real_positions
from genomix.nn.protocols import count_factors


class ChordMixerBlock(nn.Module):
    """x = norm(x + rotate(dropout(mlp(norm(x))))).

    Args:
        dim: D.
        hidden_dim: Width of the hidden layer of the two-layer network.
        dropout: Probability of zeroing an entry of what is rotated.
    """

    def __init__(self, dim: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.output_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mlp = Mlp(dim, hidden_dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, sources: Tensor) -> Tensor:
        """Map (B, N, D) to the same, where sources (B, N, D) are the positions that `find_sources` gave."""
        mixed = self.dropout(self.mlp(self.norm(hidden)))
        return self.output_norm(hidden + mixed.gather(1, sources))


class ChordMixer(nn.Module):
    """A stack of blocks of which a record passes as many as it takes to see all of itself, ceil(log2 length).

    The channels are divided into T = ceil(log2 max_length) + 1 tracks. The first is left in place, and in track t,
    t = 1..T-1, position i gets what was at i + 2^(t-1), modulo the record's own length. A record longer than
    `max_length` passes all blocks, after which a position need not have seen the whole of it.

    Args:
        dim: D, at least T; where it is no multiple of T, the first tracks have a channel more.
        hidden_dim: Width of the hidden layer of every block's two-layer network.
        dropout: See `ChordMixerBlock`.
        max_length: The most positions that a record is seen across.

    Raises:
        UsageError: If there are fewer channels than tracks.
    """

    offsets: Tensor

    def __init__(self, dim: int, hidden_dim: int, *, dropout: float = 0.0, max_length: int) -> None:
        super().__init__()
        num_blocks = count_factors(max_length)
        if dim <= num_blocks:
            raise UsageError(
                f"model.encoder.dim is {dim}: to reach across {max_length} positions chordmixer needs a channel for "
                f"each of {num_blocks + 1} tracks; use at least {num_blocks + 1}"
            )
        offsets = torch.tensor([0] + [1 << block for block in range(num_blocks)])
        width, more = divmod(dim, len(offsets))
        widths = torch.full_like(offsets, width)
        widths[:more] += 1
        self.register_buffer("offsets", offsets.repeat_interleave(widths), persistent=False)
        self.blocks = nn.ModuleList(ChordMixerBlock(dim, hidden_dim, dropout) for _ in range(num_blocks))

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, N, D), of which lengths (B,) positions are real, as (B, N, D), zero behind a record's length."""
        num_positions = embedded.shape[1]
        sources = find_sources(self.offsets, lengths, num_positions)
        hidden = embedded
        for index, block in enumerate(self.blocks):
            reach = 1 << index
            if index == 0:
                hidden = block(hidden, sources)
            elif num_positions > reach:
                longer = (lengths > reach)[:, None, None]
                hidden = torch.where(longer, block(hidden, sources), hidden)
            else:
                # No record goes through, but the weights get a gradient, of zero.
                hidden = hidden + block(hidden[:, :0], sources[:, :0]).sum()
        return hidden * inside_records(hidden, lengths)


def find_sources(offsets: Tensor, lengths: Tensor, num_positions: int) -> Tensor:
    """Return where each entry of (B, N, D) comes from, position i from i + offset modulo the record's length.

    Args:
        offsets: Of each channel (D,), none negative.
        lengths: Real positions of each record (B,).
        num_positions: N; positions behind a record's length come from themselves.

    Returns:
        Positions (B, N, D), int64.
    """
    position = torch.arange(num_positions, device=lengths.device)[:, None]
    length = lengths[:, None, None]
    sources = position + offsets % length
    sources = torch.where(sources < length, sources, sources - length)
    return torch.where(real_positions(lengths, num_positions).unsqueeze(2), sources, position)
