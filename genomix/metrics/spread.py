"""How a metric varies from one training to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """One metric over several trainings.

    Attributes:
        mean: Of the values that are defined; None where none is.
        deviation: Their standard deviation as of a sample (n - 1); None of fewer than two.
        values: Each, None where it is undefined.
    """

    mean: float | None
    deviation: float | None
    values: list[float | None]


def spread_of(values: Sequence[float | None]) -> Spread:
    """Return the mean and the deviation of values, those left out that are undefined."""
    known = [value for value in values if value is not None]
    mean = float(np.mean(known)) if known else None
    deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return Spread(mean, deviation, list(values))
