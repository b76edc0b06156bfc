"""How similar the held-out records are to what a model learns from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genomix.data.labelled import LabelledRecords
from genomix.data.splits.clusters import sketch_all
from genomix.data.splits.parts import Splits


def measure_nearness(records: LabelledRecords, divisions: Sequence[Splits]) -> np.ndarray:
    """Return the similarity of each held-out record to the most similar training record (Q,), from 0 to 1.

    Held out are the test records, or those of val where there is no test. Of several divisions (folds), one follows the
    other.
    """
    from genomix.data.similarity import nearest

    sketches = sketch_all(records)
    held_out = [splits.test if len(splits.test) else splits.val for splits in divisions]
    found = [
        nearest(sketches.take(rows), sketches.take(splits.train)).similarity
        for rows, splits in zip(held_out, divisions, strict=True)
    ]
    return np.concatenate(found)
