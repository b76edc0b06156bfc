"""One sparse factor multiplied in: V' = W V, with row i of W holding K link weights at the links of i.

B batch, N positions, D embedding, K links. Records in a batch may differ in length: the links of a record wrap modulo
its own length, and the rows behind its end come out as zeros, so that no record sees another or the padding.

`mix` is the torch operator `genomix::mix`; the kernel is chosen by device and type when it runs.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from genomix.nn import mixing_plain


def mix(link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, *, residual: bool = False) -> Tensor:
    """Multiply one factor into the values.

    out[b, i] = sum_k link_weights[b, i, k] * values[b, (i + offsets[k]) mod length_b] (+ values[b, i] with `residual`).

    Where several links of a row fall on the same position their weights add up. Nothing of (B, N, K, D) is ever made;
    work is done for real positions only. Under autocast both tensors are taken in its type.

    Args:
        link_weights: (B, N, K), floating point.
        offsets: (K,) int64, distances to the linked positions, of either sign and any size.
        values: (B, N, D), of the same type.
        lengths: (B,) int64, real positions of each record, 1 to N.
        residual: Add the values themselves, so that the operator is W + I.

    Returns:
        (B, N, D); rows at and behind a record's length are zero.
    """
    if torch.is_autocast_enabled(values.device.type):
        dtype = torch.get_autocast_dtype(values.device.type)
        link_weights, values = link_weights.to(dtype), values.to(dtype)
    return _mix(link_weights, offsets, values, lengths, residual)


def choose_kernel(values: Tensor) -> ModuleType:
    """Return the module whose `forward` and `backward` serve these values: numba, Triton, or plain torch."""
    if values.device.type == "cpu":
        from genomix.nn import mixing_cpu

        return mixing_cpu
    if values.device.type == "cuda":
        from genomix.nn import mixing_triton

        if mixing_triton.serves(values):
            return mixing_triton
    return mixing_plain


@torch.library.custom_op("genomix::mix", mutates_args=())
def _mix(link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, residual: bool) -> Tensor:
    return choose_kernel(values).forward(link_weights.contiguous(), offsets, values.contiguous(), lengths, residual)


@torch.library.custom_op("genomix::mix_backward", mutates_args=())
def _mix_backward(
    link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, grad_out: Tensor, residual: bool
) -> tuple[Tensor, Tensor]:
    tensors = (link_weights.contiguous(), offsets, values.contiguous(), lengths, grad_out.contiguous())
    return choose_kernel(values).backward(*tensors, residual)


@_mix.register_fake
def _(link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, residual: bool) -> Tensor:  # noqa: ARG001
    return torch.empty_like(values, memory_format=torch.contiguous_format)


@_mix_backward.register_fake
def _(
    link_weights: Tensor,
    offsets: Tensor,  # noqa: ARG001
    values: Tensor,
    lengths: Tensor,  # noqa: ARG001
    grad_out: Tensor,  # noqa: ARG001
    residual: bool,  # noqa: ARG001
) -> tuple[Tensor, Tensor]:
    whole = torch.contiguous_format
    return torch.empty_like(link_weights, memory_format=whole), torch.empty_like(values, memory_format=whole)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 (torch passes both)
    *tensors, ctx.residual = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, Tensor, None, None]:
    grad_weights, grad_values = _mix_backward(*ctx.saved_tensors, grad_out, ctx.residual)
    return grad_weights, None, grad_values, None, None


_mix.register_autograd(_differentiate, setup_context=_keep)


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
