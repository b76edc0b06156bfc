"""What attention models share: heads, and softmax attention under a mask.

B batch, N positions, D embedding, H heads, P head dimension D / H, S keys.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Heads(NamedTuple):
    """Queries, keys and values of every head, each (B, H, N, P)."""

    queries: Tensor
    keys: Tensor
    values: Tensor


class Projections(nn.Module):
    """The linear layers of multi-head attention: queries, keys and values of H heads, and back to D.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.inward = nn.Linear(dim, 3 * dim)
        self.outward = nn.Linear(dim, dim)

    def split(self, hidden: Tensor) -> Heads:
        """Map (B, N, D) to the heads' queries, keys and values."""
        return Heads(*(split_heads(part, self.num_heads) for part in self.inward(hidden).chunk(3, -1)))

    def merge(self, attended: Tensor) -> Tensor:
        """Map what the heads give, (B, H, N, P), to (B, N, D)."""
        return self.outward(merge_heads(attended))


def split_heads(hidden: Tensor, num_heads: int) -> Tensor:
    """Turn (B, N, D) into (B, H, N, P)."""
    return hidden.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(hidden: Tensor) -> Tensor:
    """Turn (B, H, N, P) into (B, N, D)."""
    return hidden.transpose(1, 2).flatten(2)


def attend(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
    """Softmax attention, softmax(Q K^T / sqrt(P)) V, over the keys that a query is allowed to see.

    Args:
        queries: (..., N, P).
        keys: (..., S, P).
        values: (..., S, P).
        allowed: Boolean, broadcastable to (..., N, S); a query that may see nothing gets some finite value.

    Returns:
        (..., N, P).
    """
    nothing = ~allowed.any(-1, keepdim=True)
    return nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed | nothing)
