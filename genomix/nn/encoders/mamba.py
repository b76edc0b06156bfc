"""Mamba: selective state spaces with one rate of decay a head, in both directions.

Dao, Gu: Transformers are SSMs (ICML 2024), the block of Mamba-2. B batch, N positions, D embedding, E inner dimension,
H heads, P head dimension E / H, S state dimension, W = E + 2 S.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from genomix.nn.dropout import Dropout
from genomix.nn.encoders.selective_scan import scan
from genomix.nn.positions import inside_records

WIDTH = 4
"""Positions that the short convolution sees: its own and three before it."""

FIRST_STEPS, FIRST_RATES = (1e-3, 1e-1), (1.0, 16.0)
"""Bounds of the steps (spread evenly in the logarithm) and of the rates of decay before training, as published."""

CACHED_ROWS, LAUNCHED_ROWS = 1 << 11, 1 << 16
"""Rows computed at once, on a CPU and elsewhere: what stays in a CPU's cache takes four fifths of the time."""


class Advanced(NamedTuple):
    """What a part of the positions gives, and what it leaves for the next.

    Attributes:
        outputs: (B, N, E).
        tail: The last inputs of the short convolution, (B, WIDTH - 1, W).
        state: h behind the last position, (B, S, H, P).
    """

    outputs: Tensor
    tail: Tensor
    state: Tensor


