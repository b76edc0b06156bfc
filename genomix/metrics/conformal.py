"""Split conformal label sets: the classes that hold the true one as often as was asked for.

The score of a record is 1 - the probability of its true class, and a class is in the set of a new record if its own is
not above the quantile of the scores (least ambiguous sets: Sadinle, Lei and Wasserman, JASA 2019). Where new records
are of the same kind as those that gave the scores, the sets hold the true class with at least the stated probability
(Vovk et al. 2005). Shapes: R records, C classes, S scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from genomix.errors import UsageError
from genomix.metrics.answered import exact_interval
from genomix.metrics.bootstrap import Interval

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import ArrayLike

MOST_SCORES = 10_000
STEPS = 10**9
"""Scores are kept in steps of one part in this many, rounded up, which can only make the sets larger."""
SLACK = 1e-9
"""What rounding may have added."""


@dataclass(frozen=True)
class Coverage:
    """How label sets fared.

    Attributes:
        stated: What was asked for; None where nothing says so.
        found: Share of the records whose set holds the true class.
        interval: Of it, exact binomial at 95 % (Clopper and Pearson 1934).
        mean_size: Classes in a set.
        num_records: Records measured.
    """

    stated: float | None
    found: float
    interval: Interval
    mean_size: float
    num_records: int


def conformity_scores(probabilities: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """Return 1 - the probability of the true class of records (R, C), sorted (R,)."""
    table, classes = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    scores = 1 - table[np.arange(len(table)), classes]
    return np.sort(np.clip(np.ceil(scores * STEPS) / STEPS, 0, 1))


def thin(scores: np.ndarray, most: int = MOST_SCORES) -> np.ndarray:
    """Return at most so many of S sorted scores: order statistics evenly apart, the highest among them.

    The quantile of these is never below that of all of them, so that the sets stay as large as they must be.
    """
    if len(scores) <= most:
        return scores
    return scores[np.ceil(np.arange(1, most + 1) * (len(scores) / most) - SLACK).astype(int) - 1]


def fewest_scores(coverage: float) -> int:
    """Return how many scores there must be for sets of this coverage that are not always all classes."""
    share = Fraction(str(coverage))
    return math.ceil(share / (1 - share))


def threshold(scores: ArrayLike, coverage: float) -> float:
    """Return the score up to which a class is in a set: the ceil((S + 1) coverage)-th smallest.

    Raises:
        UsageError: If the coverage is not between 0 and 1, or there are too few scores for it.
    """
    sorted_scores = np.sort(np.asarray(scores, dtype=np.float64))
    if not 0 < coverage < 1:
        raise UsageError(f"--coverage {coverage}: must be between 0 and 1, such as 0.9")
    num_scores = len(sorted_scores)
    if num_scores < fewest_scores(coverage):
        most = math.floor(1000 * num_scores / (num_scores + 1)) / 1000
        raise UsageError(
            f"--coverage {coverage}: takes at least {fewest_scores(coverage)} records to calibrate on, and this model "
            f"has {num_scores}: with fewer, only sets of all classes hold the true one so often; ask for {most} or "
            "less, or train with more validation records"
        )
    from mapie.conformity_scores import LACConformityScore

    level = np.array([1 - coverage + SLACK / MOST_SCORES])
    return float(LACConformityScore().get_conformity_score_quantiles(sorted_scores[:, None], level, cv="prefit")[0])


def label_sets(probabilities: ArrayLike, highest_score: float) -> np.ndarray:
    """Return which classes are in the sets of records, bool (R, C); the most probable class always is.

    An empty set would keep the promise too where the model is right more often than was asked for, but helps nobody.
    """
    table = np.asarray(probabilities, dtype=np.float64)
    within = 1 - table <= highest_score + SLACK
    within[np.arange(len(table)), table.argmax(axis=1)] = True
    return within


def measure_coverage(sets: Sequence[Collection[str]], labels: Sequence[str], stated: float | None) -> Coverage:
    """Measure label sets of records against their labels.

    Raises:
        ValueError: If there are no records.
    """
    held = sum(label in label_set for label_set, label in zip(sets, labels, strict=True))
    num_records = len(labels)
    interval = exact_interval(held, num_records)
    return Coverage(stated, held / num_records, interval, sum(map(len, sets)) / num_records, num_records)
