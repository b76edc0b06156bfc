"""`mix_factors` in Triton: a launch makes a factor's link weights and multiplies it in.

B batch, N positions, D embedding, H hidden, K links, M factors.

The link weights of a block of rows stay in registers, unless they are to be kept; the networks and the way back through
them are in `factors_triton_backward`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from genomix.nn import mixing_triton
from genomix.nn.factors_triton_backward import BLOCKS, compile_sizes, differentiate_mlp, make_link_weights
from genomix.nn.mixing_triton import compiled, linked_rows, load_rows, pad, share_out, store_rows
from genomix.nn.positions import inside_records

if TYPE_CHECKING:
    import triton.language as tl

    from genomix.nn.factors import LinkMlps
else:
    tl = mixing_triton.tl

MOST_HIDDEN = 512
MOST_LINKS = 32


def serves(inputs: Tensor, link_mlps: LinkMlps) -> bool:
    """Say whether these kernels take inputs (B, N, D) and networks of their type, with D <= 256, H <= 512, K <= 32."""
    _, num_links, hidden_dim = link_mlps.weight2.shape
    fits = 1 <= hidden_dim <= MOST_HIDDEN and 1 <= num_links <= MOST_LINKS
    return fits and all(tensor.dtype == inputs.dtype for tensor in link_mlps) and mixing_triton.serves(inputs)


def forward(
    inputs: Tensor,
    start: Tensor,
    link_mlps: LinkMlps,
    offsets: Tensor,
    lengths: Tensor,
    *,
    residual_input: bool,
    keep_values: bool,
    keep_weights: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return what `genomix.nn.factors.mix_factors` says, V_1 to V_{M-1} and the link weights, if kept."""
    from genomix.nn.factors import kept

    num_factors, num_links = offsets.shape
    kept_values, kept_weights = kept(inputs, num_factors, num_links, keep_values, keep_weights)
    out = torch.empty_like(start)
    if keep_values:
        targets = [*kept_values, out]
    else:
        spare = torch.empty_like(start) if num_factors > 1 else out
        targets = [spare if (num_factors - m) % 2 == 0 else out for m in range(num_factors)]
    steps, lengths = mixing_triton.wrap(offsets, lengths), lengths.contiguous()
    values = start
    for m, target in enumerate(targets):
        added, weights = start if residual_input else values, kept_weights[m] if keep_weights else None
        _launch(inputs, link_mlps, m, lengths, weights, _Mixing(values, added, steps[m], target))
        values = target
    return out, kept_values, kept_weights


