"""Fits the k-mer baseline with scikit-learn."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import torch

from genomix.config import KmerConfig
from genomix.data.store import Store
from genomix.nn.kmer import KmerClassifier

LOG = logging.getLogger("genomix")
MOST_RECORDS = 200_000
MOST_FEATURES = 500_000_000
FEWEST_OF_A_CLASS = 50
MOST_ITERATIONS = 2000


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
        targets: Their classes (R,); each of the C classes must occur.
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
        chosen = _sample(targets, most, np.random.default_rng(seed))
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
        regression.fit(scaler.transform(features), targets)
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        LOG.warning("k-mer baseline: not converged after %d iterations", MOST_ITERATIONS)
    if len(regression.classes_) != num_classes:
        raise AssertionError("each class must occur among the records to learn from")
    weight, bias = regression.coef_, regression.intercept_
    if num_classes == 2:
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    with torch.no_grad():
        classifier.mean.copy_(torch.from_numpy(scaler.mean_))
        classifier.scale.copy_(torch.from_numpy(scaler.scale_))
        classifier.head.weight.copy_(torch.from_numpy(weight))
        classifier.head.bias.copy_(torch.from_numpy(bias))
    return classifier.eval()


def _sample(targets: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw about `size` records at random, but of every class at least `FEWEST_OF_A_CLASS`, or all there are."""
    order = rng.permutation(len(targets))
    kept = [order[targets[order] == label][:FEWEST_OF_A_CLASS] for label in np.unique(targets)]
    return np.unique(np.concatenate([*kept, order[:size]]))


def _features(classifier: KmerClassifier, store: Store, row: int) -> np.ndarray:
    tokens = torch.from_numpy(np.array(store.tokens(row))).unsqueeze(0)
    return classifier.features(tokens, torch.tensor([tokens.shape[1]])).numpy()
