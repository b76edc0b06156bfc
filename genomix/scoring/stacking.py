"""How much a network and its k-mer classifier weigh: found on records that neither has learnt from.

R records, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit

from genomix.data.store import Store
from genomix.nn.composition import Composition
from genomix.nn.kmer import KmerClassifier
from genomix.scoring.scorer import Scorer

EQUAL = 0.5
"""Weight of each where no record says anything: the geometric mean of their probabilities."""
STRENGTH = 1.0
"""Of what holds the weights there, in nats a unit of weight squared; a record says up to some nats."""


def fit_composition(
    scorer: Scorer, kmer: KmerClassifier, store: Store, rows: Iterable[int], targets: np.ndarray
) -> Composition:
    """Weigh a network and a k-mer classifier on validation records.

    The weights, neither below 0, have the least log loss on the records, summed over them, and STRENGTH times their
    squared distance from EQUAL: few records hardly move them, many decide.

    Args:
        scorer: The network, and how it is applied; what else it is stacked with does not count.
        kmer: Fitted to what the network has learnt from.
        store: The encoded bases.
        rows: The validation records.
        targets: Their classes (R,), or what labels each has, bool (R, C).
    """
    rows = list(rows)
    multi_label = targets.ndim == 2
    alone = replace(scorer, model=replace(scorer.model, composition=None), calibrated=False)
    probabilities = np.stack(list(alone.score(store.tokens(row) for row in rows)))
    tiny = np.finfo(np.float64).tiny
    network = logit(probabilities.clip(1e-15, 1 - 1e-15)) if multi_label else np.log(probabilities.clip(tiny))
    composition = Composition(kmer)
    tokens = (torch.from_numpy(np.array(store.tokens(row))) for row in rows)
    kmers = np.stack([composition.score(one, multi_label=multi_label).numpy() for one in tokens])
    weights = fit_weights(network, kmers, targets)
    return Composition(kmer, *weights.tolist()).eval()


def fit_weights(network: np.ndarray, kmers: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the weights (2,) of two models' scores (R, C) that fit targets (R,), or labels (R, C); see above."""
    multi_label = targets.ndim == 2
    truth = targets.astype(np.float64) if multi_label else np.eye(network.shape[1])[targets]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = weights[0] * network + weights[1] * kmers
        if multi_label:
            value = np.logaddexp(0, scores).sum() - (truth * scores).sum()
            wrong = expit(scores) - truth
        else:
            logs = log_softmax(scores, axis=1)
            value = -(truth * logs).sum()
            wrong = np.exp(logs) - truth
        away = weights - EQUAL
        slope = np.array([(wrong * network).sum(), (wrong * kmers).sum()])
        return value + STRENGTH * float(away @ away), slope + 2 * STRENGTH * away

    start = np.full(2, EQUAL)
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * 2).x
