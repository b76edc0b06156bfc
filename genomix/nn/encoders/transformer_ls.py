"""Transformer-LS: softmax attention to a window and to learned summaries of the record (Zhu et al. 2021, section 3).

B batch, N positions, D embedding, H heads, P head dimension D / H, W window, R rank, T = ceil(N / W) blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import Projections, attend, split_heads
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import inside_records


class LongShortAttention(nn.Module):
    """One softmax over R summaries of the record and the 2 W positions around a block; O(N (W + R)) time and memory.

    With Q = X W_Q, K = LN_a(X W_K) and V = LN_a(X W_V), in each of H heads:

    - Long: P = softmax over the record's positions of X W_P (N, R), K_c = LN_b(P^T K), V_c = LN_b(P^T V).
    - Short: blocks of W positions, counted from the record's first; a query sees its block and W / 2 positions on
      either side.
    - softmax(Q [K_c; K_short]^T / sqrt(P)) [V_c; V_short].

    LN_a and LN_b (the paper's DualLN) normalise over all D channels, keys and values apart, with one scale and shift
    for both.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        window: W, even.
        rank: R.
    """

    def __init__(self, dim: int, num_heads: int, window: int, rank: int) -> None:
        super().__init__()
        self.dim, self.num_heads, self.window, self.rank = dim, num_heads, window, rank
        self.projections = Projections(dim, num_heads)
        self.summaries = nn.Linear(dim, num_heads * rank, bias=False)
        self.window_norm, self.summary_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        inside = inside_records(hidden, lengths)
        queries, seen = self.projections.inward(hidden).split((self.dim, 2 * self.dim), -1)
        seen = self.window_norm(seen.unflatten(-1, (2, self.dim)))
        summaries = self._summarise(hidden, seen, inside).flatten(2)
        near = _neighbourhoods(seen.flatten(2), self.window)
        num_blocks = near[0].shape[1]
        seen = torch.cat([summaries.unsqueeze(1).expand(-1, num_blocks, -1, -1), *near], 2)
        allowed = torch.cat(_neighbourhoods(inside, self.window), 2).squeeze(-1)
        allowed = nn.functional.pad(allowed, (self.rank, 0), value=True)
        queries = nn.functional.pad(queries, (0, 0, 0, num_blocks * self.window - queries.shape[1]))
        blocks = (queries.unflatten(1, (num_blocks, -1)), *seen.chunk(2, -1))
        queries, keys, values = (split_heads(part.flatten(0, 1), self.num_heads) for part in blocks)
        attended = attend(queries, keys, values, allowed.flatten(0, 1)[:, None, None])
        attended = attended.transpose(1, 2).reshape(len(hidden), -1, self.dim)[:, : hidden.shape[1]]
        return self.projections.outward(attended)

    def _summarise(self, hidden: Tensor, seen: Tensor, inside: Tensor) -> Tensor:
        """Return keys and values K_c and V_c (B, R, 2, D) of the record's real positions, from `seen` (B, N, 2, D)."""
        wide = torch.promote_types(hidden.dtype, torch.float32)
        scores = self.summaries(hidden).to(wide).masked_fill(~inside, -torch.inf)
        with torch.autocast(hidden.device.type, enabled=False):
            weights = scores.softmax(1).unflatten(-1, (self.num_heads, self.rank))
            values = seen.to(wide).unflatten(-1, (self.num_heads, -1))
            summaries = torch.einsum("bnhr,bnchp->brchp", weights, values).flatten(-2)
        return self.summary_norm(summaries).to(seen.dtype)


def _neighbourhoods(values: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Give what each block of W positions of (B, N, D) sees, in two parts (B, T, W, D), with zeros outside N.

    They begin half a window before the block's first position, and half a window behind it.
    """
    missing = -values.shape[1] % window
    blocks = nn.functional.pad(values, (0, 0, window // 2, missing + window // 2)).unflatten(1, (-1, window))
    return blocks[:, :-1], blocks[:, 1:]


class TransformerLs(Stack):
    """A stack of pre-norm layers of long-short attention; for arguments see `Stack` and `LongShortAttention`."""

    MIXER = LongShortAttention
