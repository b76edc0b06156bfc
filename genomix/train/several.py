"""Several trainings on the same records: k folds, or an ensemble of seeds, each a run directory of its own.

Shapes: H held-out records, C classes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from genomix import checkpoint
from genomix.config import Config, KmerConfig, model_name, to_yaml
from genomix.data.checks import HeldOut
from genomix.data.splits import Splits, write_folds, write_splits
from genomix.errors import UsageError
from genomix.files import check_new_directory, new_directory, write_text
from genomix.metrics import METRIC_NAMES, Spread, spread_of
from genomix.metrics.calibration import calibrate
from genomix.scoring import fit_calibration, load_scorer
from genomix.train.begun import end_training
from genomix.train.division import check_metric, divide
from genomix.train.lineage import check_lineage
from genomix.train.measure import MAJORITY, Measured, measure, summarise
from genomix.train.record import LogFile, check, write_measured
from genomix.train.run import Trained, Training

LOG = logging.getLogger("genomix")
POOLED = "folds"
"""What results are of that were pooled over the folds."""


@dataclass(frozen=True)
class SeveralTrained:
    """What several trainings left.

    Attributes:
        measured: What the models say of the held-out records: of a fold, the one that has not seen it; of an ensemble,
            their mean.
        spread: Of the model's metrics over the folds, by name; empty for an ensemble.
        seconds: The whole took.
    """

    measured: Measured
    seconds: float
    spread: dict[str, Spread] = field(default_factory=dict)


@dataclass
class Several:
    """Trains several models and writes them into one directory, with what they come to together.

    Attributes:
        training: What one of them is trained by; its path is the directory of all.
    """

    training: Training
    _members: list[str] = field(default_factory=list, init=False)

    def run_folds(self, folds: Sequence[Splits]) -> SeveralTrained:
        """Train a model a fold, and pool what each says of the records that it has not seen.

        Raises:
            DataError, UsageError, CannotWriteError, PreemptedError, KeyboardInterrupt: As `Training.run`.
        """
        began = time.monotonic()
        path, records, config = self.training.path, self.training.records, self.training.config
        for splits in folds:
            check_metric(config, records, splits)
        self._prepare(folds[0])
        write_folds(path / checkpoint.SPLITS, records.ids, records.labels, folds, records.splits)
        with LogFile(path / checkpoint.LOG, append=self.training.resume):
            self._check(folds)
            trained = [self._train(one) for one in self.fold_trainings(folds)]
            pooled, held_out = self._pool(trained)
            spread = {name: spread_of([one.measured.own.values[name] for one in trained]) for name in METRIC_NAMES}
            write_measured(path, pooled, records, held_out, spread)
            if config.training.calibrate:
                probabilities = next(iter(pooled.probabilities.values()))
                targets = records.truth[pooled.held_out]
                calibration = calibrate(probabilities, targets, temperature=1.0, kind="out-of-fold", chose_epoch=False)
                checkpoint.save_calibration(path, calibration)
            self._end(began, f"{len(folds)} folds")
        return SeveralTrained(pooled, time.monotonic() - began, spread)

    def run_members(self, count: int) -> SeveralTrained:
        """Train models that differ by their seed alone, on the same splits, and measure their mean.

        Raises:
            DataError, UsageError, CannotWriteError, PreemptedError, KeyboardInterrupt: As `Training.run`.
        """
        began = time.monotonic()
        path, records, config = self.training.path, self.training.records, self.training.config
        splits = self.training.splits or divide(records, config)
        members = self.member_trainings(splits, count)
        self._prepare(splits)
        for one in members:
            one.found = self.training.found  # they learn from the same records
        write_splits(path / checkpoint.SPLITS, records.ids, records.labels, splits)
        with LogFile(path / checkpoint.LOG, append=self.training.resume):
            self._check([splits])
            trained = [self._train(one) for one in members]
            scorer = load_scorer([one.model.path for one in trained], device=self.training.device)
            if config.training.calibrate:
                val = splits.val
                checkpoint.save_calibration(
                    path, fit_calibration(scorer, records.store, records.indices[val].tolist(), records.truth[val])
                )
            name = f"{count} x {model_name(config)}"
            found = self.training.found
            measured = measure(scorer, name, records, splits, baselines=config.training.baselines, found=found)
            write_measured(path, measured, records, trained[0].held_out)
            self._end(began, f"{count} models")
        return SeveralTrained(measured, time.monotonic() - began)

    def fold_trainings(self, folds: Sequence[Splits]) -> list[Training]:
        """Return what trains each fold, into a directory `fold-1` and so on."""
        return [
            self._one(f"fold-{number}", f"fold {number} of {len(folds)}", self.training.config, splits)
            for number, splits in enumerate(folds, 1)
        ]

    def member_trainings(self, splits: Splits, count: int) -> list[Training]:
        """Return what trains each member of an ensemble, into a directory `member-1` and so on.

        Raises:
            UsageError: If members would not differ.
        """
        if isinstance(self.training.config.model, KmerConfig):
            raise UsageError("--ensemble: k-mer models do not depend on the seed; train one, or use --folds")
        return [
            self._one(f"member-{number}", f"member {number} of {count}", seeded, splits)
            for number, seeded in enumerate(_with_seeds(self.training.config, count), 1)
        ]

    def _prepare(self, splits: Splits) -> None:
        """Make the directory; of what `force` replaces, nothing is left that could be taken for a part of this.

        What cannot be trained is found out before.
        """
        resume = self.training.resume
        check_new_directory(self.training.path, force=self.training.force or resume)
        if not resume:
            self.training.resolve(splits)
        path = new_directory(self.training.path, force=self.training.force or resume)
        if not resume:
            checkpoint.clear(path)
        if self.training.begun is not None:
            self.training.begun.write(path)
        write_text(path / checkpoint.CONFIG, to_yaml(self.training.config))

    def _check(self, divisions: Sequence[Splits]) -> None:
        one = self.training
        if one.checks and not (one.path / checkpoint.CHECKS).is_file():
            lineage = check_lineage(one.init_from, one.records, divisions)
            check(one.records, divisions[0], one.config, one.path, lineage)

    def _one(self, name: str, title: str, config: Config, splits: Splits) -> Training:
        config = config.model_copy(deep=True)
        config.data.split = "given"  # the seed of a member would make another division, and a fold is none of its own
        path = self.training.path / name
        begun = self.training.begun and self.training.begun.model_copy(update={"only": int(name.split("-")[1])})
        return replace(
            self.training, config=config, path=path, splits=splits, checks=False, begun=begun, title=title, found=None
        )

    def _train(self, training: Training) -> Trained:
        LOG.info("%s", training.title)
        trained = training.run()
        self._members.append(training.path.name)
        meta = trained.model.meta.model_copy(update={"members": self._members})
        write_text(self.training.path / checkpoint.META, meta.model_dump_json(indent=2) + "\n")
        return trained

    def _pool(self, trained: Sequence[Trained]) -> tuple[Measured, HeldOut]:
        """Put the held-out records of all folds together, in the order of the records."""
        parts = [one.measured for one in trained]
        held_out = np.concatenate([part.held_out for part in parts])
        order = np.argsort(held_out)
        predictions = [row for part in parts for row in part.predictions]
        probabilities = {
            name: np.concatenate([part.probabilities[name] for part in parts])[order] for name in parts[0].probabilities
        }
        held_out = held_out[order]
        if MAJORITY in probabilities:
            probabilities[MAJORITY] = self._overall_shares(held_out)
        levels = self.training.config.data.levels or ()
        rows = [predictions[row] for row in order]
        pooled = summarise(POOLED, self.training.records, held_out, rows, probabilities, levels)
        return pooled, _pool_held_out([one.held_out for one in trained], order)

    def _overall_shares(self, held_out: np.ndarray) -> np.ndarray:
        """Return the shares of the classes in all folds, for each record (H, C).

        The shares outside of each fold are the less of a class the more of it the fold has, so that pooled they would
        rank records worse than chance.
        """
        truth = self.training.records.truth[held_out]
        num_classes = len(self.training.records.classes)
        shares = truth.mean(axis=0) if truth.ndim == 2 else np.bincount(truth, minlength=num_classes) / len(truth)
        return np.tile(shares, (len(held_out), 1))

    def _end(self, began: float, what: str) -> None:
        end_training(self.training.path, self.training.begun)
        LOG.info("%s done in %.0f s; all of it is in %s", what, time.monotonic() - began, self.training.path)


def _with_seeds(config: Config, count: int) -> list[Config]:
    """Return the configuration with the seeds that follow upon its own."""
    members = [config.model_copy(deep=True) for _ in range(count)]
    for number, member in enumerate(members):
        member.training.seed = config.training.seed + number
    return members


def _pool_held_out(parts: Sequence[HeldOut], order: np.ndarray) -> HeldOut:
    """Put descriptions of held-out records together, in this order of all of them."""

    def texts(name: str) -> list[str]:
        together = [text for part in parts for text in getattr(part, name)]
        return [together[row] for row in order]

    def numbers(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])[order]

    return HeldOut(
        ids=texts("ids"),
        split=texts("split"),
        lengths=numbers("lengths"),
        gc=numbers("gc"),
        unknown=numbers("unknown"),
        nearest=texts("nearest"),
        similarity=numbers("similarity"),
    )
