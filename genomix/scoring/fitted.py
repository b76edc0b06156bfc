"""Calibrates models on records that they did not learn from, scored as those of predictions are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from genomix.config import KmerConfig
from genomix.data.store import Store
from genomix.metrics.calibration import Calibration, calibrate
from genomix.scoring.ensemble import AnyScorer, Ensemble


def fit_calibration(scorer: AnyScorer, store: Store, rows: Iterable[int], targets: np.ndarray) -> Calibration:
    """Score validation records and calibrate by them.

    Several models have temperatures of their own, which are applied; their mean gets scores, but no temperature.

    Args:
        scorer: The model or models, and how they are applied.
        store: The encoded bases.
        rows: The validation records.
        targets: Their classes (R,).
    """
    is_ensemble = isinstance(scorer, Ensemble)
    judged = scorer if is_ensemble else replace(scorer, calibrated=False)
    probabilities = np.stack(list(judged.score(store.tokens(row) for row in rows)))
    has_epochs = any(not isinstance(member.model.config.model, KmerConfig) for member in scorer.members)
    return calibrate(probabilities, targets, temperature=1.0 if is_ensemble else None, chose_epoch=has_epochs)
