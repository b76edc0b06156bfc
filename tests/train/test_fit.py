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
from genomix.train import attempt
from genomix.train import fit as fitting
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


class Greedy(Composition):
    """Runs out of memory in training when it is given more bases than that at once, or in the n-th turn."""

    def __init__(self, limit=10**9, fails_in=()):
        super().__init__()
        self.limit = limit
        self.fails_in = fails_in
        self.turns = 0

    def forward(self, tokens, lengths):
        self.turns += self.training
        if self.training and (tokens.numel() > self.limit or self.turns in self.fails_in):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(tokens, lengths)


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

    def make_fit(make=Composition, validate=None, batch_records=24, batch_bases=10**6, seed=0, **changes):
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
            classifier=make(),
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


def test_a_lower_log_loss_is_reason_enough_to_go_on(make_fit):
    """The metric may stand still, as where all records are given the commonest class, while a network learns."""
    falling = iter([*np.linspace(0.55, 0.75, 8), *[0.75] * 40])

    def learns(_):
        share = next(falling)
        return np.tile([share, 1 - share], (NUM_RECORDS, 1))

    history = make_fit(validate=learns, metric="accuracy", max_epochs=40, patience=3).run()
    assert [row.best for row in history] == [True] * 8 + [False] * 3


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
    fit = make_fit(max_epochs=10**6, budget_s=0.5, patience=10**6, batch_records=4)
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


def test_a_gpu_computes_a_step_while_the_loss_of_the_last_is_looked_at(make_fit, monkeypatch):
    """With a device that computes here what it is sent, and is a GPU by its name only."""
    events = []

    class Here(fitting.Stepper):
        def __init__(self, classifier, config, device, class_counts, **others):
            super().__init__(classifier, config, "cpu", class_counts, **others)

        def run(self, *arguments):
            events.append("launched")
            return super().run(*arguments)

    here, elsewhere = (make_fit(max_epochs=2, batch_records=8) for _ in range(2))
    here.run()
    steps = []
    monkeypatch.setattr(fitting, "Stepper", Here)
    elsewhere.device = "mps"
    elsewhere.on_step = lambda step: (events.append("seen"), steps.append(step))
    elsewhere.run()
    assert events == ["launched", "launched", "seen", "launched", "seen", "seen"] * 2
    assert [step.epoch for step in steps] == [1, 1, 1, 2, 2, 2]
    assert [step.progress for step in steps] == pytest.approx([0, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6])
    assert [row.train_loss for row in elsewhere.history] == [row.train_loss for row in here.history]
    assert torch.equal(weights(elsewhere), weights(here))


def test_the_classifier_is_left_ready_to_predict(make_fit):
    fit = make_fit()
    fit.run()
    assert not fit.classifier.training


class TestOutOfMemory:
    """Records of 40 bp, 12 in a step."""

    @pytest.fixture
    def tries(self, monkeypatch):
        """The rows of each step that is tried, with the most bases that are computed at once."""
        tries = []
        feed = attempt.feed

        def note(training_set, batches, device):
            sizes = [sum(piece.end - piece.start for piece, _ in batch) for batch in batches]
            tries.append(([piece.row for batch in batches for piece, _ in batch], max(sizes)))
            return feed(training_set, batches, device)

        monkeypatch.setattr(attempt, "feed", note)
        return tries

    @pytest.mark.parametrize(
        ("greed", "batch_bases", "failed"),
        [
            ({"limit": 300}, 480, 0),
            ({"fails_in": [3]}, 480, 2),
            ({"limit": 160}, 240, 0),
            ({"fails_in": [2]}, 240, 0),
            ({"fails_in": [8]}, 240, 3),
        ],
        ids=["at first", "in a later epoch", "in several batches", "behind a batch that fits", "in the last batch"],
    )
    def test_half_as_much_is_computed_at_once(self, make_fit, tries, caplog, greed, batch_bases, failed):
        reported = []
        fit = make_fit(lambda: Greedy(**greed), batch_records=12, batch_bases=batch_bases)
        fit.on_step = reported.append
        planned = [
            [piece.row for b in step for piece, _ in b] for e in range(1, 5) for step in fit.training_set.plan(e)
        ]
        history = fit.run()
        assert fit.training_set.batch_bases == batch_bases // 2
        assert [row.step for row in history] == [2, 4, 6, 8]
        assert len(reported) == 8
        assert [step.epoch for step in reported] == [1, 1, 2, 2, 3, 3, 4, 4]
        sizes = [size for _, size in tries]
        assert sizes == [batch_bases] * (failed + 1) + [batch_bases // 2] * (8 - failed)
        del tries[failed]
        assert [rows for rows, _ in tries] == planned
        (said,) = caplog.messages
        assert f"out of memory on cpu: from now on {batch_bases // 2} bp are computed at once instead of" in said

    @pytest.mark.parametrize(
        "refuse", [lambda: torch.empty(1 << 50), lambda: np.empty(1 << 50)], ids=["torch", "numpy"]
    )
    def test_a_refusal_of_the_machine_counts_as_well(self, make_fit, monkeypatch, refuse):
        def forward(self, tokens, lengths):
            return refuse() if self.training else Composition.forward(self, tokens, lengths)

        monkeypatch.setattr(Greedy, "forward", forward)
        with pytest.raises(UsageError, match=r"out of memory on cpu in epoch 1; use a smaller --batch-bases than 240"):
            make_fit(Greedy, batch_records=12, batch_bases=480).run()

    def test_another_error_is_not_taken_for_it(self, make_fit, monkeypatch):
        def forward(self, tokens, lengths):
            raise RuntimeError("shapes do not match")

        monkeypatch.setattr(Greedy, "forward", forward)
        with pytest.raises(RuntimeError, match="shapes do not match"):
            make_fit(Greedy, batch_records=12).run()

    @pytest.mark.parametrize("greed", [{"limit": 160}, {"fails_in": [1]}, {"fails_in": [2]}], ids=str)
    def test_the_outcome_is_that_of_half_the_batches_from_the_start(self, make_fit, greed):
        halved = make_fit(lambda: Greedy(**greed), batch_records=12, batch_bases=240)
        small = make_fit(Greedy, batch_records=12, batch_bases=120)
        for fit in (halved, small):
            fit.run()
        assert torch.equal(weights(halved), weights(small))
        assert [row.train_loss for row in halved.history] == [row.train_loss for row in small.history]

    def test_the_outcome_is_that_of_whole_batches(self, make_fit):
        halved = make_fit(lambda: Greedy(fails_in=[5]), batch_records=12)
        whole = make_fit(batch_records=12)
        for fit in (halved, whole):
            fit.run()
        torch.testing.assert_close(weights(halved), weights(whole), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(
        ("greed", "epoch", "steps"),
        [({"limit": 79}, 1, 0), ({"fails_in": [1, 15]}, 2, 2), ({"fails_in": [7, 8]}, 2, 2)],
        ids=["half is too much", "later", "at once"],
    )
    def test_a_second_time_is_the_end(self, make_fit, caplog, greed, epoch, steps):
        reported = []
        fit = make_fit(lambda: Greedy(**greed), batch_records=12, batch_bases=160)
        fit.on_step = reported.append
        message = rf"out of memory on cpu in epoch {epoch}; use a smaller --batch-bases than 80, or .* --max-length"
        with pytest.raises(UsageError, match=message):
            fit.run()
        assert len(caplog.messages) == 1
        assert len(reported) == steps
