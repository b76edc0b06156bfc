"""Finds the models a user names and makes scorers of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from genomix.checkpoint import CALIBRATION, Model, find_members, load_calibration, load_model
from genomix.errors import DataError, UsageError
from genomix.scoring.ensemble import AnyScorer, Ensemble
from genomix.scoring.scorer import DEFAULT_BATCH_BASES, Scorer


def load_scorer(
    paths: str | Path | Sequence[str | Path],
    *,
    device: str = "cpu",
    long: str | None = None,
    strands: str | None = None,
    stride: int | None = None,
    batch_bases: int | None = None,
    calibrated: bool = True,
) -> AnyScorer:
    """Load a model, or several, each applied as its own configuration says, where nothing else is asked for.

    Args:
        paths: A run directory, a model's folder or the weights in one; a directory of several runs; or several such.
        device: Where to compute.
        long: See `Scorer`.
        strands: See `Scorer`.
        stride: See `Scorer`.
        batch_bases: See `Scorer`.
        calibrated: See `Scorer`.

    Raises:
        NoInputError, DataError: If a model is missing or damaged.
        UsageError: If model and options do not go together, or the models have different classes.
    """
    named = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    folders = [folder for path in named for folder in find_members(path) or [path]]
    scorers = [
        make_scorer(
            load_model(folder, device=device),
            device=device,
            long=long,
            strands=strands,
            stride=stride,
            batch_bases=batch_bases,
            calibrated=calibrated,
        )
        for folder in folders
    ]
    directories = Counter(scorer.model.path.resolve() for scorer in scorers)
    if twice := [str(directory) for directory, count in directories.items() if count > 1]:
        raise UsageError(f"{', '.join(twice)}: named twice; name each model once")
    if folders == named and len(named) == 1:
        return scorers[0]
    calibration = load_calibration(named[0]) if len(named) == 1 and calibrated else None
    if calibration is not None and calibration.temperature != 1:
        raise DataError(
            f"{named[0] / CALIBRATION}: is that of a single model, not of several; restore it or train again"
        )
    return Ensemble(scorers, calibration)


def make_scorer(
    model: Model,
    *,
    device: str = "cpu",
    long: str | None = None,
    strands: str | None = None,
    stride: int | None = None,
    batch_bases: int | None = None,
    calibrated: bool = True,
) -> Scorer:
    """Return a scorer that does what the model's configuration says where nothing else is asked for."""
    own = model.config.prediction
    return Scorer(
        model,
        long=long or own.long,
        strands=strands or own.strands,
        stride=own.stride if stride is None else stride,
        batch_bases=_first_stated(batch_bases, own.batch_bases, DEFAULT_BATCH_BASES),
        device=device,
        calibrated=calibrated,
    )


def _first_stated(*values: int | None) -> int:
    return next(value for value in values if value is not None)
