"""The training loop, with a network so small that what it must do can be worked out."""

import copy
import time

import numpy as np
import pytest
import torch
from torch import nn

from genomix.config import TrainingConfig
from genomix.data.dataset import TrainingSet
from genomix.data.store import build_store
from genomix.errors import UsageError
from genomix.train.fit import Fit

NUM_RECORDS = 24
PLAIN = {"learning_rate": 0.01, "warmup_fraction": 0.0, "weight_decay": 0.0, "clip_norm": 1e9, "batch_records": 24}


class Composition(nn.Module):
    """Logits from the share of each letter: no dropout, nothing that depends on the batch."""

    def __init__(self, num_classes=2):
        super().__init__()
        self.head = nn.Linear(6, num_classes)

    def forward(self, tokens, lengths):
        counts = nn.functional.one_hot(tokens.long(), 6)[:, :, :5].sum(1) / lengths[:, None]
        return self.head(nn.functional.pad(counts, (0, 1)))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fit")
    rng = np.random.default_rng(0)
    shares = ([0.4, 0.1, 0.1, 0.4], [0.1, 0.4, 0.4, 0.1])
    sequences = ("".join(rng.choice(list("ACGT"), size=40, p=shares[i % 4 == 0])) for i in range(NUM_RECORDS))
    (directory / "data.fa").write_text("".join(f">r{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
    return build_store([str(directory / "data.fa")], cache_dir=directory / "cache")


@pytest.fixture
def make_fit(store):
    """Prepare a training; every fourth record is of class 1, and all are validated on unless told otherwise."""

    def make_fit(validate=None, batch_records=24, batch_bases=10**6, seed=0, **changes):
        torch.manual_seed(0)
        targets = (np.arange(NUM_RECORDS) % 4 == 0).astype(np.int64)
        training_set = TrainingSet(
            store=store,
            rows=np.arange(NUM_RECORDS),
            targets=targets,
            max_length=40,
            batch_records=batch_records,
            batch_bases=batch_bases,
            reverse_complement=False,
            balanced=False,
            seed=seed,
        )
        return Fit(
            classifier=Composition(),
            training_set=training_set,
            config=TrainingConfig(**(PLAIN | {"max_epochs": 4} | changes)),
            device="cpu",
            validate=validate or (lambda module: probabilities(module, training_set)),
            val_targets=targets,
            num_classes=2,
        )

    return make_fit


def probabilities(module, training_set):
    tokens = torch.from_numpy(np.stack([training_set.store.tokens(int(row)) for row in training_set.rows]))
    with torch.inference_mode():
        return module(tokens, torch.full((len(tokens),), tokens.shape[1])).softmax(1).numpy()


def scripted(accuracies, module_states=None):
    """Return a validation whose accuracy in each epoch is given."""
    shares = iter(accuracies)

    def validate(module):
        if module_states is not None:
            module_states.append(copy.deepcopy(module.state_dict()))
        right = round(next(shares) * NUM_RECORDS)
        targets = np.arange(NUM_RECORDS) % 4 == 0
        says_one = np.where(np.arange(NUM_RECORDS) < right, targets, ~targets)
        return np.where(says_one[:, None], [0.2, 0.8], [0.8, 0.2])

    return validate


def weights(fit):
    return torch.cat([parameter.detach().flatten() for parameter in fit.classifier.parameters()])


def test_training_learns(make_fit):
    fit = make_fit(max_epochs=60, learning_rate=0.1)
    history = fit.run()
    assert history[-1].train_loss < 0.5 * history[0].train_loss
    assert max(row.validation["accuracy"] for row in history) == 1


def test_the_same_seed_gives_the_same_weights(make_fit):
    one, two, other = make_fit(batch_records=5), make_fit(batch_records=5), make_fit(batch_records=5, seed=1)
    for fit in (one, two, other):
        fit.run()
    assert torch.equal(weights(one), weights(two))
    assert not torch.equal(weights(one), weights(other))


def test_the_loss_is_the_mean_over_the_records(make_fit):
    fit = make_fit(max_epochs=1)
    before = probabilities(fit.classifier, fit.training_set)
    expected = -np.log(before[np.arange(NUM_RECORDS), fit.val_targets]).mean()
    assert fit.run()[0].train_loss == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", [3, 5, 12])
def test_batches_that_add_up_are_one_big_batch(make_fit, size):
    whole = make_fit(max_epochs=2, metric="log_loss")
    parts = make_fit(batch_bases=40 * size, max_epochs=2, metric="log_loss")
    whole.run()
    parts.run()
    assert [row.step for row in parts.history] == [row.step for row in whole.history] == [1, 2]
    assert torch.allclose(weights(parts), weights(whole), atol=1e-5)
    assert parts.history[0].train_loss == pytest.approx(whole.history[0].train_loss, abs=1e-5)


def test_the_best_weights_come_back(make_fit):
    states, kept = [], []
    fit = make_fit(validate=scripted([0.5, 0.75, 0.5, 0.25], states), metric="accuracy")
    fit.on_best = lambda module: kept.append(copy.deepcopy(module.state_dict()))
    history = fit.run()
    assert [row.best for row in history] == [True, True, False, False]
    assert len(kept) == 2
    for name, tensor in fit.classifier.state_dict().items():
        assert torch.equal(tensor, states[1][name])
        assert torch.equal(tensor, kept[1][name])


def test_training_stops_when_patience_is_used_up(make_fit):
    fit = make_fit(validate=scripted([0.5, 0.75, *[0.5] * 50]), metric="accuracy", max_epochs=50, patience=3)
    assert len(fit.run()) == 5


def test_log_loss_is_better_when_lower(make_fit):
    history = make_fit(validate=scripted([0.75, 0.5, 1.0]), metric="log_loss", max_epochs=3).run()
    assert [row.best for row in history] == [True, False, True]


def test_validation_may_be_rarer_but_never_misses_the_first_epoch_or_the_end(make_fit):
    history = make_fit(max_epochs=5, validate_every=2).run()
    assert [bool(row.validation) for row in history] == [True, True, False, True, True]


def test_a_loss_that_is_not_finite_stops_with_a_mend(make_fit):
    fit = make_fit()
    with torch.no_grad():
        fit.classifier.head.weight.fill_(float("inf"))
    with pytest.raises(UsageError, match=r"the loss is nan in epoch 1, after 0 steps; use a smaller --learning-rate"):
        fit.run()


def test_the_time_limit_ends_training_with_the_schedule(make_fit):
    fit = make_fit(max_epochs=10**6, max_time_s=0.5, patience=10**6, batch_records=4)
    began = time.monotonic()
    history = fit.run()
    assert time.monotonic() - began < 5
    assert history[-1].validation
    assert history[-1].learning_rate < 0.1 * PLAIN["learning_rate"]


def test_the_learning_rate_follows_the_schedule(make_fit):
    rates = [row.learning_rate for row in make_fit(max_epochs=8, warmup_fraction=0.25, batch_records=6).run()]
    assert max(rates) == pytest.approx(PLAIN["learning_rate"], rel=0.05)
    assert rates.index(max(rates)) in (1, 2)
    assert rates[-1] < 0.05 * PLAIN["learning_rate"]


def test_weighted_classes_count_alike_in_the_loss(make_fit):
    """At equal logits each record costs log 2; a weight of R / (C * R_c) makes the sum over each class the same."""
    fit = make_fit(classes="weighted")
    loss = fit._make_loss()
    assert loss.weight.tolist() == pytest.approx([24 / (2 * 18), 24 / (2 * 6)])
    counts = torch.bincount(torch.from_numpy(fit.training_set.targets))
    assert (loss.weight * counts).tolist() == pytest.approx([12, 12])


def test_natural_classes_are_not_weighted(make_fit):
    assert make_fit(classes="natural")._make_loss().weight is None


def test_weights_raise_the_probability_of_the_rare_class(make_fit):
    natural, weighted = (make_fit(classes=classes, max_epochs=20) for classes in ("natural", "weighted"))
    rare = []
    for fit in (natural, weighted):
        fit.run()
        rare.append(probabilities(fit.classifier, fit.training_set)[:, 1].mean())
    assert rare[1] > rare[0]


def test_the_average_of_the_weights_is_what_is_judged_and_kept(make_fit):
    judged = []
    fit = make_fit(
        validate=scripted([0.25, 0.5, 0.75, 1.0], judged), metric="accuracy", ema_decay=0.5, learning_rate=0.1
    )
    fit.run()
    for name, tensor in fit.classifier.state_dict().items():
        assert torch.equal(tensor, judged[-1][name])


def test_each_step_is_reported(make_fit):
    steps = []
    fit = make_fit(max_epochs=3, batch_records=8)
    fit.on_step = steps.append
    fit.run()
    assert len(steps) == 9
    assert [step.progress for step in steps] == sorted(step.progress for step in steps)
    assert steps[-1].epoch == 3


def test_the_classifier_is_left_ready_to_predict(make_fit):
    fit = make_fit()
    fit.run()
    assert not fit.classifier.training
