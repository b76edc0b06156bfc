"""Checks of records that are the same, base for base: within the data, across splits, and with different labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genomix.data.checks.across import find_leaks, where
from genomix.data.checks.check import Check
from genomix.data.checks.wording import does, listed, percent, share_of
from genomix.data.similarity import pairs

if TYPE_CHECKING:
    from genomix.data.checks.examined import Examined
    from genomix.data.similarity import Sketches

FEW_COPIES = 0.01
"""Share of copies from which on they may move a result by a point of a hundred, and models are compared by points.
Across splits any copy is warned of, and this share of a held-out split fails; undivided, this share is warned of."""
CONFLICTING = 0.01
"""Share of records of which the same bases have another label, from which on no model can be right by a point."""
NEAR_IDENTICAL = 0.99
"""Similarity from which on two records say the same unless a few bases decide: 1 difference in 100 bp."""
MOST_CANDIDATES = 5_000
"""Records that are compared each with each for conflicts, which takes a second; of more, a sample is."""
SMALLEST = 4
"""Hashes of a record by which those nearly the same are found; about 1 pair in 100 has none of 4 in common."""
LISTED = 10
"""Examples in the figures."""


def check_duplicates(examined: Examined) -> Check:
    """Are there records that equal another, or its reverse complement, and do they stand in different splits?"""
    groups, is_reversed = examined.identical
    firsts = np.unique(groups, return_index=True)[1]
    again = np.setdiff1d(np.arange(len(examined)), firsts)
    num_again, num_reversed = len(again), int(is_reversed[again].sum())
    figures: dict[str, Any] = {
        "num_copies": num_again,
        "num_reversed": num_reversed,
        "examples": _examples(examined, again, firsts[groups[again]]),
    }
    if examined.splits is not None:
        return _across_splits(examined, figures)
    if not num_again:
        return Check("duplicates", "PASS", "No record is a copy of another, on either strand.", figures)
    text = f"{share_of(num_again, len(examined), 'records')} {does('repeat', num_again)} an earlier one base for base"
    if num_reversed:
        text += f", {num_reversed:,} of them on the other strand"
    if num_again < FEW_COPIES * len(examined):
        text += ": too few to matter if copies stay together (--split similarity)."
        return Check("duplicates", "PASS", text, figures)
    text += (
        f" (such as {_pair(figures['examples'][0])}): remove them, or keep them together with --split similarity, as a "
        "random split would test on what was learnt."
    )
    return Check("duplicates", "WARN", text, figures)


def _across_splits(examined: Examined, figures: dict[str, Any]) -> Check:
    """Look for the records of each split among those used before it: val in train, test in train and val."""
    groups, is_reversed = examined.identical
    leaks = find_leaks(examined.parts, groups)
    same_strand = find_leaks(examined.parts, 2 * groups + is_reversed)
    num_leaking, num_reversed = len(leaks.places), len(leaks.places) - len(same_strand.places)
    figures |= {
        "across": leaks.counts,
        "num_reversed_across": num_reversed,
        "examples_across": _examples(examined, leaks.places, leaks.earlier),
    }
    if not num_leaking:
        text = "No held-out record is a copy of one in another split, on either strand"
        if within := sum(len(places) - len(np.unique(groups[places])) for places in examined.parts.values()):
            text += f"; {within:,} {does('repeat', within)} one of {'its' if within == 1 else 'their'} own split"
        text += "."
        return Check("duplicates", "PASS", text, figures)
    strand = f", {num_reversed:,} as the reverse complement" if num_reversed else ""
    text = (
        f"{where(leaks.counts, examined.parts)} {does('stand', num_leaking)} in a split used before as well{strand} "
        f"(such as {_pair(figures['examples_across'][0])}): what is measured on them is memory, so remove them "
        "from one side, or split with --split similarity."
    )
    return Check("duplicates", "FAIL" if leaks.worst_share >= FEW_COPIES else "WARN", text, figures)


def check_conflicts(examined: Examined) -> Check:
    """Do records of the same bases, or nearly so, have different labels?"""
    groups, is_reversed = examined.identical
    labels, ids = examined.records.targets, examined.records.ids
    same_strand = find_conflicts(2 * groups + is_reversed, labels)
    other_strand = np.setdiff1d(find_conflicts(groups, labels), same_strand)
    near = _near_conflicts(examined)
    figures: dict[str, Any] = {"near": NEAR_IDENTICAL}
    for name, places in (("identical", same_strand), ("reverse_complements", other_strand), ("near_identical", near)):
        figures |= {f"num_{name}": len(places), f"{name}_ids": [ids[place] for place in places[:LISTED].tolist()]}
    total = len(examined)
    if len(same_strand):
        named = listed(figures["identical_ids"], len(same_strand))
        text = (
            f"{_records(same_strand, total, 'has', 'have')} the bases of a record with another label ({named}): no "
            "model can be right on both, so correct the labels, or leave such records out."
        )
        return Check("conflicts", "FAIL" if len(same_strand) >= CONFLICTING * total else "WARN", text, figures)
    if len(other_strand):
        named = listed(figures["reverse_complements_ids"], len(other_strand))
        text = (
            f"{_records(other_strand, total, 'is', 'are')} the reverse complement of a record with another label "
            f"({named}): correct the labels, or, if the strand decides the class, train with --strands forward."
        )
        return Check("conflicts", "WARN", text, figures)
    if len(near) >= CONFLICTING * total:
        named = listed(figures["near_identical_ids"], len(near))
        text = (
            f"{_records(near, total, 'is', 'are')} at least {percent(NEAR_IDENTICAL)} similar to a record with another "
            f"label ({named}): right where a few bases decide the class, as in variants of a virus, and otherwise "
            "labels to be looked at."
        )
        return Check("conflicts", "WARN", text, figures)
    text = "No two records of the same bases have different labels"
    if len(near):
        text += f"; {len(near):,} {'is' if len(near) == 1 else 'are'} nearly the same as one of another label"
    return Check("conflicts", "PASS", text + ".", figures)


def _records(places: np.ndarray, total: int, one: str, several: str) -> str:
    return f"{share_of(len(places), total, 'records')} {one if len(places) == 1 else several}"


def find_conflicts(keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the places of the records that share their key (R,) with one of another label (R,), rising."""
    _, keys = np.unique(keys, return_inverse=True)
    lowest, highest = np.full(len(keys), np.iinfo(np.int64).max), np.full(len(keys), -1)
    np.minimum.at(lowest, keys, labels)
    np.maximum.at(highest, keys, labels)
    return np.flatnonzero((lowest != highest)[keys])


