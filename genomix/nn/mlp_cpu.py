"""`mlp` on a CPU: the compiled kernels, without mixing.

R rows, D inputs, H hidden, K outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genomix.nn.kernels_cpu import NO_MIXING, NO_MIXING_BACK, compute, differentiate, share_out
from genomix.nn.simd import LANES
from genomix.nn.tiles_cpu import gradient_sizes, make_scratch, pack, split_gradient


def serves(inputs: Tensor) -> bool:
    """Say whether this kernel takes inputs (R, D): float32, some rows, D a multiple of the vector width."""
    return inputs.dtype is torch.float32 and len(inputs) > 0 and inputs.shape[1] % LANES == 0


def forward(inputs: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """Return the outputs (R, K) of inputs (R, D), for weights (H, D), (H,), (K, H) and (K,)."""
    (mlp,) = pack(*(tensor[None] for tensor in (weight1, bias1, weight2, bias2)))
    outputs = inputs.new_empty(1, len(inputs), len(weight2))
    pieces, chunks = share_out(torch.tensor([len(inputs)]))
    scratch = make_scratch(mlp, len(chunks) - 1)
    compute(inputs[None].numpy(), mlp, pieces, chunks, outputs.numpy(), scratch, *NO_MIXING)
    return outputs[0]


def backward(
    grad_outputs: Tensor, inputs: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of inputs (R, D), weight1, bias1, weight2 and bias2 under grad_outputs (R, K)."""
    (mlp,) = pack(*(tensor[None] for tensor in (weight1, bias1, weight2, bias2)))
    grad_inputs = torch.zeros_like(inputs)
    pieces, chunks = share_out(torch.tensor([len(inputs)]))
    sums = inputs.new_zeros(len(chunks) - 1, sum(gradient_sizes(mlp)))
    differentiate(
        inputs[None].numpy(),
        mlp,
        pieces,
        chunks,
        grad_outputs[None].numpy(),
        grad_inputs[None].numpy(),
        sums.numpy(),
        make_scratch(mlp, len(chunks) - 1),
        *NO_MIXING_BACK,
    )
    weights = split_gradient(sums.sum(0, keepdim=True), mlp, len(weight1))
    return grad_inputs, weights[0][0], weights[1][0], weights[2][0], weights[3][0]
