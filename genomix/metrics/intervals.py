"""Confidence intervals of metrics, from the bootstrap resamples of their records. Shapes: C classes, S resamples.

How often those of 95 % hold the truth (`benchmarks/interval_coverage.py`: 1,000 data sets each of 16 problems of two
and five classes, even or 9 to 1, accuracy 0.7 to 0.98, 1,000 resamples; of 1,000 records 400 resamples, and 300 data
sets of five classes), beside percentile intervals of the same resamples:

| records | ours | percentile | ece, ours | ece, percentile |
|---|---|---|---|---|
| 50 | 91 to 99 %, mean 97 % | 39 to 95 % | 91 to 100 % | 0 to 89 % |
| 200 | 91 to 98 %, mean 95 % | 77 to 96 % | 92 to 98 % | 0 to 89 % |
| 1,000 | 91 to 98 %, mean 94 % | 87 to 96 % | 94 to 99 % | 0 to 94 % |

With few records of a rare class, or few wrong ones, they hold it rather more often than 95 %; pr_auc is held least.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genomix.metrics.bootstrap import Interval, Resampled, defined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genomix.metrics.weighted import Records

LOSSES = ("log_loss", "brier")
OF_ERRORS = (*LOSSES, "ece")
"""Metrics that are mostly made by the wrong records, of which none says how bad it would be."""
MACRO = ("balanced_accuracy", "f1_macro", "mcc", "roc_auc", "pr_auc")
"""Metrics that a few records of a rare class move as much as many of a frequent one."""
LEAST = {"mcc": -1.0}
"""The lower end of a metric's range where that is not 0; the upper end of those that are no loss is 1."""
ROUNDING = 1e-12


class Evidence(NamedTuple):
    """What a value rests on: so many independent records, and degrees of freedom of the deviation seen in them."""

    num_records: float
    freedom: float


def intervals_of(
    records: Records, resampled: Mapping[str, Resampled], run: int, confidence_level: float
) -> dict[str, Interval]:
    """Return the intervals of one of the T runs, of the metrics that have one.

    A loss has a `mean_interval`, the calibration error a `gap_interval`, every other metric a `score_interval`. A
    metric that fewer than half of the resamples define has none, nor have losses and calibration error where no record
    is wrong, or where there is one record.
    """
    num_records, num_classes = records.probabilities.shape
    sizes, right = records.is_true.sum(axis=0), (records.is_true * records.is_predicted).sum(axis=0)
    plain, macro = Evidence(num_records, max(num_records - 1, 1)), evidence_of(sizes)
    intervals = {}
    for name, found in resampled.items():
        drawn, value = defined(found.drawn[run]), float(found.values[run])
        if drawn is None or (name in OF_ERRORS and (records.is_right.all() or num_records == 1)):
            continue
        if name in LOSSES:
            intervals[name] = mean_interval(value, drawn, num_records, confidence_level)
        elif found.noise is not None:
            intervals[name] = gap_interval(value, drawn, found.noise[run], confidence_level)
        else:
            intervals[name] = score_interval(
                value,
                drawn,
                macro if name in MACRO else plain,
                confidence_level,
                least=LEAST.get(name, 0.0),
                most_times=2 * num_classes,
                hidden=hidden_variance(sizes, right) if name == "balanced_accuracy" else 0.0,
            )
    return intervals


def evidence_of(class_sizes: np.ndarray) -> Evidence:
    """Return the evidence behind a mean over classes of so many records each (C,); those without any do not count.

    Where one record has the variance 1, the mean has sum(1 / size) / C^2; the degrees of freedom are those of
    Satterthwaite (Biometrics Bulletin 1946).
    """
    sizes = class_sizes[class_sizes > 0]
    if not len(sizes):
        return Evidence(1, 1)
    variances = 1 / sizes
    freedom = variances.sum() ** 2 / (variances**2 / np.maximum(sizes - 1, 1)).sum()
    return Evidence(float(len(sizes) ** 2 / variances.sum()), float(freedom))


def hidden_variance(class_sizes: np.ndarray, right: np.ndarray) -> float:
    """Return the variance of the mean recall of classes (C,) that resamples do not show.

    That is of the classes whose records are all right, or all wrong: as if half a record more were right and half a
    record wrong (Jeffreys' prior).
    """
    present = class_sizes > 0
    sizes = class_sizes[present & ((right == 0) | (right == class_sizes))]
    wrong = 0.5 / (sizes + 1)
    return float((wrong * (1 - wrong) / sizes).sum() / present.sum() ** 2)


