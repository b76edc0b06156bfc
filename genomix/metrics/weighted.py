"""Every scalar metric, written once, as a statistic of weighted records.

With weights of one it is the metric, with the counts of a resample (how often each record was drawn) it is the metric
of that resample, for many resamples at a time. Shapes: R records, C classes, S resamples, G distinct scores. Weights
are (R, S).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

NUM_CALIBRATION_BINS = 15
SUM_TOLERANCE = 1e-3

_HIGHER = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "mcc", "roc_auc", "pr_auc")
_LOWER = ("log_loss", "brier", "ece")
HIGHER_IS_BETTER = {name: name in _HIGHER for name in _HIGHER + _LOWER}
METRIC_NAMES = tuple(HIGHER_IS_BETTER)
USUAL_METRICS = ("accuracy", "f1_macro", "mcc", "roc_auc", "log_loss")
"""What is printed where nobody asked for others."""


class Ranking(NamedTuple):
    """Records in falling order of a class's probability: the order (R,), and where each distinct score starts (G,)."""

    order: np.ndarray
    starts: np.ndarray


class Counts(NamedTuple):
    """Records of each class, each (C, S): correctly predicted, true, predicted."""

    correct: np.ndarray
    true: np.ndarray
    predicted: np.ndarray


class Areas(NamedTuple):
    """Areas of each class under its curves, each (C, S)."""

    roc_auc: np.ndarray
    pr_auc: np.ndarray


class Records:
    """What does not change from resample to resample: targets (R,), probabilities (R, C) and what follows from them."""

    def __init__(self, targets: ArrayLike, probabilities: ArrayLike) -> None:
        self.targets, self.probabilities = np.asarray(targets), np.asarray(probabilities, dtype=np.float64)
        shapes = self.targets.shape, self.probabilities.shape
        if len(shapes[1]) != 2 or shapes[1][1] < 2 or shapes[0] != shapes[1][:1]:
            raise ValueError(
                f"targets must be (R,) and probabilities (R, C), C at least 2; got {shapes[0]}, {shapes[1]}"
            )
        if not len(self.targets):
            raise ValueError("there are no records to evaluate")
        if self.targets.dtype.kind not in "iu" or self.targets.min() < 0 or self.targets.max() >= shapes[1][1]:
            raise ValueError(f"targets must be class indices from 0 to {shapes[1][1] - 1}")
        errors = np.abs(self.probabilities.sum(axis=1) - 1)
        if not np.all(self.probabilities >= 0) or not np.all(errors <= SUM_TOLERANCE):
            raise ValueError(
                f"probabilities must be finite, not negative, and sum to 1 within {SUM_TOLERANCE} per record"
            )
        self.predicted = self.probabilities.argmax(axis=1)
        self.is_right = self.predicted == self.targets
        one_hot = np.eye(shapes[1][1])
        self.is_true, self.is_predicted = one_hot[self.targets], one_hot[self.predicted]

    @cached_property
    def rankings(self) -> list[Ranking]:
        """One ranking of the records a class (C,)."""
        rankings = []
        for scores in self.probabilities.T:
            order = np.argsort(-scores, kind="stable")
            rankings.append(Ranking(order, np.flatnonzero(np.diff(scores[order], prepend=np.inf))))
        return rankings

    def resampled(self, weights: np.ndarray) -> Resamples:
        """Return the metrics of these records with weights (R, S)."""
        return Resamples(self, weights)


