"""What trials have taken of the time of a study."""

from __future__ import annotations

import time
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from genomix import checkpoint
from genomix.tune.alive import last_sign


def seconds_of(trial: FrozenTrial) -> float:
    """Return what a trial took, or has taken so far."""
    if "seconds" in trial.user_attrs:
        return trial.user_attrs["seconds"]
    if trial.state != TrialState.RUNNING or trial.datetime_start is None:
        return 0.0
    return max(0.0, time.time() - trial.datetime_start.timestamp())


def seconds_until_gone(trial: FrozenTrial, folder: Path) -> float:
    """Return what a trial whose process is gone took, as far as that is known: to the last sign of it in its folder."""
    end = last_sign(folder, checkpoint.LOG)
    if end is None or trial.datetime_start is None:
        return 0.0
    return round(max(0.0, end - trial.datetime_start.timestamp()), 1)
