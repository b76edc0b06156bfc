"""What is explained: one number a record, how much the model holds for a class.

C classes, B batch, N positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import log_softmax
from torch import Tensor

from genomix.checkpoint import Model
from genomix.config.explaining import nearest
from genomix.data.dataset import collate
from genomix.errors import UsageError
from genomix.nn.build import padded_length

LISTED = 20
"""Classes that are named in a message."""


@dataclass(frozen=True)
class Score:
    """A weighted sum of the logits, before any calibration.

    Where a record has one class, that is the logit of the class less the mean of those of the others, or less that of
    one other: the softmax does not change where a number is added to all logits, and neither does this. Of two classes
    it is the logarithm of their odds. Where a record may have several labels, it is the logit of the label, the
    logarithm of the odds that the record has it.

    Attributes:
        label: The class.
        weights: Of the logits (C,) float64.
        formula: In words.
    """

    label: str
    weights: np.ndarray
    formula: str

    def of(self, logits: Tensor) -> Tensor:
        """Return the score (B,) of logits (B, C)."""
        return logits @ torch.from_numpy(self.weights).to(logits)


def make_score(model: Model, label: str, against: str | None = None) -> Score:
    """Return the score of a class.

    Args:
        model: The model.
        label: The class.
        against: The class it is held against; all others where it is None.

    Raises:
        UsageError: If the model has no such class, or a class is held against itself.
    """
    place = find_class(model.classes, label, "--class")
    weights = np.zeros(len(model.classes))
    if against is not None:
        other = find_class(model.classes, against, "--against")
        if model.is_multi_label:
            raise UsageError(f"--against {against}: a record may have both labels; leave --against out")
        if other == place:
            raise UsageError(f"--against {against}: is the class that is explained; name another one")
        weights[other] = -1
        formula = f"logit of {label} - logit of {against}"
    elif model.is_multi_label:
        formula = f"logit of {label}"
    else:
        weights[:] = -1 / (len(weights) - 1)
        formula = f"logit of {label} - mean logit of the other classes"
        if len(weights) == 2:
            formula = f"logit of {label} - logit of {model.classes[1 - place]}"
    weights[place] = 1
    return Score(label, weights, formula)


def find_class(classes: Sequence[str], name: str, option: str) -> int:
    """Return the place of a class.

    Raises:
        UsageError: If there is none of this name.
    """
    if name not in classes:
        known = ", ".join(classes[:LISTED]) + ", ..." * (len(classes) > LISTED)
        raise UsageError(f"{option} {name}: the model has no such class{nearest(name, classes)}; it has {known}")
    return list(classes).index(name)


@torch.inference_mode()
def logits(
    model: Model, records: Sequence[np.ndarray], device: str, batch_bases: int, *, alone: bool = False
) -> np.ndarray:
    """Return the logits (R, C) float64 of records, tokens (N,), computed in batches; one at least at once.

    Of a network beside which k-mers speak, they are the weighted sum of the scores of both, as in predictions; or with
    `alone` what the network says.
    """
    found: list[np.ndarray] = []
    batch: list[np.ndarray] = []
    for number, tokens in enumerate(records, 1):
        batch.append(tokens)
        longest = padded_length(model.config.model) or max(len(tokens), len(batch[0]))
        if number == len(records) or (len(batch) + 1) * longest > batch_bases:
            inputs, lengths = collate(batch)
            found.append(model.classifier(inputs.to(device), lengths.to(device)).double().cpu().numpy())
            batch = []
    network = np.concatenate(found)
    composition = model.composition
    if composition is None or alone:
        return network
    multi_label = model.is_multi_label
    kmers = [
        composition.score(torch.from_numpy(np.array(tokens)), multi_label=multi_label).numpy() for tokens in records
    ]
    scores = network if multi_label else log_softmax(network, axis=1)
    return composition.network * scores + composition.kmers * np.stack(kmers)
