"""Heads in blocks of positions, each with its neighbours, and keys that are shut out by a feature of theirs.

B batch, N positions, D embedding, H heads, P head dimension, W marked head dimension, A blocks of C positions.

A mask that lets each block see the real ones among the keys around it would be the largest tensor of all. Instead a
feature is added, 1 in every query, 0 in keys that count and low in those that do not: what is left to mask is the
same for every block and record. Values get zeros to match, so the first P features of what is attended are what counts.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from genomix.nn.encoders.attention import Heads

ALIGNMENT = 8
"""What W is a multiple of, since the fused attention kernels of GPUs ask for it."""

CLOSED = -(2.0**15)
"""The feature of keys that do not count: what is added to products q . k, before they are scaled by 1 / sqrt(P).

Exact in any floating type, far below products of queries and keys, and its exponential is 0 in float32 for any P up to
90,000. It is not the lowest number there is, since a query that sees nothing real has logits around it, and kernels
compute its weights again from these and the logarithm of their sum: the rounding of lower ones can overflow.
"""


def fill_up(hidden: Tensor, size: int) -> Tensor:
    """Append zeros to (B, N, D) until N is a multiple of `size`."""
    return pad(hidden, (0, 0, 0, -hidden.shape[1] % size))


def cut(heads: Tensor, size: int) -> Tensor:
    """View (B, H, A C, P) as blocks of C = `size` positions, (B, A, H, C, P)."""
    return heads.unflatten(2, (-1, size)).transpose(1, 2)


def join(blocks: Tensor) -> Tensor:
    """Put blocks (B, A, H, C, P) together as (B, H, A C, P)."""
    return blocks.transpose(1, 2).flatten(2, 3)


def with_neighbours(blocks: Tensor, *more: Tensor) -> Tensor:
    """Return each block between its two neighbours, and more behind them.

    Args:
        blocks: (B, A + 2, H, C, P), of which the first and the last are neighbours only.
        more: (B, A, H, S, P), each with its own S.

    Returns:
        (B, A, H, 3 C + all S, P).
    """
    return torch.cat([blocks[:, :-2], blocks[:, 1:-1], blocks[:, 2:], *more], 3)


def marked_neighbourhoods(heads: Heads, real: Tensor, size: int, num_shared: int = 0) -> Heads:
    """Return queries in blocks of C = `size` positions, and marked keys and values: those of the blocks around each.

    Args:
        heads: (B, H, A C, P) each.
        real: Which keys may be seen, (B, A C).
        size: C.
        num_shared: G; the first G positions are keys of every block, behind those around it, and nowhere else.

    Returns:
        Queries (B, A, H, C, W), keys and values (B, A, H, 3 C + G, W).
    """
    spare = spare_features(heads.values)
    queries = pad(heads.queries, (0, spare))
    queries[..., heads.queries.shape[-1]] = 1
    queries = cut(queries, size)
    local = real & (torch.arange(real.shape[1], device=real.device) >= num_shared)
    keys = marked_keys(heads.keys, local, margin=size)
    values = pad(heads.values, (0, spare, size, size))
    shared_keys = marked_keys(heads.keys[:, :, :num_shared], real[:, :num_shared])
    shared_values = pad(heads.values[:, :, :num_shared], (0, spare))
    shared = (part.unsqueeze(1).expand(-1, queries.shape[1], -1, -1, -1) for part in (shared_keys, shared_values))
    keys, values = (with_neighbours(cut(part, size), more) for part, more in zip((keys, values), shared, strict=True))
    return Heads(queries, keys, values)


def marked_keys(keys: Tensor, counts: Tensor, *, margin: int = 0) -> Tensor:
    """Add the mark to keys (B, H, N, P), of which those where `counts` (B, N) may be seen.

    Returns:
        (B, H, margin + N + margin, W), with keys at both ends that may not be seen.
    """
    marked = pad(keys, (0, spare_features(keys), margin, margin))
    closed = ~pad(counts, (margin, margin)).unsqueeze(1)
    marked[..., keys.shape[-1]].masked_fill_(closed, CLOSED)
    return marked


def spare_features(heads: Tensor) -> int:
    """Return how many features the mark and the alignment add to (..., P): W - P."""
    return ALIGNMENT - heads.shape[-1] % ALIGNMENT


def distances(size: int, device: torch.device) -> Tensor:
    """Return how far from each query of a block the keys are of the blocks around it, (C, 3 C), negative before it."""
    place = torch.arange(3 * size, device=device)
    return place - place[size : 2 * size, None]
