"""Fits the k-mer baseline with scikit-learn."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from genomix.config import KmerConfig
from genomix.data.store import Store
from genomix.nn.kmer import KmerClassifier

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

LOG = logging.getLogger("genomix")
MOST_RECORDS = 200_000
MOST_FEATURES = 500_000_000
FEWEST_OF_A_CLASS = 50
MOST_ITERATIONS = 2000


class _Linear(NamedTuple):
    """Weights (C, F) and biases (C,) of logits."""

    weight: np.ndarray
    bias: np.ndarray


def fit_kmer(
    config: KmerConfig,
    store: Store,
    rows: np.ndarray,
    targets: np.ndarray,
    num_classes: int,
    seed: int,
    *,
    balanced: bool = False,
) -> KmerClassifier:
    """Fit logistic regression on standardised canonical k-mer frequencies.

    Args:
        config: k and the inverse of the regularisation strength.
        store: The encoded bases.
        rows: Rows of the store to learn from (R,).
        targets: Their classes (R,), of which each of the C must occur; or what labels each record has, bool (R, C).
        num_classes: C.
        balanced: Weigh the classes alike, however many records they have.
        seed: Of the sample that is drawn where there are more than `MOST_RECORDS` records.

    Returns:
        The classifier, ready to predict.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    classifier = KmerClassifier(config.k, num_classes)
    most = min(MOST_RECORDS, MOST_FEATURES // classifier.num_kmers)
    if len(rows) > most:
        one_each = targets if targets.ndim == 1 else np.unique(targets, axis=0, return_inverse=True)[1]
        chosen = _sample(one_each, most, np.random.default_rng(seed))
        rows, targets = rows[chosen], targets[chosen]
        LOG.warning("k-mer baseline: learnt from a random sample of %d records", len(chosen))
    features = np.concatenate([_features(classifier, store, int(row)) for row in rows])
    empty = ~features.any(1)
    weights = "balanced" if balanced else None
    scaler = StandardScaler().fit(features[~empty] if not empty.all() else features)
    features[empty] = scaler.mean_  # as in prediction, a record without any whole k-mer says nothing
    regression = LogisticRegression(C=config.inverse_regularisation, max_iter=MOST_ITERATIONS, class_weight=weights)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        fit = _fit_one_class if targets.ndim == 1 else _fit_each_label
        linear = fit(regression, np.asarray(scaler.transform(features)), targets)
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        LOG.warning("k-mer baseline: not converged after %d iterations", MOST_ITERATIONS)
    weight, bias = linear
    if len(bias) != num_classes:
        raise AssertionError("each class must occur among the records to learn from")
    with torch.no_grad():
        classifier.mean.copy_(torch.from_numpy(scaler.mean_))
        classifier.scale.copy_(torch.from_numpy(scaler.scale_))
        classifier.head.weight.copy_(torch.from_numpy(weight))
        classifier.head.bias.copy_(torch.from_numpy(bias))
    return classifier.eval()


def _fit_one_class(regression: LogisticRegression, features: np.ndarray, targets: np.ndarray) -> _Linear:
    regression.fit(features, targets)
    weight, bias = regression.coef_, np.atleast_1d(regression.intercept_)
    if len(regression.classes_) == 2:
        return _Linear(np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias]))
    return _Linear(weight, bias)


def _fit_each_label(regression: LogisticRegression, features: np.ndarray, targets: np.ndarray) -> _Linear:
    """Fit one regression a label; one that all records have, or none, is as likely as Laplace's rule says."""
    weight, bias = np.zeros((targets.shape[1], features.shape[1])), np.zeros(targets.shape[1])
    for label, has_it in enumerate(targets.T):
        count = np.count_nonzero(has_it)
        if 0 < count < len(has_it):
            regression.fit(features, has_it)
            weight[label], bias[label] = regression.coef_[0], np.atleast_1d(regression.intercept_)[0]
        else:
            bias[label] = np.log((count + 1) / (len(has_it) - count + 1))
    return _Linear(weight, bias)


def _sample(targets: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw about `size` records at random, but of every class at least `FEWEST_OF_A_CLASS`, or all there are."""
    order = rng.permutation(len(targets))
    kept = [order[targets[order] == label][:FEWEST_OF_A_CLASS] for label in np.unique(targets)]
    return np.unique(np.concatenate([*kept, order[:size]]))


def _features(classifier: KmerClassifier, store: Store, row: int) -> np.ndarray:
    tokens = torch.from_numpy(np.array(store.tokens(row))).unsqueeze(0)
    return classifier.features(tokens, torch.tensor([tokens.shape[1]])).numpy()
