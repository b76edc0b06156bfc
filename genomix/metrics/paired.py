"""Runs on the same records, compared record by record. Shapes: T runs, R records, S resamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genomix.metrics.measure import CHUNK_SIZE, MOST_RANKED, RANKED, Interval
from genomix.metrics.weighted import Records, Resamples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

TIE = 1e-12
"""Differences up to this are rounding: the same counts, summed in another order."""


class Resampled(NamedTuple):
    """One metric of T runs: of the records as they are (T,), and of each resample (T, S); NaN where undefined.

    S is 0 for the areas under curves where there are too many probabilities to resample them in bearable time.
    """

    values: np.ndarray
    drawn: np.ndarray


@dataclass(frozen=True)
class McNemar:
    """Records by who is right, and the two-sided p-value of McNemar's test."""

    both_right: int
    only_run_right: int
    only_baseline_right: int
    both_wrong: int
    p: float


def resample(
    runs: Sequence[Records], names: Sequence[str], *, num_resamples: int, seed: int = 0
) -> dict[str, Resampled]:
    """Measure runs on the same bootstrap resamples of their records: column s of every metric is of one draw.

    With one seed the draws are those of `compute_metrics`.

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
    resampled = [name for name in names if name not in RANKED or first.probabilities.size <= MOST_RANKED]
    drawn = {name: np.empty((len(runs), num_resamples if name in resampled else 0)) for name in names}
    rng = np.random.default_rng(seed)
    chunk = max(1, CHUNK_SIZE // num_records)
    for start in range(0, num_resamples, chunk):
        width = min(chunk, num_resamples - start)
        rows = rng.integers(num_records, size=(num_records, width))
        counts = np.bincount((rows * width + np.arange(width)).ravel(), minlength=num_records * width)
        weights = counts.reshape(num_records, width).astype(np.float64)
        for number, run in enumerate(runs):
            resamples = Resamples(run, weights)
            for name in resampled:
                drawn[name][number, start : start + width] = resamples.metric(name)
    whole = [Resamples(run, np.ones((num_records, 1))) for run in runs]
    return {name: Resampled(np.array([one.metric(name)[0] for one in whole]), drawn[name]) for name in names}


def percentile_interval(drawn: np.ndarray, confidence_level: float) -> Interval | None:
    """Return the percentile interval (Efron 1979) of S values, undefined ones left out; None if those are most."""
    defined = _defined(drawn)
    if defined is None:
        return None
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high))


def bootstrap_p(drawn: np.ndarray) -> float | None:
    """Return the two-sided p-value of "no difference" from the differences of S resamples; None as for the interval.

    It is twice the share of the resamples on the rarer side of zero: the level at which the percentile interval just
    reaches zero (Efron and Tibshirani 1993, section 15.4). One is added to numerator and denominator (Davison and
    Hinkley 1997, chapter 4), so that it is never below 2 / (S + 1); ties count on both sides.
    """
    defined = _defined(drawn)
    if defined is None:
        return None
    rarer = min(np.count_nonzero(defined <= TIE), np.count_nonzero(defined >= -TIE))
    return min(1.0, 2 * (rarer + 1) / (len(defined) + 1))


def mcnemar(run_is_right: ArrayLike, baseline_is_right: ArrayLike) -> McNemar:
    """Test whether a run and the baseline are right equally often (McNemar 1947), by the exact binomial distribution.

    Of the records that only one of them gets right, each is as likely the run's as the baseline's under "no
    difference".

    Args:
        run_is_right: Bool (R,).
        baseline_is_right: Bool (R,), of the same records.
    """
    from scipy.stats import binomtest

    run, baseline = np.asarray(run_is_right, dtype=bool), np.asarray(baseline_is_right, dtype=bool)
    only_run, only_baseline = int((run & ~baseline).sum()), int((~run & baseline).sum())
    discordant = only_run + only_baseline
    p = float(binomtest(only_run, discordant, 0.5).pvalue) if discordant else 1.0
    return McNemar(int((run & baseline).sum()), only_run, only_baseline, int((~run & ~baseline).sum()), p)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values of one family of tests by Holm's step-down (Scandinavian Journal of Statistics 1979).

    The i-th smallest of n (from 0) is multiplied by n - i, and none becomes smaller than one before it. A test without
    a p-value stays without, and does not count.
    """
    ranked = sorted((p, number) for number, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, number) in enumerate(ranked):
        highest = max(highest, min(1.0, p * (len(ranked) - rank)))
        adjusted[number] = highest
    return adjusted


def _defined(drawn: np.ndarray) -> np.ndarray | None:
    defined = drawn[~np.isnan(drawn)]
    return defined if len(defined) and 2 * len(defined) >= len(drawn) else None
