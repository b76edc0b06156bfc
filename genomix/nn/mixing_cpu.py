"""The CPU kernel of `mix`: one fused loop over the links, forwards and backwards.

B batch, N positions, D embedding, K links. Links are circulant, so the gradient of the values is a gather too: position
j receives from the rows j - offset. Work is done for real positions only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

ROWS_PER_TASK = 512
_MOST_THREADS = numba.get_num_threads()


def serves(values: Tensor) -> bool:
    """Say whether this kernel takes these values: float32 or float64 on a CPU."""
    return values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64)


def mix(link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, *, residual: bool) -> Tensor:
    """Do what `genomix.nn.mixing.mix` says, for tensors that `serves` accepts."""
    return _Mix.apply(link_weights, offsets, values, lengths, residual)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, residual: bool
    ) -> Tensor:
        link_weights, values = link_weights.contiguous(), values.contiguous()
        ctx.save_for_backward(link_weights, offsets, values, lengths)
        ctx.residual = residual
        out = torch.empty_like(values)
        _limit_threads()
        arrays = (_array(tensor) for tensor in (link_weights, offsets, values, lengths, out))
        _forward(*arrays, residual, ROWS_PER_TASK)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad_out: Tensor
    ) -> tuple[Tensor, None, Tensor, None, None]:
        link_weights, offsets, values, lengths = ctx.saved_tensors
        grad_out = grad_out.contiguous()
        grad_weights, grad_values = torch.empty_like(link_weights), torch.empty_like(values)
        _limit_threads()
        tensors = (link_weights, offsets, values, lengths, grad_out, grad_weights, grad_values)
        arrays = (_array(tensor) for tensor in tensors)
        _backward(*arrays, ctx.residual, ROWS_PER_TASK)
        return grad_weights, None, grad_values, None, None


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    options: dict[str, Any] = {"parallel": True, "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither beside this file nor at home is there a place to keep the machine code
        return numba.njit(**options)(function)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _limit_threads() -> None:
    numba.set_num_threads(min(torch.get_num_threads(), _MOST_THREADS))


@_compiled
def _forward(
    weights: np.ndarray,
    offsets: np.ndarray,
    values: np.ndarray,
    lengths: np.ndarray,
    out: np.ndarray,
    residual: bool,
    rows_per_task: int,
) -> None:
    num_batch, num_positions, dim = values.shape
    num_links = offsets.shape[0]
    tasks = (num_positions + rows_per_task - 1) // rows_per_task
    for task in numba.prange(num_batch * tasks):
        b = task // tasks
        length = lengths[b]
        start = (task % tasks) * rows_per_task
        end = min(start + rows_per_task, num_positions)
        for i in range(max(start, length), end):
            out[b, i, :] = 0
        steps = offsets % length
        for i in range(start, min(end, length)):
            row = out[b, i]
            if residual:
                row[:] = values[b, i]
            else:
                row[:] = 0
            for k in range(num_links):
                j = i + steps[k]
                if j >= length:
                    j -= length
                weight = weights[b, i, k]
                linked = values[b, j]
                for d in range(dim):
                    row[d] += weight * linked[d]


@_compiled
def _backward(
    weights: np.ndarray,
    offsets: np.ndarray,
    values: np.ndarray,
    lengths: np.ndarray,
    grad_out: np.ndarray,
    grad_weights: np.ndarray,
    grad_values: np.ndarray,
    residual: bool,
    rows_per_task: int,
) -> None:
    num_batch, num_positions, dim = values.shape
    num_links = offsets.shape[0]
    tasks = (num_positions + rows_per_task - 1) // rows_per_task
    for task in numba.prange(num_batch * tasks):
        b = task // tasks
        length = lengths[b]
        start = (task % tasks) * rows_per_task
        end = min(start + rows_per_task, num_positions)
        for i in range(max(start, length), end):
            grad_values[b, i, :] = 0
            grad_weights[b, i, :] = 0
        steps = offsets % length
        for i in range(start, min(end, length)):
            gradient = grad_out[b, i]
            row = grad_values[b, i]
            if residual:
                row[:] = gradient
            else:
                row[:] = 0
            for k in range(num_links):
                j = i + steps[k]
                if j >= length:
                    j -= length
                linked = values[b, j]
                total = weights.dtype.type(0)
                for d in range(dim):
                    total += gradient[d] * linked[d]
                grad_weights[b, i, k] = total
                source = i - steps[k]
                if source < 0:
                    source += length
                weight = weights[b, source, k]
                sender = grad_out[b, source]
                for d in range(dim):
                    row[d] += weight * sender[d]
