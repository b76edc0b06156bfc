"""How a model stands to a baseline: better or worse only where that is more than the choice of the records explains.

Shapes: R records.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from genomix.metrics import HIGHER_IS_BETTER, Interval, Metrics
from genomix.metrics.comparison import Compared
from genomix.metrics.paired import mcnemar
from genomix.report.wording import count_of

Standing = Literal["better", "not distinguishable", "worse"]

LEVEL = 0.05
OF_PROBABILITIES = ("roc_auc", "pr_auc", "log_loss", "brier", "ece")
"""Metrics that see more of a record than whether it is right."""
FEWEST_DISCORDANT = 6
"""Records that only one of two gets right: with fewer, McNemar's exact test cannot reach 0.05 if all favour one."""


def judge_against(own: Metrics, baseline: Metrics, compared: Compared | None, metric: str) -> tuple[Standing, str]:
    """Say how a model stands to a baseline, and by what that is known.

    Args:
        own: Of the model.
        baseline: Of the baseline, on the same records.
        compared: The model set against the baseline record by record, if that was done.
        metric: To judge by.
    """
    if is_certain(own) or is_certain(baseline):
        return _by_counts(own, baseline)
    return _by_intervals(own, baseline, metric) if compared is None else _by_pairs(compared, metric)


def num_right(metrics: Metrics) -> int:
    """Return how many records are right, in all of their labels."""
    return round((metrics.values.get("accuracy") or 0) * metrics.num_records)


def is_certain(metrics: Metrics) -> bool:
    """Whether all records are right, or all wrong: then every resample gives the same, and intervals have no width."""
    return num_right(metrics) in (0, metrics.num_records)


def _by_counts(own: Metrics, baseline: Metrics) -> tuple[Standing, str]:
    """Judge by who is right: where one of the two is right on all records, or none, the counts say who is on which."""
    places = np.arange(own.num_records)
    found = mcnemar(places < num_right(own), places < num_right(baseline))
    p = "below 0.001" if found.p < 0.001 else f"{found.p:.3f}"
    reason = f"{num_right(own)} and {num_right(baseline)} of {own.num_records} are right, p {p} by McNemar's exact test"
    if found.p >= LEVEL:
        return "not distinguishable", reason
    return ("better" if found.only_run_right else "worse"), reason


def _by_pairs(compared: Compared, metric: str) -> tuple[Standing, str]:
    """Judge by the difference on the same records."""
    difference, table = compared.differences.get(metric), compared.mcnemar
    if difference is None or difference.interval is None or table is None:
        return "not distinguishable", "the difference has no interval"
    discordant = table.only_run_right + table.only_baseline_right
    if metric not in OF_PROBABILITIES and discordant < FEWEST_DISCORDANT:
        return "not distinguishable", f"only {count_of(discordant, 'record')} tell them apart"
    low, high = difference.interval.low, difference.interval.high
    reason = f"the difference on the same records is {difference.difference:+.3f} ({low:+.3f} to {high:+.3f})"
    return _order(difference.interval, Interval(0, 0), metric), reason


def _by_intervals(own: Metrics, baseline: Metrics, metric: str) -> tuple[Standing, str]:
    """Judge by two intervals, which is careful: those of runs that differ clearly may overlap."""
    first, second = own.intervals.get(metric), baseline.intervals.get(metric)
    if first is None or second is None:
        return "not distinguishable", "there is no interval to tell by"
    standing = _order(first, second, metric)
    if standing == "not distinguishable":
        return standing, "their intervals overlap (a paired comparison, genomix compare, can tell more)"
    return standing, "their intervals do not overlap"


def _order(first: Interval, second: Interval, metric: str) -> Standing:
    if first.low <= second.high and second.low <= first.high:
        return "not distinguishable"
    return "better" if (first.low > second.high) == HIGHER_IS_BETTER.get(metric, True) else "worse"
