"""Made-up problems whose answer is known: what a network has to carry across a record to solve them.

R records, N positions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TOLERANCE = 0.04
"""An answer to the adding problem is right if it is nearer than this to the target."""
NUM_NOISE = 4
SHORTEST_MOTIF = 4
MOST_BY_CHANCE = 0.05
"""How often a given motif may be expected in a record by chance before that blurs the answer."""
ORDER_LABELS = ("XX", "XY", "YX", "YY")


class Simulated(NamedTuple):
    """Records of one length and their answers.

    Attributes:
        inputs: Values (R, N, 2) float32, or tokens (R, N) uint8.
        targets: Numbers (R,) float32, or classes (R,) int64.
        places: The two positions that decide, in ascending order, (R, 2) int64.
    """

    inputs: np.ndarray
    targets: np.ndarray
    places: np.ndarray


def adding(num_records: int, length: int, generator: np.random.Generator) -> Simulated:
    """Make records of the adding problem (Hochreiter and Schmidhuber 1997, as the Paramixer paper poses it).

    A position holds a number from the uniform distribution on [-1, 1) and a marker, which is 1 at two positions and
    0 elsewhere. The target is 0.5 + (x_i + x_j) / 4, in [0, 1), of the two marked numbers.

    Raises:
        ValueError: If `length` is less than 2.
    """
    places = _two_places(num_records, length, generator)
    values = generator.uniform(-1, 1, (num_records, length)).astype(np.float32)
    markers = np.zeros_like(values)
    np.put_along_axis(markers, places, 1, 1)
    targets = 0.5 + np.take_along_axis(values, places, 1).sum(1) / 4
    return Simulated(np.stack([values, markers], 2), targets, places)


def temporal_order(num_records: int, length: int, generator: np.random.Generator) -> Simulated:
    """Make records of the temporal order problem (Hochreiter and Schmidhuber 1997, as the Paramixer paper poses it).

    Tokens are drawn uniformly from 0 to 3; at two positions stands X (4) or Y (5), each with probability one half. The
    class, an index into `ORDER_LABELS`, is which of them come first and second.

    Raises:
        ValueError: If `length` is less than 2.
    """
    places = _two_places(num_records, length, generator)
    tokens = generator.integers(0, NUM_NOISE, (num_records, length), dtype=np.uint8)
    marks = generator.integers(0, 2, (num_records, 2))
    np.put_along_axis(tokens, places, (NUM_NOISE + marks).astype(np.uint8), 1)
    return Simulated(tokens, 2 * marks[:, 0] + marks[:, 1], places)


def motif_pair(
    num_records: int, length: int, generator: np.random.Generator, motifs: tuple[np.ndarray, np.ndarray]
) -> Simulated:
    """Make records of random DNA that hold two motifs, the temporal order problem in terms of sequences.

    Bases are drawn uniformly; at two places that do not overlap stands motif X or Y, each with probability one half.
    The class, an index into `ORDER_LABELS`, is which of them come first and second: XY and YX hold the same k-mers, and
    only their order tells them apart.

    Args:
        num_records: R.
        length: N, in bp.
        generator: Random numbers.
        motifs: X and Y, tokens of equal length.

    Raises:
        ValueError: If the motifs differ in length or do not fit into a record.
    """
    width = len(motifs[0])
    if len(motifs[1]) != width:
        raise ValueError(f"the motifs must be of equal length, not {width} and {len(motifs[1])}")
    if length < 2 * width:
        raise ValueError(f"two motifs of {width} bp do not fit into {length} bp")
    # two different places among the positions that are left when each motif is one of them
    places = _two_places(num_records, length - 2 * (width - 1), generator) + np.array([0, width - 1])
    tokens = generator.integers(0, 4, (num_records, length), dtype=np.uint8)
    marks = generator.integers(0, 2, (num_records, 2))
    within = places[:, :, None] + np.arange(width)
    planted = np.stack(motifs)[marks]
    np.put_along_axis(tokens, within.reshape(num_records, -1), planted.reshape(num_records, -1).astype(np.uint8), 1)
    return Simulated(tokens, 2 * marks[:, 0] + marks[:, 1], places)


def expected_by_chance(width: int, length: int) -> float:
    """Return how often a motif of `width` bp is expected in `length` random bp, both strands counted: 2 N / 4^width."""
    return 2 * length / 4**width


def draw_motifs(width: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two motifs, tokens (width,), each unlike the other and both unlike themselves on the other strand.

    At least a third of the bases differ in each of these comparisons.

    Raises:
        ValueError: If `width` is less than `SHORTEST_MOTIF`.
    """
    if width < SHORTEST_MOTIF:
        raise ValueError(f"motifs of {width} bp are too short to be told apart; use {SHORTEST_MOTIF} or more")
    while True:
        first, second = generator.integers(0, 4, (2, width), dtype=np.uint8)
        compared = ((first, second), (first, 3 - second[::-1]), (first, 3 - first[::-1]), (second, 3 - second[::-1]))
        if all((one != other).sum() * 3 >= width for one, other in compared):
            return first, second


def _two_places(num_records: int, length: int, generator: np.random.Generator) -> np.ndarray:
    if length < 2:
        raise ValueError(f"two different positions need a length of 2 at least, not {length}")
    first = generator.integers(0, length, num_records)
    second = generator.integers(0, length - 1, num_records)
    second += second >= first
    return np.sort(np.stack([first, second], 1), 1)
