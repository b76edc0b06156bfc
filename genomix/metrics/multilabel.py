"""The metrics of `weighted` where a record may have several labels, or none, each decided on its own.

Shapes: R records, C classes, S resamples.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from genomix.metrics.weighted import NUM_CALIBRATION_BINS, Records, Resamples, ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

THRESHOLD = 0.5
"""Probability from which a record is said to have a label."""


class MultiLabelRecords(Records):
    """What does not change from resample to resample: the labels each record has (R, C) and their probabilities.

    Raises:
        ValueError: If the arguments do not fit together, or hold no records or impossible values.
    """

    def __init__(self, targets: ArrayLike, probabilities: ArrayLike) -> None:
        self.targets, self.probabilities = np.asarray(targets, dtype=bool), np.asarray(probabilities, dtype=np.float64)
        shapes = self.targets.shape, self.probabilities.shape
        if len(shapes[0]) != 2 or shapes[0] != shapes[1] or not shapes[0][1]:
            raise ValueError(f"targets and probabilities must both be (R, C); got {shapes[0]}, {shapes[1]}")
        if not len(self.targets):
            raise ValueError("there are no records to evaluate")
        if not np.all((self.probabilities >= 0) & (self.probabilities <= 1)):
            raise ValueError("probabilities must be from 0 to 1")
        self.predicted = self.probabilities >= THRESHOLD
        self.is_right = (self.predicted == self.targets).all(axis=1)
        self.is_true, self.is_predicted = self.targets.astype(np.float64), self.predicted.astype(np.float64)

    def resampled(self, weights: np.ndarray) -> MultiLabelResamples:
        """Return the metrics of these records with weights (R, S)."""
        return MultiLabelResamples(self, weights)


class MultiLabelResamples(Resamples):
    """Each metric, (S,), of the records with weights (R, S); NaN where it is undefined."""

    records: MultiLabelRecords

    @cached_property
    def varies(self) -> np.ndarray:
        """Whether some records have a label and others have not (C, S)."""
        return (self.counts.true > 0) & (self.counts.true < self.total)

    def accuracy(self) -> np.ndarray:
        """Share of the records whose labels are all right, none missing and none too many (subset accuracy)."""
        return self.records.is_right @ self.weights / self.total

    def balanced_accuracy(self) -> np.ndarray:
        """Mean over the labels of the mean of sensitivity and specificity."""
        correct, true, predicted = self.counts
        sensitivity = ratio(correct, true)
        specificity = ratio(self.total - true - predicted + correct, self.total - true)
        return self._mean((sensitivity + specificity) / 2)

    def f1_weighted(self) -> np.ndarray:
        """Mean F1 over the labels, weighted by the records that have them."""
        true = self.counts.true
        return ratio((self.f1 * true).sum(axis=0), true.sum(axis=0))

    def mcc(self) -> np.ndarray:
        """Mean over the labels of the Matthews correlation, 0 for a label that is predicted of all records or none."""
        correct, true, predicted = self.counts
        covariance = correct * self.total - true * predicted
        variances = true * (self.total - true) * predicted * (self.total - predicted)
        return self._mean(np.nan_to_num(ratio(covariance, np.sqrt(variances))))

    def roc_auc(self) -> np.ndarray:
        """Mean over the labels."""
        return self.areas.roc_auc.mean(axis=0)

    def pr_auc(self) -> np.ndarray:
        """Average precision, mean over the labels."""
        return self.areas.pr_auc.mean(axis=0)

    def log_loss(self) -> np.ndarray:
        """Mean over records and labels of the negative natural logarithm of what is true, kept off 0."""
        right = np.where(self.records.targets, self.records.probabilities, 1 - self.records.probabilities)
        return -np.log(np.clip(right, np.finfo(np.float64).eps, 1)).mean(axis=1) @ self.weights / self.total

    def brier(self) -> np.ndarray:
        """Squared error, mean over records and labels: 0 to 1."""
        errors = ((self.records.probabilities - self.records.is_true) ** 2).mean(axis=1)
        return errors @ self.weights / self.total

    def ece(self) -> np.ndarray:
        """Expected calibration error over all pairs of a record and a label: |share true - probability| by bins."""
        probabilities = self.records.probabilities
        bins = np.clip(np.ceil(probabilities * NUM_CALIBRATION_BINS).astype(int), 1, NUM_CALIBRATION_BINS) - 1
        gaps = self.records.is_true - probabilities
        num_records, num_classes = gaps.shape
        by_bin = np.zeros((NUM_CALIBRATION_BINS, num_records))
        np.add.at(by_bin, (bins, np.arange(num_records)[:, None]), gaps)
        return np.abs(by_bin @ self.weights).sum(axis=0) / (self.total * num_classes)

    def _mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over the labels (C, S) that some records have and others have not; NaN where there are none."""
        return ratio(np.where(self.varies, values, 0).sum(axis=0), self.varies.sum(axis=0))


def make_records(targets: ArrayLike, probabilities: ArrayLike) -> Records:
    """Return records of one class each, targets (R,), or of any number of labels each, targets (R, C).

    Raises:
        ValueError: As `Records` and `MultiLabelRecords`.
    """
    several = np.asarray(targets).ndim == 2
    return MultiLabelRecords(targets, probabilities) if several else Records(targets, probabilities)
