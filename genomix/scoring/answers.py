"""What is answered: a label, or none where the model is not sure enough; and the labels that cover the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genomix.checkpoint import CALIBRATION
from genomix.data.levels import Levels
from genomix.data.predictions import ABSTAINED, TRUNCATED, PredictionRow
from genomix.errors import UsageError
from genomix.metrics.conformal import label_sets, threshold
from genomix.scoring.ensemble import AnyScorer, Ensemble


@dataclass(frozen=True)
class Answers:
    """How rows are completed.

    Attributes:
        classes: Class names in the order of the probabilities.
        min_confidence: Probability below which no label is given; None to give one always.
        highest_score: Conformity score up to which a class is in the set; None for no sets.
        levels: The tree of hierarchical labels, which are cut off where they are not sure enough; None for plain ones.
    """

    classes: list[str]
    min_confidence: float | None = None
    highest_score: float | None = None
    levels: Levels | None = None

    @property
    def has_sets(self) -> bool:
        """Whether rows get a set of labels."""
        return self.highest_score is not None

    def complete(self, row: PredictionRow) -> PredictionRow:
        """Return a row with its set of labels, the likeliest first, and without label where it is not sure enough."""
        if row.probabilities is None:
            return row
        probabilities = np.asarray(row.probabilities)
        if self.highest_score is not None:
            [within] = label_sets(probabilities[None], self.highest_score)
            order = np.argsort(-probabilities, kind="stable")
            row = row._replace(label_set=tuple(self.classes[i] for i in order if within[i]))
        best = int(probabilities.argmax())
        label = self.classes[best] if row.label is None else row.label
        confidence = float(probabilities[best]) if row.confidence is None else row.confidence
        if self.min_confidence is None or confidence >= self.min_confidence:
            return row
        guess = f"best guess {label}, probability {confidence:.3f}"
        if self.levels is not None:
            node = self.levels.truncate(probabilities, self.min_confidence)
            if node.level:
                sure = f"sure enough down to {self.levels.names[node.level - 1]} only: {guess}"
                return _flagged(row, TRUNCATED, sure)._replace(label=node.path, confidence=node.probability)
        return _flagged(row, ABSTAINED, f"not sure enough: {guess}")


def _flagged(row: PredictionRow, status: str, note: str) -> PredictionRow:
    statuses = (*(other for other in row.statuses if other != "ok"), status)
    return row._replace(statuses=statuses, note="; ".join(filter(None, (row.note, note))))


def check_min_confidence(min_confidence: float | None) -> None:
    """Check the probability below which no label is given.

    Raises:
        UsageError: If it is none.
    """
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise UsageError(f"--min-confidence {min_confidence}: must be between 0 and 1, such as 0.8")


def make_answers(scorer: AnyScorer, *, min_confidence: float | None = None, coverage: float | None = None) -> Answers:
    """Return how the rows of a scorer are to be completed.

    Args:
        scorer: The model or models.
        min_confidence: Probability below which no label is given.
        coverage: Share of records whose set of labels is to hold the true one.

    Raises:
        UsageError: If a value is not possible, or the models have not been calibrated for sets of this coverage.
    """
    check_min_confidence(min_confidence)
    model = scorer.members[0].model
    levels = model.levels
    if coverage is None:
        return Answers(scorer.classes, min_confidence, levels=levels)
    if model.is_multi_label:
        raise UsageError(f"--coverage {coverage}: sets are made where a record has one label, not several")
    if scorer.calibration is None:
        raise UsageError(f"--coverage {coverage}: {_reason(scorer)}")
    return Answers(scorer.classes, min_confidence, threshold(scorer.calibration.scores, coverage), levels)


def _reason(scorer: AnyScorer) -> str:
    """Say why there is no calibration, and what to do about it."""
    first = scorer.members[0]
    if not first.calibrated:
        return "sets of labels are made of calibrated probabilities; leave out --no-calibration"
    if isinstance(scorer, Ensemble):
        return (
            f"these models have no {CALIBRATION} of their mean; name a directory that holds several runs and has one, "
            "or a single run"
        )
    return f"{first.model.path} has no {CALIBRATION}, which training writes; train it again"
