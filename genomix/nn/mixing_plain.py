"""`mix` in plain torch, one link after another: for every device and type that has no kernel of its own.

B batch, N positions, D embedding, K links. Nothing larger than (B, N, D) is made.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genomix.nn.positions import inside_records


def forward(link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, residual: bool) -> Tensor:
    """Do what `genomix.nn.mixing.mix` says; sums are taken in float32 at least."""
    wide = torch.promote_types(values.dtype, torch.float32)
    inside = inside_records(values, lengths)
    out = values.to(wide) * inside if residual else torch.zeros_like(values, dtype=wide)
    for k, offset in enumerate(offsets):
        weight = link_weights[:, :, k, None].to(wide) * inside
        out.addcmul_(weight, _linked(values, offset, lengths).to(wide))
    return out.to(values.dtype)


def backward(
    link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, grad_out: Tensor, residual: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradients of link_weights (B, N, K) and of values (B, N, D) under grad_out (B, N, D).

    Links are circulant: what i linked to by +offset receives from i comes back by -offset, so that this gathers too.
    """
    wide = torch.promote_types(values.dtype, torch.float32)
    inside = inside_records(values, lengths)
    gradient = grad_out.to(wide) * inside
    grad_weights = torch.empty_like(link_weights)
    grad_values = gradient.clone() if residual else torch.zeros_like(gradient)
    for k, offset in enumerate(offsets):
        grad_weights[:, :, k] = (gradient * _linked(values, offset, lengths).to(wide)).sum(2)
        weighted = link_weights[:, :, k, None].to(wide) * gradient
        grad_values += _linked(weighted, -offset, lengths) * inside
    return grad_weights, grad_values.to(values.dtype)


def _linked(values: Tensor, offset: Tensor, lengths: Tensor) -> Tensor:
    rows = (torch.arange(values.shape[1], device=values.device) + offset) % lengths[:, None]
    return values.gather(1, rows.unsqueeze(2).expand_as(values))
