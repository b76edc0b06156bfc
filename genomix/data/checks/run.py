"""All checks, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from genomix.data.checks.check import Check, Checks
from genomix.data.checks.copies import check_conflicts, check_duplicates
from genomix.data.checks.counts import check_classes, check_lengths, check_unknown
from genomix.data.checks.examined import Examined
from genomix.data.checks.likeness import check_groups, check_near_duplicates
from genomix.data.checks.shortcuts import check_shortcuts
from genomix.data.checks.summary import summarise

if TYPE_CHECKING:
    from genomix.data.labels import LabelledRecords
    from genomix.data.splits import Splits

T = TypeVar("T")
SHARED = ("base_counts", "identical", "sketches", "held_out")
"""What several checks need, in the order of `Examined`; each is timed by itself."""
CHECKS: tuple[tuple[str, Callable[[Examined], Check | list[Check] | None]], ...] = (
    ("classes", check_classes),
    ("lengths", check_lengths),
    ("unknown", check_unknown),
    ("duplicates", check_duplicates),
    ("near_duplicates", check_near_duplicates),
    ("groups", check_groups),
    ("conflicts", check_conflicts),
    ("shortcuts", check_shortcuts),
)


def run_checks(
    records: LabelledRecords,
    splits: Splits | None = None,
    *,
    fast: bool = False,
    similarity: float = 0.9,
    seed: int = 0,
) -> Checks:
    """Look for what makes a result look better than it is, or uncertain, before anything is learnt.

    Args:
        records: R labelled records.
        splits: How they are split, if that is decided; leaks are then looked for across splits.
        fast: Sketch with fewer k-mers, and look for shortcuts in about 5,000 records in place of 50,000.
        similarity: From which on two records are near-duplicates, over 0 and at most 1.
        seed: Of samples, folds and resamples: the same seed finds the same.

    Raises:
        ValueError: If the similarity is out of range, or the splits are not of these records or have none to train on.
    """
    if not 0 < similarity <= 1:
        raise ValueError(f"similarity must be over 0 and at most 1, not {similarity}")
    if splits is not None and splits.num_records != len(records.labels):
        raise ValueError(f"splits of {splits.num_records} records do not fit {len(records.labels)} records")
    if splits is not None and not len(splits.train):
        raise ValueError("the splits have no training records")
    examined = Examined(records, splits, fast, similarity, seed)
    seconds: dict[str, float] = {}

    def timed(name: str, step: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = step()
        seconds[name] = time.perf_counter() - start
        return result

    for name in SHARED:
        timed(name, lambda name=name: getattr(examined, name))
    summary = timed("summary", lambda: summarise(examined))
    found: list[Check] = []
    for name, look in CHECKS:
        result = timed(name, lambda look=look: look(examined))
        found += result if isinstance(result, list) else [result] if result is not None else []
    settings = {"fast": fast, "similarity": similarity, "seed": seed}
    return Checks(found, summary, settings, seconds, examined.held_out)
