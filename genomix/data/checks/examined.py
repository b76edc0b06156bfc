"""The data that all checks look at, and what several of them need of it, found once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from genomix.data.checks.base_counts import BaseCounts, count_bases
from genomix.data.checks.held_out import HeldOut, describe_held_out
from genomix.data.similarity import Identical, Sketches, identical, sketch
from genomix.data.splits import SPLIT_NAMES
from genomix.data.splits.assignment import number_units

if TYPE_CHECKING:
    from genomix.data.labels import LabelledRecords
    from genomix.data.splits import Splits

FEW_HASHES = 2_500_000
"""Of undivided records in fast checks: clusters of 100 Mb of short records then take 4 s in place of 15."""


@dataclass
class Examined:
    """Labelled records, how they are split, and how to look at them.

    A place is a record's number among the labelled ones, 0 to R - 1.

    Attributes:
        records: R labelled records.
        splits: Their splits, if there are any.
        fast: Look at a part where that is enough.
        similarity: From which on two records are near-duplicates.
        seed: Of what is drawn.
    """

    records: LabelledRecords
    splits: Splits | None
    fast: bool
    similarity: float
    seed: int

    def __len__(self) -> int:
        return len(self.records.labels)

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """The places in each split that has records, in the order train, val, test; empty without splits."""
        if self.splits is None:
            return {}
        named = zip(SPLIT_NAMES, (self.splits.train, self.splits.val, self.splits.test), strict=True)
        return {name: places for name, places in named if len(places)}

    @cached_property
    def held_out_parts(self) -> dict[str, np.ndarray]:
        """The places in val and test, where they have records."""
        return {name: places for name, places in self.parts.items() if name != "train"}

    @property
    def groups(self) -> list[str] | None:
        """What belongs together by the labels (R,), or else by the splits; None where nothing is known to."""
        if self.records.groups is None and self.splits is not None:
            return self.splits.groups
        return self.records.groups

    @cached_property
    def units(self) -> np.ndarray:
        """Numbers of what belongs together (R,): groups where there are any, else records that are the same."""
        return self.identical.groups if self.groups is None else number_units(self.groups)

    @cached_property
    def base_counts(self) -> BaseCounts:
        """Bases of each record."""
        return count_bases(self.records.store, self.records.indices)

    @cached_property
    def identical(self) -> Identical:
        """Which records are the same, numbered in any order; one without a known base is like no other."""
        groups, is_reversed = identical(self.records.store, self.records.indices)
        apart = np.where(self.base_counts.is_known, groups, len(self) + np.arange(len(self)))
        return Identical(np.unique(apart, return_inverse=True)[1], is_reversed)

    @cached_property
    def sketches(self) -> Sketches:
        """Of all records; fewer hashes do where only clusters are looked for, and no single record is judged."""
        if self.fast and self.splits is None:
            return sketch(self.records.store, self.records.indices, most_hashes=FEW_HASHES)
        return sketch(self.records.store, self.records.indices)

    @cached_property
    def held_out(self) -> HeldOut | None:
        """The records of val and test, and what in train they resemble; None without splits."""
        if self.splits is None:
            return None
        places = np.concatenate([self.splits.val, self.splits.test])
        return describe_held_out(
            self.records, self.splits, places, sketches=self.sketches, base_counts=self.base_counts
        )

    def by_class(self, places: np.ndarray | None = None) -> np.ndarray:
        """Count the records of each class (C,), of all or of some places."""
        truth = self.records.truth if places is None else self.records.truth[places]
        return truth.sum(axis=0) if truth.ndim == 2 else np.bincount(truth, minlength=len(self.records.classes))

    def places_by_class(self) -> list[np.ndarray]:
        """Return the places of the records of each class."""
        truth = self.records.truth
        if truth.ndim == 2:
            return [np.flatnonzero(has_label) for has_label in truth.T]
        return np.split(np.argsort(truth, kind="stable"), self.by_class().cumsum()[:-1])
