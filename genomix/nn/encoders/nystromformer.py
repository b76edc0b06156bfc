"""Nystromformer: softmax attention approximated from landmarks by the Nystrom method (Xiong et al. 2021).

B batch, N positions, D embedding, H heads, P head dimension D / H, S landmarks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import Projections, attend
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import real_positions


def pseudo_inverse(matrices: Tensor, num_iterations: int) -> Tensor:
    """Approach the Moore-Penrose inverse A^+ of each matrix, by the iteration of Xiong et al. 2021.

    Z = A^T / (|A|_1 |A|_inf), then Z <- Z (13 I - A Z (15 I - A Z (7 I - A Z))) / 4, with each matrix's own norms. What
    belongs in Z to a small singular value of A grows by up to 13/4 an iteration, until it is the inverse of that value:
    few iterations leave small values out, and many bring in what rounding has left of them.

    Args:
        matrices: A, (..., S, S), in float32 at least.
        num_iterations: How often.

    Returns:
        (..., S, S).
    """
    sizes = matrices.abs()
    norms = sizes.sum(-2).amax(-1) * sizes.sum(-1).amax(-1)
    inverse = matrices.transpose(-1, -2) / norms[..., None, None]
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    for _ in range(num_iterations):
        product = matrices @ inverse
        inverse = inverse @ (13 * identity - product @ (15 * identity - product @ (7 * identity - product))) / 4
    return inverse


def segment_means(hidden: Tensor, lengths: Tensor, num_segments: int) -> Tensor:
    """Return the means over each record's segments, position i of n belonging to segment floor(i m / n), m = min(S, n).

    Args:
        hidden: (B, N, D), zero behind the lengths.
        lengths: (B,).
        num_segments: S.

    Returns:
        (B, S, D), zero from m on.
    """
    lengths = lengths.unsqueeze(1)
    num_used = lengths.clamp(max=num_segments)
    segments = torch.arange(hidden.shape[1], device=hidden.device) * num_used // lengths
    rows = (
        segments.clamp_(max=num_segments - 1) + num_segments * torch.arange(len(hidden), device=hidden.device)[:, None]
    )
    wide = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    sums = wide.new_zeros(len(hidden) * num_segments, hidden.shape[2]).index_add(0, rows.flatten(), wide.flatten(0, 1))
    starts = -(torch.arange(num_segments + 1, device=hidden.device) * lengths // -num_used)
    return (sums.unflatten(0, (-1, num_segments)) / starts.diff().unsqueeze(2)).to(hidden.dtype)


def square_attention(queries: Tensor, keys: Tensor, exists: Tensor) -> Tensor:
    """Return softmax(Q~ K~^T / sqrt(P)) of landmarks (B, H, S, P), (B, H, S, S); the identity where one does not exist.

    Args:
        queries: Q~.
        keys: K~.
        exists: (B, 1, S, 1).
    """
    scores = queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5
    weights = scores.masked_fill(~exists.transpose(-1, -2), -torch.inf).softmax(-1)
    return torch.where(exists, weights, torch.eye(queries.shape[2], dtype=weights.dtype, device=weights.device))


class NystromAttention(nn.Module):
    """softmax(Q K~^T) softmax(Q~ K~^T)^+ softmax(Q~ K^T) V, each softmax of a product over sqrt(P), in each of H heads.

    The landmarks Q~ and K~ are means of Q and K over S segments of a record, as equal as its length allows; a record of
    fewer than S positions has a landmark a position.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        num_landmarks: S.
        num_iterations: See `pseudo_inverse`.
        width: Odd width of the convolution of V that is added, one filter a head; 0 for none.
    """

    def __init__(self, dim: int, num_heads: int, num_landmarks: int, num_iterations: int, width: int) -> None:
        super().__init__()
        self.projections = Projections(dim, num_heads)
        self.num_landmarks = num_landmarks
        self.num_iterations = num_iterations
        self.convolution = (
            nn.Conv2d(num_heads, num_heads, (width, 1), padding=(width // 2, 0), groups=num_heads, bias=False)
            if width
            else None
        )

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real and the rest zero; products in float32 at least."""
        heads = self.projections.split(hidden)
        # The projection of a mean is the mean of the projections.
        num_landmarks = min(self.num_landmarks, hidden.shape[1])
        landmarks = self.projections.split(segment_means(hidden, lengths, num_landmarks))
        real = real_positions(lengths, hidden.shape[1])[:, None, :, None]
        exists = real_positions(lengths, num_landmarks)[:, None, :, None]
        narrow = heads.values.dtype
        wide = torch.promote_types(narrow, torch.float32)
        with torch.autocast(hidden.device.type, enabled=False):
            queries, keys, values = (part.to(wide) for part in heads)
            landmark_queries, landmark_keys = landmarks.queries.to(wide), landmarks.keys.to(wide)
            inverse = pseudo_inverse(square_attention(landmark_queries, landmark_keys, exists), self.num_iterations)
            summaries = inverse @ attend(landmark_queries, keys, values, real.transpose(-1, -2))
            mixed = attend(queries, landmark_keys, summaries, exists.transpose(-1, -2)).to(narrow)
        if self.convolution is not None:
            mixed = mixed + self.convolution(heads.values * real)
        return self.projections.merge(mixed)


class Nystromformer(Stack):
    """A stack of pre-norm layers of attention through landmarks; for arguments see `Stack` and `NystromAttention`."""

    MIXER = NystromAttention
