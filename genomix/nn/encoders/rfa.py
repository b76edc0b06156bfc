"""Random feature attention: attention under a Gaussian kernel, estimated by sines and cosines (Peng et al. 2021).

B batch, N positions, D embedding, H heads, P head dimension D / H, F frequencies.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import Projections
from genomix.nn.encoders.linear_attention import attend_linearly
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import real_positions

LEAST_SQUARE = 1e-6
"""Added to a squared length before it is divided by, so that a vector near zero has a bounded gradient."""


def attend_by_fourier_features(
    queries: Tensor, keys: Tensor, values: Tensor, directions: Tensor, widths: Tensor, lengths: Tensor
) -> Tensor:
    """Estimate the mean of values weighted by exp(-sum_d (q_d - k_d)^2 / (2 sigma_d^2)), with q and k of length 1.

    phi(x) = sqrt(1 / F) [sin(W x), cos(W x)] with the rows of W from N(0, diag(1 / sigma^2)) (Peng et al. 2021,
    theorem 1): the mean of phi(q)^T phi(k) over draws is that kernel (Rahimi and Recht 2007). With one sigma for all d
    this is softmax(Q K^T / sigma^2) V: sigma is the temperature.

    phi has negative entries, so the estimate of a record's sum of kernel values may be near or below zero, which the
    sum is not. It is raised to the record's length times the larger of two bounds. As |q - k| <= 2, no kernel value is
    below exp(-2 / min(sigma)^2). And the standard deviation of the estimate of a kernel value k, and so of a mean of
    them, is (1 - k^2) / sqrt(2 F), at most 1 / sqrt(2 F): below that, the estimate says nothing.

    Args:
        queries: (B, H, N, P), of any length.
        keys: (B, H, N, P), of any length.
        values: (B, H, N, P).
        directions: Rows from N(0, I), (H, F, P).
        widths: sigma, (H, P).
        lengths: Real positions of each record (B,).

    Returns:
        (B, H, N, P), of the type of `values`.
    """
    wide = torch.promote_types(values.dtype, torch.float32)
    inside = real_positions(lengths, keys.shape[2])[:, None, :, None]
    with torch.autocast(values.device.type, enabled=False):
        frequencies = (directions.to(wide) / widths.to(wide).unsqueeze(1)).mT
        query_features, key_features = (_fourier(part.to(wide), frequencies) for part in (queries, keys))
        bound = (-2 / widths.to(wide).amin(1).square()).exp().clamp_min((2 * directions.shape[1]) ** -0.5)
        floor = (lengths[:, None] * directions.shape[1] * bound)[:, :, None, None]
        return attend_linearly(query_features, key_features, values, inside, smallest=0.0, floor=floor)


def _fourier(vectors: Tensor, frequencies: Tensor) -> Tensor:
    """Map vectors x (B, H, N, P), made 1 long, by frequencies W^T (H, P, F) to sqrt(F) phi(x), (B, H, N, 2 F)."""
    angles = vectors * (vectors.square().sum(-1, keepdim=True) + LEAST_SQUARE).rsqrt() @ frequencies
    return _SineCosine.apply(angles)


class _SineCosine(torch.autograd.Function):
    """Angles (..., F) to [sin, cos] (..., 2 F); each is the other's derivative, and is not computed again."""

    @staticmethod
    def forward(ctx: Any, angles: Tensor) -> Tensor:
        features = angles.new_empty(*angles.shape[:-1], 2 * angles.shape[-1])
        sines, cosines = features.chunk(2, -1)
        torch.sin(angles, out=sines)
        torch.cos(angles, out=cosines)
        ctx.save_for_backward(features)
        return features

    @staticmethod
    def backward(ctx: Any, grad_features: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        sines, cosines = ctx.saved_tensors[0].chunk(2, -1)
        grad_sines, grad_cosines = grad_features.chunk(2, -1)
        return (grad_sines * cosines).addcmul_(grad_cosines, sines, value=-1)


class FourierFeatureAttention(nn.Module):
    """Attention by Fourier features; the directions are drawn once and saved, the kernel's widths are learned.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        num_features: F; each frequency gives a sine and a cosine.
    """

    directions: Tensor

    def __init__(self, dim: int, num_heads: int, num_features: int) -> None:
        super().__init__()
        head_dim = dim // num_heads
        self.projections = Projections(dim, num_heads)
        self.register_buffer("directions", torch.randn(num_heads, num_features, head_dim))
        self.log_widths = nn.Parameter(torch.zeros(num_heads * head_dim))  # a vector: no decay draws it towards 0

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        heads = self.projections.split(hidden)
        widths = self.log_widths.exp().unflatten(0, (self.projections.num_heads, -1))
        attended = attend_by_fourier_features(*heads, self.directions, widths, lengths)
        return self.projections.merge(attended)


class Rfa(Stack):
    """A stack of pre-norm layers of attention by random Fourier features.

    For arguments see `Stack` and `FourierFeatureAttention`.
    """

    MIXER = FourierFeatureAttention
