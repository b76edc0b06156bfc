"""Finds the models a user names and makes scorers of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from genomix.checkpoint import CALIBRATION, META, Model, find_members, load_calibration, load_meta, load_model
from genomix.errors import DataError, NoInputError, UsageError
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
        calibrated: See `Scorer`; without it the calibration is not even read.

    Raises:
        NoInputError, DataError: If a model, or one of several that belong together, is missing or damaged.
        UsageError: If model and options do not go together, or the models have different classes.
    """
    named = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    folders = [folder for path in named for folder in _members(path) or [path]]
    scorers = [
        make_scorer(
            load_model(folder, device=device, calibrated=calibrated),
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
            f"{named[0] / CALIBRATION}: is that of a single model, not of several; restore it, train again, or do "
            "without it (--no-calibration)"
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
        strands=strands or own.strands or "both",
        stride=own.stride if stride is None else stride,
        batch_bases=_first_stated(batch_bases, own.batch_bases, DEFAULT_BATCH_BASES),
        device=device,
        calibrated=calibrated,
    )


def _members(path: Path) -> list[Path]:
    """Return the runs in a directory of several; none in any other.

    Raises:
        NoInputError: If one is missing that its meta data name: the calibration is that of all.
        DataError: If its meta data are damaged.
    """
    members = find_members(path)
    if members and (path / META).is_file():
        load_meta(path)
    missing = [str(member) for member in members if not member.is_dir()]
    if missing:
        are, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        otherwise = ", or name the runs singly" * (len(missing) < len(members))
        raise NoInputError(f"{', '.join(missing)} {are} missing of {len(members)}; copy {them} again{otherwise}")
    return members


def _first_stated(*values: int | None) -> int:
    return next(value for value in values if value is not None)
