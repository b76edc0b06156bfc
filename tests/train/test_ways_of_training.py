"""Short crops first, mixed records and other optimisers, from the configuration to the weights."""

import pytest
import torch

from genomix.config import make_config
from genomix.data.curriculum import Curriculum
from genomix.distributed import Ranks
from genomix.errors import PreemptedError
from genomix.nn.build import build_classifier
from genomix.nn.pooling import PooledNorm
from genomix.stopping import Stopping
from genomix.train.division import divide, make_training_set
from genomix.train.fit import Fit
from genomix.train.run import Training
from genomix.train.statistics import refresh_statistics

SMALL = {
    "model.max_length": 48,
    "model.embedding.dim": 8,
    "model.embedding.dropout": 0.1,
    "model.encoder.dim": 8,
    "model.encoder.hidden_dim": 8,
    "model.stem.base_dim": 4,
    "model.pooling": "mean",
    "model.composition": None,
    "training.max_epochs": 4,
    "training.batch_records": 8,
    "training.batch_bases": 400,
    "training.reverse_complement": True,
    "training.baselines": False,
    "training.calibrate": False,
}
WAYS = {
    "mixup and short crops": {"training.mixup": 0.4, "training.first_length": 12},
    "RAdam": {"training.optimizer": "radam"},
    "SGD, padded to a full length": {
        "training.optimizer": "sgd",
        "training.learning_rate": 0.1,
        "training.first_length": 12,
        "model.padding": "token",
    },
}


def train(records, path, overrides=None, **changes):
    return Training(make_config(overrides=SMALL | (overrides or {})), records, path, checks=False, **changes)


def weights(trained):
    return trained.model.classifier.state_dict()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_training_that_was_stopped_ends_with_the_same_bits(records, tmp_path, way):
    expected = weights(train(records, tmp_path / "one", way).run())
    stop, steps = Stopping(), []
    training = train(records, tmp_path / "two", way, stop=stop, checkpoint_every_s=0)
    training.on_step = lambda _: steps.append(1) or (len(steps) == 6 and stop.ask("SIGTERM"))
    with pytest.raises(PreemptedError):
        training.run()
    found = weights(train(records, tmp_path / "two", way, resume=True).run())
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_each_way_makes_other_steps(records, tmp_path):
    found = [weights(train(records, tmp_path / f"{i}", way).run()) for i, way in enumerate(({}, *WAYS.values()))]
    linear = [next(tensor for name, tensor in one.items() if name.startswith("head.1.weight")) for one in found]
    for i, one in enumerate(linear):
        assert one.isfinite().all()
        assert not any(torch.allclose(one, other) for other in linear[:i])


def test_crops_grow_from_epoch_to_epoch_as_the_configuration_says(records, tmp_path, monkeypatch):
    longest, train_epoch = [], Fit._train_epoch

    def spy(fit, progress, max_epochs):
        pieces = [piece for step in fit.training_set.plan(progress.epoch) for batch in step for piece, _ in batch]
        longest.append({piece.end - piece.start for piece in pieces})
        return train_epoch(fit, progress, max_epochs)

    monkeypatch.setattr(Fit, "_train_epoch", spy)
    train(records, tmp_path / "run", {"training.first_length": 12, "training.full_length_share": 0.5}).run()
    assert longest == [{12}, {24}, {48}, {48}]


def test_statistics_are_those_of_records_as_they_are_predicted(records):
    config = make_config(overrides=SMALL)
    torch.manual_seed(0)
    network = build_classifier(config.model, 2)
    training_set = make_training_set(records, divide(records, config), config)
    (norm,) = (part for part in network.modules() if isinstance(part, PooledNorm))
    found = []
    for changes in ({}, {"curriculum": Curriculum(8, 0.3, 10)}, {"mask_fraction": 0.5}, {"max_length": 8}):
        own = type(training_set)(**{**training_set.__dict__, **changes})
        refresh_statistics(network, own, 1, "cpu", Ranks())
        found.append((norm.running_mean.clone(), norm.running_var.clone()))
    for alike in found[1:3]:
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(alike, found[0], strict=True))
    assert not torch.allclose(found[3][1], found[0][1])


def test_patience_waits_for_the_full_length(records, tmp_path):
    """Neither rate lets anything be learnt: with short crops the first three of four epochs do not count."""
    idle = {"training.learning_rate": 1e-30, "training.patience": 1}
    train(records, tmp_path / "whole", idle).run()
    train(records, tmp_path / "short", idle | {"training.first_length": 12, "training.full_length_share": 0.25}).run()
    epochs = {name: len((tmp_path / name / "history.csv").read_text().splitlines()) - 1 for name in ("whole", "short")}
    assert epochs["whole"] < epochs["short"] == 4


@pytest.mark.parametrize(("budget_s", "warns"), [(1e-6, True), (None, False)])
def test_an_end_with_short_crops_is_said(records, tmp_path, caplog, budget_s, warns):
    ways = {"training.first_length": 12, "training.budget_s": budget_s}
    train(records, tmp_path / "run", ways).run()
    assert ("training ended with crops of 12 bp, not of 48 bp" in caplog.text) is warns


@pytest.mark.parametrize("number", [8, 1000])
def test_the_trained_network_has_statistics_of_more_records(records, tmp_path, monkeypatch, number):
    monkeypatch.setattr("genomix.train.fit.FINAL_RECORDS", number)
    model = train(records, tmp_path / "run").run().model
    (norm,) = (part for part in model.classifier.modules() if isinstance(part, PooledNorm))
    found = norm.running_mean.clone()
    config = model.config
    training_set = make_training_set(records, divide(records, config), config)
    means = {}
    for most in (8, 1000):
        refresh_statistics(model.classifier, training_set, 1, "cpu", Ranks(), most)
        means[most] = norm.running_mean.clone()
    assert torch.equal(found, means[number])
    assert not torch.equal(means[8], means[1000])
