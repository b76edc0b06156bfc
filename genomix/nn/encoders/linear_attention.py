"""Attention as a ratio of products of features, in time linear in N, and the linear transformer.

B batch, N positions, D embedding, H heads, P head dimension D / H, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import Projections
from genomix.nn.encoders.stack import Position, Stack
from genomix.nn.positions import real_positions

SMALLEST = 1e-6
"""Added to the denominator, as in the linear transformer's published form."""


def attend_linearly(queries: Tensor, keys: Tensor, values: Tensor, smallest: float | Tensor = SMALLEST) -> Tensor:
    """Return phi(q_i)^T (sum_j phi(k_j) v_j^T) / (phi(q_i)^T sum_j phi(k_j)) (Katharopoulos et al. 2020, equation 5).

    Sums over positions and the ratio are taken in float32 at least.

    Args:
        queries: Features phi(q), (B, H, N, F), none negative.
        keys: Features phi(k), (B, H, N, F), zero at positions that do not count.
        values: (B, H, N, P).
        smallest: Added to the denominator.

    Returns:
        (B, H, N, P), of the type of `values`.
    """
    wide = torch.promote_types(values.dtype, torch.float32)
    with torch.autocast(values.device.type, enabled=False):
        queries, keys, wide_values = queries.to(wide), keys.to(wide), values.to(wide)
        summed = keys.transpose(-1, -2) @ wide_values
        total = keys.sum(-2).unsqueeze(-1)
        return (queries @ summed / (queries @ total + smallest)).to(values.dtype)


class LinearAttention(nn.Module):
    """Linear attention with phi(x) = elu(x) + 1 (Katharopoulos et al. 2020, equation 7)."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.projections = Projections(dim, num_heads)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        inside = real_positions(lengths, hidden.shape[1])[:, None, :, None]
        queries, keys, values = self.projections.split(hidden)
        elu = nn.functional.elu
        return self.projections.merge(attend_linearly(elu(queries) + 1, (elu(keys) + 1) * inside, values))


class LinearTransformer(Stack):
    """A stack of pre-norm layers of linear attention; for arguments see `Transformer`."""

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        num_layers: int,
        num_heads: int,
        *,
        position: Position = "sinusoidal",
        dropout: float = 0.0,
    ) -> None:
        mixers = [LinearAttention(dim, num_heads) for _ in range(num_layers)]
        super().__init__(dim, hidden_dim, mixers, position=position, dropout=dropout)
