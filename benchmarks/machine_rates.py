"""What the machine does: the rate of matrix products and the bandwidth of copies, all float32, measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from genomix.benchmark.machine import synchronize
from genomix.benchmark.timing import time_repeats

FLOAT_BYTES = 4
SQUARE = 2048
COPY_MIB = 256
FEWEST_RUNS, LEAST_TOTAL_S = 5, 0.2


@dataclass(frozen=True)
class Rates:
    """Operations and bytes a second, each the best of many runs.

    Attributes:
        square_gemm: Operations of a product of square matrices, `SQUARE` wide.
        gemm_at_shapes: Operations by (rows, inner, columns) of the product.
        large_copy: Bytes read and written when `COPY_MIB` are copied.
        buffer_copy: The same for a buffer of the size asked for.
    """

    square_gemm: float
    gemm_at_shapes: dict[tuple[int, int, int], float]
    large_copy: float
    buffer_copy: float

    @property
    def best_gemm(self) -> float:
        """The highest rate of any product; a large one is not always the fastest."""
        return max(self.square_gemm, *self.gemm_at_shapes.values())

    @property
    def best_copy(self) -> float:
        """The higher of the two bandwidths."""
        return max(self.large_copy, self.buffer_copy)


def measure_rates(shapes: Iterable[tuple[int, int, int]], buffer_floats: int, device: str = "cpu") -> Rates:
    """Measure products of these shapes, and copies of a large buffer and of one with so many numbers."""
    return Rates(
        square_gemm=_gemm_rate((SQUARE, SQUARE, SQUARE), device),
        gemm_at_shapes={shape: _gemm_rate(shape, device) for shape in sorted(set(shapes))},
        large_copy=_copy_rate((COPY_MIB << 20) // FLOAT_BYTES, device),
        buffer_copy=_copy_rate(buffer_floats, device),
    )


def _gemm_rate(shape: tuple[int, int, int], device: str) -> float:
    rows, inner, columns = shape
    left, right = torch.randn(rows, inner, device=device), torch.randn(inner, columns, device=device)
    out = torch.empty(rows, columns, device=device)
    return 2 * rows * inner * columns / _best_s(lambda: torch.mm(left, right, out=out), device)


def _copy_rate(num_floats: int, device: str) -> float:
    source, target = (torch.zeros(num_floats, device=device) for _ in range(2))
    return 2 * FLOAT_BYTES * num_floats / _best_s(lambda: target.copy_(source), device)


def _best_s(run: Callable[[], object], device: str) -> float:
    def run_to_the_end() -> None:
        run()
        synchronize(device)

    run_to_the_end()
    return min(time_repeats(run_to_the_end, fewest=FEWEST_RUNS, least_total_s=LEAST_TOTAL_S))
