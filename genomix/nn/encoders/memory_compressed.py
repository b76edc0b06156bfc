"""Memory-compressed attention: keys and values shortened by a convolution (Liu et al. 2018, T-DMCA).

B batch, N positions, D embedding, H heads, C compression, S = ceil(N / C) shortened positions.
"""

from __future__ import annotations

from torch import Tensor, nn

from genomix.nn.encoders.attention import Projections, attend, split_heads
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import inside_records, real_positions


class CompressedAttention(nn.Module):
    """softmax(Q K'^T / sqrt(D / H)) V', with K' = conv(K) and V' = conv(V); O(N^2 / C) time, O(N) memory.

    The convolutions have kernel and stride C and see all D channels. Positions behind a record's length are zero before
    them; a shortened position counts where any of its C positions is real.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        compression: C.
    """

    def __init__(self, dim: int, num_heads: int, compression: int) -> None:
        super().__init__()
        self.dim, self.compression = dim, compression
        self.projections = Projections(dim, num_heads)
        # A convolution whose stride is its kernel is a linear map of blocks, and so one product of matrices.
        self.shorten_keys = nn.Linear(compression * dim, dim)
        self.shorten_values = nn.Linear(compression * dim, dim)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        queries, seen = self.projections.inward(hidden).split((self.dim, 2 * self.dim), -1)
        seen = nn.functional.pad(seen * inside_records(seen, lengths), (0, 0, 0, -seen.shape[1] % self.compression))
        keys, values = seen.unflatten(1, (-1, self.compression)).chunk(2, -1)
        parts = (queries, self.shorten_keys(keys.flatten(2)), self.shorten_values(values.flatten(2)))
        allowed = real_positions((lengths + self.compression - 1) // self.compression, keys.shape[1])
        queries, keys, values = (split_heads(part, self.projections.num_heads) for part in parts)
        return self.projections.merge(attend(queries, keys, values, allowed[:, None, None]))


class MemoryCompressed(Stack):
    """A stack of pre-norm layers of memory-compressed attention.

    For arguments see `Stack` and `CompressedAttention`.
    """

    MIXER = CompressedAttention