def backward(
    grad_out: Tensor,
    inputs: Tensor,
    start: Tensor,
    link_mlps: LinkMlps,
    offsets: Tensor,
    lengths: Tensor,
    kept_values: Sequence[Tensor],
    kept_weights: Sequence[Tensor],
    *,
    residual_input: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of inputs, start, weight1, bias1, weight2 and bias2 under grad_out (B, N, D)."""
    steps, lengths = mixing_triton.wrap(offsets, lengths), lengths.contiguous()
    gradient = torch.where(inside_records(start, lengths), grad_out, 0)
    grad_inputs = torch.zeros_like(inputs, dtype=torch.float32)
    grad_start = torch.zeros_like(start, dtype=torch.float32) if residual_input else None
    grad_mlps = type(link_mlps)(*(torch.empty_like(tensor, dtype=torch.float32) for tensor in link_mlps))
    for m in range(len(offsets) - 1, -1, -1):
        if grad_start is not None:
            grad_start += gradient
        if len(kept_weights):
            link_weights = kept_weights[m]
        else:
            link_weights = inputs.new_empty(*inputs.shape[:2], offsets.shape[1])
            _launch(inputs, link_mlps, m, lengths, link_weights, None)
        values = kept_values[m - 1] if m else start
        grad_links = mixing_triton.differentiate_links(gradient, steps[m], values, lengths)
        gradient = mixing_triton.gather_back(link_weights, steps[m], gradient, lengths, not residual_input)
        differentiate_mlp(inputs, link_mlps, m, lengths, grad_links, grad_inputs, grad_mlps)
    if grad_start is not None:
        gradient = (grad_start + gradient).to(start.dtype)
    weight1, bias1, weight2, bias2 = (tensor.to(inputs.dtype) for tensor in grad_mlps)
    return grad_inputs.to(inputs.dtype), gradient, weight1, bias1, weight2, bias2


class _Mixing(NamedTuple):
    values: Tensor  # (B, N, D)
    added: Tensor  # (B, N, D)
    steps: Tensor  # (B, K)
    out: Tensor  # (B, N, D)


def _launch(
    inputs: Tensor,
    link_mlps: LinkMlps,
    m: int,
    lengths: Tensor,
    weights: Tensor | None,
    mixing: _Mixing | None,
) -> None:
    """Make the link weights of factor m, store them in weights (B, N, K) if given, and mix with them if told what."""
    blocks = BLOCKS[pad(inputs.shape[2])]
    grid, per_record = share_out(inputs, blocks.rows)
    mlp = tuple(tensor[m] for tensor in link_mlps)
    unused = inputs  # a kernel takes a tensor for every name, also for what it is compiled not to touch
    values, added, steps, out = mixing or (unused,) * 4
    tensors = (inputs, *mlp, values, added, steps, lengths, out, unused if weights is None else weights)
    with torch.cuda.device_of(inputs):
        mix_factor_kernel[grid](
            *tensors,
            inputs.shape[1],
            per_record,
            **compile_sizes(inputs, link_mlps, blocks),
            mixes=mixing is not None,
            keeps=weights is not None,
            num_stages=2,
        )


@compiled("bias1", "bias2", "steps", "lengths", "kept_weights", "num_positions", "blocks")
def mix_factor_kernel(
    inputs: tl.tensor,
    weight1: tl.tensor,
    bias1: tl.tensor,
    weight2: tl.tensor,
    bias2: tl.tensor,
    values: tl.tensor,
    added: tl.tensor,
    steps: tl.tensor,
    lengths: tl.tensor,
    out: tl.tensor,
    kept_weights: tl.tensor,
    num_positions: tl.tensor,
    blocks: tl.tensor,
    dim: tl.constexpr,
    hidden_dim: tl.constexpr,
    num_links: tl.constexpr,
    block_rows: tl.constexpr,
    block_dim: tl.constexpr,
    block_links: tl.constexpr,
    block_hidden: tl.constexpr,
    operand: tl.constexpr,
    precision: tl.constexpr,
    mixes: tl.constexpr,
    keeps: tl.constexpr,
) -> None:
    """Make the link weights of a block of rows; mix with them and add, and store them, if that is wanted."""
    record = tl.program_id(0) // blocks
    start = tl.program_id(0) % blocks * block_rows
    length = tl.load(lengths + record).to(tl.int32)
    before = record.to(tl.int64) * num_positions
    rows = start + tl.arange(0, block_rows)
    columns = tl.arange(0, block_dim)
    links = tl.arange(0, block_links)
    real = rows < length
    mixed = tl.zeros((block_rows, block_dim), tl.float32)
    weights = tl.zeros((block_rows, block_links), tl.float32)
    if start < length:
        x = load_rows(inputs + before * dim, rows, columns, real, dim)
        made = make_link_weights(
            x,
            weight1,
            bias1,
            weight2,
            bias2,
            dim,
            hidden_dim,
            num_links,
            block_rows,
            block_dim,
            block_links,
            block_hidden,
            operand,
            precision,
        )
        weights = tl.where(real[:, None], made, 0.0)
        if mixes:
            mixed += load_rows(added + before * dim, rows, columns, real, dim).to(tl.float32)
            for k in range(num_links):
                linked = linked_rows(rows, tl.load(steps + record * num_links + k), length)
                weight = tl.sum(tl.where((links == k)[None, :], weights, 0.0), 1)
                found = load_rows(values + before * dim, linked, columns, real, dim)
                mixed += weight[:, None] * found.to(tl.float32)
    if mixes:
        store_rows(out + before * dim, rows, columns, mixed, num_positions, dim)
    if keeps:
        store_rows(kept_weights + before * num_links, rows, links, weights, num_positions, num_links)
