"""Fits a k-mer classifier whose configuration leaves nothing open.

R records, C classes.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from scipy import sparse

from genomix.config import KmerConfig
from genomix.data.store import Store
from genomix.nn.build import build_kmer
from genomix.nn.kmer import KmerClassifier
from genomix.train.kmer.counts import count_kmers, join_strands, most_counts
from genomix.train.kmer.design import Linear
from genomix.train.kmer.linear import fit_logistic, fit_naive_bayes
from genomix.train.kmer.mismatch import fit_alike

LOG = logging.getLogger("genomix")
MOST_RECORDS = 200_000
MOST_COUNTS = 125_000_000
"""Entries of a sparse matrix of records and k-mers."""
FEWEST_OF_A_CLASS = 50


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
    """Count the k-mers of records and fit the linear model of a configuration.

    Args:
        config: Which k-mers and which model; what is open is `settled`, as nothing can be chosen on.
        store: The encoded bases.
        rows: Rows of the store to learn from (R,).
        targets: Their classes (R,), of which each of the C must occur; or what labels each record has, bool (R, C).
        num_classes: C.
        seed: Of the sample that is drawn where there are more than `MOST_RECORDS` records.
        balanced: Weigh the classes alike, however many records they have.

    Returns:
        The classifier, ready to predict.
    """
    config = config.settled()
    if targets.ndim == 1 and len(np.unique(targets)) != num_classes:
        raise AssertionError("each class must occur among the records to learn from")
    classifier = build_kmer(config, num_classes)
    chosen = sample(targets, MOST_RECORDS, seed)
    held = most_counts(store.lengths[rows[chosen]], classifier.k)
    if held > MOST_COUNTS:
        chosen = sample(targets, int(len(chosen) * MOST_COUNTS / held), seed)
    if len(chosen) < len(rows):
        rows, targets = rows[chosen], targets[chosen]
        LOG.warning("k-mer baseline: learnt from a random sample of %d records", len(chosen))
    counts = count_kmers(store, rows, classifier.k)
    if config.strands == "canonical":
        counts = join_strands(counts, classifier.k)
    fill(classifier, fit_linear(config, counts, targets, num_classes, balanced=balanced))
    return classifier.eval()


def fit_linear(
    config: KmerConfig, counts: sparse.csr_array, targets: np.ndarray, num_classes: int, *, balanced: bool
) -> Linear:
    """Fit the linear model of a settled configuration to counts of its k-mers."""
    if config.classifier == "naive-bayes":
        return fit_naive_bayes(counts, targets, num_classes, balanced=balanced)
    if config.inverse_regularisation is None:
        raise AssertionError("logistic regression has a C")
    penalties, roots = [config.inverse_regularisation], config.features == "roots"
    if not config.mismatch:
        return next(fit_logistic(counts, targets, penalties, roots=roots, balanced=balanced))
    if config.k is None:
        raise AssertionError("a settled configuration has a k")
    alike = {"k": config.k, "mismatch": config.mismatch}
    return next(fit_alike(counts, targets, penalties, **alike, roots=roots, balanced=balanced))


def fill(classifier: KmerClassifier, linear: Linear) -> None:
    """Put the numbers that were found into a classifier."""
    with torch.no_grad():
        classifier.mean.copy_(torch.from_numpy(linear.mean))
        classifier.scale.copy_(torch.from_numpy(linear.scale))
        classifier.head.weight.copy_(torch.from_numpy(linear.weight))
        classifier.head.bias.copy_(torch.from_numpy(linear.bias))
    classifier.refresh()


def sample(targets: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Draw about `size` records, but of every class at least `FEWEST_OF_A_CLASS`; all where there are no more."""
    if len(targets) <= size:
        return np.arange(len(targets))
    rng = np.random.default_rng(seed)
    classes = targets if targets.ndim == 1 else np.unique(targets, axis=0, return_inverse=True)[1]
    order = rng.permutation(len(classes))
    kept = [order[classes[order] == label][:FEWEST_OF_A_CLASS] for label in np.unique(classes)]
    return np.unique(np.concatenate([*kept, order[:size]]))
