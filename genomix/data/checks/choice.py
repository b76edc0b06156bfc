"""Which records and classes shortcuts are looked for in. R records, C classes or labels."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genomix.data.checks.predictability import NUM_FOLDS

if TYPE_CHECKING:
    from genomix.data.checks.examined import Examined

MOST_RECORDS = {True: 5_000, False: 50_000}
"""Records looked at, by whether the checks are the fast ones: 5,000 give intervals of about 3 hundredths."""
MOST_PROBABILITIES = {True: 60_000, False: 500_000}
"""Likewise records times classes, as resampling takes about 0.1 s for 10,000 of them and a feature."""
FEWEST_OF_A_CLASS = 20
"""Records of a class that are drawn at least, if there are so many; of more classes than leave room for that, the most
frequent are looked at."""
MOST_LABELS = 20
"""Looked at where a record may have several: each needs a model of its own for each feature and fold."""


class Choice(NamedTuple):
    """What is looked at.

    Attributes:
        places: Of the records, rising (R,).
        truth: The class of each, int64 (R,), or which labels it has where it may have several, bool (R, C).
        classes: The C that are looked at.
        with_class: Independent records, or groups of them, of each class (C,).
        without: And of the others (C,).
        is_cut: Whether only the most frequent classes are looked at.
    """

    places: np.ndarray
    truth: np.ndarray
    classes: list[str]
    with_class: np.ndarray
    without: np.ndarray
    is_cut: bool

    @property
    def is_multi(self) -> bool:
        """Whether each label is judged by itself."""
        return self.truth.ndim == 2


def choose(examined: Examined) -> Choice:
    """Choose records: no copies, no class too small to be cross-validated, of many classes the most frequent.

    Of many records a sample is taken, with at least `FEWEST_OF_A_CLASS` of each class, and, where a record may have
    several labels, so many without each.
    """
    places = np.sort(np.unique(examined.identical.groups, return_index=True)[1])
    return (_by_class if examined.records.label_sets is None else _by_label)(examined, places)


def _by_class(examined: Examined, places: np.ndarray) -> Choice:
    num_classes = len(examined.records.classes)
    targets = examined.records.targets[places]
    enough = np.flatnonzero(_count_units(examined.units[places], targets, num_classes) >= NUM_FOLDS)
    sizes = np.bincount(targets, minlength=num_classes)
    most_classes = isqrt(MOST_PROBABILITIES[examined.fast] // FEWEST_OF_A_CLASS)
    kept = np.sort(enough[np.argsort(-sizes[enough], kind="stable")[:most_classes]])
    places = places[np.isin(targets, kept)]
    most = _most_records(examined, len(kept))
    if len(places) > most:
        rng = np.random.default_rng(examined.seed)
        chosen = []
        for target in kept.tolist():
            own = places[examined.records.targets[places] == target]
            wanted = max(FEWEST_OF_A_CLASS, round(most * len(own) / len(places)))
            chosen.append(rng.permutation(own)[:wanted])
        places = np.sort(np.concatenate(chosen))
    targets = np.searchsorted(kept, examined.records.targets[places])
    with_class = _count_units(examined.units[places], targets, len(kept))
    classes = [examined.records.classes[target] for target in kept.tolist()]
    return Choice(places, targets, classes, with_class, with_class.sum() - with_class, len(kept) < len(enough))


def _by_label(examined: Examined, places: np.ndarray) -> Choice:
    truth = examined.records.truth
    kept, is_cut = _frequent_labels(truth[places], examined.units[places])
    most = _most_records(examined, len(kept))
    if len(places) > most:
        drawn = np.random.default_rng(examined.seed).permutation(places)
        has_label = truth[drawn][:, kept]
        is_chosen = np.arange(len(drawn)) < most
        for side in (has_label, ~has_label):
            is_chosen |= (side & (side.cumsum(axis=0, dtype=np.int32) <= FEWEST_OF_A_CLASS)).any(axis=1)
        places = np.sort(drawn[is_chosen])
        kept = kept[_frequent_labels(truth[places][:, kept], examined.units[places])[0]]
    truth, units = truth[places][:, kept], examined.units[places]
    with_label, without = (
        np.array([len(np.unique(units[column])) for column in side.T], np.int64) for side in (truth, ~truth)
    )
    return Choice(
        places, truth, [examined.records.classes[label] for label in kept.tolist()], with_label, without, is_cut
    )


def _frequent_labels(truth: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the most frequent labels that can be cross-validated, rising, and whether there may be others."""
    kept: list[int] = []
    order = np.argsort(-truth.sum(axis=0), kind="stable").tolist()
    for seen, label in enumerate(order, 1):
        has_label = truth[:, label]
        if all(len(np.unique(units[side])) >= NUM_FOLDS for side in (has_label, ~has_label)):
            kept.append(label)
        if len(kept) == MOST_LABELS:
            return np.sort(kept), seen < len(order)
    return np.sort(np.array(kept, np.int64)), False


def _most_records(examined: Examined, num_classes: int) -> int:
    return min(MOST_RECORDS[examined.fast], MOST_PROBABILITIES[examined.fast] // max(1, num_classes))


def _count_units(units: np.ndarray, targets: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the different units (R,) of each class (C,)."""
    num_units = units.max(initial=0) + 1
    return np.bincount(np.unique(targets * num_units + units) // num_units, minlength=num_classes)
