"""One sparse factor multiplied in: V' = W V, with row i of W holding K link weights at the links of i.

B batch, N positions, D embedding, K links. Records in a batch may differ in length: the links of a record wrap modulo
its own length, and the rows behind its end come out as zeros, so that no record sees another or the padding.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mix(link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, *, residual: bool = False) -> Tensor:
    """Multiply one factor into the values.

    out[b, i] = sum_k link_weights[b, i, k] * values[b, (i + offsets[k]) mod length_b] (+ values[b, i] with `residual`).

    Where several links of a row fall on the same position their weights add up. On a CPU this is one fused loop, which
    never materialises (B, N, K, D); elsewhere it is the plain reference below.

    Args:
        link_weights: (B, N, K), floating point.
        offsets: (K,) int64, distances to the linked positions, of either sign and any size.
        values: (B, N, D), of the same type.
        lengths: (B,) int64, real positions of each record, 1 to N.
        residual: Add the values themselves, so that the operator is W + I.

    Returns:
        (B, N, D); rows at and behind a record's length are zero.
    """
    from genomix.nn import mixing_cpu

    if mixing_cpu.serves(values):
        return mixing_cpu.mix(link_weights, offsets, values, lengths, residual=residual)
    return mix_reference(link_weights, offsets, values, lengths, residual=residual)


def mix_reference(
    link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, *, residual: bool = False
) -> Tensor:
    """Do what `mix` does by a plain gather, in O(B N K D) memory: the truth that every kernel is held against."""
    num_batch, num_positions, dim = values.shape
    positions = torch.arange(num_positions, device=values.device)
    linked = (positions[None, :, None] + offsets) % lengths[:, None, None]  # (B, N, K)
    rows = linked.reshape(num_batch, -1, 1).expand(-1, -1, dim)
    gathered = values.gather(1, rows).view(num_batch, num_positions, -1, dim)
    mixed = (link_weights.unsqueeze(-1) * gathered).sum(2)
    if residual:
        mixed = mixed + values
    return mixed * (positions < lengths[:, None]).unsqueeze(-1)


def dense_factor(link_weights: Tensor, offsets: Tensor, length: int) -> Tensor:
    """Return one record's factor as a dense (N, N) matrix, from link_weights (N, K): for tests and for looking at."""
    factor = link_weights.new_zeros(length, length)
    rows = torch.arange(length, device=link_weights.device)
    for k, offset in enumerate(offsets.tolist()):
        factor.index_put_((rows, (rows + offset) % length), link_weights[:length, k], accumulate=True)
    return factor
