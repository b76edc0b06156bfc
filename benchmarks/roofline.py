"""What one training step and one inference of the Paramixer network must cost at least on this machine.

    python benchmarks/roofline.py --length 16384 --dim 32 --hidden 128 --protocol chord --batch-size 4

Counts the arithmetic and the least traffic on paper (`list_products`, `count_flop` and `count_bytes` state what is
assumed), measures the machine in the same run, and divides. Only matrix products are in the bound of arithmetic; the
mix and the GELUs are listed beside it. All is float32.

B batch, N positions, D embedding, H hidden, K links, M factors, C classes, R = B N rows.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

from machine_rates import COPY_MIB, FLOAT_BYTES, SQUARE, Rates, measure_rates

from genomix.runtime import choose_device, keep_freed_memory, set_threads

GELU_FLOP, GELU_BACKWARD_FLOP = 20, 25
"""An error function, and an exponential beside it, by polynomials: about so many operations an element."""
ADAM_FLOATS = 9
"""A parameter in a step: its gradient written, read for the norm, read again; weight and two moments read, written."""
BLOCK_ROWS = 4096
"""Rows of a product whose rate is measured: its outcome stays in a cache."""
PHASES = ("training", "inference")


@dataclass(frozen=True)
class Sizes:
    """The sizes that the count depends on; R, M and K follow from them."""

    length: int
    batch_size: int
    dim: int
    hidden_dim: int
    protocol: str
    num_classes: int = 2

    @property
    def num_rows(self) -> int:
        """R."""
        return self.batch_size * self.length

    @property
    def num_factors(self) -> int:
        """M = ceil(log2 N)."""
        return max(1, (self.length - 1).bit_length())

    @property
    def num_links(self) -> int:
        """K: M + 1 for CHORD, 9 for CDIL."""
        return self.num_factors + 1 if self.protocol == "chord" else 9


class Product(NamedTuple):
    """Matrix products (rows, inner) by (inner, columns), `repeats` of them."""

    part: str
    repeats: int
    rows: int
    inner: int
    columns: int

    @property
    def flop(self) -> int:
        """Two operations for each multiplication and its addition."""
        return 2 * self.repeats * self.rows * self.inner * self.columns


def list_products(sizes: Sizes, phase: str) -> list[Product]:
    """List every matrix product: one a linear layer forward, and in training one for either gradient of it.

    Computing a hidden layer again on the way back is not counted.
    """
    rows, dim, hidden, factors = sizes.num_rows, sizes.dim, sizes.hidden_dim, sizes.num_factors
    layers = [
        Product("link MLPs", factors, rows, dim, hidden),
        Product("link MLPs", factors, rows, hidden, sizes.num_links),
        Product("value MLP", 1, rows, dim, hidden),
        Product("value MLP", 1, rows, hidden, dim),
        Product("head", 1, sizes.batch_size, sizes.length * dim, sizes.num_classes),
    ]
    if phase == "inference":
        return layers
    of_inputs = [Product(part, repeats, m, n, k) for part, repeats, m, k, n in layers]
    of_weights = [Product(part, repeats, n, m, k) for part, repeats, m, k, n in layers]
    return layers + of_inputs + of_weights


def count_flop(sizes: Sizes, phase: str) -> dict[str, int]:
    """Count operations by part: the products, then the mix and the GELUs, which the bound leaves out."""
    flop: dict[str, int] = {}
    for product in list_products(sizes, phase):
        flop[product.part] = flop.get(product.part, 0) + product.flop
    mix = sizes.num_factors * sizes.num_rows * sizes.dim * (2 * sizes.num_links + 1)
    elements = (sizes.num_factors + 1) * sizes.num_rows * sizes.hidden_dim
    training = phase == "training"
    flop["mix"] = mix + training * (mix + 2 * sizes.num_factors * sizes.num_rows * sizes.dim * sizes.num_links)
    flop["GELUs"] = elements * (GELU_FLOP + training * GELU_BACKWARD_FLOP)
    return flop


def count_bytes(sizes: Sizes, phase: str) -> dict[str, int]:
    """Count the least traffic with memory by part, for one fused pass a part.

    Hidden layers, link weights and dropout masks never reach memory; a factor reads X and V and writes V; on the way
    back it reads X, V and the gradient of its outcome, writes that of V, and adds to that of X. Every buffer is
    assumed to be read from memory again, which holds where it does not fit into a cache.
    """
    rows, table = sizes.num_rows * sizes.dim, sizes.length * sizes.dim
    head = table * sizes.num_classes
    mlps = sizes.num_factors * _mlp_weights(sizes, sizes.num_links) + _mlp_weights(sizes, sizes.dim)
    floats = {
        "embedding": table + rows,
        "value MLP": 2 * rows,
        "factors": 3 * sizes.num_factors * rows,
        "head": rows + head,
        "weights": mlps,
    }
    if phase == "training":
        floats["embedding"] += rows + table
        floats["value MLP"] += 4 * rows
        floats["factors"] += 6 * sizes.num_factors * rows
        floats["head"] += 2 * rows + head
        floats["weights"] += mlps + ADAM_FLOATS * (mlps + head + table)
    return {part: FLOAT_BYTES * count for part, count in floats.items()}


def _mlp_weights(sizes: Sizes, output_dim: int) -> int:
    return (sizes.dim + 1) * sizes.hidden_dim + (sizes.hidden_dim + 1) * output_dim


def measure_for(sizes: Sizes, device: str) -> Rates:
    """Measure the machine at the shapes of this network's products, and at the size of its (B, N, D) buffers."""
    products = (product for phase in PHASES for product in list_products(sizes, phase))
    return measure_rates((_in_blocks(product, sizes) for product in products), sizes.num_rows * sizes.dim, device)


