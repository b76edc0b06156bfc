"""What a pretraining leaves open, decided from the sequences and the machine, and what it then learns from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genomix.config import Config, MaskingConfig, NetworkConfig
from genomix.data.store import Store
from genomix.errors import UsageError
from genomix.nn.build import padded_length
from genomix.pretrain.division import Division, divide
from genomix.pretrain.held_out import HeldOut
from genomix.pretrain.network import build_masked_base_model
from genomix.pretrain.windows import MaskedSet, scatter
from genomix.train.plan import resolve

NUM_BASES = 4
DECIDED = {"batch_records": 1, "batch_bases": 1, "max_epochs": 1, "validate_every": 1, "patience": 1}
"""Makes `resolve` choose the length only."""


class Plan(NamedTuple):
    """A resolved configuration, its network, what is learnt from and held out, and sentences for the user."""

    config: Config
    network: NetworkConfig
    division: Division
    training_set: MaskedSet
    held_out: HeldOut
    said: list[str]


def check(config: Config) -> NetworkConfig:
    """Return the section of the network, if it is one that can be pretrained.

    Raises:
        UsageError: If not.
    """
    if not isinstance(config.model, NetworkConfig):
        raise UsageError("genomix pretrain: k-mer models count, and have no layers to pretrain; choose another --model")
    if config.training.freeze != "none":
        raise UsageError("training.freeze: a pretraining begins with random weights, which must learn; leave it out")
    if config.training.mixup:
        raise UsageError("training.mixup: a pretraining pools no vectors that could be mixed; leave it out")
    if config.training.first_length is not None:
        raise UsageError("training.first_length: a pretraining reads windows of model.max_length only; leave it out")
    small = config.model.model_copy(deep=True)
    small.max_length = small.max_length or 64
    build_masked_base_model(small)
    return config.model


def plan(config: Config, store: Store, device: str) -> Plan:
    """Divide the sequences and decide what is open.

    Raises:
        DataError: If there is too little to hold some out.
        UsageError: If the configuration does not fit the data or the machine.
    """
    check(config)
    config = config.model_copy(deep=True)
    config.masking = masking = config.masking or MaskingConfig()
    config.training.metric = "log_loss"
    config.training.mask_fraction = 0.0  # what `masking` hides is what there is to learn
    division = divide(store, masking.val_fraction, config.training.seed)
    config, said = _resolve(config, division, device)
    network, training = check(config), config.training
    if network.max_length is None or training.batch_records is None or training.batch_bases is None:
        raise AssertionError("resolve decides all of these")
    rows, starts, ends = division.train
    training_set = MaskedSet(
        store=store,
        rows=rows,
        targets=np.zeros(len(rows), np.int64),
        max_length=network.max_length,
        batch_records=training.batch_records,
        batch_bases=training.batch_bases,
        reverse_complement=bool(training.reverse_complement),
        balanced=False,
        seed=training.seed,
        padded_length=padded_length(network),
        starts=starts,
        ends=ends,
        masking=masking,
    )
    held_out = HeldOut(
        store=store,
        regions=division.val,
        window=network.max_length,
        masking=masking,
        seed=training.seed,
        batch_bases=training.batch_bases,
        padded_length=padded_length(network),
    )
    return Plan(config, network, division, training_set, held_out, said)


def _resolve(config: Config, division: Division, device: str) -> tuple[Config, list[str]]:
    """Decide as a training would on records that are the windows of an epoch."""
    lengths = division.train.ends - division.train.starts
    said: list[str] = []
    wanted = check(config)
    if wanted.max_length is None:
        first = config.model_copy(deep=True)
        first.training = first.training.model_copy(update=DECIDED)
        first, said = resolve(first, lengths, division.val.num_bases, NUM_BASES, device)
        wanted.max_length = check(first).max_length
    window = wanted.max_length or 0
    windows = np.concatenate(
        [np.full(len(scatter(n, window, np.random.default_rng(0))), min(n, window)) for n in lengths]
    )
    like = config.model_copy(deep=True)
    # what is measured is a network whose head is as small as that of a pretraining, at most
    like.model = wanted.model_copy(update={"pooling": "mean"})
    resolved, others = resolve(like, windows, division.val.num_bases, NUM_BASES, device)
    resolved.model = check(resolved).model_copy(update={"pooling": wanted.pooling})
    return resolved, [sentence for sentence in said + others if not sentence.startswith("model.pooling")]
