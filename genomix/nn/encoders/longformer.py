"""Longformer: softmax attention in a sliding window, and a few global positions (Beltagy et al. 2020, section 3.1).

B batch, N positions, D embedding, H heads, P head dimension D / H, A blocks of C positions, G global positions.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import Heads, Projections, attend, split_heads
from genomix.nn.encoders.blocks import distances, fill_up, join, marked_neighbourhoods
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import real_positions


class WindowAttention(nn.Module):
    """Softmax attention of each position to half a window on either side and to the first G positions.

    The first G positions attend to the whole record, and do so by projections of their own (Q_g, K_g and V_g in the
    paper), which start equal to the others' (Q_s, K_s and V_s). Where a global position is a key of the others, theirs
    are used.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        window: Positions of a window, even; a position sees itself and window / 2 on either side.
        num_global: G; with 0 there are no projections of their own.
    """

    def __init__(self, dim: int, num_heads: int, *, window: int, num_global: int) -> None:
        super().__init__()
        self.projections = Projections(dim, num_heads)
        self.global_inward = copy.deepcopy(self.projections.inward) if num_global else None
        self.window = window
        self.num_global = num_global

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        num_positions = hidden.shape[1]
        reach = min(self.window // 2, num_positions)
        num_global = min(self.num_global, num_positions)
        padded = fill_up(hidden, reach)
        heads = self.projections.split(padded)
        attended = attend_window(heads, real_positions(lengths, padded.shape[1]), reach, num_global)
        if self.global_inward is not None:
            parts = self.global_inward(hidden).chunk(3, -1)
            queries, keys, values = (split_heads(part, self.projections.num_heads) for part in parts)
            allowed = real_positions(lengths, num_positions)[:, None, None]
            everywhere = attend(queries[:, :, :num_global], keys, values, allowed)
            attended = torch.cat([everywhere, attended[:, :, num_global:]], 2)
        return self.projections.merge(attended)[:, :num_positions]


def attend_window(heads: Heads, real: Tensor, reach: int, num_global: int) -> Tensor:
    """Attend to what is no further than `reach` and to the global positions, each once.

    Args:
        heads: (B, H, N, P) each, N a multiple of `reach`.
        real: Which keys may be seen, (B, N).
        reach: C, half the window.
        num_global: G.

    Returns:
        (B, H, N, P).
    """
    near = distances(reach, real.device).abs() <= reach
    allowed = torch.cat([near, near.new_ones(reach, num_global)], 1)
    queries, keys, values = marked_neighbourhoods(heads, real, reach, num_global)
    attended = nn.functional.scaled_dot_product_attention(
        *(part.flatten(0, 1) for part in (queries, keys, values)),
        attn_mask=allowed,
        scale=heads.queries.shape[-1] ** -0.5,
    )
    return join(attended.unflatten(0, queries.shape[:2]))[..., : heads.queries.shape[-1]]


class Longformer(Stack):
    """A stack of pre-norm layers of window attention; for arguments see `Stack` and `WindowAttention`."""

    MIXER = WindowAttention
