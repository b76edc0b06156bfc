"""A network learns from masked windows, with checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from genomix import checkpoint
from genomix.checkpoint import Model
from genomix.config import to_yaml
from genomix.files import write_text
from genomix.pretrain.held_out import HeldOut
from genomix.pretrain.objective import MaskedBases, describe, to_row
from genomix.pretrain.windows import MaskedSet
from genomix.stopping import Stopping
from genomix.train.checkpoints import CONFIGURATION, Checkpoints
from genomix.train.fit import Fit
from genomix.train.history import Epoch, Step, describe_end, to_csv

LOG = logging.getLogger("genomix")


def learn(
    model: Model,
    training_set: MaskedSet,
    held_out: HeldOut,
    *,
    device: str,
    on_step: Callable[[Step], None],
    stop: Stopping,
    checkpoint_every_s: float,
    resume: bool,
) -> list[Epoch]:
    """Train to the end, write the best weights, the history and checkpoints as it goes, and return the history.

    Args:
        model: Its network is trained in place, and ends with the weights of the best epoch.
        training_set: What to learn from.
        held_out: What chooses the epoch.
        device: Where the network is.
        on_step: Called after each optimiser step.
        stop: Says when to stop.
        checkpoint_every_s: Seconds between checkpoints, at least.
        resume: Go on from the checkpoint in the run directory, if there is one.

    Raises:
        UsageError, PreemptedError, KeyboardInterrupt: As `Fit.run`.
        DataError: If the checkpoint is damaged or belongs to another training.
        CannotWriteError: If a checkpoint cannot be written.
    """
    config = model.config
    fingerprint = {"sequences": training_set.store.sha256, CONFIGURATION: to_yaml(config)}
    checkpoints = Checkpoints(model.path, checkpoint_every_s, fingerprint)

    def save(state: Callable[[], dict[str, Any]], must: bool) -> None:
        if must or checkpoints.is_due:
            checkpoints.write(state())

    def tell(epoch: Epoch) -> None:
        write_text(model.path / checkpoint.HISTORY, to_csv([to_row(row) for row in fit.history]))
        LOG.info("%s", describe(epoch, config.training.max_epochs or 0))

    fit = Fit(
        classifier=model.classifier,
        training_set=training_set,
        config=config.training,
        device=device,
        objective=MaskedBases(held_out, device),
        on_epoch=tell,
        on_best=lambda module: checkpoint.save_model(Model(module, config, model.meta, model.path)),
        on_step=on_step,
        on_checkpoint=save,
        stop=stop,
    )
    held_out.check = lambda: stop.check(f"{fit.where}, while validating")
    held_out.num_hidden  # noqa: B018 (looked at before anything is learnt: there may be none)
    state = checkpoints.read() if resume else None
    if state is not None:
        fit.load(state)
        LOG.info("going on %s", fit.where)
    history = fit.run()
    held_out.check = lambda: None
    LOG.info("%s", describe_end(history[-1], config.training))
    return history
