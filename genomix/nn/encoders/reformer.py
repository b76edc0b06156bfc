"""Reformer: softmax attention among positions whose keys hash alike (Kitaev, Kaiser, Levskaya 2020).

Queries and keys are one projection, the keys scaled to length one: o_i = sum_j softmax_j(q_i k_j) v_j, k = q / |q|. In
each of R rounds of hashing, i sees the positions j of its own chunk and of the one before, in the order of the buckets
(equation 5, in both directions). The sum is over the union of what it sees in any round.

B batch, N positions, D embedding, H heads, P head dimension D / H, R rounds, C positions of a chunk.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genomix.nn.encoders.attention import merge_heads, split_heads
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import real_positions

ITSELF = -5e4
"""Added to the score of a position with itself, which so counts only where a position sees nothing else."""

NOWHERE = -1e30
"""Added to the score of what is no position of the record; finite, so that rows of nothing else are no NaN."""

ROTATED_AT_ONCE = 1 << 22
"""The most products with rotations made at once, but for those of one position in every record."""


@torch.no_grad()
def hash_order(queries: Tensor, rotations: Tensor, lengths: Tensor, chunk: int) -> Tensor:
    """Sort each record's positions by their bucket, argmax([x R; -x R]), in every head and round.

    A record of n positions has 2 ceil(n / (2 C)) buckets, as far as rotations were drawn, however long the batch is.

    Args:
        queries: (B, H, N, P).
        rotations: (R, H, P, half of the most buckets).
        lengths: (B,).
        chunk: C.

    Returns:
        (B, H, R, N): positions by bucket, within a bucket as in the record; those behind the record's length last.
    """
    num_positions = queries.shape[2]
    rotations = rotations[..., : -(-num_positions // (2 * chunk))].to(queries.dtype)
    half = rotations.shape[-1]
    used = torch.arange(half, device=lengths.device) < -(lengths // (-2 * chunk)).unsqueeze(1)
    at_once = min(num_positions, max(1, ROTATED_AT_ONCE // (len(queries) * half)))
    # One room for every head, round and piece: for a long record nothing costs more to allocate.
    room = queries.new_empty(len(queries) * at_once * half)

    def bucket(queries: Tensor, rotation: Tensor) -> Tensor:
        opened = rotation * used.unsqueeze(1)

        def find_nearest(some: Tensor) -> Tensor:
            rotated = room[: some[..., 0].numel() * half].view(*some.shape[:2], half)
            return torch.matmul(some, opened, out=rotated).abs_().max(-1).indices

        nearest = torch.cat([find_nearest(some) for some in queries.split(at_once, 1)], 1)
        return nearest + half * ((rotation.T[nearest] * queries).sum(-1) < 0)

    heads = zip(queries.unbind(1), rotations.unbind(1), strict=True)
    buckets = torch.stack([bucket(head, rotation) for head, rounds in heads for rotation in rounds], 1)
    outside = ~real_positions(lengths, num_positions)[:, None, None]
    buckets = buckets.unflatten(1, (-1, len(rotations)))
    return buckets.masked_fill_(outside, 2 * half).sort(dim=-1, stable=True).indices


def look_back(chunks: Tensor, axis: int) -> Tensor:
    """Put before the slots of each chunk those of the chunk before it, zeros before the first.

    Args:
        chunks: (..., chunks, C, ...).
        axis: Which axis counts the chunks, from the end, hence negative; that of the slots follows it.

    Returns:
        (..., chunks, 2 C, ...).
    """
    first = torch.zeros_like(chunks.narrow(axis, 0, 1))
    before = torch.cat([first, chunks.narrow(axis, 0, chunks.shape[axis] - 1)], axis)
    return torch.cat([before, chunks], axis + 1)


@torch.no_grad()
def mask_scores(scores: Tensor, order: Tensor, ranks: Tensor, lengths: Tensor) -> None:
    """Leave to each query every key once, in the first round that sees it: scores (B, H, R, N / C, C, 2 C), in place.

    The paper (appendix A) divides by the number of rounds in which the query sees the key, which gives the same sums.
    What is masked gets weight 0 and so gradient 0; hence this has no part in the graph.

    Args:
        scores: Of queries and keys in the order of a round.
        order: (B, H, R, N), from `hash_order`.
        ranks: (B, H, R, N), where the order has each position.
        lengths: (B,).
    """
    chunk = scores.shape[-2]
    starts = torch.arange(0, order.shape[-1], chunk, device=order.device)
    slots = starts.unsqueeze(1) + torch.arange(-chunk, chunk, device=order.device)
    outside = (slots < 0) | (slots >= lengths[:, None, None])
    scores.diagonal(chunk, -2, -1).add_(ITSELF)
    scores.masked_fill_(outside[:, None, None, :, None], NOWHERE)
    chunk_of = (ranks // chunk).to(torch.int32)
    for later in range(1, order.shape[2]):
        for earlier in range(later):
            elsewhere = chunk_of[:, :, earlier].gather(-1, order[:, :, later]).unflatten(-1, (-1, chunk))
            query_chunk, key_chunk = elsewhere.unsqueeze(-1), look_back(elsewhere, -2).unsqueeze(-2)
            seen = (query_chunk == key_chunk) | (query_chunk == key_chunk + 1)
            scores[:, :, later].masked_fill_(seen, NOWHERE)


def take(rows: Tensor, index: Tensor) -> Tensor:
    """Return the rows (B, H, N, W) or (B, H, R, N, W) that the index (B, H, R, N) counts along N: (B, H, R, N, W)."""
    groups = rows.shape[:-2].numel()
    start = torch.arange(groups, device=rows.device).view(*index.shape[:2], -1, 1) * rows.shape[-2]
    return rows.flatten(0, -2).index_select(0, (index + start).flatten()).unflatten(0, index.shape)


def attend_in_chunks(queries: Tensor, values: Tensor, order: Tensor, lengths: Tensor, chunk: int) -> Tensor:
    """Softmax attention of each position over the union of what it sees in any round, (B, H, N, P).

    Args:
        queries: (B, H, N, P), N a multiple of C; the keys are made of them.
        values: (B, H, N, P).
        order: From `hash_order`.
        lengths: (B,).
        chunk: C.
    """
    head_dim = queries.shape[-1]
    ones = torch.ones_like(values[..., :1])
    rows = torch.cat([queries, nn.functional.normalize(queries, dim=-1), values, ones], -1)
    parts = take(rows, order).unflatten(3, (-1, chunk)).split([head_dim, head_dim, head_dim + 1], -1)
    queries, keys, values = parts[0], look_back(parts[1], -3), look_back(parts[2], -3)
    places = torch.arange(order.shape[-1], device=order.device).expand_as(order)
    ranks = torch.empty_like(order).scatter_(-1, order, places)
    scores = queries @ keys.transpose(-1, -2)
    mask_scores(scores, order, ranks, lengths)
    # In place, as above: nothing else here is as large as the scores.
    highest = scores.detach().amax(-1, keepdim=True)
    sums = scores.sub_(highest).exp_() @ values
    sums, highest = (take(part.flatten(3, 4), ranks) for part in (sums, highest))
    summed = (sums * (highest - highest.amax(2, keepdim=True)).exp()).sum(2)
    return summed[..., :-1] / summed[..., -1:]


class HashedAttention(nn.Module):
    """Attention among positions that hash alike, in each of H heads.

    Args:
        dim: D.
        num_heads: H, a divisor of D.
        chunk: C, the positions that attend together, to their own chunk and the one before.
        num_hashes: R, rounds of hashing.
        max_length: The length up to which the number of buckets grows with a record's; longer records have as many.
    """

    rotations: Tensor

    def __init__(self, dim: int, num_heads: int, chunk: int, num_hashes: int, max_length: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.chunk = chunk
        self.inward = nn.Linear(dim, 2 * dim)
        self.outward = nn.Linear(dim, dim)
        half = -(-max_length // (2 * chunk))
        self.register_buffer("rotations", torch.randn(num_hashes, num_heads, dim // num_heads, half))

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real; sums are taken in float32 at least."""
        num_positions = hidden.shape[1]
        parts = self.inward(hidden).chunk(2, -1)
        wide = torch.promote_types(parts[0].dtype, torch.float32)
        with torch.autocast(hidden.device.type, enabled=False):
            whole = (0, 0, 0, -num_positions % self.chunk)
            queries, values = (nn.functional.pad(split_heads(part.to(wide), self.num_heads), whole) for part in parts)
            order = hash_order(queries, self.rotations, lengths, self.chunk)
            attended = attend_in_chunks(queries, values, order, lengths, self.chunk)[:, :, :num_positions]
        return self.outward(merge_heads(attended))


class Reformer(Stack):
    """A stack of pre-norm layers of attention among positions that hash alike.

    For arguments see `Stack` and `HashedAttention`.
    """

    MIXER = HashedAttention