def _near_conflicts(examined: Examined) -> np.ndarray:
    """Return the places of records nearly the same, but not the same, as one of another label, rising.

    Compared are those that have one of their smallest hashes in common with a record of another label, as nearly all
    records nearly the same have (Broder 1997). Where these are too many a sample is, in which not all pairs are found.
    """
    labels = examined.records.targets
    candidates = _candidates(examined.sketches, labels)
    if len(candidates) > MOST_CANDIDATES:
        drawn = np.random.default_rng(examined.seed).permutation(len(candidates))[:MOST_CANDIDATES]
        candidates = candidates[np.sort(drawn)]
    if not len(candidates):
        return candidates
    found = pairs(examined.sketches.take(candidates), NEAR_IDENTICAL)
    first, second = candidates[found.first], candidates[found.second]
    groups = examined.identical.groups
    differ = (labels[first] != labels[second]) & (groups[first] != groups[second])
    return np.unique(np.concatenate([first[differ], second[differ]]))


def _candidates(sketches: Sketches, labels: np.ndarray) -> np.ndarray:
    """Return the records that share one of their `SMALLEST` hashes with a record of another label (R,), rising."""
    owners = np.repeat(np.arange(len(sketches)), np.minimum(sketches.sizes, SMALLEST))
    ranks = np.arange(len(owners)) - np.searchsorted(owners, owners)
    hashes = sketches.hashes[sketches.starts[owners] + ranks]
    return np.unique(owners[find_conflicts(hashes, labels[owners])])


def _examples(examined: Examined, copies: np.ndarray, originals: np.ndarray) -> list[dict[str, str]]:
    ids = examined.records.ids
    return [
        {"id": ids[copy], "copy_of": ids[original]}
        for copy, original in zip(copies[:LISTED].tolist(), originals[:LISTED].tolist(), strict=True)
    ]


def _pair(example: dict[str, str]) -> str:
    return f'"{example["id"]}" = "{example["copy_of"]}"'