def score_interval(
    value: float,
    drawn: np.ndarray,
    evidence: Evidence,
    confidence_level: float,
    *,
    least: float = 0.0,
    most_times: float = np.inf,
    hidden: float = 0.0,
) -> Interval:
    """Return the interval of a value from `least` to 1, as if it were the share of so many records that are right.

    So many as give such a share the standard deviation of the resamples: the score interval (Wilson, JASA 1927) at the
    effective sample size, which Franco, Little, Louis and Slud (Journal of Survey Statistics and Methodology 2019)
    recommend, with a quantile of Student's t, as the deviation is an estimate (Korn and Graubard, Survey Methodology
    1998). Resamples that are all alike say nothing of the size; there it is that of the records behind the value, and
    at an end of the range, where they always are, the interval is the exact one (Clopper and Pearson 1934).

    Args:
        value: Of the records as they are.
        drawn: Of the resamples (S,).
        evidence: What the value rests on.
        confidence_level: How often the interval shall hold the truth.
        least: Lower end of the range.
        most_times: The effective size is at most so many times the number of records behind the value, lest a few
            resamples that happen to agree prove too much.
        hidden: Variance that the resamples do not show.
    """
    width = 1 - least
    share, variance = (value - least) / width, (float(drawn.var()) + hidden) / width**2
    limit = ((1 - confidence_level) / 2) ** (1 / evidence.num_records)
    if share >= 1 - ROUNDING:
        return Interval(least + width * limit, 1.0)
    if share <= ROUNDING:
        return Interval(least, least + width * (1 - limit))
    size = evidence.num_records
    if variance > ROUNDING**2:
        size = min(share * (1 - share) / variance, most_times * size)
    ratio = student_quantile(evidence.freedom, confidence_level) ** 2 / size
    centre = (share + ratio / 2) / (1 + ratio)
    half = (ratio * share * (1 - share) + ratio**2 / 4) ** 0.5 / (1 + ratio)
    return Interval(least + width * (centre - half), least + width * (centre + half))


def mean_interval(value: float, drawn: np.ndarray, num_records: int, confidence_level: float) -> Interval:
    """Return the interval of a mean over R records of something that is never negative, most of it in a few of them.

    By the transformation of Hall (JRSS B 1992) that takes the skewness g out of the studentised mean t,
    t + g t^2 / 3 + g^2 t^3 / 27 + g / 6, where g is that of the mean, here of the resamples (S,), and with a quantile
    of Student's t.
    """
    deviation = float(drawn.std())
    if deviation <= ROUNDING * max(value, 1):
        return Interval(value, value)
    skewness = float((((drawn - drawn.mean()) / deviation) ** 3).mean())
    quantile = student_quantile(num_records - 1, confidence_level)
    step = deviation * (num_records / (num_records - 1)) ** 0.5
    low, high = (value - step * _skewed(end, skewness) for end in (quantile, -quantile))
    return Interval(max(low, 0.0), high)


def gap_interval(value: float, drawn: np.ndarray, noise: np.ndarray, confidence_level: float) -> Interval:
    """Return the interval of a sum of absolute gaps, which chance makes larger, and resampling larger again.

    Down from the value it reaches as far as noise (S,) alone would lift the sum were there no gaps, which is further
    than it can lift any other; up, as far as the value is above the resamples (S,) at their lower end, the basic
    interval of Davison and Hinkley (1997, section 5.2), or to the value itself.
    """
    tail = (1 - confidence_level) / 2
    low, high = value - np.quantile(noise, 1 - tail), 2 * value - np.quantile(drawn, tail)
    return Interval(max(float(low), 0.0), max(float(high), value))


def student_quantile(freedom: float, confidence_level: float) -> float:
    """Return how many deviations to either side hold that share of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence_level) / 2))


def _skewed(end: float, skewness: float) -> float:
    """Return the t whose transformation by Hall is `end`."""
    if abs(skewness) < 1e-6:
        return end
    return float(3 / skewness * (np.cbrt(1 + skewness * (end - skewness / 6)) - 1))
