"""One trial: a training with proposed values, judged on the validation records, ended early where it lags behind."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from genomix import checkpoint
from genomix.checkpoint import Model
from genomix.config import Config, to_yaml
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits
from genomix.files import new_directory, write_text
from genomix.metrics import HIGHER_IS_BETTER, score
from genomix.scoring import make_scorer
from genomix.stopping import Stopping
from genomix.train.history import Epoch
from genomix.train.memory import telling_out_of_memory
from genomix.train.record import LogFile
from genomix.train.run import Training
from genomix.tune.alive import ALIVE
from genomix.tune.storage import RUNGS, telling_trouble
from genomix.tune.values import with_values

LOG = logging.getLogger("genomix")
PROBABILITIES = "validation.npy"
"""What the model of a trial says of the validation records (R, C), float32."""
ONCE_S = 1e9
"""Between checkpoints: a trial that is stopped is begun anew."""


@dataclass
class TrialRun:
    """Trains the model of a trial, and reports to the study as it goes.

    Attributes:
        trial: To report to.
        config: As asked for.
        values: What the trial has instead, by dotted keys.
        records: Those of train and val alone.
        splits: Their division, with an empty test part.
        path: Where its log and its history go.
        device, threads: Where and with how many it runs.
        stop: Says when to stop.
        keep: Whether to keep the weights.
        best: The best value of the metric so far; None before any.
        epochs: That were trained.
    """

    trial: optuna.Trial
    config: Config
    values: Mapping[str, Any]
    records: LabelledRecords
    splits: Splits
    path: Path
    device: str
    threads: int
    stop: Stopping = field(default_factory=Stopping)
    keep: bool = False
    best: float | None = field(default=None, init=False)
    epochs: int = field(default=0, init=False)
    _rung: int = field(default=0, init=False)
    _began: float = field(default_factory=time.monotonic, init=False)

    def run(self) -> float:
        """Train to the end and return the metric on the validation records.

        Raises:
            optuna.TrialPruned: If others were further at the same time.
            UsageError: If the memory does not suffice, the loss is not finite, or the values do not fit together.
            PreemptedError, KeyboardInterrupt: If it was asked to stop.
            CannotWriteError: If its files cannot be written.
        """
        new_directory(self.path, force=True)
        try:
            with _log_only_to(self.path / checkpoint.LOG), telling_out_of_memory(self.device):
                return self._train()
        finally:
            checkpoint.end(self.path)
            if not self.keep:
                (self.path / checkpoint.WEIGHTS).unlink(missing_ok=True)

    def _train(self) -> float:
        training = Training(
            config=with_values(self.config, self.values),
            records=self.records,
            path=self.path,
            device=self.device,
            threads=self.threads,
            splits=self.splits,
            stop=self.stop,
            checkpoint_every_s=ONCE_S,
        )
        config, said = training.resolve(self.splits)
        for sentence in said:
            LOG.info("decided %s", sentence)
        write_text(self.path / checkpoint.CONFIG, to_yaml(config))
        training.on_epoch = lambda epoch: self._report(epoch, config)
        model = training.fit(config, self.splits)
        self.best = self._judge(model)
        self._climb(RUNGS)
        return self.best

    def _judge(self, model: Model) -> float:
        """Return the metric on the validation records, and keep what the model says of them."""
        rows = self.records.indices[self.splits.val]
        scorer = make_scorer(model, device=self.device, strands="forward")
        probabilities = np.stack(list(scorer.score(self.records.store.tokens(int(row)) for row in rows)))
        np.save(self.path / PROBABILITIES, probabilities.astype(np.float32))
        return score(self.config.training.metric, self.records.truth[self.splits.val], probabilities)

    def _report(self, epoch: Epoch, config: Config) -> None:
        """Report how far the trial is, if it was validated.

        Raises:
            optuna.TrialPruned: If others were further at the same time.
        """
        self.epochs = epoch.epoch
        metric = config.training.metric
        if metric not in epoch.validation:
            return
        value = epoch.validation[metric]
        better = max if HIGHER_IS_BETTER[metric] else min
        self.best = value if self.best is None else better(self.best, value)
        share = epoch.epoch / (config.training.max_epochs or 1)
        if config.training.budget_s is not None:
            share = max(share, epoch.seconds / config.training.budget_s)
        self._climb(min(RUNGS, math.floor(share * RUNGS + 1e-9)))
        if self._rung and self.trial.should_prune():
            LOG.info("pruned: others were further at %d/%d of their training", self._rung, RUNGS)
            raise optuna.TrialPruned

    def _climb(self, rung: int) -> None:
        """Report the best value at each mark up to this one, so that trials have the same marks whatever their pace."""
        for mark in range(self._rung + 1, rung + 1):
            with telling_trouble(self.path.parent.parent):
                self.trial.report(self.best if self.best is not None else math.nan, mark)
        self._rung = max(self._rung, rung)

    @property
    def seconds(self) -> float:
        """Since the trial began."""
        return time.monotonic() - self._began


def clear_trial(folder: Path) -> None:
    """Remove what a trial left in its folder, and the folder if nothing else is in it.

    One that holds neither the log, with which a trial begins, nor a claim is no trial's, and stays as it is.
    """
    marks = [folder / name for name in (ALIVE, checkpoint.LOG)]
    if any(folder.iterdir()) and not any(mark.is_file() for mark in marks):
        return
    checkpoint.clear(folder)
    for name in (ALIVE, PROBABILITIES):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def _log_only_to(path: Path) -> Generator[None]:
    """Send what is logged inside the block to a file and nowhere else."""
    handlers, LOG.handlers = LOG.handlers, []
    propagate, LOG.propagate = LOG.propagate, False
    level = LOG.level
    LOG.setLevel(logging.INFO)
    try:
        with LogFile(path):
            yield
    finally:
        LOG.handlers, LOG.propagate = handlers, propagate
        LOG.setLevel(level)
