"""Several models score records together: the mean of their probabilities."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from genomix.data.predictions import PredictionRow
from genomix.errors import Problems, UsageError
from genomix.metrics.calibration import Calibration
from genomix.scoring.records import Scorable
from genomix.scoring.rows import combine, name_labels
from genomix.scoring.scorer import Scorer

SHOWN = 10
"""Classes that are named in a message."""


@dataclass
class Ensemble:
    """Scores records with several models of the same classes; each applies its own temperature.

    Attributes:
        members: One scorer a model.
        calibration: Of the mean; None where the models have nothing in common but this.
    """

    members: list[Scorer]
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        """Check that the models have the same classes, and the same number of them a record.

        Raises:
            UsageError: If some have others than the first; all of them are named.
        """
        first = self.members[0]
        problems = Problems()
        for member in self.members[1:]:
            if member.classes != first.classes:
                problems.add(
                    f"{member.model.path}: has other classes ({_named(member)}) than {first.model.path} "
                    f"({_named(first)}); only models of the same classes go together"
                )
            elif member.model.is_multi_label != first.model.is_multi_label:
                kinds = "one label a record", "several labels a record, or none"
                ours, theirs = (kinds[one.model.is_multi_label] for one in (first, member))
                problems.add(
                    f"{member.model.path}: was trained for {theirs}, and {first.model.path} for {ours}; only models "
                    "trained for the same go together"
                )
        problems.raise_if_any(UsageError)

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the probabilities."""
        return self.members[0].classes

    def score(self, records: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the mean probabilities (C,) of records, tokens (N,) uint8 with N >= 1, in their order.

        Records that one model has read and another has not yet are kept; none reads more than some batches ahead.
        """
        streams = itertools.tee(records, len(self.members))
        scored = (member.score(stream) for member, stream in zip(self.members, streams, strict=True))
        return (np.mean(found, axis=0) for found in zip(*scored, strict=True))

    def predict(self, records: Iterable[Scorable]) -> Iterator[PredictionRow]:
        """Yield one row for each record, in their order; those with a problem are skipped rows, not left out."""
        streams = itertools.tee(records, len(self.members))
        predicted = (member.predict(stream) for member, stream in zip(self.members, streams, strict=True))
        combined = map(combine, zip(*predicted, strict=True))
        if not self.members[0].model.is_multi_label:
            return combined
        return (name_labels(row, self.classes) for row in combined)


AnyScorer = Scorer | Ensemble


def _named(member: Scorer) -> str:
    return ", ".join(member.classes[:SHOWN]) + ", ..." * (len(member.classes) > SHOWN)
