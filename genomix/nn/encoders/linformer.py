"""Linformer: softmax attention to keys and values projected along the record (Wang et al. 2020, equation 7).

B batch, N positions, D embedding, H heads, P head dimension D / H, S projected length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import merge_heads, split_heads
from genomix.nn.encoders.stack import Stack


class ProjectedAttention(nn.Module):
    """softmax(Q (E X W_K)^T / sqrt(P)) (E X W_V) in each of H heads; O(N S) time, O(N) memory besides E.

    E (S, max_length) is one for all heads and for keys and values. A record of n positions uses its first n columns.
    X is projected along the record before W_K and W_V are applied, which gives the same for fewer products; the biases
    of keys and values are added behind the projection.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        projected_length: The most that S may be; S is `max_length` where that is less.
        max_length: The most positions; a longer input is a ValueError.
    """

    def __init__(self, dim: int, num_heads: int, projected_length: int, max_length: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.projection = nn.Parameter(torch.empty(min(projected_length, max_length), max_length))
        nn.init.xavier_uniform_(self.projection, gain=2**-0.5)
        self.queries = nn.Linear(dim, dim)
        self.keys_and_values = nn.Linear(dim, 2 * dim)
        self.outward = nn.Linear(dim, dim)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002 (zeros behind them add nothing)
        """Mix (B, N, D), zero behind a record's length.

        Raises:
            ValueError: If N exceeds `max_length`.
        """
        num_positions, max_length = hidden.shape[1], self.projection.shape[1]
        if num_positions > max_length:
            raise ValueError(
                f"the learned projection reaches to {max_length}, not to {num_positions}: cut the records into windows"
            )
        wide = torch.promote_types(hidden.dtype, torch.float32)
        with torch.autocast(hidden.device.type, enabled=False):
            projection = self.projection[:, :num_positions].to(wide)
            projected = nn.functional.linear(hidden.to(wide).transpose(1, 2), projection).transpose(1, 2)
        parts = (self.queries(hidden), *self.keys_and_values(projected.to(hidden.dtype)).chunk(2, -1))
        queries, keys, values = (split_heads(part, self.num_heads) for part in parts)
        return self.outward(merge_heads(nn.functional.scaled_dot_product_attention(queries, keys, values)))


class Linformer(Stack):
    """A stack of pre-norm layers of attention to projected keys and values, each layer with a projection of its own.

    For arguments see `Stack` and `ProjectedAttention`.
    """

    MIXER = ProjectedAttention
