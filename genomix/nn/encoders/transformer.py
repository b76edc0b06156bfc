"""Transformer: softmax attention of every position to every other (Vaswani et al. 2017, equation 1).

B batch, N positions, D embedding, H heads.
"""

from __future__ import annotations

from torch import Tensor, nn

from genomix.nn.encoders.attention import Projections, attend
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import real_positions


class SoftmaxAttention(nn.Module):
    """softmax(Q K^T / sqrt(D / H)) V in each of H heads, over a record's real positions; O(N^2) time, O(N) memory.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.projections = Projections(dim, num_heads)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        allowed = real_positions(lengths, hidden.shape[1])[:, None, None]
        return self.projections.merge(attend(*self.projections.split(hidden), allowed))


class Transformer(Stack):
    """A stack of pre-norm layers of softmax attention; for arguments see `Stack` and `SoftmaxAttention`."""

    MIXER = SoftmaxAttention
