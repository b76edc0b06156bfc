"""What the meta data of a model say of its training."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from torch import nn

from genomix.checkpoint import Lengths, Meta, library_versions
from genomix.train.history import Epoch


def make_meta(
    network: nn.Module,
    lengths: np.ndarray,
    *,
    classes: list[str],
    inputs: dict[str, str],
    command: list[str],
    training: dict[str, Any],
    kind: Literal["classifier", "pretrained"] = "classifier",
) -> Meta:
    """Return the meta data that a model begins with.

    Args:
        network: Whose parameters are counted.
        lengths: Of the records it learns from (R,), bp.
        classes: Names, in the order of the logits.
        inputs: sha256 of the inputs by name.
        command: The command line that trains it.
        training: Where it is trained, and from what.
        kind: See `Meta`.
    """
    return Meta(
        kind=kind,
        classes=classes,
        train_lengths=Lengths(min=int(lengths.min()), median=int(np.median(lengths)), max=int(lengths.max())),
        num_parameters=sum(parameter.numel() for parameter in network.parameters()),
        created=_now(),
        versions=library_versions(),
        inputs=inputs,
        command=command,
        training=training,
    )


def end_meta(meta: Meta, history: Sequence[Epoch], seconds: float) -> None:
    """Write down when training ended, how long it took, and which of its epochs was the best."""
    meta.training |= {
        "seconds": round(seconds, 1),
        "epochs": len(history),
        "best_epoch": next((row.epoch for row in reversed(history) if row.best), 0),
    }
    meta.created = _now()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
