"""A study: one trial after the other, by any number of processes; what chooses sees no test record."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from genomix.config import Config
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits
from genomix.errors import PreemptedError, UsageError
from genomix.metrics import HIGHER_IS_BETTER
from genomix.runtime import is_out_of_memory
from genomix.stopping import Stopping
from genomix.tune.alive import beating, claim, is_deserted
from genomix.tune.searched import Space, contains, encode
from genomix.tune.space import Choices
from genomix.tune.spent import seconds_of, seconds_until_gone
from genomix.tune.storage import deciding, make_sampler, open_study, telling_trouble, write_seconds
from genomix.tune.trial import TrialRun

LOG = logging.getLogger("genomix")
TRIALS = "trials"
DEFAULT, ATTEMPT, REASON, INTERRUPTED = "default", "attempt", "reason", "interrupted"
"""What is written down of a trial: that it has the preset's own values, and how it went."""
MOST_ATTEMPTS = 3
"""After so many processes have ended without a word in a trial with the same values, it counts as failed."""


@dataclass
class Study:
    """Proposes values, trains with them, and writes down what came of it.

    Attributes:
        config: What trials start from, as it was asked for.
        own: What that comes to at the keys that are searched.
        space: What is searched.
        records: Those of train and val alone.
        splits: Their division, with an empty test part.
        path: The directory of the study.
        trials: How many in all; None for no limit.
        budget_s: Seconds that all trials together may take; None for no limit.
        device, threads: Where and with how many this process runs.
        stop: Says when to stop.
        keep: Whether to keep the weights of trials.
        on_trial: Called after each trial of this process.
    """

    config: Config
    own: Mapping[str, Any]
    space: Space
    records: LabelledRecords
    splits: Splits
    path: Path
    trials: int | None
    budget_s: float | None = None
    device: str = "cpu"
    threads: int = 1
    stop: Stopping = field(default_factory=Stopping)
    keep: bool = False
    on_trial: Callable[[Study], None] = lambda _: None

    def __post_init__(self) -> None:
        """Open the journal, and let the preset's own values be first."""
        self.metric = self.config.training.metric
        self.optuna = open_study(self.path, maximize=HIGHER_IS_BETTER[self.metric])
        self._inside = {key: value for key, value in self.own.items() if contains(self.space[key], value)}
        with deciding(self.path):
            if not self.found:
                values = {key: encode(value) for key, value in self._inside.items()}
                with telling_trouble(self.path):
                    self.optuna.enqueue_trial(values, user_attrs={DEFAULT: True, ATTEMPT: 1})

    @property
    def found(self) -> list[FrozenTrial]:
        """All trials so far, of all processes."""
        with telling_trouble(self.path):
            return self.optuna.get_trials(deepcopy=False)

    @property
    def counted(self) -> list[FrozenTrial]:
        """Those that count: not what was interrupted, which is begun anew, and not what has not begun."""
        return [trial for trial in self.found if trial.state != TrialState.WAITING and not is_interrupted(trial)]

    def run(self) -> None:
        """Make trials until there are enough, or the time is up.

        Raises:
            PreemptedError, KeyboardInterrupt: If it was asked to stop; the trial at work will be begun anew.
            DataError, CannotWriteError: If the journal is damaged, or something cannot be written.
        """
        with self.stop.deferred():
            while True:
                self.stop.check("between two trials")
                proposed = self._propose()
                if proposed is None:
                    return
                self._try(*proposed)
                self.on_trial(self)

    def _propose(self) -> tuple[optuna.Trial, dict[str, Any]] | None:
        """Begin a trial, and return it with its values; None if there are enough."""
        with deciding(self.path):
            self._take_up()
            if not self._wants_more():
                return None
            with telling_trouble(self.path):
                self.optuna.sampler = make_sampler(self.config.training.seed, len(self.found))
                trial = self.optuna.ask()
                claim(self.folder(trial.number))
                is_default = trial.user_attrs.get(DEFAULT, False)
                values = self._suggest(trial, self._inside if is_default else self.space)
        return trial, {} if is_default else values

    def _suggest(self, trial: optuna.Trial, keys: Iterable[str]) -> dict[str, Any]:
        values = dict[str, Any]()
        for key in keys:
            one = self.space[key]
            if isinstance(one, Choices):
                named = {encode(value): value for value in one.values}
                values[key] = named[trial.suggest_categorical(key, list(named))]
            elif one.is_whole:
                step = 1 if one.step is None else int(one.step)
                values[key] = trial.suggest_int(key, int(one.low), int(one.high), step=step, log=one.log)
            else:
                values[key] = trial.suggest_float(key, one.low, one.high, step=one.step, log=one.log)
        return values

    def _try(self, trial: optuna.Trial, values: dict[str, Any]) -> None:
        folder = self.folder(trial.number)
        run = TrialRun(
            trial=trial,
            config=self.config,
            values=values,
            records=self.records,
            splits=self.splits,
            path=folder,
            device=self.device,
            threads=self.threads,
            stop=self.stop,
            keep=self.keep,
        )
        LOG.info("trial %d begins", trial.number)
        with beating(folder):
            try:
                self._tell(run, *self._outcome(run))
            except (PreemptedError, KeyboardInterrupt) as error:
                with deciding(self.path), contextlib.suppress(UpdateFinishedTrialError):
                    trial.set_user_attr(INTERRUPTED, True)
                    self._tell(run, TrialState.FAIL, None, str(error) or "interrupted")
                    self._enqueue_again(self.found[trial.number], attempt=1)
                raise
            except UpdateFinishedTrialError:
                LOG.warning("trial %d: another process took this one for dead, and has begun it anew", trial.number)

    def _outcome(self, run: TrialRun) -> tuple[TrialState, float | None, str]:
        """Train, and return how that ended, with the metric if it did so well, and the reason if it did not."""
        try:
            return TrialState.COMPLETE, run.run(), ""
        except optuna.TrialPruned:
            return TrialState.PRUNED, None, ""
        except UsageError as error:
            reason = " ".join(str(error).split())
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            reason = f"out of memory on {self.device}"
        # only here is what the failed training held free
        gc.collect()
        if self.device == "cuda":
            import torch

            torch.cuda.empty_cache()
        return TrialState.FAIL, None, reason

    def _tell(self, run: TrialRun, state: TrialState, value: float | None, reason: str) -> None:
        trial = run.trial
        with telling_trouble(self.path):
            for name, fact in (("seconds", round(run.seconds, 1)), ("epochs", run.epochs), ("best", run.best)):
                trial.set_user_attr(name, fact)
            if reason:
                trial.set_user_attr(REASON, reason)
            self.optuna.tell(trial, value, state=state)
        end = f", {self.metric} {run.best:.4f}" if run.best is not None and state != TrialState.FAIL else ""
        word = "interrupted" if trial.user_attrs.get(INTERRUPTED) else describe(state)
        LOG.info(
            "trial %d: %s%s, %.0f s%s",
            *(trial.number, word, end, run.seconds, f": {reason}" if reason else ""),
        )

    def _take_up(self) -> None:
        """Give up trials whose process is gone, and put their values back into the queue."""
        for trial in self.found:
            folder = self.folder(trial.number)
            if trial.state == TrialState.RUNNING and is_deserted(folder):
                attempt = trial.user_attrs.get(ATTEMPT, 1)
                with telling_trouble(self.path):
                    write_seconds(self.path, trial.number, seconds_until_gone(trial, folder))
                    self.optuna.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
                LOG.warning("trial %d: its process is gone", trial.number)
                if attempt < MOST_ATTEMPTS:
                    self._enqueue_again(trial, attempt + 1)

    def _enqueue_again(self, trial: FrozenTrial, attempt: int) -> None:
        attributes = {"again": trial.number, ATTEMPT: attempt}
        if trial.user_attrs.get(DEFAULT):
            attributes[DEFAULT] = True
        with telling_trouble(self.path):
            self.optuna.enqueue_trial(trial.params, user_attrs=attributes)

    def _wants_more(self) -> bool:
        counted = self.counted
        if self.trials is not None and len(counted) >= self.trials:
            return False
        return self.budget_s is None or sum(map(seconds_of, self.found)) < self.budget_s

    def folder(self, number: int) -> Path:
        """Return where the log of a trial is."""
        return self.path / TRIALS / str(number)


def is_interrupted(trial: FrozenTrial) -> bool:
    """Say whether a trial was stopped from outside, and so is begun anew."""
    attributes = trial.user_attrs
    died = REASON not in attributes and attributes.get(ATTEMPT, 1) < MOST_ATTEMPTS
    return trial.state == TrialState.FAIL and (attributes.get(INTERRUPTED, False) or died)


def describe(state: TrialState) -> str:
    """Return a state of a trial in a word."""
    return {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}.get(state.name, state.name.lower())
