"""The parts that records are divided into."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

SPLIT_NAMES = ("train", "val", "test")


def no_rows() -> np.ndarray:
    """Return an empty array of row numbers."""
    return np.empty(0, dtype=np.int64)


@dataclass
class Splits:
    """Row numbers (0 to R - 1, int64, rising) of each part; every record is in exactly one, or in `unused`.

    Attributes:
        train: Records to learn from.
        val: Records to choose the best epoch by.
        test: Records for the final measure; may be empty.
        notes: What was chosen or could not be kept.
        groups: For each record what it was kept together with (R,), or None where records were not kept together.
        kind: What the records were divided by: `given`, `random`, `group`, `sequence` or `similarity`; or unknown, "".
        fold: The name of the fold that is the test; "" where there are no folds.
        unused: Records in no part: those of a given test split, held out of all folds; validation records that training
            leaves out, as they are copies of training records; what a given split calls unused.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    notes: list[str] = field(default_factory=list)
    groups: list[str] | None = None
    kind: str = ""
    fold: str = ""
    unused: np.ndarray = field(default_factory=no_rows)

    @property
    def num_records(self) -> int:
        """R, with those in no part."""
        return sum(map(len, (self.train, self.val, self.test, self.unused)))

    def names(self) -> list[str]:
        """Return the name of each record's part (R,), "" for a record in none."""
        parts = np.empty(self.num_records, dtype=np.int64)
        for part, rows in enumerate((self.train, self.val, self.test, self.unused)):
            parts[rows] = part
        return [(*SPLIT_NAMES, "")[part] for part in parts]
