"""Sparse Transformer: softmax attention on a strided or fixed pattern (Child et al. 2019, section 4.3).

B batch, N positions, D embedding, H heads, P head dimension D / H, A blocks of C = stride positions.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import Heads, Projections
from genomix.nn.encoders.blocks import cut, distances, fill_up, join, marked_neighbourhoods
from genomix.nn.encoders.joint import Attended, attend_jointly, attend_partly
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import real_positions

Pattern = Literal["strided", "fixed"]


class SparseAttention(nn.Module):
    """Softmax attention of each position i to the positions j of a pattern, in both directions.

    `"strided"`: |i - j| < stride, or (i - j) mod stride = 0. `"fixed"`: floor(i / stride) = floor(j / stride), or
    j mod stride >= stride - num_summaries, or j mod stride = 0. Both parts of a pattern are under one softmax, each j
    once, in every head (the paper's merged head, equation 7).

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        pattern: See above.
        stride: See above.
        num_summaries: See above; the strided pattern has none.
    """

    def __init__(self, dim: int, num_heads: int, *, pattern: Pattern, stride: int, num_summaries: int) -> None:
        super().__init__()
        self.projections = Projections(dim, num_heads)
        self.pattern: Pattern = pattern
        self.stride = stride
        self.num_summaries = num_summaries

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        num_positions = hidden.shape[1]
        stride = min(self.stride, num_positions)  # a longer one lets every position see every other, as this one does
        hidden = fill_up(hidden, stride)
        heads, real = self.projections.split(hidden), real_positions(lengths, hidden.shape[1])
        if self.pattern == "strided":
            attended = attend_strided(heads, real, stride)
        else:
            attended = attend_fixed(heads, real, stride, self.num_summaries)
        return self.projections.merge(join(attended))[:, :num_positions]


def attend_strided(heads: Heads, real: Tensor, stride: int) -> Tensor:
    """Attend to what is nearer than the stride, and to the positions of the same remainder by it.

    A position itself is left to the second set.

    Args:
        heads: (B, H, A C, P) each.
        real: Which keys may be seen, (B, A C).
        stride: C.

    Returns:
        (B, A, H, C, P).
    """
    num_features = heads.queries.shape[-1]
    scale = num_features**-0.5
    distance = distances(stride, real.device)
    band = (distance.abs() < stride) & (distance != 0)
    around = attend_partly(marked_neighbourhoods(heads, real, stride), band[None, None, None], scale)
    columns = Heads(*(cut(part, stride).transpose(1, 3) for part in heads))
    column = attend_partly(columns, real.unflatten(1, (-1, stride)).transpose(1, 2)[:, :, None, None], scale)
    return attend_jointly(
        around._replace(values=around.values[..., :num_features]),
        Attended(*(part.transpose(1, 3) for part in column)),
    )


def attend_fixed(heads: Heads, real: Tensor, stride: int, num_summaries: int) -> Tensor:
    """Attend to the summaries of all blocks and to what else is in a position's own; shapes as in `attend_strided`."""
    scale = heads.queries.shape[-1] ** -0.5
    first = max(1, stride - num_summaries)
    blocks, real = Heads(*(cut(part, stride) for part in heads)), real.unflatten(1, (-1, stride))
    keys, values = (join(torch.cat([part[..., :1, :], part[..., first:, :]], 3)) for part in blocks[1:])
    allowed = torch.cat([real[..., :1], real[..., first:]], 2).flatten(1)[:, None, None, None]
    summaries = attend_partly(Heads(*(part.unsqueeze(1) for part in (heads.queries, keys, values))), allowed, scale)
    summaries = Attended(*(cut(part.squeeze(1), stride) for part in summaries))
    if first == 1:
        return summaries.values
    own = Heads(blocks.queries, *(part[..., 1:first, :] for part in blocks[1:]))
    return attend_jointly(attend_partly(own, real[:, :, None, None, 1:first], scale), summaries)


class SparseTransformer(Stack):
    """A stack of pre-norm layers of sparse attention; for arguments see `Stack` and `SparseAttention`."""

    MIXER = SparseAttention
