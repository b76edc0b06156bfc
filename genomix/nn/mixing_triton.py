"""The GPU kernels of `mix`, in Triton: one gather forwards, two backwards.

B batch, N positions, D embedding, K links, R rows and C columns of a block. A program takes a block of rows of one
record. Links are circulant, so the gradient of the values is a gather too: nothing is added atomically, and a result
never differs from run to run. Sums are taken in float32. With TRITON_INTERPRET=1 the kernels run on a CPU, which is how
they are tested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    import triton
    import triton.language as tl
else:
    try:
        import triton
        import triton.language as tl
    except ImportError:  # nothing is served then, and what would be compiled stays a plain function
        triton = tl = None

TYPES = (torch.float32, torch.bfloat16, torch.float16)
MOST_DIM = 256
MOST_POSITIONS = 2**31 // MOST_DIM - 1
"""Rows of a record whose values a 32-bit number can count; the records before it are counted in 64 bits."""


def serves(values: Tensor) -> bool:
    """Say whether these kernels take values (B, N, D): Triton is here, the type is one of `TYPES`, D is at most 256."""
    if triton is None or values.dtype not in TYPES or values.dim() != 3:
        return False
    return values.shape[1] <= MOST_POSITIONS and 1 <= values.shape[2] <= MOST_DIM and compiles_for(values.device)


def compiles_for(device: torch.device) -> bool:
    """Say whether Triton compiles for this device: on NVIDIA's it takes compute capability 8.0."""
    return device.type != "cuda" or torch.cuda.get_device_capability(device) >= (8, 0)


def forward(link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, residual: bool) -> Tensor:
    """Do what `genomix.nn.mixing.mix` says, for contiguous link_weights and values that `serves` accepts."""
    return gather(link_weights, wrap(offsets, lengths), values, lengths, values if residual else None)


