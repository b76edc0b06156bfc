"""Metrics of predictions with bootstrap intervals over records. Shapes: R records, C classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genomix.metrics.bootstrap import (
    Interval,
    note_on_certainty,
    notes_on_resamples,
    number_or_none,
    resample,
)
from genomix.metrics.intervals import intervals_of
from genomix.metrics.multilabel import make_records
from genomix.metrics.weighted import METRIC_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


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
        intervals: Of the metrics that have one.
        per_class: One entry per class.
        confusion: Counts (C, C), a row per true and a column per predicted class; empty where records may have several
            labels.
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
    """Measure predictions, with intervals from bootstrap resamples of the records (Efron, Annals of Statistics 1979).

    The prediction is the class of highest probability, the first of equals. A resample in which a metric is undefined
    is left out of that metric's interval and counted in the notes; with more than half left out there is no interval.
    How intervals are made, and how often they hold the truth, is said in `intervals`.

    Args:
        targets: Class indices (R,); or which labels each record has, (R, C), where it may have several or none.
        probabilities: Probabilities (R, C); rows sum to 1, but for records of several labels.
        classes: The C labels.
        num_resamples: Bootstrap resamples; 0 for no intervals.
        confidence_level: How often an interval shall hold the truth.
        seed: Seed of the resampling.

    Raises:
        ValueError: If the arguments do not fit together, or hold no records or impossible values.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    records = make_records(targets, probabilities)
    num_records, num_classes = records.probabilities.shape
    if len(classes) != num_classes:
        raise ValueError(f"{len(classes)} classes do not fit probabilities with {num_classes} columns")
    if num_resamples < 0 or not 0 < confidence_level < 1:
        raise ValueError("num_resamples must not be negative, and confidence_level must be between 0 and 1")
    resampled = resample([records], METRIC_NAMES, num_resamples=num_resamples, seed=seed)
    values = {name: number_or_none(found.values[0]) for name, found in resampled.items()}
    intervals = intervals_of(records, resampled, 0, confidence_level)
    areas = records.resampled(np.ones((num_records, 1))).areas
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
        ClassMetrics(
            label,
            number_or_none(precision),
            number_or_none(recall),
            number_or_none(f1),
            int(support),
            number_or_none(roc_auc),
            number_or_none(pr_auc),
        )
        for label, precision, recall, f1, support, roc_auc, pr_auc in zip(
            classes, *table, areas.roc_auc[:, 0], areas.pr_auc[:, 0], strict=True
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
    notes += notes_on_resamples(resampled, num_resamples)
    if num_resamples and (note := note_on_certainty(records.is_right, confidence_level)):
        notes.append(note)
    confusion: list[list[int]] = []
    if records.targets.ndim == 1:
        confusion = confusion_matrix(records.targets, records.predicted, labels=labels).tolist()
    return Metrics(num_records, list(classes), values, intervals, per_class, confusion, notes)


def score(name: str, targets: ArrayLike, probabilities: ArrayLike) -> float:
    """Return one metric of targets and probabilities as for `compute_metrics`; NaN where it is undefined.

    Raises:
        ValueError: If no metric has that name, or the arguments are not as for `compute_metrics`.
    """
    if name not in METRIC_NAMES:
        raise ValueError(f"no metric is called {name!r}; choose one of {', '.join(METRIC_NAMES)}")
    records = make_records(targets, probabilities)
    return float(records.resampled(np.ones((len(records.targets), 1))).metric(name)[0])