class Direction(nn.Module):
    """What a direction has of its own: short convolution, steps, rates of decay, skip and gated norm.

    [x, k, q] = silu(conv([x, k, q])); h_t = exp(-rate dt_t) h_(t-1) + dt_t k_t x_t^T and y_t = q_t^T h_t + skip x_t in
    each head; then norm(y silu(z)). The paper writes A for -rate, B for k, C for q and D for skip.

    Args:
        inner_dim: E.
        state_dim: S.
        head_dim: P, a divisor of E.
        chunk: See `scan`.
    """

    def __init__(self, inner_dim: int, state_dim: int, head_dim: int, chunk: int) -> None:
        super().__init__()
        num_heads, width = inner_dim // head_dim, inner_dim + 2 * state_dim
        self.inner_dim, self.state_dim, self.head_dim, self.chunk = inner_dim, state_dim, head_dim, chunk
        self.projected_dims = [inner_dim, width, num_heads]
        self.short = nn.Conv2d(width, width, (1, WIDTH), groups=width)
        low, high = (math.log(step) for step in FIRST_STEPS)
        self.step_bias = nn.Parameter(torch.empty(num_heads).uniform_(low, high).exp().expm1().log())
        self.log_rate = nn.Parameter(torch.empty(num_heads).uniform_(*FIRST_RATES).log())
        self.skip = nn.Parameter(torch.ones(num_heads))
        self.norm = nn.RMSNorm(inner_dim, eps=1e-5)

    def forward(self, projected: Tensor, inside: Tensor) -> Tensor:
        """Go from the first position to the last, in float32 at least.

        Args:
            projected: z, [x, k, q] and what makes dt, (B, N, E + W + H), zero where `inside` is False.
            inside: Which positions are real, (B, N, 1); others, before a record or behind it, change no state.

        Returns:
            (B, N, E).
        """
        with torch.autocast(projected.device.type, enabled=False):
            wide = projected.to(torch.promote_types(projected.dtype, torch.float32))
            return InParts.apply(self, wide, inside, *(tensor for tensor in self.parameters() if tensor.requires_grad))

    def split(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        """Split each of some tensors (B, N, ...) into parts of whole chunks, and give them part by part."""
        rows = CACHED_ROWS if tensors[0].device.type == "cpu" else LAUNCHED_ROWS
        positions = self.chunk * max(1, rows // (self.chunk * len(tensors[0])))
        return [*zip(*(tensor.split(positions, 1) for tensor in tensors), strict=True)]

    def start(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Return `tail` and `state` in front of the first position."""
        _, width, num_heads = self.projected_dims
        tail = projected.new_zeros(len(projected), WIDTH - 1, width)
        return tail, projected.new_zeros(len(projected), self.state_dim, num_heads, self.head_dim)

    def advance(self, projected: Tensor, tail: Tensor, state: Tensor, inside: Tensor) -> Advanced:
        """Compute positions from what those before them left; for shapes see `forward` and `Advanced`."""
        gate, inputs, steps = projected.split(self.projected_dims, -1)
        inputs = torch.cat([tail, inputs], 1)
        # as an image of height 1 the channels stay innermost in memory, which torch's depthwise kernels are fastest for
        short = nn.functional.silu(self.short(inputs.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2))
        inner, keys, queries = short.split([self.inner_dim, self.state_dim, self.state_dim], -1)
        values = inner.unflatten(-1, (-1, self.head_dim))
        steps = nn.functional.softplus(steps + self.step_bias) * inside
        log_decays = -self.log_rate.exp() * steps
        outputs, state = scan(values * steps.unsqueeze(-1), log_decays, keys, queries, state, self.chunk)
        outputs = torch.addcmul(outputs, self.skip.unsqueeze(-1), values).flatten(2)
        return Advanced(self.norm(outputs * nn.functional.silu(gate)), inputs[:, -(WIDTH - 1) :], state)


class InParts(torch.autograd.Function):
    """A direction, computed for a part of the positions at a time, and made again on the way back.

    All that is kept is the input and what each part starts from, a small share of what autograd would keep.
    """

    @staticmethod
    def forward(ctx: Any, direction: Direction, projected: Tensor, inside: Tensor, *parameters: Tensor) -> Tensor:
        """Do what `Direction.forward` says; the direction's parameters are given for autograd to know of them."""
        carried, starts, outputs = direction.start(projected), [], []
        for part, inside_part in direction.split(projected, inside):
            starts += carried
            output, *carried = direction.advance(part, *carried, inside_part)
            outputs.append(output)
        ctx.save_for_backward(projected, inside, *starts)
        ctx.direction, ctx.parameters = direction, parameters
        return torch.cat(outputs, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the gradients of projections and parameters."""
        projected, inside, *starts = ctx.saved_tensors
        grad_projected = torch.empty_like(projected)
        grads_carried = [torch.zeros_like(tensor) for tensor in starts[:2]]
        sums = [torch.zeros_like(parameter) for parameter in ctx.parameters]
        parts = ctx.direction.split(projected, inside, grad, grad_projected)
        for tensors, *carried in reversed([*zip(parts, starts[::2], starts[1::2], strict=True)]):
            part, inside_part, grad_part, grad_projected_part = tensors
            with torch.enable_grad(), torch.autocast(part.device.type, enabled=False):
                varied = [tensor.detach().requires_grad_() for tensor in (part, *carried)]
                advanced = ctx.direction.advance(*varied, inside_part)
                grads = torch.autograd.grad(advanced, [*varied, *ctx.parameters], [grad_part, *grads_carried])
            grad_projected_part.copy_(grads[0])
            grads_carried = grads[1:3]
            sums = [total + grad_part for total, grad_part in zip(sums, grads[3:], strict=True)]
        return None, grad_projected, None, *sums


class MambaLayer(nn.Module):
    """x = x + outward(ahead(z) + back(z)), z = inward(norm(x)), where `back` runs from a record's end to its start.

    The directions share the projections, where most of the parameters are, and nothing else, as in Caduceus (Schiff et
    al. 2024). Behind a record's length the state stays what it is, and so zero for the direction that starts there.

    Args:
        dim: D.
        state_dim: S.
        expand: E / D.
        head_dim: P.
        chunk: See `scan`.
        dropout: Probability of zeroing an entry of what is added.
    """

    def __init__(self, dim: int, state_dim: int, expand: int, head_dim: int, chunk: int, dropout: float) -> None:
        super().__init__()
        inner_dim = expand * dim
        self.norm = nn.LayerNorm(dim)
        self.ahead = Direction(inner_dim, state_dim, head_dim, chunk)
        self.back = Direction(inner_dim, state_dim, head_dim, chunk)
        self.inward = nn.Linear(dim, sum(self.ahead.projected_dims), bias=False)
        self.outward = nn.Linear(inner_dim, dim, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, inside: Tensor) -> Tensor:
        """Map (B, N, D), real where inside (B, N, 1) is True and zero elsewhere, to the same."""
        projected = self.inward(self.norm(hidden) * inside)
        mixed = self.ahead(projected, inside) + self.back(projected.flip(1), inside.flip(1)).flip(1)
        return hidden + self.dropout(self.outward(mixed)) * inside


class Mamba(nn.Module):
    """A stack of Mamba layers, and a norm at the end.

    Args:
        dim: D.
        num_layers: Layers of the stack.
        state_dim: S, numbers that each of the E channels keeps of what it has seen.
        expand: E / D.
        head_dim: P, the channels that share a rate of decay and its steps; a divisor of E.
        chunk: See `scan`.
        dropout: See `MambaLayer`.
    """

    def __init__(
        self, dim: int, num_layers: int, state_dim: int, expand: int, head_dim: int, chunk: int, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            MambaLayer(dim, state_dim, expand, head_dim, chunk, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, N, D), of which lengths (B,) positions are real, as (B, N, D), zero behind a record's length."""
        inside = inside_records(embedded, lengths)
        hidden = embedded * inside
        for layer in self.layers:
            hidden = layer(hidden, inside)
        return self.norm(hidden) * inside
