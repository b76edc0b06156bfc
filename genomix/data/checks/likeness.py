"""Checks of records that resemble each other, or belong together, across splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genomix.data.checks.across import find_leaks, where
from genomix.data.checks.check import Check
from genomix.data.checks.wording import has, listed, percent, share_of
from genomix.data.similarity import clusters
from genomix.data.splits.assignment import number_units

if TYPE_CHECKING:
    from genomix.data.checks.examined import Examined
    from genomix.data.checks.held_out import HeldOut

MANY_RELATED = 0.05
"""Share of a held-out split with a relative in training from which on its result is no longer one on new sequences.
Relatives are not copies: a model may still be wrong on them, so that five times as many are borne."""
RANDOM_LEAK = 0.01
"""Share of undivided records with a relative from which on a random split is advised against."""
ONE_FAMILY = 0.5
"""Share of the records in one cluster from which on no split by similarity can be balanced."""
CONTAINED = 0.9
"""Times the longer record's length: a near-duplicate shorter than this lies in it as a part."""
LISTED = 10
"""Examples in the figures."""


def check_near_duplicates(examined: Examined) -> Check:
    """Do held-out records resemble training records; without splits, do records resemble each other?"""
    if examined.held_out is None:
        return _within(examined)
    return _across(examined, examined.held_out)


def _within(examined: Examined) -> Check:
    """Count the records that have a relative, and so may have it across a random split."""
    sizes = np.bincount(clusters(examined.sketches, examined.similarity))
    num_related, largest, total = int(sizes[sizes > 1].sum()), int(sizes.max()), len(examined)
    figures = {
        **_described(examined),
        "num_related": num_related,
        "num_clusters": len(sizes),
        "largest_cluster": largest,
    }
    like = f"similar to another by {examined.similarity:g} or more"
    if not num_related:
        return Check("near_duplicates", "PASS", f"No record is {like}.", figures)
    text = f"{share_of(num_related, total, 'records')} are {like}"
    if num_related < RANDOM_LEAK * total:
        return Check("near_duplicates", "PASS", f"{text}, too few for a random split to suffer.", figures)
    text += f" ({_shared(examined)})"
    if largest >= ONE_FAMILY * total:
        text += (
            f", {largest:,} of them in one cluster that no split by similarity can divide: a random split measures how "
            "well near relatives are told apart, so split by what will be new later, such as date, place or lineage "
            "(column group or split)."
        )
    else:
        text += (
            f", {largest:,} of them in the largest cluster: a random split would put relatives on both sides and look "
            "better than it is, so use --split similarity."
        )
    return Check("near_duplicates", "WARN", text, figures)


def _across(examined: Examined, held_out: HeldOut) -> Check:
    """Count the held-out records that resemble a training record."""
    parts, records, threshold = examined.held_out_parts, examined.records, examined.similarity
    is_near = held_out.similarity >= threshold
    names = np.array(held_out.split)
    counts = {name: int(is_near[names == name].sum()) for name in parts}
    share = max((counts[name] / len(places) for name, places in parts.items()), default=0.0)
    near = np.flatnonzero(is_near)
    near = near[np.argsort(-held_out.similarity[near], kind="stable")].tolist()
    lengths = dict(zip(records.ids, records.lengths.tolist(), strict=True))
    pairs = [sorted((int(held_out.lengths[place]), lengths[held_out.nearest[place]])) for place in near]
    num_contained = sum(shorter < CONTAINED * longer for shorter, longer in pairs)
    figures = {
        **_described(examined),
        "counts": counts,
        "share": share,
        "num_contained": num_contained,
        "median_similarity": float(np.median(held_out.similarity)) if len(held_out) else None,
        "examples": [
            {
                "id": held_out.ids[place],
                "nearest": held_out.nearest[place],
                "similarity": round(float(held_out.similarity[place]), 4),
            }
            for place in near[:LISTED]
        ],
    }
    if not near:
        text = f"No held-out record is similar to a training record by {threshold:g} or more."
        return Check("near_duplicates", "PASS", text, figures)
    part = f"; {num_contained:,} of them contained in it or containing it" if num_contained else ""
    first = figures["examples"][0]
    text = (
        f"{where(counts, parts)} {'is' if len(near) == 1 else 'are'} similar to a training record by {threshold:g} or "
        f'more ({_shared(examined)}{part}), such as "{first["id"]}" to "{first["nearest"]}" by '
        f"{first['similarity']:.3f}: how well a model does on unrelated records will be overrated, so keep relatives "
        "together with --split similarity, or by a column group."
    )
    return Check("near_duplicates", "FAIL" if share >= MANY_RELATED else "WARN", text, figures)


def _described(examined: Examined) -> dict[str, Any]:
    """Return the figures that say what similar means."""
    return {"similarity": examined.similarity, "k": examined.sketches.k, "sketched": examined.sketches.fraction}


def _shared(examined: Examined) -> str:
    """Say what records have in common that are just similar enough."""
    k = examined.sketches.k
    return f"at least {percent(examined.similarity**k)} of the {k}-mers of the shorter in common"


def check_groups(examined: Examined) -> Check | None:
    """Do groups have records in several splits? None without groups or splits."""
    groups = examined.records.groups
    if groups is None or not examined.parts:
        return None
    keys = number_units(groups)
    leaks = find_leaks(examined.parts, keys)
    torn = sorted({groups[place] for place in leaks.places.tolist()})
    num_groups = len(set(groups) - {""})
    figures = {"num_groups": num_groups, "num_torn": len(torn), "torn": torn[:LISTED], "across": leaks.counts}
    if not torn:
        return Check(
            "groups", "PASS", f"None of the {num_groups:,} groups has records in more than one split.", figures
        )
    text = (
        f"{share_of(len(torn), num_groups, 'groups')} {has(len(torn))} records in more than one split "
        f"({listed(torn)}), so {where(leaks.counts, examined.parts)} {has(len(leaks.places))} a fellow in a split used "
        "before: leave out the column split and groups are kept together, or correct the groups."
    )
    return Check("groups", "FAIL" if leaks.worst_share >= MANY_RELATED else "WARN", text, figures)