def backward(
    link_weights: Tensor, offsets: Tensor, values: Tensor, lengths: Tensor, grad_out: Tensor, residual: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradients of link_weights (B, N, K) and of values (B, N, D) under grad_out (B, N, D)."""
    steps = wrap(offsets, lengths)
    grad_values = gather_back(link_weights, steps, grad_out, lengths, residual)
    return differentiate_links(grad_out, steps, values, lengths), grad_values


def wrap(offsets: Tensor, lengths: Tensor) -> Tensor:
    """Return offsets (..., K) modulo each record's length, (..., B, K) int32, so that one subtraction wraps a link."""
    return (offsets.unsqueeze(-2) % lengths.unsqueeze(-1)).to(torch.int32).contiguous()


def gather(
    link_weights: Tensor,
    steps: Tensor,
    values: Tensor,
    lengths: Tensor,
    added: Tensor | None,
    *,
    from_linked: bool = False,
) -> Tensor:
    """Return sum_k weight[b, i, k] * values[b, (i + steps[b, k]) mod length_b] (+ added[b, i]), (B, N, D).

    Args:
        link_weights: (B, N, K).
        steps: (B, K), what `wrap` returns.
        values: (B, N, D).
        lengths: (B,).
        added: (B, N, D), or nothing to add.
        from_linked: Take the weight of the linked row instead of that of row i.
    """
    out = torch.empty_like(values)
    sizes = _sizes(values, steps)
    grid, blocks = share_out(values, sizes["block_rows"])
    added, adds = (values, False) if added is None else (added, True)
    tensors = (link_weights, steps, values, added, lengths.contiguous(), out)
    with torch.cuda.device_of(values):
        gather_kernel[grid](*tensors, values.shape[1], blocks, **sizes, adds=adds, from_linked=from_linked)
    return out


def gather_back(link_weights: Tensor, steps: Tensor, grad_out: Tensor, lengths: Tensor, residual: bool) -> Tensor:
    """Return the gradient of the values, (B, N, D): what went to i from i + step comes back from i - step to i."""
    back = (-steps % lengths.unsqueeze(-1)).to(torch.int32)
    return gather(link_weights, back, grad_out, lengths, grad_out if residual else None, from_linked=True)


def differentiate_links(grad_out: Tensor, steps: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    """Return the gradient of the link weights, (B, N, K): products of grad_out's rows with those linked in values."""
    grad_links = values.new_empty(*values.shape[:2], steps.shape[-1])
    sizes = _sizes(values, steps)
    grid, blocks = share_out(values, sizes["block_rows"])
    tensors = (grad_out, steps, values, lengths.contiguous(), grad_links)
    with torch.cuda.device_of(values):
        differentiate_links_kernel[grid](*tensors, values.shape[1], blocks, **sizes, block_links=16)
    return grad_links


def share_out(values: Tensor, block_rows: int) -> tuple[tuple[int], int]:
    """Return the launch grid over the row blocks of all records of values (B, N, D), and the blocks of one record."""
    blocks = -(-values.shape[1] // block_rows)
    return (values.shape[0] * blocks,), blocks


def pad(size: int) -> int:
    """Return the next power of two, 16 at least: the sizes a block can have where matrices are multiplied."""
    return max(16, 1 << (size - 1).bit_length())


def _sizes(values: Tensor, steps: Tensor) -> dict[str, int]:
    block_dim = pad(values.shape[2])
    rows = min(128, 4096 // block_dim)  # 32 sums a thread: about 100 registers in all
    sizes = {"dim": values.shape[2], "num_links": steps.shape[-1], "block_rows": rows, "block_dim": block_dim}
    return sizes | {"num_warps": 4}


def compiled(*unspecialised: str) -> Callable[[Callable[..., Any]], Any]:
    """Return `triton.jit`, which is not to look at the arguments named, lest other values mean compiling again."""
    return triton.jit(do_not_specialize=unspecialised) if triton is not None else lambda function: function


@compiled()
def linked_rows(rows: tl.tensor, step: tl.tensor, length: tl.tensor) -> tl.tensor:
    """Return the rows that rows (R,) link to by one step of 0 to length - 1."""
    linked = rows + step
    return tl.where(linked < length, linked, linked - length)


@compiled()
def load_rows(record: tl.tensor, rows: tl.tensor, columns: tl.tensor, real: tl.tensor, dim: tl.constexpr) -> tl.tensor:
    """Return rows (R,) of one record (N, dim) as (R, C) in its own type; zeros where not real and behind dim."""
    mask = real[:, None] & (columns < dim)[None, :]
    return tl.load(record + rows[:, None] * dim + columns[None, :], mask=mask, other=0.0)


@compiled()
def store_rows(
    record: tl.tensor, rows: tl.tensor, columns: tl.tensor, found: tl.tensor, num_rows: tl.tensor, dim: tl.constexpr
) -> None:
    """Store found (R, C) into those of rows (R,) that one record (num_rows, dim) has."""
    mask = (rows < num_rows)[:, None] & (columns < dim)[None, :]
    tl.store(record + rows[:, None] * dim + columns[None, :], found, mask=mask)


@compiled("link_weights", "steps", "lengths", "num_positions", "blocks")
def gather_kernel(
    link_weights: tl.tensor,
    steps: tl.tensor,
    values: tl.tensor,
    added: tl.tensor,
    lengths: tl.tensor,
    out: tl.tensor,
    num_positions: tl.tensor,
    blocks: tl.tensor,
    dim: tl.constexpr,
    num_links: tl.constexpr,
    block_rows: tl.constexpr,
    block_dim: tl.constexpr,
    adds: tl.constexpr,
    from_linked: tl.constexpr,
) -> None:
    """Do what `gather` says for one block of rows."""
    record = tl.program_id(0) // blocks
    start = tl.program_id(0) % blocks * block_rows
    length = tl.load(lengths + record).to(tl.int32)
    before = record.to(tl.int64) * num_positions
    rows = start + tl.arange(0, block_rows)
    columns = tl.arange(0, block_dim)
    real = rows < length
    mixed = tl.zeros((block_rows, block_dim), tl.float32)
    if start < length:
        if adds:
            mixed += load_rows(added + before * dim, rows, columns, real, dim).to(tl.float32)
        for k in range(num_links):
            linked = linked_rows(rows, tl.load(steps + record * num_links + k), length)
            weighing = linked if from_linked else rows
            weight = tl.load(link_weights + before * num_links + weighing * num_links + k, mask=real, other=0.0)
            found = load_rows(values + before * dim, linked, columns, real, dim)
            mixed += weight.to(tl.float32)[:, None] * found.to(tl.float32)
    store_rows(out + before * dim, rows, columns, mixed, num_positions, dim)


@compiled("steps", "lengths", "grad_links", "num_positions", "blocks")
def differentiate_links_kernel(
    grad_out: tl.tensor,
    steps: tl.tensor,
    values: tl.tensor,
    lengths: tl.tensor,
    grad_links: tl.tensor,
    num_positions: tl.tensor,
    blocks: tl.tensor,
    dim: tl.constexpr,
    num_links: tl.constexpr,
    block_rows: tl.constexpr,
    block_dim: tl.constexpr,
    block_links: tl.constexpr,
) -> None:
    """Do what `differentiate_links` says for one block of rows, `block_links` links after another."""
    record = tl.program_id(0) // blocks
    start = tl.program_id(0) % blocks * block_rows
    length = tl.load(lengths + record).to(tl.int32)
    before = record.to(tl.int64) * num_positions
    rows = start + tl.arange(0, block_rows)
    columns = tl.arange(0, block_dim)
    real = rows < length
    gradient = load_rows(grad_out + before * dim, rows, columns, real, dim).to(tl.float32)
    for first in range(0, num_links, block_links):
        links = first + tl.arange(0, block_links)
        products = tl.zeros((block_rows, block_links), tl.float32)
        if start < length:
            for k in range(block_links):
                if first + k < num_links:
                    linked = linked_rows(rows, tl.load(steps + record * num_links + first + k), length)
                    found = load_rows(values + before * dim, linked, columns, real, dim).to(tl.float32)
                    products += tl.where((links == first + k)[None, :], tl.sum(gradient * found, 1)[:, None], 0.0)
        store_rows(grad_links + before * num_links, rows, links, products, num_positions, num_links)
