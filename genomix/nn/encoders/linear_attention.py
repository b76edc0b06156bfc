"""Attention as a ratio of products of features, in time linear in N, and the linear transformer.

B batch, N positions, D embedding, H heads, P head dimension D / H, F features.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import Projections
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import real_positions

SMALLEST = 1e-6
"""Added to the denominator, as in the linear transformer's published form."""


def attend_linearly(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    inside: Tensor,
    *,
    smallest: float = SMALLEST,
    floor: Tensor | None = None,
) -> Tensor:
    """Return phi(q_i)^T (sum_j phi(k_j) v_j^T) / (phi(q_i)^T sum_j phi(k_j)) (Katharopoulos et al. 2020, equation 5).

    Sums over positions and the ratio are taken in float32 at least. Numerator and denominator are one product each way:
    the denominator is the numerator of values that are 1. It is these and the values that are zeroed where a position
    does not count, since the features are many more.

    Args:
        queries: Features phi(q), (B, H, N, F).
        keys: Features phi(k), (B, H, N, F), finite everywhere.
        values: (B, H, N, P), finite everywhere.
        inside: True where a key counts, (B, 1, N, 1).
        smallest: Added to the denominator.
        floor: What the denominator is raised to where it is less, broadcastable to (B, H, N, 1); for features that may
            be negative.

    Returns:
        (B, H, N, P), of the type of `values`.
    """
    wide = torch.promote_types(values.dtype, torch.float32)
    with torch.autocast(values.device.type, enabled=False):
        counted = torch.cat([values.to(wide), values.new_ones(*values.shape[:-1], 1, dtype=wide)], -1) * inside
        attended = queries.to(wide) @ (keys.to(wide).mT @ counted)
        numerator, denominator = attended[..., :-1], attended[..., -1:] + smallest
        if floor is not None:
            denominator = denominator.maximum(floor)
        return (numerator / denominator).to(values.dtype)


def elu_features(vectors: Tensor) -> Tensor:
    """Map vectors of any shape to elu(x) + 1, which is positive (Katharopoulos et al. 2020, equation 7).

    It is taken in float32 at least: far below zero it is what is left of 1 - 1.
    """
    return nn.functional.elu(vectors.to(torch.promote_types(vectors.dtype, torch.float32))) + 1


class LinearAttention(nn.Module):
    """Linear attention with one feature map phi for queries and keys.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        features: phi, from (B, H, N, P) to (B, H, N, F), none negative.
    """

    def __init__(self, dim: int, num_heads: int, features: Callable[[Tensor], Tensor] = elu_features) -> None:
        super().__init__()
        self.projections = Projections(dim, num_heads)
        self.features = features

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        inside = real_positions(lengths, hidden.shape[1])[:, None, :, None]
        queries, keys, values = self.projections.split(hidden)
        return self.projections.merge(attend_linearly(self.features(queries), self.features(keys), values, inside))


class LinearTransformer(Stack):
    """A stack of pre-norm layers of linear attention with phi(x) = elu(x) + 1.

    For arguments see `Stack` and `LinearAttention`.
    """

    MIXER = LinearAttention
