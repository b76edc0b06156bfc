"""One softmax over two sets of keys whose attention is computed apart, with no logits kept for the way back.

B batch, A blocks of C queries, R = B A rows, H heads, S keys, P head dimension.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from genomix.nn.encoders.attention import Heads

LOGITS_AT_ONCE = 1 << 26
"""The most logits in a tensor, but for those of one query, where no kernel does without them."""
TOTAL_OF_NOTHING = -1e30
"""Stands for the logarithm of an empty sum; finite, so that gradients are."""


class Attended(NamedTuple):
    """What queries get from a set of keys with logits s.

    Attributes:
        values: sum_j exp(s_j) v_j / sum_j exp(s_j), (..., P); anything finite where a query may see none of the keys.
        totals: log sum_j exp(s_j), (...), in float32 at least; `TOTAL_OF_NOTHING` where a query may see none.
    """

    values: Tensor
    totals: Tensor


class Arguments(NamedTuple):
    """What a set of keys is attended by: (R, H, C, P), twice (R, H, S, P), and what is added to (R, H, C, S) logits."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    bias: Tensor


class Gradients(NamedTuple):
    """Gradients of the queries, keys and values."""

    queries: Tensor
    keys: Tensor
    values: Tensor


def attend_partly(heads: Heads, allowed: Tensor, scale: float) -> Attended:
    """Softmax attention over one of two sets of keys, to be put together by `attend_jointly`.

    Args:
        heads: Queries (B, A, H, C, P), and the keys and values of each block of queries, (B, A, H, S, P).
        allowed: Boolean, of five dimensions, broadcastable to (B, A, H, C, S).
        scale: What the products of queries and keys are multiplied by.

    Returns:
        (B, A, H, C, P) and (B, A, H, C).
    """
    nothing = ~allowed.any(-1, keepdim=True)
    bias = torch.zeros_like(allowed, dtype=heads.queries.dtype).masked_fill(~(allowed | nothing), -torch.inf)
    attended = _Attend.apply(*(part.flatten(0, 1) for part in (*heads, bias)), scale)
    values, totals = (part.unflatten(0, heads.queries.shape[:2]) for part in attended)
    return Attended(values, totals.masked_fill(nothing[..., 0], TOTAL_OF_NOTHING))


def attend_jointly(first: Attended, second: Attended) -> Tensor:
    """Return softmax attention over two sets of keys together, (..., P): each counts by its share of the whole sum."""
    total = torch.logaddexp(first.totals, second.totals)
    one, other = ((part.totals - total).exp().unsqueeze(-1) * part.values for part in (first, second))
    return (one + other).to(first.values.dtype)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, scale: float) -> Attended:
        arguments = Arguments(queries, keys, values, bias)
        compute = attend_by_kernel if queries.device.type == "cpu" else attend_plainly
        attended = compute(arguments, scale)
        ctx.save_for_backward(*arguments, *attended)
        ctx.scale = scale
        return attended

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        arguments, attended = Arguments(*ctx.saved_tensors[:4]), Attended(*ctx.saved_tensors[4:])
        compute = return_by_kernel if attended.values.device.type == "cpu" else return_plainly
        return *compute(arguments, attended, Attended(*gradient), ctx.scale), None, None


def attend_by_kernel(arguments: Arguments, scale: float) -> Attended:
    """Attend by what `scaled_dot_product_attention` calls on a CPU; asked directly, it also tells the totals."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
    return Attended(*kernel(*arguments[:3], attn_mask=arguments.bias, scale=scale))


def return_by_kernel(arguments: Arguments, attended: Attended, gradient: Attended, scale: float) -> Gradients:
    """Return what `return_plainly` does, by the same kernel's way back.

    It knows of no gradient of the totals l, which adds weight * dl to that of the logits, weight * (dO . v - dO . O).
    One more feature brings it in: dl in dO, -1 in O, 0 in v.
    """
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward  # noqa: SLF001
    gradients = kernel(
        torch.cat([gradient.values, gradient.totals.unsqueeze(-1).to(gradient.values.dtype)], -1),
        *(pad(heads, (0, 1)) for heads in arguments[:3]),
        pad(attended.values, (0, 1), value=-1.0),
        attended.totals,
        0.0,
        False,
        attn_mask=arguments.bias,
        scale=scale,
    )
    return Gradients(*(heads[..., :-1] for heads in gradients))


def attend_plainly(arguments: Arguments, scale: float) -> Attended:
    """Attend on any device, some of the logits at a time."""
    queries, values = arguments.queries, arguments.values
    attended = values.new_empty(*queries.shape[:-1], values.shape[-1])
    totals = queries.new_empty(queries.shape[:-1], dtype=torch.promote_types(queries.dtype, torch.float32))
    with torch.autocast(queries.device.type, enabled=False):
        for rows, some in _pieces(arguments):
            logits = _logits(arguments, rows, some, scale)
            total = logits.logsumexp(-1)
            weights = logits.sub_(total.unsqueeze(-1)).exp_()
            totals[rows, :, some] = total
            attended[rows, :, some] = (weights @ values[rows].to(weights.dtype)).to(values.dtype)
    return Attended(attended, totals)


def return_plainly(arguments: Arguments, attended: Attended, gradient: Attended, scale: float) -> Gradients:
    """Return the gradients of the heads from that of what was attended, some of the logits at a time."""
    queries, keys, values, _ = arguments
    wide = attended.totals.dtype
    common = gradient.totals - (gradient.values * attended.values).sum(-1, dtype=wide)
    grad_queries = torch.empty_like(queries)
    grad_keys, grad_values = (torch.zeros_like(part, dtype=wide) for part in (keys, values))
    with torch.autocast(queries.device.type, enabled=False):
        for rows, some in _pieces(arguments):
            grad = gradient.values[rows, :, some].to(wide)
            weights = _logits(arguments, rows, some, scale)
            weights = weights.sub_(attended.totals[rows, :, some].unsqueeze(-1)).exp_()
            grad_values[rows] += weights.mT @ grad
            grad_logits = (grad @ values[rows].to(wide).mT).add_(common[rows, :, some].unsqueeze(-1))
            grad_logits.mul_(weights).mul_(scale)
            grad_queries[rows, :, some] = (grad_logits @ keys[rows].to(wide)).to(queries.dtype)
            grad_keys[rows] += grad_logits.mT @ queries[rows, :, some].to(wide)
    return Gradients(grad_queries, grad_keys.to(keys.dtype), grad_values.to(values.dtype))


def _pieces(arguments: Arguments) -> Iterator[tuple[slice, slice]]:
    """Divide rows, and where one is too many its queries, so that each piece has at most `LOGITS_AT_ONCE` logits."""
    rows, num_heads, num_queries, _ = arguments.queries.shape
    of_query = num_heads * arguments.keys.shape[2]
    some = min(num_queries, max(1, LOGITS_AT_ONCE // of_query))
    at_once = max(1, LOGITS_AT_ONCE // (of_query * some))
    for row in range(0, rows, at_once):
        for query in range(0, num_queries, some):
            yield slice(row, row + at_once), slice(query, query + some)


def _logits(arguments: Arguments, rows: slice, some: slice, scale: float) -> Tensor:
    """Return the logits of some queries of some rows, in float32 at least, as a tensor of their own."""
    wide = torch.promote_types(arguments.queries.dtype, torch.float32)
    bias = arguments.bias.expand(len(arguments.queries), -1, arguments.queries.shape[2], -1)[rows, :, some]
    logits = arguments.queries[rows, :, some].to(wide) @ arguments.keys[rows].to(wide).mT
    return logits.mul_(scale).add_(bias)
