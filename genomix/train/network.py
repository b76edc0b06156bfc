"""A network learns from its training records, with checkpoints, in one process or several."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np
from torch import nn

from genomix import checkpoint
from genomix.checkpoint import Model
from genomix.config import to_yaml
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits
from genomix.distributed import Ranks
from genomix.errors import TrainingFailedError
from genomix.files import write_text
from genomix.scoring import make_scorer
from genomix.stopping import Stopping
from genomix.train.checkpoints import CONFIGURATION, EVERY_S, Checkpoints
from genomix.train.division import make_training_set
from genomix.train.fit import Fit
from genomix.train.history import Epoch, Step, describe, describe_end, to_csv

LOG = logging.getLogger("genomix")


@dataclass
class NetworkTraining:
    """Trains the network of a model, and writes the best weights, the history and checkpoints as it goes.

    Attributes:
        model: Whose network it is, with a resolved configuration.
        records: All labelled records.
        splits: Their division.
        device: Where the network is.
        on_step: Called after each optimiser step.
        on_epoch: Called after each epoch, in the process that writes.
        stop: Says when to stop.
        ranks: The processes that train together; the first of them writes.
        checkpoint_every_s: Seconds between checkpoints, at least.
        resume: Go on from the checkpoint in the run directory, if there is one.
    """

    model: Model
    records: LabelledRecords
    splits: Splits
    device: str
    on_step: Callable[[Step], None] = lambda _: None
    on_epoch: Callable[[Epoch], None] = lambda _: None
    stop: Stopping = field(default_factory=Stopping)
    ranks: Ranks = field(default_factory=Ranks)
    checkpoint_every_s: float = EVERY_S
    resume: bool = False
    _where: Callable[[], str] = field(default=lambda: "", init=False)

    def run(self) -> list[Epoch]:
        """Train to the end and return the history.

        Raises:
            UsageError, PreemptedError, KeyboardInterrupt, RankLostError: As `Fit.run`.
            DataError: If the checkpoint is damaged or belongs to another training.
            CannotWriteError: If a checkpoint cannot be written.
        """
        model, config = self.model, self.model.config
        checkpoints = Checkpoints(model.path, self.checkpoint_every_s, self._fingerprint())
        fit = Fit(
            classifier=model.classifier,
            training_set=make_training_set(self.records, self.splits, config, self.ranks.size),
            config=config.training,
            device=self.device,
            validate=self._validate,
            val_targets=self.records.truth[self.splits.val],
            num_classes=len(self.records.classes),
            on_step=self.on_step if self.ranks.is_first else lambda _: None,
            stop=self.stop,
            ranks=self.ranks,
        )
        if self.ranks.is_first:
            fit.on_epoch = lambda epoch: self._on_epoch(epoch, fit.history)
            fit.on_best = lambda module: checkpoint.save_model(Model(module, config, model.meta, model.path))
            fit.on_checkpoint = lambda state, must: self._save(checkpoints, state, must=must)
        self._where = lambda: fit.where
        self._check_alike(checkpoints.fingerprint)
        state = self.ranks.share(checkpoints.read() if self.resume and self.ranks.is_first else None)
        if state is not None:
            fit.load(state)
            LOG.info("going on %s", fit.where)
        history = fit.run()
        LOG.info("%s", describe_end(history[-1], config.training))
        last = fit.training_set.crop_length(history[-1].epoch)
        if last < fit.training_set.max_length:
            LOG.warning(
                "training ended with crops of %d bp, not of %d bp as predictions read",
                last,
                fit.training_set.max_length,
            )
        return history

    def _on_epoch(self, epoch: Epoch, history: list[Epoch]) -> None:
        write_text(self.model.path / checkpoint.HISTORY, to_csv([row.row() for row in history]))
        LOG.info("%s", describe(epoch, self.model.config.training.max_epochs or 0))
        self.on_epoch(epoch)

    @staticmethod
    def _save(checkpoints: Checkpoints, state: Callable[[], dict[str, Any]], *, must: bool) -> None:
        if must or checkpoints.is_due:
            checkpoints.write(state())

    def _validate(self, module: nn.Module) -> np.ndarray:
        """Return the probabilities of the validation records (R, C); each process scores some of them."""
        was_training = module.training
        judged = Model(module.eval(), self.model.config, self.model.meta, self.model.path)
        rows = self.records.indices[self.splits.val]
        longest_first = np.argsort(-self.records.lengths[self.splits.val], kind="stable")
        places = np.sort(longest_first[self.ranks.rank :: self.ranks.size])
        scorer = make_scorer(judged, device=self.device, strands="forward")
        scored = list(scorer.score(self._tokens(rows[places])))
        probabilities = np.zeros((len(rows), len(self.records.classes)))
        for its_places, its_scored, asked in self.ranks.gather((places, scored, self.stop.asked)):
            if asked:
                self.stop.ask("a signal to another process")
            elif len(its_places):
                probabilities[its_places] = its_scored
        self.stop.check(f"{self._where()}, while validating")
        module.train(was_training)
        return probabilities

    def _tokens(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the tokens of records, until this process is asked to stop."""
        return (self.records.store.tokens(int(row)) for row in takewhile(lambda _: self.stop.asked is None, rows))

    def _check_alike(self, fingerprint: dict[str, str]) -> None:
        """Raise a UsageError if the processes are about to train different things together."""
        others = self.ranks.gather(fingerprint)
        if different := [name for name, value in fingerprint.items() if any(one[name] != value for one in others)]:
            raise TrainingFailedError(
                f"the processes have not the same {' and '.join(different)}: all of them must see the same files"
            )

    def _fingerprint(self) -> dict[str, str]:
        """Return what a checkpoint must agree with, by name."""
        splits = [self.splits.train, self.splits.val, self.splits.test]
        division = b"".join(np.asarray(part, dtype=np.int64).tobytes() for part in [*splits, self.records.truth])
        names = "\n".join(self.records.classes).encode()
        return {
            "sequences": self.records.store.sha256,
            "labels or splits": hashlib.sha256(division + names).hexdigest(),
            CONFIGURATION: to_yaml(self.model.config),
        }
