"""Where a study is kept: a journal to which several processes add, on one machine or on a shared file system."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from genomix.errors import CannotWriteError, DataError

JOURNAL, LOCK = "journal.log", "deciding"
NAME = "genomix"
RUNGS = 20
"""Marks of equal distance along a training, at which trials are compared."""
WARM_UP_RUNGS = 4
FULL_TRIALS = 5
"""Trials that are complete before any is pruned."""
RANDOM_TRIALS = 10
LOCK_S = 120
"""After so long a lock that nobody has touched is that of a dead process."""


def open_study(directory: Path, *, maximize: bool) -> optuna.Study:
    """Open the study in a directory, or begin one there.

    The lock of the journal is a file made with O_EXCL, which NFS, from version 3 on, makes for one process only.

    Raises:
        DataError: If the journal is damaged.
        CannotWriteError: If it cannot be written.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = directory / JOURNAL
    with telling_trouble(directory):
        lock = JournalFileOpenLock(str(path))
        lock.acquire()
        try:
            _mend(path)
        finally:
            lock.release()
        return optuna.create_study(
            storage=_open_journal(path, lock),
            study_name=NAME,
            direction="maximize" if maximize else "minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FULL_TRIALS, n_warmup_steps=WARM_UP_RUNGS),
            load_if_exists=True,
        )


def make_sampler(seed: int, number: int) -> optuna.samplers.TPESampler:
    """Return what proposes the values of a trial: a tree of Parzen estimators (Bergstra et al. 2011, NeurIPS).

    It draws from the seed and the number of the trial alone, so that a study that goes on draws what it would have
    drawn, and processes side by side do not draw the same.
    """
    [state] = np.random.SeedSequence((seed, number)).generate_state(1)
    return optuna.samplers.TPESampler(seed=int(state), n_startup_trials=RANDOM_TRIALS)


def write_seconds(directory: Path, number: int, seconds: float) -> None:
    """Write down what a trial of another process took; of one that has ended by now nothing is changed."""
    path = directory / JOURNAL
    journal = _open_journal(path, JournalFileOpenLock(str(path)))
    trial = journal.get_trial_id_from_study_id_trial_number(journal.get_study_id_from_name(NAME), number)
    with contextlib.suppress(UpdateFinishedTrialError):
        journal.set_trial_user_attr(trial, "seconds", seconds)


@contextlib.contextmanager
def deciding(directory: Path) -> Generator[None]:
    """Let one process at a time decide what comes next in a study.

    Raises:
        CannotWriteError: If the directory cannot be written.
    """
    lock = JournalFileOpenLock(str(directory / LOCK), grace_period=LOCK_S)
    with telling_trouble(directory):
        lock.acquire()
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):  # somebody has taken it away as that of a dead process
            lock.release()


@contextlib.contextmanager
def telling_trouble(directory: Path) -> Generator[None]:
    """Turn what goes wrong with the journal of a study in the block into a message.

    Raises:
        DataError: If it is damaged.
        CannotWriteError: If it cannot be written.
    """
    path = directory / JOURNAL
    try:
        yield
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error}); move the study away, and begin it anew") from error
    except OSError as error:
        raise CannotWriteError(
            f"{path}: cannot write ({error.strerror or error}); free some space or mend the directory, then go on "
            f"with --resume {directory}"
        ) from error


def _open_journal(path: Path, lock: JournalFileOpenLock) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _mend(path: Path) -> None:
    """Take away a last line that was not written to its end: what is added behind it would be part of it."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
