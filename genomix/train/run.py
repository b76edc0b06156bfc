"""A training from sequences and labels to a run directory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from torch import nn

from genomix import checkpoint
from genomix.checkpoint import Lengths, Meta, Model
from genomix.config import Config, KmerConfig, model_name, to_yaml
from genomix.data.checks import HeldOut, describe_held_out
from genomix.data.labels import LabelledRecords
from genomix.data.reference_fit import make_reference
from genomix.data.splits import Splits, write_splits
from genomix.metrics import Spread
from genomix.nn.build import build_classifier
from genomix.runtime import new_directory, seed_everything, write_text
from genomix.scoring import fit_calibration, make_scorer
from genomix.train.division import divide, make_training_set
from genomix.train.fit import Fit
from genomix.train.history import Epoch, Step, describe, describe_end, to_csv
from genomix.train.kmer import fit_kmer
from genomix.train.measure import Measured, measure
from genomix.train.memory import telling_out_of_memory
from genomix.train.plan import resolve
from genomix.train.record import ALREADY_SAID, LogFile, check, write_measured

LOG = logging.getLogger("genomix")
NAMED = 20
"""Classes that are listed when training begins."""


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Attributes:
        model: The best model, also in the run directory.
        measured: What it, and the baselines, say of the held-out records.
        held_out: What these records are like.
        seconds: The whole took.
    """

    model: Model
    measured: Measured
    held_out: HeldOut
    seconds: float

    @property
    def spread(self) -> dict[str, Spread]:
        """Of the metrics over several models: there is one only."""
        return {}


