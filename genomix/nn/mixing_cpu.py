"""The CPU kernel of `mix`: one fused loop over the links, forwards and backwards.

B batch, N positions, D embedding, K links. Links are circulant, so the gradient of the values is a gather too: position
j receives from the rows j - offset. Work is done for real positions only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

ROWS_PER_TASK = 512
_MOST_THREADS = numba.get_num_threads()
_KERNEL_TYPES = (torch.float32, torch.float64)


def forward(link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, residual: bool) -> Tensor:
    """Do what `genomix.nn.mixing.mix` says, for contiguous tensors; half precision is computed in float32."""
    if values.dtype not in _KERNEL_TYPES:
        return forward(link_weights.float(), offsets, values.float(), lengths, residual).to(values.dtype)
    out = torch.empty_like(values)
    limit_threads()
    arrays = (_array(tensor) for tensor in (link_weights, offsets, values, lengths, out))
    _forward(*arrays, residual, ROWS_PER_TASK)
    return out


def backward(
    link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, grad_out: Tensor, residual: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradients of link_weights (B, N, K) and of values (B, N, D) under grad_out (B, N, D)."""
    if values.dtype not in _KERNEL_TYPES:
        wide = (link_weights.float(), offsets, values.float(), lengths, grad_out.float())
        grad_weights, grad_values = backward(*wide, residual)
        return grad_weights.to(values.dtype), grad_values.to(values.dtype)
    grad_weights, grad_values = torch.empty_like(link_weights), torch.empty_like(values)
    limit_threads()
    tensors = (link_weights, offsets, values, lengths, grad_out, grad_weights, grad_values)
    _backward(*(_array(tensor) for tensor in tensors), residual, ROWS_PER_TASK)
    return grad_weights, grad_values


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a function with parallel loops, and keep the machine code where there is a place for it."""
    options: dict[str, Any] = {"parallel": True, "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither beside this file nor at home is there a place to keep the machine code
        return numba.njit(**options)(function)
    # numba looks at the file of the function alone; what it calls lies in the files beside it
    dispatcher._cache._cache_file._source_stamp = _stamp_sources()  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]
    return dispatcher


def _stamp_sources() -> tuple[tuple[str, float, int], ...]:
    states = ((path.name, path.stat()) for path in sorted(Path(__file__).parent.glob("*.py")))
    return tuple((name, state.st_mtime, state.st_size) for name, state in states)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def limit_threads() -> int:
    """Make numba use as many threads as torch does, and return how many."""
    threads = min(torch.get_num_threads(), _MOST_THREADS)
    numba.set_num_threads(threads)
    return threads


@compiled
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


@compiled
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
