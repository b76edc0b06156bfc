"""A training from sequences and labels to a run directory."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Generator
from dataclasses import dataclass

from genomix import checkpoint
from genomix.checkpoint import Model
from genomix.config import Config, NetworkConfig, make_config, model_name, to_yaml
from genomix.data.checks import HeldOut, describe_held_out
from genomix.data.splits import Splits, is_table_of, write_splits
from genomix.errors import DataError
from genomix.files import check_new_directory, locked, new_directory, write_text
from genomix.metrics import Spread
from genomix.scoring import make_scorer
from genomix.train.begun import Begun, check_same, end_training
from genomix.train.complete import complete
from genomix.train.division import divide
from genomix.train.kmer import Found, choose_canonical
from genomix.train.learn import Learning
from genomix.train.lineage import check_lineage
from genomix.train.measure import Measured, measure
from genomix.train.memory import telling_out_of_memory
from genomix.train.record import LogFile, check, say_start, write_baseline, write_measured

LOG = logging.getLogger("genomix")


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
class Training(Learning):
    """Trains a model on labelled records and writes the run directory.

    Attributes:
        path: The run directory, empty or new (or anything with `force`).
        resume: Go on with what is in the run directory: what is complete is only measured again.
        ranks: The processes that train together: the first of them is to `run`, the others to `follow`.
        force: Replace what is in the run directory.
        splits: The division of the records; by default it is made as the configuration says.
        checks: Look for leaks and shortcuts before anything is learnt, and say what was found.
        begun: What to write down so that it can be gone on with; None where something above it does.
        title: Which of several this is, in words.

    The other attributes are those of `Learning`.
    """

    force: bool = False
    splits: Splits | None = None
    checks: bool = True
    begun: Begun | None = None
    title: str = ""

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
            say_start(self.records, splits, said, self.found, self.config.training.metric)
            if self.found is not None:
                write_baseline(self.path, self.found, config.training.metric)
            if self.checks and not (self.resume and (self.path / checkpoint.CHECKS).is_file()):
                check(
                    self.records, splits, self.config, self.path, check_lineage(self.init_from, self.records, [splits])
                )
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
        path = self.path / checkpoint.SPLITS
        if not is_table_of(path.read_text(encoding="utf-8"), self.records.ids, self.records.labels, splits):
            raise DataError(f"{path}: not the division that this training makes; move {self.path} away, or train anew")

    def _decide(self, splits: Splits) -> tuple[Config, list[str]]:
        """Return the resolved configuration: that of the training that is gone on with, or one made now."""
        if self.resume and (self.path / checkpoint.CONFIG).is_file():
            config = make_config(path=self.path / checkpoint.CONFIG)
            if isinstance(config.model, NetworkConfig) and isinstance(self.config.model, NetworkConfig):
                config.model.composition = self.config.model.composition  # what was found for it may stand there
            return config, []
        return self.resolve(splits)

    def _measure(self, model: Model, splits: Splits, began: float) -> Trained:
        scorer = make_scorer(model, device=self.device)
        baselines = model.config.training.baselines
        found = self.search(splits) if baselines and isinstance(model.config.model, NetworkConfig) else None
        measured = measure(scorer, model_name(model.config), self.records, splits, baselines=baselines, found=found)
        held_out = describe_held_out(self.records, splits, measured.held_out)
        write_measured(self.path, measured, self.records, held_out)
        return Trained(model, measured, held_out, time.monotonic() - began)

    def _composition_of(self, model: Model, splits: Splits) -> Found | None:
        """Return the k-mer classifier that is to speak beside the network of a model, if one is."""
        network = model.config.model
        if not isinstance(network, NetworkConfig) or network.composition is None:
            return None
        found = self.search_composition(splits)
        both = model.config.training.reverse_complement or network.both_strands
        return choose_canonical(found, self.records, splits, model.config.training) if both else found
