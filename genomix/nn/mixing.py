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
from genomix.nn.operators import cast, empty_like, register


def mix(link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, *, residual: bool = False) -> Tensor:
    """Multiply one factor into the values.

    out[b, i] = sum_k link_weights[b, i, k] * values[b, (i + offsets[k]) mod length_b] (+ values[b, i] with `residual`).

    Where several links of a row fall on the same position their weights add up. Nothing of (B, N, K, D) is ever made;
    work is done for real positions only. Under autocast both are `cast`.

    Args:
        link_weights: (B, N, K), floating point.
        offsets: (K,) int64, distances to the linked positions, of either sign and any size.
        values: (B, N, D), of the same type.
        lengths: (B,) int64, real positions of each record, 1 to N.
        residual: Add the values themselves, so that the operator is W + I.

    Returns:
        (B, N, D); rows at and behind a record's length are zero.
    """
    link_weights, values = cast(link_weights, values)
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


def _compute(link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, residual: bool) -> Tensor:
    return choose_kernel(values).forward(link_weights.contiguous(), offsets, values.contiguous(), lengths, residual)


def _compute_back(
    grad_out: Tensor, link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, residual: bool
) -> tuple[Tensor, Tensor]:
    tensors = (link_weights.contiguous(), offsets, values.contiguous(), lengths, grad_out.contiguous())
    return choose_kernel(values).backward(*tensors, residual)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 (torch passes both)
    *tensors, ctx.residual = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, Tensor, None, None]:
    grad_weights, grad_values = _mix_backward(grad_out, *ctx.saved_tensors, ctx.residual)
    return grad_weights, None, grad_values, None, None


_ARGUMENTS = "Tensor link_weights, Tensor offsets, Tensor values, Tensor lengths, bool residual"
_mix_backward = register(
    f"mix_backward(Tensor grad_out, {_ARGUMENTS}) -> (Tensor, Tensor)",
    _compute_back,
    lambda _, link_weights, offsets, values, *__: (empty_like(link_weights), empty_like(values)),  # noqa: ARG005
)
_mix = register(
    f"mix({_ARGUMENTS}) -> Tensor",
    _compute,
    lambda link_weights, offsets, values, *_: empty_like(values),  # noqa: ARG005
    keep=_keep,
    differentiate=_differentiate,
)


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
