"""A pretraining from sequences without labels to a run directory."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from genomix import checkpoint
from genomix.checkpoint import Meta, Model, load_meta, load_weights, save_model
from genomix.config import Config, make_config, model_name, to_yaml
from genomix.data.store import Store
from genomix.files import locked, new_directory, write_text
from genomix.pretrain.context import SIDE, ContextModel, Said
from genomix.pretrain.division import Division
from genomix.pretrain.held_out import HeldOut
from genomix.pretrain.learn import learn
from genomix.pretrain.network import build_masked_base_model
from genomix.pretrain.plan import Plan, plan
from genomix.runtime import seed_everything
from genomix.stopping import Stopping
from genomix.train.begun import Begun, check_same, end_training
from genomix.train.checkpoints import EVERY_S
from genomix.train.history import Step
from genomix.train.memory import telling_out_of_memory
from genomix.train.meta import end_meta, make_meta
from genomix.train.record import LogFile

LOG = logging.getLogger("genomix")


@dataclass(frozen=True)
class Pretrained:
    """What a pretraining left.

    Attributes:
        model: The network, whose `classifier` is a `MaskedBaseModel`; also in the run directory.
        said: How the hidden bases of what was held out are said, by who says them; the network comes first.
        seconds: The whole took.
    """

    model: Model
    said: dict[str, Said]
    seconds: float


@dataclass
class Pretraining:
    """Trains a network to say hidden bases, and writes the run directory.

    Attributes:
        config: As asked for, with a section `masking`; what it leaves open is decided from the data.
        store: The sequences.
        path: The run directory, empty or new (or anything with `force`).
        device, threads: Where and with how many it runs.
        command: The command line, for the record.
        force: Replace what is in the run directory.
        on_step: Called after each optimiser step.
        begun: What to write down so that it can be gone on with.
        resume: Go on with what is in the run directory.
        checkpoint_every_s: Seconds between checkpoints, at least.
        stop: Says when to stop.
    """

    config: Config
    store: Store
    path: Path
    device: str = "cpu"
    threads: int = 1
    command: list[str] = field(default_factory=list)
    force: bool = False
    on_step: Callable[[Step], None] = lambda _: None
    begun: Begun | None = None
    resume: bool = False
    checkpoint_every_s: float = EVERY_S
    stop: Stopping = field(default_factory=Stopping)

    def run(self) -> Pretrained:
        """Train, measure beside the baselines, and write everything.

        Raises:
            DataError: If there is too little to hold some out.
            UsageError: If the configuration does not fit the data or the machine, or the loss stops being finite.
            CannotWriteError: If the run directory holds something already, or cannot be written.
            PreemptedError, KeyboardInterrupt: If it was asked to stop; the same with `resume` goes on from there.
        """
        began = time.monotonic()
        if self.resume and self.begun is not None:
            check_same(self.path, self.begun)
        decided = self.decide()
        new_directory(self.path, force=self.force or self.resume)
        with self._begin(), LogFile(self.path / checkpoint.LOG, append=self.resume), telling_out_of_memory(self.device):
            LOG.info("%d records, %d bp", len(self.store), self.store.lengths.sum())
            for sentence in decided.division.notes:
                LOG.info("%s", sentence)
            for sentence in decided.said:
                LOG.info("decided %s", sentence)
            write_text(self.path / checkpoint.CONFIG, to_yaml(decided.config))
            is_complete = self.resume and checkpoint.is_complete(self.path)
            model = self._read(decided) if is_complete else self._fit(decided)
            said = self._measure(model, decided.held_out, decided.division)
            end_training(self.path, self.begun)
            seconds = time.monotonic() - began
            LOG.info("done in %.0f s; the pretrained network is in %s", seconds, self.path)
        return Pretrained(model, said, seconds)

    def decide(self) -> Plan:
        """Hold some out, and decide what the configuration leaves open, or take over what was decided.

        Raises:
            DataError, UsageError: As `run`.
        """
        if self.resume and (self.path / checkpoint.CONFIG).is_file():
            return plan(make_config(path=self.path / checkpoint.CONFIG), self.store, self.device)
        return plan(self.config, self.store, self.device)

    @contextlib.contextmanager
    def _begin(self) -> Generator[None]:
        """Write down what is begun; as long as the block takes no other process writes into the run directory."""
        with locked(self.path):
            if not self.resume:
                checkpoint.clear(self.path)
            if self.begun is not None:
                self.begun.write(self.path)
            yield

    def _fit(self, decided: Plan) -> Model:
        config, training_set = decided.config, decided.training_set
        seed_everything(config.training.seed, deterministic=config.training.deterministic)
        network = build_masked_base_model(decided.network).to(self.device)
        model = Model(network, config, self._meta(network, decided.division), self.path)
        LOG.info(
            "%s: %d parameters, on %s with %d threads",
            model_name(config),
            model.meta.num_parameters,
            self.device,
            self.threads,
        )
        history = learn(
            model,
            training_set,
            decided.held_out,
            device=self.device,
            on_step=self.on_step,
            stop=self.stop,
            checkpoint_every_s=self.checkpoint_every_s,
            resume=self.resume,
        )
        end_meta(model.meta, history, history[-1].seconds)
        save_model(model)
        return model

    def _read(self, decided: Plan) -> Model:
        network = build_masked_base_model(decided.network)
        load_weights(network, self.path / checkpoint.WEIGHTS)
        return Model(network.to(self.device).eval(), decided.config, load_meta(self.path), self.path)

    def _measure(self, model: Model, held_out: HeldOut, division: Division) -> dict[str, Said]:
        """Let the network and the baselines say the hidden bases, and write down how they did."""
        train = division.train
        regions = (
            self.store.tokens(row, start, end)
            for row, start, end in zip(*(bounds.tolist() for bounds in train), strict=True)
        )
        context = ContextModel(regions, held_out.masking.span)
        by_context, by_composition = held_out.say_by_neighbours(context)
        own = model_name(model.config)
        said = {own: held_out.say(model.classifier, self.device), "neighbours": by_context}
        said["composition"] = by_composition
        stated: dict[str, Any] = {
            "split": "val",
            "task": "masked bases",
            "model": own,
            "num_hidden": held_out.num_hidden,
            "metrics": _state(said[own]),
            "baselines": {
                "neighbours": {
                    **_state(by_context),
                    "bases_on_either_side": SIDE,
                    "counted_bp": context.num_counted,
                },
                "composition": {
                    **_state(by_composition),
                    "shares": dict(zip("ACGT", context.composition, strict=True)),
                },
            },
        }
        write_text(self.path / checkpoint.METRICS, json.dumps(stated, indent=2) + "\n")
        for name, one in said.items():
            LOG.info("%s: %.4f bits a base, accuracy %.4f", name, one.bits_per_base, one.accuracy)
        if said[own].bits_per_base >= by_context.bits_per_base:
            LOG.warning(
                "the network says hidden bases no better than counts of the %d bases on either side: it has learnt no "
                "more than local context; train longer, on more sequence, or with a larger network",
                SIDE,
            )
        return said

    def _meta(self, network: nn.Module, division: Division) -> Meta:
        return make_meta(
            network,
            self.store.lengths,
            kind="pretrained",
            classes=[],
            inputs={"sequences": self.store.sha256},
            command=self.command,
            training={
                "device": self.device,
                "threads": self.threads,
                "train_bp": division.train.num_bases,
                "val_bp": division.val.num_bases,
            },
        )


def _state(said: Said) -> dict[str, float]:
    return {"bits_per_base": said.bits_per_base, "accuracy": said.accuracy}
