"""The loops of `postings`, compiled: equal hashes brought together, and records laid out for counting.

R records, H hashes, P postings (the records that have one hash), E entries (a record in a posting).
"""

from __future__ import annotations

import numpy as np

from genomix.data.compiled import compiled


@compiled
def rank_hashes(hashes: np.ndarray, bits: int, ranks: np.ndarray) -> int:
    """Number the hashes that stand more than once.

    They are first put into 2^bits buckets by their lowest bits, so that the table in which they are looked up fits the
    cache.

    Args:
        hashes: (H,) uint64, well mixed.
        bits: 0 to 31.
        ranks: (H,) int32, receives the number of each hash, -1 where it stands once.

    Returns:
        How many numbers there are, P.
    """
    num_buckets = 1 << bits
    low = np.uint64(num_buckets - 1)
    ends = np.zeros(num_buckets, np.int64)
    for i in range(len(hashes)):
        ends[np.int64(hashes[i] & low)] += 1
    total = largest = 0
    for bucket in range(num_buckets):
        total, largest, ends[bucket] = total + ends[bucket], max(largest, ends[bucket]), total
    order, sorted_hashes = np.empty(len(hashes), np.int32), np.empty(len(hashes), np.uint64)
    for i in range(len(hashes)):
        bucket = np.int64(hashes[i] & low)
        order[ends[bucket]] = i
        sorted_hashes[ends[bucket]] = hashes[i]
        ends[bucket] += 1
    size = 2
    while size < 2 * largest:
        size *= 2
    in_table = np.uint64(size - 1)
    firsts = np.empty(size, np.int32)  # where in the bucket the hash of a slot stands first, -1 in an empty slot
    num = begin = 0
    for bucket in range(num_buckets):
        firsts[:] = -1
        for i in range(begin, ends[bucket]):
            slot = (sorted_hashes[i] >> np.uint64(32)) & in_table
            while firsts[slot] >= 0 and sorted_hashes[firsts[slot]] != sorted_hashes[i]:
                slot = (slot + np.uint64(1)) & in_table
            first = firsts[slot]
            if first < 0:
                firsts[slot] = i
                ranks[order[i]] = -1
                continue
            if ranks[order[first]] < 0:
                ranks[order[first]] = num
                num += 1
            ranks[order[i]] = ranks[order[first]]
        begin = ends[bucket]
    return num


@compiled
def keep_mixed(
    ranks: np.ndarray, starts: np.ndarray, groups: np.ndarray, lengths: np.ndarray, new_starts: np.ndarray
) -> int:
    """Leave only the hashes whose records are of several groups.

    Args:
        ranks: (H,) int32, the posting of each hash, -1 where it has none; those that stay are moved to the front.
        starts: (R + 1,) int64, where the hashes of each record begin.
        groups: (R,) int64.
        lengths: (P,) int64, receives how many records a posting has, 0 where it is left out.
        new_starts: (R + 1,) int64, receives where the hashes of each record begin then.

    Returns:
        How many stay, E.
    """
    only = np.full(len(lengths), -1, np.int64)
    for record in range(len(groups)):
        for rank in ranks[starts[record] : starts[record + 1]]:
            if rank < 0:
                continue
            if only[rank] < 0:
                only[rank] = groups[record]
            elif only[rank] != groups[record]:
                lengths[rank] = 1
    for rank in range(len(lengths)):
        only[rank] = lengths[rank]
        lengths[rank] = 0
    num = 0
    for record in range(len(groups)):
        new_starts[record] = num
        for rank in ranks[starts[record] : starts[record + 1]]:
            if rank >= 0 and only[rank] > 0:
                ranks[num] = rank
                lengths[rank] += 1
                num += 1
    new_starts[len(groups)] = num
    return num


@compiled
def lay_out(
    postings: np.ndarray,
    starts: np.ndarray,
    order: np.ndarray,
    groups: np.ndarray,
    ends: np.ndarray,
    members: np.ndarray,
    begins: np.ndarray,
) -> None:
    """Fill the postings, and find for each entry where in its posting the later groups begin.

    Args:
        postings: (E,) int32, the posting of each entry, record by record.
        starts: (R + 1,) int64, where the entries of each record begin.
        order: (R,) int64, the records by their groups.
        groups: (R,) int64.
        ends: (P,) int64, where the members of each posting begin; receives where they end.
        members: (E,) int32, receives the records of each posting, in that order.
        begins: (E,) int64, receives where in `members` those of a later group than the entry's begin.
    """
    for record in order:
        for posting in postings[starts[record] : starts[record + 1]]:
            members[ends[posting]] = record
            ends[posting] += 1
    places, later = ends.copy(), ends.copy()
    for number in range(len(order) - 1, -1, -1):
        record = order[number]
        for entry in range(starts[record], starts[record + 1]):
            posting = postings[entry]
            place = places[posting] - 1  # of this record: those that follow in the order are done
            if place + 1 < ends[posting] and groups[members[place + 1]] != groups[record]:
                later[posting] = place + 1
            places[posting] = place
            begins[entry] = later[posting]


@compiled
def count_steps(
    postings: np.ndarray, starts: np.ndarray, rare_ends: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Return how many members are to be looked at for each record (R,) int64, see `Layout`."""
    steps = np.zeros(len(rare_ends), np.int64)
    for record in range(len(rare_ends)):
        for entry in range(starts[record], rare_ends[record]):
            steps[record] += ends[postings[entry]] - begins[entry]
    return steps


@compiled
def part_common(
    postings: np.ndarray, begins: np.ndarray, starts: np.ndarray, is_common: np.ndarray, rare_ends: np.ndarray
) -> None:
    """Sort the entries of each record: those in rare postings first, then those in common ones, by their postings.

    Args:
        postings: (E,) int32, the posting of each entry, record by record.
        begins: (E,) int64, sorted with them.
        starts: (R + 1,) int64, where the entries of each record begin.
        is_common: (P,) bool.
        rare_ends: (R,) int64, receives where the entries of each record in common postings begin.
    """
    for record in range(len(rare_ends)):
        first, end = starts[record], starts[record + 1]
        own, own_begins = postings[first:end].copy(), begins[first:end].copy()
        keys = own.astype(np.int64)
        rare_ends[record] = first
        for i in range(end - first):
            if is_common[own[i]]:
                keys[i] += len(is_common)
            else:
                rare_ends[record] += 1
        order = np.argsort(keys)
        for i in range(end - first):
            postings[first + i] = own[order[i]]
            begins[first + i] = own_begins[order[i]]
