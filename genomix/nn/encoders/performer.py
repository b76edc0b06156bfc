"""Performer: softmax attention estimated by positive orthogonal random features (Choromanski et al. 2021).

B batch, N positions, D embedding, H heads, P head dimension D / H, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import Projections
from genomix.nn.encoders.linear_attention import attend_linearly
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import real_positions


def draw_directions(num_heads: int, num_features: int, head_dim: int) -> Tensor:
    """Draw the rows w of every head, (H, F, P), each N(0, I), those of a block of P orthogonal to each other.

    An orthogonal matrix of no preferred direction has its rows stretched to independent chi(P) lengths (Choromanski et
    al. 2021, section 2.4); of the last block as many rows are taken as are missing.
    """
    num_blocks = -(-num_features // head_dim)
    gaussian = torch.randn(num_heads, num_blocks, head_dim, head_dim, dtype=torch.float64)
    orthogonal, triangular = torch.linalg.qr(gaussian)
    # QR alone prefers some directions: its signs are a convention
    orthogonal = orthogonal * triangular.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    lengths = torch.randn(num_heads, num_blocks * head_dim, head_dim, dtype=torch.float64).norm(dim=-1, keepdim=True)
    rows = orthogonal.flatten(1, 2) * lengths
    return rows[:, :num_features].to(torch.get_default_dtype())


def attend_by_positive_features(
    queries: Tensor, keys: Tensor, values: Tensor, directions: Tensor, inside: Tensor
) -> Tensor:
    """Estimate softmax(Q K^T / sqrt(P)) V from phi(x) = exp(w^T x / P^(1/4) - |x|^2 / (2 sqrt(P))) / sqrt(F).

    The mean of phi(q)^T phi(k) over draws is exp(q^T k / sqrt(P)) (Choromanski et al. 2021, lemma 1, FAVOR+). What is
    the same for all features of a query cancels in the ratio, and so does a factor on a feature of the keys whose
    inverse is on that feature of the queries. So no exponential overflows, and no denominator is below 1: each feature
    of the keys is divided by its largest over the record, and the features of a query by their sum.

    Args:
        queries: (B, H, N, P).
        keys: (B, H, N, P).
        values: (B, H, N, P).
        directions: The rows w of every head, (H, F, P).
        inside: True where a key is real, (B, 1, N, 1); every record has one.

    Returns:
        (B, H, N, P), of the type of `values`.
    """
    wide = torch.promote_types(values.dtype, torch.float32)
    root = queries.shape[-1] ** 0.25
    with torch.autocast(values.device.type, enabled=False):
        scaled = directions.to(wide).mT / root
        queries, keys = queries.to(wide), keys.to(wide)
        # in place: (B, H, N, F) is large, and each copy of it costs more than the arithmetic
        logits = (keys @ scaled).sub_(keys.square().sum(-1, keepdim=True) / (2 * root**2))
        logits.masked_fill_(~inside, -torch.inf)
        largest = logits.detach().amax(-2, keepdim=True)
        key_features = logits.sub_(largest).exp_()
        query_features = (queries @ scaled).add_(largest).softmax(-1)
        return attend_linearly(query_features, key_features, values, inside, smallest=0.0)


class RandomFeatureAttention(nn.Module):
    """Attention by positive features along directions that are drawn once and saved with the weights.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        num_features: F.
    """

    directions: Tensor

    def __init__(self, dim: int, num_heads: int, num_features: int) -> None:
        super().__init__()
        self.projections = Projections(dim, num_heads)
        self.register_buffer("directions", draw_directions(num_heads, num_features, dim // num_heads))

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        inside = real_positions(lengths, hidden.shape[1])[:, None, :, None]
        heads = self.projections.split(hidden)
        return self.projections.merge(attend_by_positive_features(*heads, self.directions, inside))


class Performer(Stack):
    """A stack of pre-norm layers of attention by positive orthogonal random features.

    For arguments see `Stack` and `RandomFeatureAttention`.
    """

    MIXER = RandomFeatureAttention
