"""How records fare that a model was sure enough to answer. Shapes: R records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genomix.metrics.bootstrap import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Answered:
    """What became of records where a model may abstain.

    Attributes:
        min_confidence: Probability below which it did; None where nothing says so.
        num_records: Records measured.
        num_answered: Those that got a label.
        share: Of the records, that got a label.
        accuracy: Share of these whose label is right; None where there are none.
        interval: Of the accuracy, exact binomial at 95 % (Clopper and Pearson 1934); None where there is none.
    """

    min_confidence: float | None
    num_records: int
    num_answered: int
    share: float
    accuracy: float | None
    interval: Interval | None


def measure_answered(predicted: Sequence[str | None], labels: Sequence[str], min_confidence: float | None) -> Answered:
    """Measure predicted labels (R,), None where there is no answer, against the right ones.

    Raises:
        ValueError: If there are no records.
    """
    answers = [(answer, label) for answer, label in zip(predicted, labels, strict=True) if answer is not None]
    num_right = sum(answer == label for answer, label in answers)
    return Answered(
        min_confidence,
        len(labels),
        len(answers),
        len(answers) / len(labels),
        num_right / len(answers) if answers else None,
        exact_interval(num_right, len(answers)) if answers else None,
    )


def exact_interval(num_hits: int, num_records: int) -> Interval:
    """Return the exact binomial interval of a share at 95 % (Clopper and Pearson 1934).

    Raises:
        ValueError: If there are no records.
    """
    from scipy.stats import binomtest

    exact = binomtest(num_hits, num_records).proportion_ci(0.95, method="exact")
    return Interval(float(exact.low), float(exact.high))