class Resamples:
    """Each metric, (S,), of the records with weights (R, S); NaN where it is undefined."""

    def __init__(self, records: Records, weights: np.ndarray) -> None:
        self.records = records
        self.weights = weights
        self.total = weights.sum(axis=0)

    @cached_property
    def counts(self) -> Counts:
        """What the metrics of the predicted class are made of."""
        records = self.records
        masks = records.is_true * records.is_predicted, records.is_true, records.is_predicted
        return Counts(*(mask.T @ self.weights for mask in masks))

    @cached_property
    def areas(self) -> Areas:
        """Area under the ROC curve (ties count half) and average precision, with every distinct score as threshold."""
        roc_auc, pr_auc = [], []
        for ranking, is_true in zip(self.records.rankings, self.records.is_true.T, strict=True):
            weights = self.weights[ranking.order]
            positive = np.add.reduceat(weights * is_true[ranking.order, None], ranking.starts)
            drawn = np.add.reduceat(weights, ranking.starts)
            positive_above, drawn_above = positive.cumsum(axis=0), drawn.cumsum(axis=0)
            num_positive = positive_above[-1]
            concordant = np.einsum("gs,gs->s", drawn - positive, positive_above - positive / 2)
            roc_auc.append(ratio(concordant, num_positive * (self.total - num_positive)))
            precision = positive_above / np.maximum(drawn_above, 1)
            pr_auc.append(ratio(np.einsum("gs,gs->s", positive, precision), num_positive))
        return Areas(np.array(roc_auc), np.array(pr_auc))

    @cached_property
    def f1(self) -> np.ndarray:
        """F1 of each class (C, S), 0 for a class neither true nor predicted."""
        correct, true, predicted = self.counts
        return np.nan_to_num(ratio(2 * correct, true + predicted))

    def accuracy(self) -> np.ndarray:
        """Share of the records that are right (S,)."""
        return self.counts.correct.sum(axis=0) / self.total

    def balanced_accuracy(self) -> np.ndarray:
        """Mean recall over the classes that have records."""
        correct, true, _ = self.counts
        return ratio(np.nan_to_num(ratio(correct, true)).sum(axis=0), (true > 0).sum(axis=0))

    def f1_macro(self) -> np.ndarray:
        """Mean F1 over the classes that have records or were predicted."""
        return ratio(self.f1.sum(axis=0), (self.counts.true + self.counts.predicted > 0).sum(axis=0))

    def f1_weighted(self) -> np.ndarray:
        """Mean F1 over the classes, weighted by their records."""
        return ratio((self.f1 * self.counts.true).sum(axis=0), self.total)

    def mcc(self) -> np.ndarray:
        """Matthews correlation (Gorodkin 2004): 0 if one class only was predicted, undefined if one has all records."""
        correct, true, predicted = self.counts
        covariance = correct.sum(axis=0) * self.total - (true * predicted).sum(axis=0)
        variance_true = self.total**2 - (true**2).sum(axis=0)
        variance_predicted = self.total**2 - (predicted**2).sum(axis=0)
        mcc = np.nan_to_num(ratio(covariance, np.sqrt(variance_true * variance_predicted)))
        return np.where(variance_true > 0, mcc, np.nan)

    def roc_auc(self) -> np.ndarray:
        """With two classes that of class 1, else the mean over the classes, each against the rest."""
        return _binary_or_macro(self.areas.roc_auc)

    def pr_auc(self) -> np.ndarray:
        """Average precision: of class 1 with two classes, else the mean over the classes, each against the rest."""
        return _binary_or_macro(self.areas.pr_auc)

    def log_loss(self) -> np.ndarray:
        """Mean negative natural logarithm of the true class's probability, which is kept off 0."""
        likelihoods = (self.records.probabilities * self.records.is_true).sum(axis=1)
        return -np.log(np.clip(likelihoods, np.finfo(np.float64).eps, 1)) @ self.weights / self.total

    def brier(self) -> np.ndarray:
        """Squared error summed over the classes (Brier 1950), 0 to 2; for two classes twice the error of class 1."""
        errors = ((self.records.probabilities - self.records.is_true) ** 2).sum(axis=1)
        return errors @ self.weights / self.total

    def ece(self) -> np.ndarray:
        """Expected calibration error (Guo et al., ICML 2017): |accuracy - confidence| over equal bins of confidence."""
        confidence = self.records.probabilities.max(axis=1)
        bins = np.clip(np.ceil(confidence * NUM_CALIBRATION_BINS).astype(int), 1, NUM_CALIBRATION_BINS) - 1
        gaps = self.records.is_right - confidence
        gaps_by_bin = (np.eye(NUM_CALIBRATION_BINS)[bins] * gaps[:, None]).T @ self.weights
        return np.abs(gaps_by_bin).sum(axis=0) / self.total

    def metric(self, name: str) -> np.ndarray:
        """Return one of `METRIC_NAMES`."""
        return getattr(self, name)()


def _binary_or_macro(areas: np.ndarray) -> np.ndarray:
    return areas[1] if len(areas) == 2 else areas.mean(axis=0)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, with NaN for 0 / 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)
