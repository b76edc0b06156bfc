"""What is compared with what, so that a search for similar records takes a bearable time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genomix.data.postings import Layout, lay_out, set_common_apart
from genomix.data.sketches import Sketches

MOST_STEPS = 1_000_000_000
"""So many steps of counting are bearable; one takes some nanoseconds."""
FEWEST_HASHES = 100
"""A sample of the hashes has so many of all but the shortest twentieth of the records."""


def prepare(
    sketches: Sketches, groups: np.ndarray, least: float, log: Callable[[str], None]
) -> tuple[Layout, Sketches]:
    """Lay sketches out for comparing records of different groups.

    Where all k-mers that are shared are too many to count, those that stand in the most records are set apart, to be
    looked up for records that share others. If pairs may be missed by that, a sample of the hashes is taken first.

    Args:
        sketches: R records.
        groups: (R,) int64.
        least: The share of its hashes that the smaller of two records must have in common with the other.
        log: Told where a sample is taken.

    Returns:
        The layout, and the sketches it was made of: they may be thinner.
    """
    layout = lay_out(sketches, groups)
    num_steps = int(layout.steps().sum())
    if num_steps <= MOST_STEPS:
        return layout, sketches
    apart = set_common_apart(layout, MOST_STEPS)
    few = max(1.0, float(np.quantile(sketches.sizes, 0.05)))
    share = max(MOST_STEPS / num_steps, FEWEST_HASHES / few)
    if share >= 1 or not may_miss(apart, sketches, least).any():
        return apart, sketches
    sketches = sketches.thin(sketches.fraction * share)
    typical = int(np.median(sketches.sizes))
    log(f"records share very many k-mers: they are compared by a sample, of {typical:,} k-mers of the median record")
    layout = lay_out(sketches, groups)
    bearable = int(layout.steps().sum()) <= MOST_STEPS
    return (layout if bearable else set_common_apart(layout, MOST_STEPS)), sketches


def may_miss(layout: Layout, sketches: Sketches, least: float | np.ndarray) -> np.ndarray:
    """Say for each record, bool (R,), whether so many of its hashes are set apart that they make up the least share."""
    return (layout.num_common > 0) & (layout.num_common >= least * sketches.sizes)


def report_missed(missed: np.ndarray, log: Callable[[str], None]) -> None:
    """Say of how many records (R,) bool similar ones may not have been found."""
    if num := int(missed.sum()):
        log(
            f"k-mers of very many records are left out of the search: for {num:,} of {len(missed):,} records, others"
            " that share only such with them may not have been found"
        )
