"""`mix_factors` on a CPU: the compiled kernels, one factor after another.

B batch, N positions, D embedding, K links, M factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genomix.nn.kernels_cpu import NO_MIXING, NOTHING, compute, differentiate, share_out
from genomix.nn.simd import LANES
from genomix.nn.tiles_cpu import gradient_sizes, make_scratch, pack, split_gradient

if TYPE_CHECKING:
    from genomix.nn.factors import LinkMlps


def serves(inputs: Tensor) -> bool:
    """Say whether this kernel takes these inputs: float32, D a multiple of the vector width."""
    return inputs.dtype is torch.float32 and inputs.shape[2] % LANES == 0


def forward(
    inputs: Tensor,
    start: Tensor,
    link_mlps: LinkMlps,
    offsets: Tensor,
    lengths: Tensor,
    *,
    residual_input: bool,
    keep_values: bool,
    keep_weights: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return what `genomix.nn.factors.mix_factors` says, V_1 to V_{M-1} and the link weights, if kept."""
    from genomix.nn.factors import kept

    num_factors, num_links = offsets.shape
    kept_values, kept_weights = kept(inputs, num_factors, num_links, keep_values, keep_weights)
    out = torch.empty_like(start)
    spare = out if keep_values else torch.empty_like(start)
    pieces, chunks = share_out(lengths)
    steps = (offsets[:, None] % lengths[:, None]).numpy()  # (M, B, K)
    mlps = pack(*link_mlps)
    scratch = make_scratch(mlps[0], len(chunks) - 1)
    values = start
    for m, mlp in enumerate(mlps):
        left = num_factors - 1 - m
        target = kept_values[m] if keep_values and left else out if left % 2 == 0 else spare
        compute(
            inputs.numpy(),
            mlp,
            pieces,
            chunks,
            kept_weights[m].numpy() if keep_weights else NOTHING,
            scratch,
            values.numpy(),
            (start if residual_input else values).numpy(),
            steps[m],
            lengths.numpy(),
            target.numpy(),
        )
        values = target
    for row, length in zip(out, lengths.tolist(), strict=True):
        row[length:] = 0
    return out, kept_values, kept_weights


def backward(
    grad_out: Tensor,
    inputs: Tensor,
    start: Tensor,
    link_mlps: LinkMlps,
    offsets: Tensor,
    lengths: Tensor,
    kept_values: Sequence[Tensor],
    kept_weights: Sequence[Tensor],
    *,
    residual_input: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of inputs, start, weight1, bias1, weight2 and bias2 under grad_out (B, N, D)."""
    num_factors, num_links = offsets.shape
    pieces, chunks = share_out(lengths)
    steps = (offsets[:, None] % lengths[:, None]).numpy()  # (M, B, K)
    mlps = pack(*link_mlps)
    scratch = make_scratch(mlps[0], len(chunks) - 1)
    grad_inputs, grad_start = torch.zeros_like(inputs), torch.zeros_like(start)
    spare = torch.empty_like(start)
    direct = torch.zeros_like(start) if residual_input else None
    made = None if len(kept_weights) else inputs.new_empty(*inputs.shape[:2], num_links)
    grad_mlps = inputs.new_empty(num_factors, sum(gradient_sizes(mlps[0])))
    gradient = grad_out
    for m in range(num_factors - 1, -1, -1):
        if made is not None:
            compute(inputs.numpy(), mlps[m], pieces, chunks, made.numpy(), scratch, *NO_MIXING)
        target = grad_start if m % 2 == 0 else spare
        sums = inputs.new_zeros(len(chunks) - 1, grad_mlps.shape[1])
        differentiate(
            inputs.numpy(),
            mlps[m],
            pieces,
            chunks,
            (kept_weights[m] if made is None else made).numpy(),
            grad_inputs.numpy(),
            sums.numpy(),
            scratch,
            (kept_values[m - 1] if m else start).numpy(),
            gradient.numpy(),
            steps[m],
            lengths.numpy(),
            target.numpy(),
            NOTHING if direct is None else direct.numpy(),
        )
        grad_mlps[m] = sums.sum(0)
        gradient = target
    if direct is not None:
        grad_start += direct
    return grad_inputs, grad_start, *split_gradient(grad_mlps, mlps[0], link_mlps.weight1.shape[1])