@dataclass
class Training:
    """Trains a model on labelled records and writes the run directory.

    Attributes:
        config: As asked for; what it leaves open is decided from the data.
        records: What to learn from.
        path: The run directory, empty or new (or anything with `force`).
        device, threads: Where and with how many it runs.
        command: The command line, for the record.
        inputs: sha256 of the inputs by name, for the record.
        force: Replace what is in the run directory.
        on_step: Called after each optimiser step.
        splits: The division of the records; by default it is made as the configuration says.
        checks: Look for leaks and shortcuts before anything is learnt, and say what was found.
    """

    config: Config
    records: LabelledRecords
    path: Path
    device: str = "cpu"
    threads: int = 1
    command: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    force: bool = False
    on_step: Callable[[Step], None] = lambda _: None
    splits: Splits | None = None
    checks: bool = True

    def run(self) -> Trained:
        """Train, score the held-out records, and write everything.

        Raises:
            DataError: If the records cannot be divided into train, val and test.
            UsageError: If the configuration does not fit the data or the machine, or the loss stops being finite.
            CannotWriteError: If the run directory holds something already, or cannot be written.
        """
        began = time.monotonic()
        splits = self.splits or divide(self.records, self.config)
        config, said = self.resolve(splits)
        new_directory(self.path, force=self.force)
        checkpoint.clear(self.path)
        write_splits(self.path / checkpoint.SPLITS, self.records.ids, self.records.labels, splits)
        with LogFile(self.path / checkpoint.LOG), telling_out_of_memory(self.device):
            seed_everything(self.config.training.seed, deterministic=self.config.training.deterministic)
            self._say_start(splits, said)
            if self.checks:
                check(self.records, splits, self.config, self.path)
            write_text(self.path / checkpoint.CONFIG, to_yaml(config))
            model = self._fit(config, splits)
            self._complete(model, splits)
            scorer = make_scorer(model, device=self.device)
            measured = measure(scorer, model_name(config), self.records, splits, baselines=config.training.baselines)
            held_out = describe_held_out(self.records, splits, measured.held_out)
            write_measured(self.path, measured, self.records, held_out)
            seconds = time.monotonic() - began
            LOG.info("done in %.0f s; the model is in %s", seconds, self.path)
        return Trained(model, measured, held_out, seconds)

    def resolve(self, splits: Splits) -> tuple[Config, list[str]]:
        """Decide what the configuration leaves open, and say a sentence for each value.

        Raises:
            UsageError: If the configuration does not fit the data or the machine.
        """
        lengths = self.records.lengths[splits.train]
        val_bases = int(self.records.lengths[splits.val].sum())
        return resolve(self.config, lengths, val_bases, len(self.records.classes), self.device)

    def _say_start(self, splits: Splits, said: list[str]) -> None:
        records = self.records
        for sentence in records.warnings:
            LOG.warning("%s", sentence, extra=ALREADY_SAID)
        for sentence in splits.notes:
            LOG.warning("%s", sentence)
        if not len(splits.test):
            LOG.warning(
                "there is no test split: the results are those of the validation records, which chose the epoch"
            )
        counts = records.counts
        named = ", ".join(f"{name} {count}" for name, count in list(zip(records.classes, counts, strict=True))[:NAMED])
        named += f", and {len(counts) - NAMED} more" if len(counts) > NAMED else ""
        LOG.info("%d records, %d bp, %d classes: %s", len(records.targets), records.lengths.sum(), len(counts), named)
        LOG.info("split: %d train, %d val, %d test", len(splits.train), len(splits.val), len(splits.test))
        for sentence in said:
            LOG.info("decided %s", sentence)

    def _fit(self, config: Config, splits: Splits) -> Model:
        began = time.monotonic()
        records = self.records
        rows, targets = records.indices[splits.train], records.truth[splits.train]
        history: list[Epoch] = []
        if isinstance(config.model, KmerConfig):
            model = self._model(
                fit_kmer(
                    config.model,
                    records.store,
                    rows,
                    targets,
                    len(records.classes),
                    config.training.seed,
                    balanced=config.training.classes != "natural",
                ).to(self.device),
                config,
                splits,
            )
        else:
            classifier = build_classifier(config.model, len(records.classes)).to(self.device)
            model = self._model(classifier, config, splits)
            LOG.info(
                "%s: %d parameters, on %s with %d threads",
                model_name(config),
                model.meta.num_parameters,
                self.device,
                self.threads,
            )
            history = self._fit_network(model, splits)
        model.meta.training |= {
            "seconds": round(time.monotonic() - began, 1),
            "epochs": len(history),
            "best_epoch": next((row.epoch for row in reversed(history) if row.best), 0),
        }
        model.meta.created = _now()
        checkpoint.save_model(model)
        return model

    def _fit_network(self, model: Model, splits: Splits) -> list[Epoch]:
        records, config = self.records, model.config
        training = config.training
        rows: list[Epoch] = []

        def validate(module: nn.Module) -> np.ndarray:
            was_training = module.training
            judged = Model(module.eval(), config, model.meta, model.path)
            scored = make_scorer(judged, device=self.device, strands="forward").score(
                records.store.tokens(int(row)) for row in records.indices[splits.val]
            )
            probabilities = np.stack(list(scored))
            module.train(was_training)
            return probabilities

        def on_epoch(epoch: Epoch) -> None:
            rows.append(epoch)
            write_text(model.path / checkpoint.HISTORY, to_csv([row.row() for row in rows]))
            LOG.info("%s", describe(epoch, training.max_epochs or 0))

        def on_best(module: nn.Module) -> None:
            checkpoint.save_model(Model(module, config, model.meta, model.path))

        history = Fit(
            classifier=model.classifier,
            training_set=make_training_set(records, splits, config),
            config=training,
            device=self.device,
            validate=validate,
            val_targets=records.truth[splits.val],
            num_classes=len(records.classes),
            on_epoch=on_epoch,
            on_best=on_best,
            on_step=self.on_step,
        ).run()
        LOG.info("%s", describe_end(history[-1], training))
        return history

    def _complete(self, model: Model, splits: Splits) -> None:
        """Give a model what makes its probabilities honest, and what tells records unlike those it has learnt from."""
        records = self.records
        train, val = records.indices[splits.train], records.indices[splits.val]
        if model.config.training.calibrate:
            scorer = make_scorer(model, device=self.device)
            model.calibration = fit_calibration(scorer, records.store, val.tolist(), records.truth[splits.val])
            LOG.info("%s", model.calibration.describe())
        model.reference = make_reference(records.store, train, val, seed=model.config.training.seed)
        checkpoint.save_model(model)

    def _model(self, classifier: nn.Module, config: Config, splits: Splits) -> Model:
        lengths = self.records.lengths[splits.train]
        meta = Meta(
            classes=self.records.classes,
            train_lengths=Lengths(min=int(lengths.min()), median=int(np.median(lengths)), max=int(lengths.max())),
            num_parameters=sum(parameter.numel() for parameter in classifier.parameters()),
            created=_now(),
            versions=checkpoint.library_versions(),
            inputs=self.inputs,
            command=self.command,
            training={"device": self.device, "threads": self.threads},
        )
        return Model(classifier, config, meta, self.path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
