"""Where the time of the CPU kernels goes: their parts one by one, on one thread, in ns for a row of a factor.

    python benchmarks/kernel_parts.py --length 16384 --dim 32 --hidden 128 --protocol chord

The parts are those of `genomix.nn.kernels_cpu`: products of a tile, GELU, mixing; what they add up to is set against
the kernel as a whole. A row of a factor is one position of one record in one of the M factors.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from numba import njit
from rich.console import Console
from rich.table import Table

from genomix.nn import factors_cpu
from genomix.nn.factors import LinkMlps
from genomix.nn.protocols import count_factors, link_offsets
from genomix.nn.simd import LANES
from genomix.nn.simd_gelu import activate, activate_backward
from genomix.nn.simd_mixing import correlate_row, return_row, take_row
from genomix.nn.simd_product import add_product
from genomix.nn.tiles_cpu import TILE_ROWS
from genomix.runtime import keep_freed_memory, set_threads

ROUNDS = 15


@njit
def _products(a: np.ndarray, b: np.ndarray, c: np.ndarray, transposed: bool, times: int) -> float:
    """Compute C += A B, or C += A' B, so many times."""
    rows, depth = (a.shape[1], a.shape[0]) if transposed else a.shape
    row, column = (1, a.shape[1]) if transposed else (a.shape[1], 1)
    for _ in range(times):
        target = c.ctypes.data
        add_product(
            a.ctypes.data,
            row,
            column,
            b.ctypes.data,
            b.shape[1],
            target,
            c.shape[1],
            target,
            c.shape[1],
            rows,
            b.shape[1],
            depth,
        )
    return a[0, 0] + b[0, 0] + c[0, 0]


@njit
def _activations(z: np.ndarray, gradient: np.ndarray, backward: bool, times: int) -> float:
    for _ in range(times):
        if backward:
            activate_backward(z.ctypes.data, gradient.ctypes.data, z.size)
        else:
            activate(z.ctypes.data, z.size)
    return z[0, 0] + gradient[0, 0]


@njit
def _mixes(
    weights: np.ndarray, values: np.ndarray, out: np.ndarray, steps: np.ndarray, partial: np.ndarray, part: int
) -> float:
    length, dim = values.shape
    num_links = weights.shape[1]
    v, o, w, s = values.ctypes.data, out.ctypes.data, weights.ctypes.data, steps.ctypes.data
    for row in range(length):
        at = 4 * dim * row
        if part == 0:
            take_row(o + at, v + at, w + 4 * num_links * row, s, num_links, v, dim, row, length)
        elif part == 1:
            return_row(o + at, v + at, w, s, num_links, v, dim, row, length)
        else:
            correlate_row(o, partial.ctypes.data, v + at, s, num_links, v, dim, row, length)
    return values[0, 0] + out[0, 0] + weights[0, 0] + steps[0] + partial[0, 0]


def median_ns(work: Callable[[], object], rows: int) -> float:
    """Return the median time of some work in ns a row, after a round that compiles and warms up."""
    work()
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        work()
        times.append((time.perf_counter_ns() - began) / rows)
    return statistics.median(times)


def measure_parts(length: int, dim: int, hidden: int, protocol: str) -> dict[str, tuple[float, float]]:
    """Return for each part the ns a row forwards, and backwards."""
    offsets = link_offsets("cdil" if protocol == "cdil" else "chord", count_factors(length))
    num_links = len(offsets[0])
    padded = -(-num_links // LANES) * LANES
    width = -(-hidden // LANES) * LANES
    draw = torch.randn
    x, z, links, grad_x = draw(TILE_ROWS, dim), draw(TILE_ROWS, width), draw(TILE_ROWS, padded), draw(TILE_ROWS, dim)
    weight1, weight2 = draw(width, dim), draw(num_links, width)
    weight1_t, weight2_t = weight1.t().contiguous(), draw(width, padded)
    gradients = links[:, :num_links].contiguous()
    times = 200

    def product(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, *, transposed: bool = False) -> float:
        left, right, target = ((1e-3 * matrix).contiguous().numpy() for matrix in (a, b, c))
        return median_ns(lambda: _products(left, right, target, transposed, times), TILE_ROWS * times)

    first = product(x, weight1_t, z)
    second = product(z, weight2_t, links)
    back = (
        first
        + product(gradients, weight2, z)
        + product(gradients, z, weight2.clone(), transposed=True)
        + product(x, z, weight1_t.clone(), transposed=True)
        + product(z, weight1, grad_x)
    )
    rows, slope = z.numpy(), draw(TILE_ROWS, width).numpy()
    gelu = [
        median_ns(lambda back=back: _activations(rows, slope, back, times), TILE_ROWS * times) for back in (False, True)
    ]
    values, weights, out = draw(length, dim).numpy(), draw(length, num_links).numpy(), draw(length, dim).numpy()
    partial = torch.zeros(padded, LANES).numpy()
    taken: list[list[float]] = [[], [], []]
    for factor in offsets:
        steps = np.array(factor) % length
        for part in range(3):
            work = (weights, values, out, steps, partial, part)
            taken[part].append(median_ns(lambda work=work: _mixes(*work), length))
    mixes = [statistics.mean(part) for part in taken]
    return {"products": (first + second, back), "GELU": (gelu[0], gelu[1]), "mixing": (mixes[0], mixes[1] + mixes[2])}


def measure_whole(length: int, dim: int, hidden: int, protocol: str) -> tuple[float, float]:
    """Return the ns a row of a factor of the kernel as a whole, forwards with all kept, and backwards."""
    offsets = torch.tensor(link_offsets("cdil" if protocol == "cdil" else "chord", count_factors(length)))
    num_factors, num_links = offsets.shape
    inputs, start, upstream = (torch.randn(1, length, dim) for _ in range(3))
    mlps = LinkMlps(
        torch.randn(num_factors, hidden, dim) / dim**0.5,
        torch.randn(num_factors, hidden),
        torch.randn(num_factors, num_links, hidden) / (hidden * num_links),
        torch.randn(num_factors, num_links) / num_links,
    )
    lengths = torch.tensor([length])
    kept = factors_cpu.forward(
        inputs, start, mlps, offsets, lengths, residual_input=False, keep_values=True, keep_weights=True
    )

    def forward() -> object:
        options = {"residual_input": False, "keep_values": True, "keep_weights": True}
        return factors_cpu.forward(inputs, start, mlps, offsets, lengths, **options)

    def backward() -> object:
        return factors_cpu.backward(upstream, inputs, start, mlps, offsets, lengths, *kept[1:], residual_input=False)

    rows = length * num_factors
    return median_ns(forward, rows), median_ns(backward, rows)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=16384)
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--protocol", choices=["chord", "cdil"], default="chord")
    options = parser.parse_args()
    set_threads(1)
    keep_freed_memory()
    sizes = (options.length, options.dim, options.hidden, options.protocol)
    parts = measure_parts(*sizes)
    whole = measure_whole(*sizes)
    parts["sum of the parts"] = (sum(part[0] for part in parts.values()), sum(part[1] for part in parts.values()))
    parts["the kernel as a whole"] = whole
    table = Table(title="ns a row of a factor, one thread", title_justify="left")
    for name in ("part", "forward", "share", "backward", "share"):
        table.add_column(name, justify="left" if name == "part" else "right")
    for name, (forward, backward) in parts.items():
        table.add_row(
            name, f"{forward:.1f}", f"{forward / whole[0]:.0%}", f"{backward:.1f}", f"{backward / whole[1]:.0%}"
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
