"""Sketches laid out for counting what records share: for each hash the records that have it.

R records, H hashes, E entries (a record in a posting), P postings.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np

from genomix.data import posting_kernels as kernels
from genomix.data.sketches import Sketches

BUCKET_HASHES = 1 << 14
CHUNKS_A_THREAD = 8


class Layout(NamedTuple):
    """For each record, postings it stands in and which of their members it is to be compared with.

    Attributes:
        starts: Int64 (R + 1,), where the entries of each record begin.
        rare_ends: Int64 (R,), where its entries in common postings begin; these ascend by their posting.
        postings: Int32 (E,), the posting of each entry.
        begins: Int64 (E,), where in `members` those of a later group begin.
        ends: Int64 (P,), where those of each posting end.
        members: Int32 (E,), the records of each posting, in the order of their groups.
    """

    starts: np.ndarray
    rare_ends: np.ndarray
    postings: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    members: np.ndarray

    def steps(self) -> np.ndarray:
        """Return how many members must be looked at for each record, int64 (R,)."""
        return kernels.count_steps(self.postings, self.starts, self.rare_ends, self.begins, self.ends)

    @property
    def num_common(self) -> np.ndarray:
        """How many entries in common postings each record has, int64 (R,)."""
        return self.starts[1:] - self.rare_ends


def rank(sketches: Sketches) -> tuple[np.ndarray, int]:
    """Return the posting of each hash, int32 (H,), -1 where no other record has it, and the number of postings P."""
    ranks = np.empty(len(sketches.hashes), np.int32)
    bits = max(0, (len(ranks) // BUCKET_HASHES).bit_length())
    return ranks, kernels.rank_hashes(sketches.hashes, bits, ranks)


def lay_out(sketches: Sketches, groups: np.ndarray) -> Layout:
    """Bring together the records (R,) that share hashes; those of one group (R,) int64 are not compared.

    Each pair of records of two groups is met once, from the record whose group has the lower number.
    """
    ranks, num_postings = rank(sketches)
    lengths, starts = np.zeros(num_postings, np.int64), np.empty(len(sketches) + 1, np.int64)
    postings = ranks[: kernels.keep_mixed(ranks, sketches.starts, groups, lengths, starts)]
    ends = np.cumsum(lengths) - lengths
    members, begins = np.empty(len(postings), np.int32), np.empty(len(postings), np.int64)
    kernels.lay_out(postings, starts, np.argsort(groups, kind="stable"), groups, ends, members, begins)
    return Layout(starts, starts[1:], postings, begins, ends, members)


def set_common_apart(layout: Layout, most_steps: int) -> Layout:
    """Call the postings of the most steps common, so many that the others take at most so many steps."""
    steps = layout.ends[layout.postings] - layout.begins
    num_steps = np.bincount(layout.postings, weights=steps, minlength=len(layout.ends))
    order = np.argsort(num_steps)
    is_common = np.zeros(len(num_steps), bool)
    is_common[order[np.searchsorted(np.cumsum(num_steps[order]), most_steps, side="right") :]] = True
    postings, begins, rare_ends = layout.postings.copy(), layout.begins.copy(), np.empty_like(layout.rare_ends)
    kernels.part_common(postings, begins, layout.starts, is_common, rare_ends)
    return layout._replace(rare_ends=rare_ends, postings=postings, begins=begins)


def run_in_chunks(work: Callable[[int, int], object], steps: np.ndarray) -> list:
    """Call `work` with ranges (first, end) of records, on as many threads as numba uses.

    Args:
        work: Takes a range; it lets go of the interpreter's lock.
        steps: (R,) int64, by which the ranges are made about equally long.

    Returns:
        What the calls gave, in the order of the ranges.
    """
    threads = numba.get_num_threads()
    done = np.cumsum(steps + 1)
    num_chunks = min(threads * CHUNKS_A_THREAD, len(steps)) if threads > 1 else 1
    total = int(done[-1]) if len(done) else 0
    inner = np.searchsorted(done, [total * i // num_chunks for i in range(1, num_chunks)])
    bounds = np.unique([0, *inner.tolist(), len(steps)]).tolist()
    ranges = list(pairwise(bounds)) or [(0, 0)]
    if len(ranges) == 1:
        return [work(*ends) for ends in ranges]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda ends: work(*ends), ranges))
