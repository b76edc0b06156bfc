"""How well one simple feature of the records predicts their class.

Cross-validated, so that what is measured was not learnt from; R records, F features, C classes, S resamples.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genomix.metrics.multilabel import make_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NUM_FOLDS = 5
NUM_RESAMPLES = 200
"""Enough for the ends of a 95 % interval to hold to a hundredth at 1,000 records."""
CHUNK_SIZE = 200_000
"""Weights held at once, R x S: what stays in a processor's cache takes half the time of ten times as many."""
CONFIDENCE_Z = 1.959964
"""Standard deviations of a 95 % interval."""
MOST_LEAVES = 32
MOST_ITERATIONS, TOLERANCE = 100, 1e-3
"""Of logistic regression: more of either changes no area by a hundredth."""

Kind = Literal["number", "many"]


@dataclass
class Areas:
    """Areas under the ROC curve of one feature, of the records and of S resamples of them.

    Attributes:
        value: With two classes that of the second, else the mean over the classes or labels, each against the rest.
        low: Lower end of its 95 % interval.
        high: Upper end.
        class_values: Of each class against the rest (C,).
        class_lows: Lower ends (C,).
        drawn: Those of the resamples (S,).
        class_drawn: And of each class (C, S).
        is_mean: Whether `value` is a mean, so that each class is told from the rest in a way of its own.
    """

    value: float
    low: float
    high: float
    class_values: np.ndarray
    class_lows: np.ndarray
    drawn: np.ndarray
    class_drawn: np.ndarray
    is_mean: bool


def predict_out_of_fold(
    kind: Kind, features: np.ndarray, truth: np.ndarray, groups: np.ndarray | None, seed: int
) -> np.ndarray:
    """Return probabilities (R, C), each from a model that has not seen the record, nor its group.

    Of several labels each is predicted by itself, whether a record has it or not.

    `number` is a single value, from which a decision tree with few leaves predicts, as the relation need not rise or
    fall throughout; from `many` logistic regression does.

    Args:
        kind: What the features are.
        features: (R, F).
        truth: (R,) 0 to C - 1, each with at least `NUM_FOLDS` records or groups; or bool (R, C), of several labels.
        groups: (R,) numbers of what is kept together, if anything is.
        seed: Of the folds.
    """
    if truth.ndim == 2:
        each = [predict_out_of_fold(kind, features, label.astype(np.int64), groups, seed) for label in truth.T]
        return np.stack([probabilities[:, 1] for probabilities in each], axis=1)
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    if kind == "number":
        smallest_leaf = max(3, len(truth) // (4 * MOST_LEAVES))
        model: Any = DecisionTreeClassifier(
            max_leaf_nodes=MOST_LEAVES, min_samples_leaf=smallest_leaf, random_state=seed
        )
    else:
        model = LogisticRegression(max_iter=MOST_ITERATIONS, tol=TOLERANCE)
    folds = StratifiedKFold if groups is None else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged, or a class missing in a fold: the result is a little worse
        cv = folds(NUM_FOLDS, shuffle=True, random_state=seed)
        return np.asarray(
            cross_val_predict(model, features, truth, groups=groups, cv=cv, method="predict_proba"), np.float64
        )


def measure_areas(
    truth: np.ndarray, predictions: Sequence[np.ndarray], with_class: np.ndarray, without: np.ndarray, seed: int
) -> list[Areas]:
    """Return the areas of several predictions (R, C) of the same records, on the same resamples.

    Intervals are the bootstrap's percentile intervals (Efron 1979) or, where that is wider, the score interval of
    `score_interval`: resampling few records that are all right shows no spread, and records of a group are not as good
    as independent ones.

    Args:
        truth: Classes (R,), or which of several labels each record has, bool (R, C).
        predictions: Probabilities, each (R, C).
        with_class: Independent records, or groups of them, of each class (C,).
        without: And of the others (C,).
        seed: Of the resamples.
    """
    runs = [make_records(truth, probabilities) for probabilities in predictions]
    num_records, num_classes = runs[0].probabilities.shape
    rng = np.random.default_rng(seed)
    drawn = [np.empty((num_classes, NUM_RESAMPLES)) for _ in runs]
    chunk = max(1, CHUNK_SIZE // num_records)
    for start in range(0, NUM_RESAMPLES, chunk):
        width = min(chunk, NUM_RESAMPLES - start)
        rows = rng.integers(num_records, size=(num_records, width)) * width + np.arange(width)
        weights = np.bincount(rows.ravel(), minlength=num_records * width).reshape(num_records, width)
        for run, areas in zip(runs, drawn, strict=True):
            areas[:, start : start + width] = run.resampled(weights.astype(np.float64)).areas.roc_auc
    whole = np.ones((num_records, 1))
    values = [run.resampled(whole).areas.roc_auc[:, 0] for run in runs]
    is_binary = truth.ndim == 1 and num_classes == 2
    return [_areas(*found, with_class, without, is_binary=is_binary) for found in zip(values, drawn, strict=True)]


def _areas(
    values: np.ndarray, drawn: np.ndarray, with_class: np.ndarray, without: np.ndarray, *, is_binary: bool
) -> Areas:
    overall, overall_drawn = (values[1], drawn[1]) if is_binary else (values.mean(), drawn.mean(axis=0))
    low, high = np.nanquantile(overall_drawn, [0.025, 0.975])
    score_low, score_high = score_interval(float(overall), with_class, without)
    class_scores = [score_interval(*one)[0] for one in zip(values.tolist(), with_class, without, strict=True)]
    return Areas(
        value=float(overall),
        low=float(min(low, score_low)),
        high=float(max(high, score_high)),
        class_values=values,
        class_lows=np.minimum(np.nanquantile(drawn, 0.025, axis=1), class_scores),
        drawn=overall_drawn,
        class_drawn=drawn,
        is_mean=not is_binary,
    )


def score_interval(value: float, with_class: np.ndarray, without: np.ndarray) -> tuple[float, float]:
    """Return the 95 % score interval of an area under the ROC curve: all areas that `value` is not too far from.

    An area t of m records against n has the variance t(1 - t) [1 + (N - 1)((1 - t)/(2 - t) + t/(1 + t))] / (mn), with
    N = (m + n)/2 (Hanley and McNeil 1982; Newcombe 2006, Statistics in Medicine 25:559, method 5). That of a mean over
    classes is at most the mean of theirs.

    Args:
        value: The area found.
        with_class: Records of each class that `value` is the mean over (C,), or of the one it is of.
        without: And of the others.
    """
    pairs, halves = with_class * without, (with_class + without) / 2

    def is_close(area: float) -> bool:
        spread = 1 + (halves - 1) * ((1 - area) / (2 - area) + area / (1 + area))
        variance = float(np.mean(area * (1 - area) * spread / pairs))
        return (value - area) ** 2 <= CONFIDENCE_Z**2 * variance

    return _last_close(value, 0.0, is_close), _last_close(value, 1.0, is_close)


def _last_close(inside: float, outside: float, is_close: Callable[[float], bool]) -> float:
    """Return the value furthest from `inside` on the way to `outside` that is close, by bisection."""
    for _ in range(40):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_close(middle) else (inside, middle)
    return inside
