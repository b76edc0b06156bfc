"""The rows of a table of predictions: what is doubtful about a record, and what several models say of it together.

Shapes: R records, C classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genomix.data.composition import count_kmers
from genomix.data.label_sets import join_names
from genomix.data.predictions import SKIPPED, STATUSES, UNLIKE_TRAINING, PredictionRow
from genomix.data.vocabulary import UNKNOWN
from genomix.metrics.multilabel import THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from genomix.scoring.records import Scorable
    from genomix.scoring.scorer import Scorer

N_RICH = 0.2
TOO_SHORT = 0.5
BETWEEN_NOTES = "; "


def describe(scorer: Scorer, record: Scorable) -> PredictionRow:
    """Return the row of a record without its probabilities; its note has a part for each status but `ok`."""
    length = len(record.tokens)
    if record.problem is not None:
        return PredictionRow(record.id, length, None, (SKIPPED,), record.problem)
    found: dict[str, str] = {}
    if scorer.is_cut(length):
        found["cut"] = f"only the middle {scorer.model.max_length} of {length} bp were read"
    unknown = np.count_nonzero(record.tokens >= UNKNOWN) / length
    if unknown > N_RICH:
        found["n_rich"] = f"{unknown:.0%} of the bases are unknown"
    shortest = scorer.model.meta.train_lengths.min
    if length < TOO_SHORT * shortest:
        found["too_short"] = f"{length} bp, while the shortest record trained on had {shortest}"
    if scorer.model.reference is not None:
        distance = scorer.model.reference.distance(count_kmers(record.tokens))
        if distance is not None and distance.value > distance.limit:
            found[UNLIKE_TRAINING] = (
                f"its composition lies {distance.value:.2f} from the training records, beyond {distance.limit:.2f}"
            )
    return PredictionRow(record.id, length, None, tuple(found) or ("ok",), BETWEEN_NOTES.join(found.values()))


def combine(rows: Sequence[PredictionRow]) -> PredictionRow:
    """Return the row of a record from those of several models: mean and standard deviation of their probabilities.

    The deviation is that of these models, divided by their number. The row has every status that a model gave, but
    `unlike_training` only if all did: what one model learnt from may be what another knows.
    """
    first = rows[0]
    if first.probabilities is None:
        return first
    found = [dict(zip(row.statuses, row.note.split(BETWEEN_NOTES), strict=True)) for row in rows]
    notes: dict[str, str] = {}
    for status in STATUSES:
        given = [remarks[status] for remarks in found if status in remarks]
        if given and status != "ok" and (status != UNLIKE_TRAINING or len(given) == len(rows)):
            notes[status] = given[0]
    probabilities = stack_probabilities(rows)
    return first._replace(
        probabilities=probabilities.mean(axis=0),
        deviations=probabilities.std(axis=0),
        statuses=tuple(notes) or ("ok",),
        note=BETWEEN_NOTES.join(notes.values()),
    )


def stack_probabilities(rows: Iterable[PredictionRow]) -> np.ndarray:
    """Return the probabilities (R, C) of rows none of which is skipped."""
    return np.stack([np.asarray(row.probabilities) for row in rows])


def name_labels(row: PredictionRow, classes: Sequence[str]) -> PredictionRow:
    """Return a row with the labels that are more likely than not, where a record may have several or none.

    Its confidence is that of its least certain decision: of each label, whether it is there or not.
    """
    if row.probabilities is None:
        return row
    probabilities = np.asarray(row.probabilities)
    names = [name for name, probability in zip(classes, probabilities, strict=True) if probability >= THRESHOLD]
    return row._replace(label=join_names(names), confidence=float(np.maximum(probabilities, 1 - probabilities).min()))
