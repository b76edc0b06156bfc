"""Predictions beside the right labels. Shapes: H held-out records, C classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genomix import checkpoint
from genomix.data.checks import HeldOut
from genomix.errors import DataError
from genomix.report.files import RunFiles


@dataclass(frozen=True)
class Scored:
    """Held-out records with a prediction and a right label.

    Attributes:
        ids: Of the records (H,).
        classes: The C labels.
        targets: Int64 (H,), the right classes.
        probabilities: Float64 (H, C); rows sum to 1.
        predicted: Int64 (H,), the most probable classes.
        lengths: Int64 (H,), in bp; -1 where unknown.
        held_out: What is known of the records but their predictions; None where nothing is.
        places: Int64 (H,), the row of each in `held_out`; -1 where it is not there.
        num_left_out: Predictions without a right label, and records that were skipped.
    """

    ids: list[str]
    classes: list[str]
    targets: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray
    lengths: np.ndarray
    held_out: HeldOut | None
    places: np.ndarray
    num_left_out: int

    @cached_property
    def is_right(self) -> np.ndarray:
        """Bool (H,)."""
        return self.predicted == self.targets

    @cached_property
    def confidence(self) -> np.ndarray:
        """Probability of the predicted class (H,)."""
        return self.probabilities[np.arange(len(self.ids)), self.predicted]

    def known(self, name: str) -> np.ndarray:
        """Return a column of numbers of `held_out` (H,); NaN where it is unknown."""
        values = np.full(len(self.ids), np.nan)
        if self.held_out is not None:
            found = self.places >= 0
            values[found] = getattr(self.held_out, name)[self.places[found]]
        return values


def join(files: RunFiles) -> Scored | None:
    """Set the predictions of a run beside the right labels; None where either is missing.

    Raises:
        DataError: If a label is not among the classes of the predictions.
    """
    table, labelled = files.predictions, files.labelled
    if table is None or labelled is None:
        return None
    label_of = dict(zip(labelled.ids, labelled.labels, strict=True))
    kept = [row for row, name in enumerate(table.ids) if name in label_of and not table.is_skipped[row]]
    if not kept:
        return None
    index = {label: number for number, label in enumerate(table.classes)}
    ids = [table.ids[row] for row in kept]
    unknown = next((name for name in ids if label_of[name] not in index), None)
    if unknown is not None:
        raise DataError(
            f'{files.directory / checkpoint.SPLITS}: record "{unknown}" has the label {label_of[unknown]!r}, which is '
            f"no class of {checkpoint.PREDICTIONS} beside it; they are of different runs"
        )
    places = {} if files.held_out is None else {name: row for row, name in enumerate(files.held_out.ids)}
    probabilities = table.probabilities[kept]
    stated = [table.labels[row] for row in kept]
    return Scored(
        ids=ids,
        classes=table.classes,
        targets=np.array([index[label_of[name]] for name in ids]),
        probabilities=probabilities,
        predicted=np.array(
            [index.get(label or "", best) for label, best in zip(stated, probabilities.argmax(1), strict=True)]
        ),
        lengths=table.lengths[kept],
        held_out=files.held_out,
        places=np.array([places.get(name, -1) for name in ids]),
        num_left_out=len(table.ids) - len(kept),
    )
