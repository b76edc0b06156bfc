"""A training from sequences and labels to a run directory."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from torch import nn

from genomix import checkpoint
from genomix.checkpoint import Lengths, Meta, Model
from genomix.config import Config, KmerConfig, NetworkConfig, make_config, model_name, to_yaml
from genomix.data.checks import HeldOut, describe_held_out
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits, format_splits, write_splits
from genomix.distributed import Ranks
from genomix.errors import DataError
from genomix.metrics import Spread
from genomix.nn.build import build_classifier
from genomix.runtime import check_new_directory, locked, new_directory, seed_everything, write_text
from genomix.scoring import make_scorer
from genomix.stopping import Stopping
from genomix.train.begun import Begun, check_same, end_training
from genomix.train.checkpoints import EVERY_S
from genomix.train.complete import complete
from genomix.train.division import divide
from genomix.train.history import Epoch, Step
from genomix.train.init import InitFrom, check_freezing, start_from
from genomix.train.kmer import Found, choose_canonical, choose_kmer, reads_one_strand
from genomix.train.measure import Measured, measure
from genomix.train.memory import telling_out_of_memory
from genomix.train.network import NetworkTraining
from genomix.train.plan import resolve
from genomix.train.record import ALREADY_SAID, LogFile, check, write_baseline, write_measured

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
        on_epoch: Called after each epoch; what it raises ends the training.
        splits: The division of the records; by default it is made as the configuration says.
        checks: Look for leaks and shortcuts before anything is learnt, and say what was found.
        begun: What to write down so that it can be gone on with; None where something above it does.
        init_from: What its first weights are; None where chance says.
        title: Which of several this is, in words.
        found: The best k-mer classifier for these records and splits; None where it is still to be searched for.
        resume: Go on with what is in the run directory: what is complete is only measured again.
        checkpoint_every_s: Seconds between checkpoints, at least.
        stop: Says when to stop.
        ranks: The processes that train together: the first of them is to `run`, the others to `follow`.
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
    on_epoch: Callable[[Epoch], None] = lambda _: None
    splits: Splits | None = None
    checks: bool = True
    begun: Begun | None = None
    init_from: InitFrom | None = None
    title: str = ""
    found: Found | None = None
    resume: bool = False
    checkpoint_every_s: float = EVERY_S
    stop: Stopping = field(default_factory=Stopping)
    ranks: Ranks = field(default_factory=Ranks)

    def __post_init__(self) -> None:
        """Check that the settings go together.

        Raises:
            UsageError: If they do not.
        """
        check_freezing(self.config, self.init_from)

    def run(self) -> Trained:
        """Train, score the held-out records, and write everything.

        Raises:
            DataError: If the records cannot be divided into train, val and test.
            UsageError: If the configuration does not fit the data or the machine, or the loss stops being finite.
            CannotWriteError: If the run directory holds something already, or cannot be written.
            PreemptedError, KeyboardInterrupt: If it was asked to stop; the same with `resume` goes on from there.
        """
        began = time.monotonic()
        splits = self.splits or divide(self.records, self.config)
        if self.resume and self.begun is not None:
            check_same(self.path, self.begun)
        if self.resume and checkpoint.is_complete(self.path):
            self._check_division(splits)
            self.ranks.share(None)
            return self._measure(checkpoint.load_model(self.path, device=self.device), splits, began)
        check_new_directory(self.path, force=self.force or self.resume)
        config, said = self._decide(splits)
        new_directory(self.path, force=self.force or self.resume)
        with (
            self._begin(splits),
            LogFile(self.path / checkpoint.LOG, append=self.resume),
            telling_out_of_memory(self.device),
        ):
            self._say_start(splits, said)
            if self.found is not None:
                write_baseline(self.path, self.found, config.training.metric)
            if self.checks and not (self.resume and (self.path / checkpoint.CHECKS).is_file()):
                check(self.records, splits, self.config, self.path)
            write_text(self.path / checkpoint.CONFIG, to_yaml(config))
            self.ranks.share(config)
            model = self.fit(config, splits)
            complete(model, self.records, splits, self._composition_of(model, splits), self.device)
            trained = self._measure(model, splits, began)
            end_training(self.path, self.begun)
            LOG.info("done in %.0f s; the model is in %s", trained.seconds, self.path)
        return trained

    def follow(self) -> None:
        """Do the share of a process that is not the first: train along, write nothing, and leave the rest to the first.

        Raises:
            PreemptedError, KeyboardInterrupt: If it was asked to stop.
            RankLostError: If another process is gone.
        """
        splits = self.splits or divide(self.records, self.config)
        nothing: Config | None = None
        config = self.ranks.share(nothing)
        if config is not None:
            with telling_out_of_memory(self.device):
                self.fit(config, splits)

    @contextlib.contextmanager
    def _begin(self, splits: Splits) -> Generator[None]:
        """Write down what is begun; as long as the block takes no other process writes into the run directory."""
        with locked(self.path):
            if not self.resume:
                checkpoint.clear(self.path)
            if self.begun is not None:
                self.begun.write(self.path)
            write_splits(self.path / checkpoint.SPLITS, self.records.ids, self.records.labels, splits)
            yield

    def _check_division(self, splits: Splits) -> None:
        """Raise a DataError if the complete model in the run directory was trained on another division."""
        table = format_splits(self.records.ids, self.records.labels, splits)
        path = self.path / checkpoint.SPLITS
        if path.read_text(encoding="utf-8") != table:
            raise DataError(f"{path}: not the division that this training makes; move {self.path} away, or train anew")

    def _decide(self, splits: Splits) -> tuple[Config, list[str]]:
        """Return the resolved configuration: that of the training that is gone on with, or one made now."""
        if self.resume and (self.path / checkpoint.CONFIG).is_file():
            return make_config(path=self.path / checkpoint.CONFIG), []
        return self.resolve(splits)

    def _measure(self, model: Model, splits: Splits, began: float) -> Trained:
        scorer = make_scorer(model, device=self.device)
        baselines = model.config.training.baselines
        found = self.search(splits) if baselines and isinstance(model.config.model, NetworkConfig) else None
        measured = measure(scorer, model_name(model.config), self.records, splits, baselines=baselines, found=found)
        held_out = describe_held_out(self.records, splits, measured.held_out)
        write_measured(self.path, measured, self.records, held_out)
        return Trained(model, measured, held_out, time.monotonic() - began)

    def search(self, splits: Splits) -> Found:
        """Return the best k-mer classifier there is for the training records: the baseline, and the composition."""
        if self.found is None:
            LOG.info("choosing the k-mers that speak beside the network, and are its baseline")
            model = self.config.model
            stated = model.composition if isinstance(model, NetworkConfig) else model
            self.found = choose_kmer(stated or KmerConfig(), self.records, splits, self.config.training)
        return self.found

    def _composition_of(self, model: Model, splits: Splits) -> Found | None:
        """Return the k-mer classifier that is to speak beside the network of a model, if one is."""
        network = model.config.model
        if not isinstance(network, NetworkConfig) or network.composition is None:
            return None
        found, both = self.search(splits), model.config.training.reverse_complement or network.both_strands
        return choose_canonical(found, self.records, splits, model.config.training) if both else found

    def resolve(self, splits: Splits) -> tuple[Config, list[str]]:
        """Decide what the configuration leaves open, and say a sentence for each value.

        Where it leaves open which strands are read, k-mers are searched for the answer first.

        Raises:
            UsageError: If the configuration does not fit the data or the machine.
        """
        lengths = self.records.lengths[splits.train]
        val_bases = int(self.records.lengths[splits.val].sum())
        num_shares = self.ranks.local_size if self.device == "cpu" else 1
        one_strand = None
        model = self.config.model
        open_strands = isinstance(model, NetworkConfig) and not model.both_strands
        if open_strands and self.config.training.reverse_complement is None:
            one_strand = reads_one_strand(self.search(splits).candidates, len(splits.val))
        num_classes = len(self.records.classes)
        return resolve(self.config, lengths, val_bases, num_classes, self.device, num_shares, one_strand=one_strand)

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
        if self.found is not None:  # to decide the strands, before there was a log file
            LOG.info("%s", self.found.describe(self.config.training.metric), extra=ALREADY_SAID)
        for sentence in said:
            LOG.info("decided %s", sentence)

    def fit(self, config: Config, splits: Splits) -> Model:
        """Learn from the training records and choose the epoch by the validation records; the rest of `run` is left.

        Args:
            config: Resolved.
            splits: The division of the records; its test part is not looked at.

        Raises:
            UsageError, PreemptedError, KeyboardInterrupt: As `run`.
        """
        began = time.monotonic()
        records, history = self.records, list[Epoch]()
        seed_everything(config.training.seed, deterministic=config.training.deterministic)
        if isinstance(config.model, KmerConfig):
            found = choose_kmer(config.model, records, splits, config.training)
            config = config.model_copy(update={"model": found.config})
            write_baseline(self.path, found, config.training.metric)
            model = self._model(found.classifier.to(self.device), config, splits)
        else:
            classifier = build_classifier(config.model, len(records.classes))
            if self.init_from is not None:
                self._start(classifier, self.init_from)
            model = self._model(classifier.to(self.device), config, splits)
            LOG.info("%s: %d parameters, %s", model_name(config), model.meta.num_parameters, self._describe_machine())
            history = NetworkTraining(
                model=model,
                records=records,
                splits=splits,
                device=self.device,
                on_step=self.on_step,
                on_epoch=self.on_epoch,
                stop=self.stop,
                ranks=self.ranks,
                checkpoint_every_s=self.checkpoint_every_s,
                resume=self.resume,
            ).run()
        seconds = history[-1].seconds if history else time.monotonic() - began
        model.meta.training |= {
            "seconds": round(seconds, 1),
            "epochs": len(history),
            "best_epoch": next((row.epoch for row in reversed(history) if row.best), 0),
        }
        model.meta.created = _now()
        if self.ranks.is_first:
            checkpoint.save_model(model)
        return model

    def _start(self, classifier: nn.Module, init_from: InitFrom) -> None:
        """Give a network its first weights, unless a checkpoint has later ones."""
        names = (checkpoint.CHECKPOINT, checkpoint.CHECKPOINT_BEFORE)
        if not self.resume or not any((self.path / name).exists() for name in names):
            start_from(classifier, init_from)
            LOG.info("%s", init_from.describe())

    def _describe_machine(self) -> str:
        several = f"{self.ranks.size} processes, each " if self.ranks.size > 1 else ""
        return f"{several}on {self.device} with {self.threads} threads"

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
            training={"device": self.device, "threads": self.threads, "processes": self.ranks.size}
            | ({} if self.init_from is None else {"init_from": self.init_from.model_dump()}),
        )
        return Model(classifier, config, meta, self.path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
