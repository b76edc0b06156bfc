"""How good predictions are, and how sure one can be of that: metrics with bootstrap intervals over records.

Every scalar metric is written once, as a statistic of weighted records: with weights of one it is the metric, with the
counts of a resample (how often each record was drawn) it is the metric of that resample, for many resamples at a time.
Shapes: R records, C classes, S resamples, G distinct scores. Weights are (R, S).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

NUM_CALIBRATION_BINS = 15
SUM_TOLERANCE = 1e-3
CHUNK_SIZE = 2_000_000
"""Weights held at once, R x S: 16 MB as float64, about what stays in a processor's cache."""

_HIGHER = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "mcc", "roc_auc", "pr_auc")
_LOWER = ("log_loss", "brier", "ece")
HIGHER_IS_BETTER = {name: name in _HIGHER for name in _HIGHER + _LOWER}
METRIC_NAMES = tuple(HIGHER_IS_BETTER)


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

    records = _Records(targets, probabilities)
    num_records, num_classes = records.probabilities.shape
    if len(classes) != num_classes:
        raise ValueError(f"{len(classes)} classes do not fit probabilities with {num_classes} columns")
    if num_resamples < 0 or not 0 < confidence_level < 1:
        raise ValueError("num_resamples must not be negative, and confidence_level must be between 0 and 1")
    whole = _Resamples(records, np.ones((num_records, 1)))
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
    records = _Records(targets, probabilities)
    return float(_Resamples(records, np.ones((len(records.targets), 1))).metric(name)[0])


class _Ranking(NamedTuple):
    """Records in falling order of a class's probability: the order (R,), and where each distinct score starts (G,)."""

    order: np.ndarray
    starts: np.ndarray


class _Counts(NamedTuple):
    """Records of each class, each (C, S): correctly predicted, true, predicted."""

    correct: np.ndarray
    true: np.ndarray
    predicted: np.ndarray


class _Areas(NamedTuple):
    """Areas of each class under its curves, each (C, S)."""

    roc_auc: np.ndarray
    pr_auc: np.ndarray


class _Records:
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
        one_hot = np.eye(shapes[1][1])
        self.is_true, self.is_predicted = one_hot[self.targets], one_hot[self.predicted]

    @cached_property
    def rankings(self) -> list[_Ranking]:
        rankings = []
        for scores in self.probabilities.T:
            order = np.argsort(-scores, kind="stable")
            rankings.append(_Ranking(order, np.flatnonzero(np.diff(scores[order], prepend=np.inf))))
        return rankings


class _Resamples:
    """Each metric, (S,), of the records with weights (R, S); NaN where it is undefined."""

    def __init__(self, records: _Records, weights: np.ndarray) -> None:
        self.records = records
        self.weights = weights
        self.total = weights.sum(axis=0)

    @cached_property
    def counts(self) -> _Counts:
        records = self.records
        masks = records.is_true * records.is_predicted, records.is_true, records.is_predicted
        return _Counts(*(mask.T @ self.weights for mask in masks))

    @cached_property
    def areas(self) -> _Areas:
        """Area under the ROC curve (ties count half) and average precision, with every distinct score as threshold."""
        roc_auc, pr_auc = [], []
        for ranking, is_true in zip(self.records.rankings, self.records.is_true.T, strict=True):
            weights = self.weights[ranking.order]
            positive = np.add.reduceat(weights * is_true[ranking.order, None], ranking.starts)
            drawn = np.add.reduceat(weights, ranking.starts)
            positive_above, drawn_above = positive.cumsum(axis=0), drawn.cumsum(axis=0)
            num_positive = positive_above[-1]
            concordant = np.einsum("gs,gs->s", drawn - positive, positive_above - positive / 2)
            roc_auc.append(_ratio(concordant, num_positive * (self.total - num_positive)))
            precision = positive_above / np.maximum(drawn_above, 1)
            pr_auc.append(_ratio(np.einsum("gs,gs->s", positive, precision), num_positive))
        return _Areas(np.array(roc_auc), np.array(pr_auc))

    @cached_property
    def f1(self) -> np.ndarray:
        """F1 of each class (C, S), 0 for a class neither true nor predicted."""
        correct, true, predicted = self.counts
        return np.nan_to_num(_ratio(2 * correct, true + predicted))

    def accuracy(self) -> np.ndarray:
        return self.counts.correct.sum(axis=0) / self.total

    def balanced_accuracy(self) -> np.ndarray:
        """Mean recall over the classes that have records."""
        correct, true, _ = self.counts
        return np.nan_to_num(_ratio(correct, true)).sum(axis=0) / (true > 0).sum(axis=0)

    def f1_macro(self) -> np.ndarray:
        """Mean F1 over the classes that have records or were predicted."""
        return self.f1.sum(axis=0) / (self.counts.true + self.counts.predicted > 0).sum(axis=0)

    def f1_weighted(self) -> np.ndarray:
        """Mean F1 over the classes, weighted by their records."""
        return (self.f1 * self.counts.true).sum(axis=0) / self.total

    def mcc(self) -> np.ndarray:
        """Matthews correlation (Gorodkin 2004): 0 if one class only was predicted, undefined if one has all records."""
        correct, true, predicted = self.counts
        covariance = correct.sum(axis=0) * self.total - (true * predicted).sum(axis=0)
        variance_true = self.total**2 - (true**2).sum(axis=0)
        variance_predicted = self.total**2 - (predicted**2).sum(axis=0)
        mcc = np.nan_to_num(_ratio(covariance, np.sqrt(variance_true * variance_predicted)))
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
        gaps = (self.records.predicted == self.records.targets) - confidence
        gaps_by_bin = (np.eye(NUM_CALIBRATION_BINS)[bins] * gaps[:, None]).T @ self.weights
        return np.abs(gaps_by_bin).sum(axis=0) / self.total

    def metric(self, name: str) -> np.ndarray:
        """Return one of `METRIC_NAMES`."""
        return getattr(self, name)()


def _intervals(
    records: _Records,
    values: dict[str, float | None],
    num_resamples: int,
    confidence_level: float,
    seed: int,
    notes: list[str],
) -> dict[str, Interval]:
    names = [name for name, value in values.items() if value is not None]
    rng = np.random.default_rng(seed)
    num_records = len(records.targets)
    chunk = max(1, CHUNK_SIZE // num_records)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for start in range(0, num_resamples, chunk):
        width = min(chunk, num_resamples - start)
        rows = rng.integers(num_records, size=(num_records, width))
        counts = np.bincount((rows * width + np.arange(width)).ravel(), minlength=num_records * width)
        resamples = _Resamples(records, counts.reshape(num_records, width).astype(np.float64))
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
        (f"{right} of {num_records} records are right, so that resampling them shows no spread; by the exact binomial "
        f"interval (Clopper and Pearson 1934) the accuracy may be {exact.low:.3f} to {exact.high:.3f}")
    ]


def _binary_or_macro(areas: np.ndarray) -> np.ndarray:
    return areas[1] if len(areas) == 2 else areas.mean(axis=0)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, with NaN for 0 / 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