def _in_blocks(product: Product, sizes: Sizes) -> tuple[int, int, int]:
    block = min(BLOCK_ROWS, sizes.num_rows)
    rows, inner, columns = (block if side == sizes.num_rows else side for side in product[2:])
    return rows, inner, columns


@dataclass(frozen=True)
class Bound:
    """Seconds that a phase takes at least.

    Attributes:
        gemm_s: Its matrix products at the highest rate of any.
        gemm_at_shapes_s: The same, each at the rate of its own shape.
        bandwidth_s: Its traffic at the rate of a copy, of a large or of the network's own buffers.
        max_s: The higher of `gemm_s` and `bandwidth_s`: both at once.
        sum_s: One after the other.
    """

    gemm_s: float
    gemm_at_shapes_s: float
    bandwidth_s: float
    max_s: float
    sum_s: float


def find_bound(sizes: Sizes, rates: Rates, phase: str) -> Bound:
    """Divide what is to be done by what the machine does."""
    products = list_products(sizes, phase)
    gemm_s = sum(product.flop for product in products) / rates.best_gemm
    at_shapes_s = sum(product.flop / rates.gemm_at_shapes[_in_blocks(product, sizes)] for product in products)
    bandwidth_s = sum(count_bytes(sizes, phase).values()) / rates.best_copy
    return Bound(gemm_s, at_shapes_s, bandwidth_s, max(gemm_s, bandwidth_s), gemm_s + bandwidth_s)


def main() -> None:
    """Print what is counted, what is measured, and the bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sizes(parser)
    parser.add_argument("--length", type=int, default=16384)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    threads, device = set_threads(options.threads), choose_device(options.device)
    keep_freed_memory()
    sizes = Sizes(options.length, options.batch_size, options.dim, options.hidden, options.protocol)
    rates = measure_for(sizes, device)
    bounds = {phase: find_bound(sizes, rates, phase) for phase in PHASES}
    counted = {phase: {"flop": count_flop(sizes, phase), "bytes": count_bytes(sizes, phase)} for phase in PHASES}
    if options.json:
        measured = asdict(rates) | {"gemm_at_shapes": [[*shape, rate] for shape, rate in rates.gemm_at_shapes.items()]}
        stated = {"sizes": asdict(sizes), "threads": threads, "device": device, "rates": measured, "counted": counted}
        print(json.dumps(stated | {"bounds": {phase: asdict(bound) for phase, bound in bounds.items()}}))
        return
    for unit, scale in (("flop", 1e9), ("bytes", 1e6)):
        print(f"\n{'G' if unit == 'flop' else 'M'}{unit:<21}" + "".join(f"{phase:>12}" for phase in PHASES))
        for part in counted["training"][unit]:
            print(f"  {part:<20}" + "".join(f"{counted[phase][unit][part] / scale:12.2f}" for phase in PHASES))
    print(f"\nmachine, {threads} threads, {device}")
    print(f"  {f'product of {SQUARE}^2':<28}{rates.square_gemm / 1e9:8.1f} GFLOP/s")
    for shape, rate in rates.gemm_at_shapes.items():
        print(f"  {'product {} x {} x {}'.format(*shape):<28}{rate / 1e9:8.1f} GFLOP/s")
    print(f"  {f'copy of {COPY_MIB} MiB':<28}{rates.large_copy / 1e9:8.1f} GB/s")
    print(f"  {f'copy of {sizes.num_rows * sizes.dim >> 18} MiB':<28}{rates.buffer_copy / 1e9:8.1f} GB/s")
    print(f"\n{'at least':<22}" + "".join(f"{phase:>12}" for phase in PHASES))
    for name in asdict(bounds["training"]):
        print(f"  {name:<20}" + "".join(f"{1000 * getattr(bounds[phase], name):9.1f} ms" for phase in PHASES))


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how large the network is and where it runs."""
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--protocol", choices=["chord", "cdil"], default="chord")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")


if __name__ == "__main__":
    main()
