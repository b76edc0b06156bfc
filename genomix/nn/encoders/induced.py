"""Induced set attention: all positions meet in a few learned ones (Lee et al. 2019, section 3.1, ISAB).

B batch, N positions, D embedding, H heads, M inducing points, S positions that are seen.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import attend, merge_heads, split_heads
from genomix.nn.encoders.stack import Stack
from genomix.nn.mlp import Mlp
from genomix.nn.positions import real_positions


class CrossAttention(nn.Module):
    """Multihead(X, Y, Y): softmax attention of the positions of one sequence to those of another.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.queries = nn.Linear(dim, dim)
        self.keys_and_values = nn.Linear(dim, 2 * dim)
        self.outward = nn.Linear(dim, dim)

    def forward(self, asking: Tensor, seen: Tensor, allowed: Tensor) -> Tensor:
        """Map (B, N, D) to the same, by attention to `seen` (B, S, D) where `allowed` (B, S) or (1, S) is True."""
        parts = (self.queries(asking), *self.keys_and_values(seen).chunk(2, -1))
        queries, keys, values = (split_heads(part, self.num_heads) for part in parts)
        return self.outward(merge_heads(attend(queries, keys, values, allowed[:, None, None])))


class InducedAttention(nn.Module):
    """Multihead(X, H, H), with H = MAB(I, X), where I (M, D) are learned; O(N M) time, O(N) memory.

    MAB(I, X) = LayerNorm(A + rFF(A)) with A = LayerNorm(I + Multihead(I, X, X)). The ISAB of the paper is MAB(X, H);
    residuals, norms and feedforward of this outer MAB are those of the `Layer` around this mixer, in pre-norm order.

    Args:
        dim: D.
        hidden_dim: Width of the hidden layer of rFF, a two-layer network.
        num_heads: H, a divisor of D.
        num_inducing: M.
    """

    def __init__(self, dim: int, hidden_dim: int, num_heads: int, num_inducing: int) -> None:
        super().__init__()
        self.inducing = nn.Parameter(torch.randn(num_inducing, dim))
        self.gather, self.spread = CrossAttention(dim, num_heads), CrossAttention(dim, num_heads)
        self.gather_norm, self.mlp_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mlp = Mlp(dim, hidden_dim, dim)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        inducing = self.inducing.expand(hidden.shape[0], -1, -1)
        gathered = self.gather(inducing, hidden, real_positions(lengths, hidden.shape[1]))
        gathered = self.gather_norm(inducing + gathered)
        gathered = self.mlp_norm(gathered + self.mlp(gathered))
        return self.spread(hidden, gathered, torch.ones_like(gathered[:1, :, 0], dtype=torch.bool))


class Induced(Stack):
    """A stack of pre-norm layers of attention through inducing points, each layer with points of its own.

    For arguments see `Stack` and `InducedAttention`, whose two-layer network is as wide as that of the layer.
    """

    MIXER = InducedAttention

    def make_mixer(self, dim: int, hidden_dim: int, *values: Any, **named: Any) -> nn.Module:
        """Return the mixer of one layer, which has a hidden layer itself."""
        return self.MIXER(dim, hidden_dim, *values, **named)
