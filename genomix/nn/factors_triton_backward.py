"""The networks of `mix_factors` in Triton: how a block of rows gets its link weights, and the way back through them.

B batch, N positions, D embedding, H hidden, K links, M factors, P programs.

The hidden layer of a block exists in registers alone, a chunk of it at a time. float32 is multiplied in float32, or in
TF32 where torch is told so (`set_float32_matmul_precision`); the half types go through the matrix units, with sums in
float32. The gradient of a network is summed by P programs, each over its share of all blocks of rows, in its registers
and then in a buffer of its own: nothing is added atomically, and a result never differs from run to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from genomix.nn import mixing_triton
from genomix.nn.mixing_triton import compiled, load_rows, pad, share_out, store_rows

if TYPE_CHECKING:
    import triton
    import triton.language as tl

    from genomix.nn.factors import LinkMlps
else:
    triton, tl = mixing_triton.triton, mixing_triton.tl

MOST_PROGRAMS = 256
"""Programs that sum the gradient of a network: about two for each multiprocessor of a large GPU."""


class Blocks(NamedTuple):
    """What a program holds at a time.

    Attributes:
        rows: Rows of a record.
        hidden: Hidden units.
        warps: Warps that share them.
    """

    rows: int
    hidden: int
    warps: int


BLOCKS = {
    16: Blocks(64, 32, 4),
    32: Blocks(64, 32, 4),
    64: Blocks(64, 64, 8),
    128: Blocks(32, 32, 4),
    256: Blocks(32, 32, 8),
}
"""By D, padded, on the way forwards: as much as ptxas fits into registers, in float32 and in the half types."""


def compile_sizes(inputs: Tensor, link_mlps: LinkMlps, blocks: Blocks) -> dict[str, Any]:
    """Return what a kernel on inputs and networks is compiled for: sizes, blocks, and how matrices are multiplied."""
    dim, (_, num_links, hidden_dim) = inputs.shape[2], link_mlps.weight2.shape
    operand = {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}[inputs.dtype]
    if not isinstance(make_link_weights, triton.JITFunction):  # the interpreter multiplies the bits of a bfloat16
        operand = tl.float32
    return {
        "dim": dim,
        "hidden_dim": hidden_dim,
        "num_links": num_links,
        "block_rows": blocks.rows,
        "block_dim": pad(dim),
        "block_links": pad(num_links),
        "block_hidden": min(blocks.hidden, pad(hidden_dim)),
        "operand": operand,
        "precision": "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee",
        "num_warps": blocks.warps,
    }


@compiled()
def normal_below(z: tl.tensor) -> tl.tensor:
    """Return how much of the normal distribution lies below z, by the error function; z times it is the exact GELU."""
    return 0.5 + 0.5 * tl.erf(z * 0.7071067811865476)


@compiled()
def make_link_weights(
    x: tl.tensor,
    weight1: tl.tensor,
    bias1: tl.tensor,
    weight2: tl.tensor,
    bias2: tl.tensor,
    dim: tl.constexpr,
    hidden_dim: tl.constexpr,
    num_links: tl.constexpr,
    block_rows: tl.constexpr,
    block_dim: tl.constexpr,
    block_links: tl.constexpr,
    block_hidden: tl.constexpr,
    operand: tl.constexpr,
    precision: tl.constexpr,
) -> tl.tensor:
    """Return the link weights of rows x (block_rows, block_dim), (block_rows, block_links) float32; zeros behind K."""
    columns = tl.arange(0, block_dim)
    links = tl.arange(0, block_links)
    made = tl.zeros((block_rows, block_links), tl.float32)
    for first in range(0, hidden_dim, block_hidden):
        units = first + tl.arange(0, block_hidden)
        inside = units < hidden_dim
        rows1 = load_rows(weight1, units, columns, inside, dim).to(operand)
        rows2 = load_rows(weight2, links, units, links < num_links, hidden_dim).to(operand)
        bias = tl.load(bias1 + units, mask=inside, other=0.0).to(tl.float32)
        same = x.to(operand)  # pyright: ignore[reportArgumentType] (a constexpr stands for the type it holds)
        z = tl.dot(same, tl.trans(rows1), input_precision=precision) + bias[None, :]
        hidden = (z * normal_below(z)).to(x.dtype).to(operand)
        made = tl.dot(hidden, tl.trans(rows2), made, input_precision=precision)
    return made + tl.load(bias2 + links, mask=links < num_links, other=0.0).to(tl.float32)[None, :]


def differentiate_mlp(
    inputs: Tensor,
    link_mlps: LinkMlps,
    m: int,
    lengths: Tensor,
    grad_links: Tensor,
    grad_inputs: Tensor,
    grad_mlps: LinkMlps,
) -> None:
    """Add what comes back through network m to grad_inputs, and write it into grad_mlps.

    Args:
        inputs: (B, N, D).
        link_mlps: All networks.
        m: Which one.
        lengths: (B,).
        grad_links: (B, N, K), of the type of inputs, zero behind each record's end.
        grad_inputs: (B, N, D), float32.
        grad_mlps: As link_mlps, float32.
    """
    block_dim = pad(inputs.shape[2])
    blocks = Blocks(32 if block_dim <= 64 else 16, 4096 // block_dim, 8)
    sizes = compile_sizes(inputs, link_mlps, blocks)
    hidden_dim, num_links, chunk = sizes["hidden_dim"], sizes["num_links"], sizes["block_hidden"]
    (num_blocks,), per_record = share_out(inputs, blocks.rows)
    programs = min(MOST_PROGRAMS, num_blocks)
    shapes = (chunk, inputs.shape[2]), (chunk,), (num_links, chunk)
    sums = [inputs.new_empty(programs, *shape, dtype=torch.float32) for shape in shapes]
    tensors = (inputs, grad_links, *(tensor[m] for tensor in link_mlps[:3]), lengths, grad_inputs, *sums)
    counts = (inputs.shape[1], per_record, num_blocks)
    torch.sum(grad_links, (0, 1), dtype=torch.float32, out=grad_mlps.bias2[m])
    for first in range(0, hidden_dim, chunk):
        with torch.cuda.device_of(inputs):
            differentiate_mlp_kernel[(programs,)](*tensors, first, *counts, **sizes, num_stages=1)
        last = min(first + chunk, hidden_dim)
        grad_mlps.weight1[m, first:last] = sums[0].sum(0)[: last - first]
        grad_mlps.bias1[m, first:last] = sums[1].sum(0)[: last - first]
        grad_mlps.weight2[m, :, first:last] = sums[2].sum(0)[:, : last - first]


@compiled("bias1", "lengths", "grad_links", "num_positions", "blocks", "num_blocks")
def differentiate_mlp_kernel(
    inputs: tl.tensor,
    grad_links: tl.tensor,
    weight1: tl.tensor,
    bias1: tl.tensor,
    weight2: tl.tensor,
    lengths: tl.tensor,
    grad_inputs: tl.tensor,
    part1: tl.tensor,
    part_bias1: tl.tensor,
    part2: tl.tensor,
    first: tl.tensor,
    num_positions: tl.tensor,
    blocks: tl.tensor,
    num_blocks: tl.tensor,
    dim: tl.constexpr,
    hidden_dim: tl.constexpr,
    num_links: tl.constexpr,
    block_rows: tl.constexpr,
    block_dim: tl.constexpr,
    block_links: tl.constexpr,
    block_hidden: tl.constexpr,
    operand: tl.constexpr,
    precision: tl.constexpr,
) -> None:
    """Do what `differentiate_mlp` says for `block_hidden` hidden units and this program's blocks of rows."""
    columns = tl.arange(0, block_dim)
    links = tl.arange(0, block_links)
    places = tl.arange(0, block_hidden)
    units = first + places
    inside = units < hidden_dim
    rows1 = load_rows(weight1, units, columns, inside, dim).to(operand)
    rows2 = load_rows(weight2, links, units, links < num_links, hidden_dim).to(operand)
    bias = tl.load(bias1 + units, mask=inside, other=0.0).to(tl.float32)
    sum1 = tl.zeros((block_dim, block_hidden), tl.float32)
    sum_bias1 = tl.zeros((block_hidden,), tl.float32)
    sum2 = tl.zeros((block_links, block_hidden), tl.float32)
    block = tl.program_id(0)
    while block < num_blocks:
        record = block // blocks
        start = block % blocks * block_rows
        length = tl.load(lengths + record).to(tl.int32)
        if start < length:
            before = record.to(tl.int64) * num_positions
            rows = start + tl.arange(0, block_rows)
            real = rows < length
            x = load_rows(inputs + before * dim, rows, columns, real, dim)
            grad = load_rows(grad_links + before * num_links, rows, links, real, num_links)
            z = tl.dot(x.to(operand), tl.trans(rows1), input_precision=precision) + bias[None, :]
            share = normal_below(z)
            hidden = (z * share).to(x.dtype).to(operand)
            slope = share + z * 0.3989422804014327 * tl.exp(-0.5 * z * z)
            grad_z = tl.dot(grad.to(operand), rows2, input_precision=precision) * slope
            sum_bias1 += tl.sum(grad_z, 0)
            grad_z = grad_z.to(x.dtype).to(operand)
            so_far = load_rows(grad_inputs + before * dim, rows, columns, real, dim)
            grad_x = tl.dot(grad_z, rows1, so_far, input_precision=precision)
            store_rows(grad_inputs + before * dim, rows, columns, grad_x, length, dim)
            sum1 = tl.dot(tl.trans(x).to(operand), grad_z, sum1, input_precision=precision)
            sum2 = tl.dot(tl.trans(grad).to(operand), hidden, sum2, input_precision=precision)
        block += tl.num_programs(0)
    own = tl.program_id(0).to(tl.int64)
    store_rows(part1 + own * block_hidden * dim, places, columns, tl.trans(sum1), block_hidden, dim)
    tl.store(part_bias1 + own * block_hidden + places, sum_bias1)
    store_rows(part2 + own * num_links * block_hidden, links, places, sum2, num_links, block_hidden)
