"""Runs on the same records, compared record by record: tests of "no difference". Shapes: R records, S resamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genomix.metrics.bootstrap import defined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

TIE = 1e-12
"""Differences up to this are rounding: the same counts, summed in another order."""


@dataclass(frozen=True)
class McNemar:
    """Records by who is right, and the two-sided p-value of McNemar's test."""

    both_right: int
    only_run_right: int
    only_baseline_right: int
    both_wrong: int
    p: float


def bootstrap_p(drawn: np.ndarray) -> float | None:
    """Return the two-sided p-value of "no difference" from the differences of S resamples; None as for the interval.

    It is twice the share of the resamples on the rarer side of zero: the level at which the percentile interval just
    reaches zero (Efron and Tibshirani 1993, section 15.4). One is added to numerator and denominator (Davison and
    Hinkley 1997, chapter 4), so that it is never below 2 / (S + 1); ties count on both sides.
    """
    found = defined(drawn)
    if found is None:
        return None
    rarer = min(np.count_nonzero(found <= TIE), np.count_nonzero(found >= -TIE))
    return min(1.0, 2 * (rarer + 1) / (len(found) + 1))


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
