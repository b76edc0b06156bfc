"""From labelled records to a study of them: the test records are put aside before anything is chosen."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from genomix import checkpoint
from genomix.config import Config
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits, format_splits, is_table_of
from genomix.errors import DataError, TrainingFailedError, UsageError
from genomix.files import new_directory, write_text
from genomix.stopping import Stopping
from genomix.train.division import check_metric, divide
from genomix.train.run import Training
from genomix.tune.asked import STUDY, Asked, read_asked
from genomix.tune.blind import without_test
from genomix.tune.results import BEST, SUMMARY, TRIALS_TABLE, Results, write_results
from genomix.tune.space_file import parse_space
from genomix.tune.storage import JOURNAL, deciding
from genomix.tune.study import TRIALS, Study
from genomix.tune.trial import clear_trial
from genomix.tune.values import value_at

LOG = logging.getLogger("genomix")
NUMBER = re.compile("0|[1-9][0-9]*")
"""Names of the folders of trials."""


@dataclass
class Tuning:
    """Makes the trials of a study, or goes on with them.

    Attributes:
        asked: The data, the configuration that trials start from, and what is searched.
        records: All labelled records.
        path: The directory of the study.
        device, threads: Where and with how many this process runs.
        stop: Says when to stop.
        resume: Go on with what is in the directory, if there is anything; any number of processes may do so at once.
        force: Replace the study in the directory.
        on_trial: Called with what the study has come to, after each trial of this process.
    """

    asked: Asked
    records: LabelledRecords
    path: Path
    device: str = "cpu"
    threads: int = 1
    stop: Stopping = field(default_factory=Stopping)
    resume: bool = False
    force: bool = False
    on_trial: Callable[[Results], None] = lambda _: None

    def run(self) -> Results:
        """Make trials until there are enough, and write what came of them.

        Raises:
            UsageError: If other settings are asked for than the study was begun with, or no trial came to anything.
            DataError: If the records cannot be divided, are others than before, or the journal is damaged.
            CannotWriteError: If the directory holds something else, or cannot be written.
            PreemptedError, KeyboardInterrupt: If it was asked to stop; the same with `resume` goes on.
        """
        config = self.asked.training.config
        splits = divide(self.records, config)
        seen, division = without_test(self.records, splits)
        check_metric(config, seen, division)
        space = {key: one for key, one in parse_space(self.asked.space, STUDY).items() if one is not None}
        self._begin(splits)
        LOG.info("split: %d train, %d val; %d test records are put aside", *map(len, _parts(splits)))
        own = self._find_own(seen, division)
        if own.training.reverse_complement is not None:
            config = config.model_copy(deep=True)
            config.training.reverse_complement = own.training.reverse_complement
        study = Study(
            config=config,
            own={key: value_at(own, key) for key in space},
            space=space,
            records=seen,
            splits=division,
            path=self.path,
            trials=self.asked.trials,
            budget_s=self.asked.budget_s,
            device=self.device,
            threads=self.threads,
            stop=self.stop,
            keep=self.asked.keep,
            on_trial=lambda study: self.on_trial(write_results(study)),
        )
        study.run()
        results = write_results(study)
        if results.best is None and not results.running:
            raise _no_result(results, self.path)
        return results

    def _begin(self, splits: Splits) -> None:
        """Make the directory and write down what is begun, or check that it is the same."""
        new_directory(self.path, force=self.force or self.resume)
        if self.force:
            clear(self.path)
        ids, labels = self.records.ids, self.records.labels
        with deciding(self.path):
            found = read_asked(self.path)
            if found is not None:
                found.check_same(self.path, self.asked)
                path = self.path / checkpoint.SPLITS
                if path.is_file() and not is_table_of(path.read_text(encoding="utf-8"), ids, labels, splits):
                    raise DataError(
                        f"{path}: not the division that these labels make; begin a study in another directory"
                    )
            write_text(self.path / checkpoint.SPLITS, format_splits(ids, labels, splits))
            self.asked.write(self.path)

    def _find_own(self, records: LabelledRecords, splits: Splits) -> Config:
        """Return what the configuration comes to, with what the data decide."""
        config = self.asked.training.config
        training = Training(config, records, self.path, device=self.device, threads=self.threads)
        try:
            config, _ = training.resolve(splits)
        except UsageError as error:
            LOG.warning("the preset's own settings cannot be trained: %s", error)
        return config


def clear(directory: Path) -> None:
    """Remove what a study left in a directory; what is not its own stays, and all does where no study was begun."""
    if not any((directory / name).is_file() for name in (STUDY, JOURNAL)):
        return
    for folder in list((directory / TRIALS).glob("*")):
        if NUMBER.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            clear_trial(folder)
    for name in (TRIALS_TABLE, BEST, SUMMARY, checkpoint.SPLITS, JOURNAL, STUDY):
        (directory / name).unlink(missing_ok=True)


def _parts(splits: Splits) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return splits.train, splits.val, splits.test


def _no_result(results: Results, path: Path) -> TrainingFailedError:
    reasons = {trial.user_attrs.get("reason", "") for trial in results.trials} - {""}
    first = min(reasons) if reasons else "none was trained to its end"
    return TrainingFailedError(
        f"{path}: none of {len(results.trials)} trials came to a result: {first}; see {path / TRIALS_TABLE}, and "
        "search smaller models or lower learning rates (--space FILE, --set, --max-length)"
    )
