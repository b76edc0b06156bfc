"""Metrics of predictions with bootstrap intervals over records. Shapes: R records, C classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genomix.metrics.weighted import METRIC_NAMES, Records, Resamples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

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


@dataclass
class ClassMetrics:
    """One class against the rest; None where a value is undefined (0 / 0)."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    roc_auc: float | None
    pr_auc: float | None


@dataclass
class Metrics:
    """What `compute_metrics` found.

    Attributes:
        num_records: Records evaluated.
        classes: The labels in the order of their indices.
        values: Each of `METRIC_NAMES`; None where it is undefined for these records.
        intervals: For the metrics that have one, the percentile interval.
        per_class: One entry per class.
        confusion: Counts (C, C), a row per true and a column per predicted class.
        notes: What was undefined or left out, and why.
    """

    num_records: int
    classes: list[str]
    values: dict[str, float | None]
    intervals: dict[str, Interval]
    per_class: list[ClassMetrics]
    confusion: list[list[int]]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts, numbers and None, as JSON takes them."""
        return asdict(self)


def compute_metrics(
    targets: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    *,
    num_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int = 0,
) -> Metrics:
    """Measure predictions, with percentile bootstrap intervals over records (Efron, Annals of Statistics 1979).

    The prediction is the class of highest probability, the first of equals. A resample in which a metric is undefined
    is left out of that metric's interval and counted in the notes; with more than half left out there is no interval.

    Args:
        targets: Class indices (R,).
        probabilities: Probabilities (R, C); rows sum to 1.
        classes: The C labels.
        num_resamples: Bootstrap resamples; 0 for no intervals.
        confidence_level: Share of the resamples between the ends of an interval.
        seed: Seed of the resampling.

    Raises:
        ValueError: If the arguments do not fit together, or hold no records or impossible values.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    records = Records(targets, probabilities)
    num_records, num_classes = records.probabilities.shape
    if len(classes) != num_classes:
        raise ValueError(f"{len(classes)} classes do not fit probabilities with {num_classes} columns")
    if num_resamples < 0 or not 0 < confidence_level < 1:
        raise ValueError("num_resamples must not be negative, and confidence_level must be between 0 and 1")
    whole = Resamples(records, np.ones((num_records, 1)))
    values = {name: _number(whole.metric(name)[0]) for name in METRIC_NAMES}
    labels = np.arange(num_classes)
    table = np.array(
        precision_recall_fscore_support(
            records.targets,
            records.predicted,
            labels=labels,
            zero_division=np.nan,  # pyright: ignore[reportArgumentType]
        )
    )
    per_class = [
        ClassMetrics(label, _number(precision), _number(recall), _number(f1), int(support), _number(roc), _number(ap))
        for label, precision, recall, f1, support, roc, ap in zip(
            classes, *table, whole.areas.roc_auc[:, 0], whole.areas.pr_auc[:, 0], strict=True
        )
    ]
    absent = [entry.label for entry in per_class if not entry.support]
    notes = []
    if absent:
        undefined = [name for name, value in values.items() if value is None]
        notes.append(
            f"no record of class {', '.join(map(repr, absent))} was evaluated: "
            "balanced_accuracy and f1_macro are means over the other classes (f1_macro also over those predicted)"
            + (f"; undefined: {', '.join(undefined)}" if undefined else "")
        )
    intervals = _intervals(records, values, num_resamples, confidence_level, seed, notes)
    notes += _note_on_certainty(values["accuracy"], intervals.get("accuracy"), num_records, confidence_level)
    confusion = confusion_matrix(records.targets, records.predicted, labels=labels).tolist()
    return Metrics(num_records, list(classes), values, intervals, per_class, confusion, notes)


def score(name: str, targets: ArrayLike, probabilities: ArrayLike) -> float:
    """Return one metric of class indices (R,) and probabilities (R, C); NaN where it is undefined.

    Raises:
        ValueError: If no metric has that name, or the arguments are not as for `compute_metrics`.
    """
    if name not in METRIC_NAMES:
        raise ValueError(f"no metric is called {name!r}; choose one of {', '.join(METRIC_NAMES)}")
    records = Records(targets, probabilities)
    return float(Resamples(records, np.ones((len(records.targets), 1))).metric(name)[0])


def _intervals(
    records: Records,
    values: dict[str, float | None],
    num_resamples: int,
    confidence_level: float,
    seed: int,
    notes: list[str],
) -> dict[str, Interval]:
    names = [name for name, value in values.items() if value is not None]
    if records.probabilities.size > MOST_RANKED and num_resamples:
        names = [name for name in names if name not in RANKED]
        notes.append(f"{' and '.join(RANKED)} have no interval: resampling so many records and classes takes too long")
    rng = np.random.default_rng(seed)
    num_records = len(records.targets)
    chunk = max(1, CHUNK_SIZE // num_records)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for start in range(0, num_resamples, chunk):
        width = min(chunk, num_resamples - start)
        rows = rng.integers(num_records, size=(num_records, width))
        counts = np.bincount((rows * width + np.arange(width)).ravel(), minlength=num_records * width)
        resamples = Resamples(records, counts.reshape(num_records, width).astype(np.float64))
        for name in names:
            drawn[name].append(resamples.metric(name))
    intervals = {}
    tail = (1 - confidence_level) / 2
    for name in names if num_resamples else ():
        resampled = np.concatenate(drawn[name])
        defined = resampled[~np.isnan(resampled)]
        if len(defined) * 2 >= num_resamples:
            low, high = np.quantile(defined, [tail, 1 - tail])
            intervals[name] = Interval(float(low), float(high))
        if len(defined) < num_resamples:
            left_out = num_resamples - len(defined)
            fate = "left out of its interval" if name in intervals else "so it has no interval"
            notes.append(f"{name}: a class is missing in {left_out} of {num_resamples} resamples, {fate}")
    return intervals


def _note_on_certainty(
    accuracy: float | None, interval: Interval | None, num_records: int, confidence_level: float
) -> list[str]:
    """Say what is known where all records are right, or all wrong, so that every resample gives the same."""
    from scipy.stats import binomtest

    if accuracy is None or interval is None or interval.low < interval.high:
        return []
    right = round(accuracy * num_records)
    exact = binomtest(right, num_records).proportion_ci(confidence_level, method="exact")
    return [
        (
            f"{right} of {num_records} records are right, so that resampling them shows no spread; by the exact "
            f"binomial interval (Clopper and Pearson 1934) the accuracy may be {exact.low:.3f} to {exact.high:.3f}"
        )
    ]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
