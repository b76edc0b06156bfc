"""Bootstrap resamples of records, and what they say of a metric.

Shapes: T runs on the same records, R records, C classes, S resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genomix.metrics.weighted import Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RANKED = ("roc_auc", "pr_auc")
MOST_RANKED = 1_000_000
"""Probabilities, R x C, up to which the areas under curves are resampled; beyond, that takes minutes."""
CHUNK_SIZE = 2_000_000
"""Weights held at once, R x S: 16 MB as float64, about what stays in a processor's cache."""


@dataclass
class Interval:
    """A confidence interval."""

    low: float
    high: float


class Resampled(NamedTuple):
    """One metric of T runs: of the records as they are (T,), and of each resample (T, S); NaN where undefined.

    S is 0 where the metric is undefined for the records as they are, and for the areas under curves where there are too
    many probabilities to resample them in bearable time. Of the calibration error also what resampling alone would make
    of it (T, S): the absolute changes of its bins' gaps, summed.
    """

    values: np.ndarray
    drawn: np.ndarray
    noise: np.ndarray | None = None


def resample(
    runs: Sequence[Records], names: Sequence[str], *, num_resamples: int, seed: int = 0
) -> dict[str, Resampled]:
    """Measure runs on the same bootstrap resamples of their records: column s of every metric is of one draw.

    The draws depend on the seed and on the number of records alone.

    Args:
        runs: The T runs, on the same records in the same order.
        names: Metrics, of `METRIC_NAMES`.
        num_resamples: S.
        seed: Seed of the draws.

    Raises:
        ValueError: If the runs are not on the same targets.
    """
    first = runs[0]
    num_records, num_classes = first.probabilities.shape
    for run in runs:
        if run.probabilities.shape[1] != num_classes or not np.array_equal(run.targets, first.targets):
            raise ValueError("paired runs have the same classes, and the same records in the same order")
    whole = [run.resampled(np.ones((num_records, 1))) for run in runs]
    values = {name: np.array([one.metric(name)[0] for one in whole]) for name in names}
    ranked = RANKED if first.probabilities.size > MOST_RANKED else ()
    resampled = [name for name in names if name not in ranked and not np.isnan(values[name]).any()]
    drawn = {name: np.empty((len(runs), num_resamples if name in resampled else 0)) for name in names}
    noise = np.empty((len(runs), num_resamples)) if "ece" in resampled else None
    rng = np.random.default_rng(seed)
    chunk = max(1, CHUNK_SIZE // num_records)
    for start in range(0, num_resamples, chunk):
        width = min(chunk, num_resamples - start)
        rows = rng.integers(num_records, size=(num_records, width))
        counts = np.bincount((rows * width + np.arange(width)).ravel(), minlength=num_records * width)
        weights = counts.reshape(num_records, width).astype(np.float64)
        for number, run in enumerate(runs):
            resamples = run.resampled(weights)
            for name in resampled:
                drawn[name][number, start : start + width] = resamples.metric(name)
            if noise is not None:
                changes = run.resampled(weights - 1)
                changes.total = resamples.total
                noise[number, start : start + width] = changes.ece()
    return {name: Resampled(values[name], drawn[name], noise if name == "ece" else None) for name in names}


def defined(drawn: np.ndarray) -> np.ndarray | None:
    """Return those of S values that are defined; None if there are none, or fewer than half."""
    found = drawn[~np.isnan(drawn)]
    return found if len(found) and 2 * len(found) >= len(drawn) else None


def percentile_interval(drawn: np.ndarray, confidence_level: float) -> Interval | None:
    """Return the percentile interval (Efron 1979) of S values, undefined ones left out; None if those are most."""
    found = defined(drawn)
    if found is None:
        return None
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(float(low), float(high))


def notes_on_resamples(resampled: Mapping[str, Resampled], num_resamples: int) -> Iterator[str]:
    """Say which metrics have no interval though they are defined, and how many resamples had to be left out."""
    whole = {name: found for name, found in resampled.items() if not np.isnan(found.values).any()}
    unranked = [name for name, found in whole.items() if found.drawn.shape[1] < num_resamples]
    if unranked:
        have = "have" if len(unranked) > 1 else "has"
        yield f"{' and '.join(unranked)} {have} no interval: resampling so many records and classes takes too long"
    for name, found in whole.items():
        left_out = np.isnan(found.drawn).any(axis=0).sum()
        if left_out:
            fate = "which are left out" if 2 * left_out <= num_resamples else "so it has no interval"
            yield f"{name}: a class is missing in {left_out} of {num_resamples} resamples, {fate}"


def note_on_certainty(is_right: np.ndarray, confidence_level: float) -> str | None:
    """Say what is known where records (R,) are all right, or all wrong, so that every resample gives the same."""
    from scipy.stats import binomtest

    num_right, num_records = int(is_right.sum()), len(is_right)
    if 0 < num_right < num_records:
        return None
    exact = binomtest(num_right, num_records).proportion_ci(confidence_level, method="exact")
    unseen = ""
    if num_right or num_records == 1:
        why = "no wrong one" if num_right else "one record"
        unseen = f"; with {why} seen, log_loss, brier and ece have no interval"
    return (
        f"{num_right} of {num_records} records are right, so that resampling them shows no spread; by the exact "
        f"binomial interval (Clopper and Pearson 1934) the accuracy may be {exact.low:.3f} to {exact.high:.3f}{unseen}"
    )


def number_or_none(value: float) -> float | None:
    """Return a plain number; None for NaN."""
    return None if np.isnan(value) else float(value)
