"""Two-layer networks, y = W2 gelu(W1 x + b1) + b2, whose hidden layer exists for a few rows at a time only.

R rows, D inputs, H hidden, K outputs. `Mlp` runs as the torch operator `genomix::mlp`; on the way back the hidden layer
is made again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genomix.nn import mlp_plain
from genomix.nn.operators import cast, empty_like, register


class Mlp(nn.Sequential):
    """Linear, GELU, Linear: what the Paramixer paper uses for f_m and g.

    Args:
        input_dim: D.
        hidden_dim: H.
        output_dim: K.
    """

    def __init__(self, input_dim: int, hidden_dim: int, output_dim: int) -> None:
        super().__init__(nn.Linear(input_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, output_dim))

    @property
    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """weight1 (H, D), bias1 (H,), weight2 (K, H) and bias2 (K,)."""
        first, last = self[0], self[2]
        return first.weight, first.bias, last.weight, last.bias  # pyright: ignore[reportReturnType]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name is that of the class it extends)
        """Map (..., D) to (..., K); under autocast all tensors are `cast`."""
        return _mlp(*cast(input.flatten(0, -2), *self.weights)).unflatten(0, input.shape[:-1])


def _has_kernel(inputs: Tensor) -> bool:
    if inputs.device.type != "cpu":
        return False
    from genomix.nn import mlp_cpu

    return mlp_cpu.serves(inputs)


def _compute(inputs: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    inputs = inputs.contiguous()
    if _has_kernel(inputs):
        from genomix.nn import mlp_cpu

        return mlp_cpu.forward(inputs, weight1, bias1, weight2, bias2)
    outputs = inputs.new_empty(len(inputs), len(weight2))
    mlp_plain.compute(inputs, weight1, bias1, weight2, bias2, outputs)
    return outputs


def _compute_back(
    grad_outputs: Tensor, inputs: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    inputs, grad_outputs = inputs.contiguous(), grad_outputs.contiguous()
    if _has_kernel(inputs):
        from genomix.nn import mlp_cpu

        return mlp_cpu.backward(grad_outputs, inputs, weight1, bias1, weight2, bias2)
    wide = torch.promote_types(inputs.dtype, torch.float32)
    grad_inputs = torch.zeros_like(inputs)
    sums = [torch.zeros_like(tensor, dtype=wide) for tensor in (weight1, bias1, weight2, bias2)]
    mlp_plain.differentiate(inputs, weight1, bias1, weight2, grad_outputs, grad_inputs, sums)
    grad_weight1, grad_bias1, grad_weight2, grad_bias2 = (tensor.to(inputs.dtype) for tensor in sums)
    return grad_inputs, grad_weight1, grad_bias1, grad_weight2, grad_bias2


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 (torch passes both)
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad_outputs: Tensor) -> tuple[Tensor, ...]:
    return _mlp_backward(grad_outputs, *ctx.saved_tensors)


_ARGUMENTS = "Tensor inputs, Tensor weight1, Tensor bias1, Tensor weight2, Tensor bias2"
_mlp_backward = register(
    f"mlp_backward(Tensor grad_outputs, {_ARGUMENTS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _compute_back,
    lambda _, *tensors: tuple(empty_like(tensor) for tensor in tensors),
)
_mlp = register(
    f"mlp({_ARGUMENTS}) -> Tensor",
    _compute,
    lambda inputs, weight1, bias1, weight2, bias2: inputs.new_empty(inputs.shape[0], weight2.shape[0]),  # noqa: ARG005
    keep=_keep,
    differentiate=_differentiate,
)
