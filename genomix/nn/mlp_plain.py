"""Two-layer networks in plain torch, a block of rows after another: for every device and type without a kernel.

R rows, D inputs, H hidden, K outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import gelu

BLOCK_ROWS = {"cpu": 1 << 12}
"""Rows whose hidden layer exists at once: on a CPU few enough to stay in its cache, elsewhere enough to fill it."""
USUAL_BLOCK_ROWS = 1 << 18


def compute(inputs: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, outputs: Tensor) -> None:
    """Write weight2 gelu(weight1 x + bias1) + bias2 for inputs (R, D) to outputs (R, K)."""
    for rows, target in _blocks(inputs, outputs):
        target.copy_(torch.addmm(bias2, gelu(torch.addmm(bias1, rows, weight1.t())), weight2.t()))


def differentiate(
    inputs: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    grad_outputs: Tensor,
    grad_inputs: Tensor,
    grad_weights: Sequence[Tensor],
) -> None:
    """Add the gradients under grad_outputs (R, K), with the hidden layer made again, to those already there.

    Args:
        inputs: (R, D).
        weight1: (H, D).
        bias1: (H,).
        weight2: (K, H).
        grad_outputs: (R, K).
        grad_inputs: (R, D), added to.
        grad_weights: Of weight1, bias1, weight2 and bias2, at least float32, added to.
    """
    grad_weight1, grad_bias1, grad_weight2, grad_bias2 = grad_weights
    for rows, grad_rows, grad_target in _blocks(inputs, grad_outputs, grad_inputs):
        before = torch.addmm(bias1, rows, weight1.t())
        grad_before = torch.ops.aten.gelu_backward(grad_rows @ weight2, before)
        grad_weight2 += grad_rows.t() @ gelu(before)
        grad_bias2 += grad_rows.sum(0)
        grad_weight1 += grad_before.t() @ rows
        grad_bias1 += grad_before.sum(0)
        grad_target.addmm_(grad_before, weight1)


def _blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    rows = BLOCK_ROWS.get(tensors[0].device.type, USUAL_BLOCK_ROWS)
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)
