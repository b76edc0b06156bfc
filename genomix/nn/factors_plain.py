"""`mix_factors` in plain torch, a block of rows after another: for every device and type without a kernel of its own.

B batch, N positions, D embedding, H hidden, K links, M factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genomix.nn import mixing, mlp_plain
from genomix.nn.positions import inside_records

if TYPE_CHECKING:
    from genomix.nn.factors import LinkMlps


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

    kernel = mixing.choose_kernel(start)
    num_factors, num_links = offsets.shape
    kept_values, kept_weights = kept(inputs, num_factors, num_links, keep_values, keep_weights)
    inside = inside_records(start, lengths)
    link_weights = start.new_empty(*start.shape[:2], num_links)
    values = start
    for m in range(num_factors):
        target = kept_weights[m] if keep_weights else link_weights
        _make_link_weights(inputs, link_mlps, m, target)
        values = kernel.forward(target, offsets[m], values, lengths, not residual_input)
        if residual_input:
            values += start * inside
        if keep_values and m + 1 < num_factors:
            kept_values[m] = values
    return values, kept_values, kept_weights


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
    kernel = mixing.choose_kernel(start)
    inside = inside_records(start, lengths)
    grad_inputs = torch.zeros_like(inputs)
    wide = torch.promote_types(inputs.dtype, torch.float32)
    grad_mlps = [torch.zeros_like(tensor, dtype=wide) for tensor in link_mlps]
    grad_start = torch.zeros_like(start)
    gradient = grad_out * inside
    link_weights = start.new_empty(*start.shape[:2], offsets.shape[1])
    for m in range(len(offsets) - 1, -1, -1):
        if residual_input:
            grad_start += gradient
        if len(kept_weights):
            link_weights = kept_weights[m]
        else:
            _make_link_weights(inputs, link_mlps, m, link_weights)
        values = kept_values[m - 1] if m else start
        grad_links, gradient = kernel.backward(link_weights, offsets[m], values, lengths, gradient, not residual_input)
        weight1, bias1, weight2, _ = (tensor[m] for tensor in link_mlps)
        sums = [tensor[m] for tensor in grad_mlps]
        rows, grad_rows = inputs.flatten(0, 1), grad_links.flatten(0, 1)
        mlp_plain.differentiate(rows, weight1, bias1, weight2, grad_rows, grad_inputs.flatten(0, 1), sums)
    weight1, bias1, weight2, bias2 = (tensor.to(inputs.dtype) for tensor in grad_mlps)
    return grad_inputs, grad_start + gradient, weight1, bias1, weight2, bias2


def _make_link_weights(inputs: Tensor, link_mlps: LinkMlps, m: int, out: Tensor) -> None:
    weight1, bias1, weight2, bias2 = (tensor[m] for tensor in link_mlps)
    mlp_plain.compute(inputs.flatten(0, 1), weight1, bias1, weight2, bias2, out.flatten(0, 1))
