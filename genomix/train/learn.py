"""A model learns from its training records; the run directory around it is that of `genomix.train.run`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from genomix import checkpoint
from genomix.checkpoint import Model
from genomix.config import Config, KmerConfig, NetworkConfig, model_name
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits
from genomix.distributed import Ranks
from genomix.nn.build import build_classifier
from genomix.runtime import seed_everything
from genomix.stopping import Stopping
from genomix.train.checkpoints import EVERY_S
from genomix.train.division import check_metric
from genomix.train.history import Epoch, Step
from genomix.train.init import InitFrom, check_freezing, start_from
from genomix.train.kmer import Found, choose_kmer, reads_one_strand
from genomix.train.meta import end_meta, make_meta
from genomix.train.network import NetworkTraining
from genomix.train.plan import resolve
from genomix.train.record import write_baseline

LOG = logging.getLogger("genomix")


@dataclass
class Learning:
    """Decides what a configuration leaves open, and learns a model from labelled records.

    Attributes:
        config: As asked for; what it leaves open is decided from the data.
        records: What to learn from.
        path: The directory that weights, history and checkpoints are written to.
        device, threads: Where and with how many it runs.
        command: The command line, for the record.
        inputs: sha256 of the inputs by name, for the record.
        on_step: Called after each optimiser step.
        on_epoch: Called after each epoch; what it raises ends the training.
        init_from: What its first weights are; None where chance says.
        found: The best k-mer classifier for these records and splits; None where it is still to be searched for.
        resume: Go on with what is in the directory.
        checkpoint_every_s: Seconds between checkpoints, at least.
        stop: Says when to stop.
        ranks: The processes that train together.
    """

    config: Config
    records: LabelledRecords
    path: Path
    device: str = "cpu"
    threads: int = 1
    command: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    on_step: Callable[[Step], None] = lambda _: None
    on_epoch: Callable[[Epoch], None] = lambda _: None
    init_from: InitFrom | None = None
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

    def resolve(self, splits: Splits) -> tuple[Config, list[str]]:
        """Decide what the configuration leaves open, and say a sentence for each value.

        Where it leaves open which strands are read, k-mers are searched for the answer first.

        Raises:
            UsageError: If the configuration does not fit the data or the machine.
        """
        check_metric(self.config, self.records, splits)
        lengths = self.records.lengths[splits.train]
        val_bases = int(self.records.lengths[splits.val].sum())
        num_shares = self.ranks.local_size if self.device == "cpu" else 1
        one_strand = None
        model = self.config.model
        open_strands = isinstance(model, NetworkConfig) and not model.both_strands
        if open_strands and self.config.training.reverse_complement is None:
            found = self.search(splits)
            one_strand = reads_one_strand(found.candidates, found.num_judged, found.placed)
        num_classes = len(self.records.classes)
        return resolve(self.config, lengths, val_bases, num_classes, self.device, num_shares, one_strand=one_strand)

    def search(self, splits: Splits) -> Found:
        """Return the best k-mer classifier there is for the training records, the baseline, whatever is asked for."""
        if self.found is None:
            model = self.config.model
            is_both = isinstance(model, NetworkConfig) and model.composition == KmerConfig()
            use = (
                "that speak beside the network, and are its baseline" if is_both else "that are the network's baseline"
            )
            LOG.info("choosing the k-mers %s", use)
            self.found = choose_kmer(KmerConfig(), self.records, splits, self.config.training)
        return self.found

    def search_composition(self, splits: Splits) -> Found:
        """Return the best k-mer classifier of those that may speak beside the network: the baseline, unless stated."""
        model = self.config.model
        stated = model.composition if isinstance(model, NetworkConfig) else None
        if stated in (None, KmerConfig()):
            return self.search(splits)
        return choose_kmer(stated, self.records, splits, self.config.training, name="k-mers beside the network")

    def fit(self, config: Config, splits: Splits) -> Model:
        """Learn from the training records and choose the epoch by the validation records; measuring is left.

        Args:
            config: Resolved.
            splits: The division of the records; its test part is not looked at.

        Raises:
            UsageError: If the memory does not suffice, or the loss stops being finite.
            PreemptedError, KeyboardInterrupt: If it was asked to stop; the same with `resume` goes on from there.
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
        end_meta(model.meta, history, seconds)
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
        training = {"device": self.device, "threads": self.threads, "processes": self.ranks.size}
        meta = make_meta(
            classifier,
            self.records.lengths[splits.train],
            classes=self.records.classes,
            inputs=self.inputs,
            command=self.command,
            training=training
            | ({} if self.init_from is None else {"init_from": self.init_from.located().model_dump()}),
        )
        return Model(classifier, config, meta, self.path)
