"""A training that was stopped and gone on with ends with the same bits, wherever it was stopped."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genomix.config import TrainingConfig, make_config
from genomix.data.dataset import TrainingSet
from genomix.data.store import build_store
from genomix.distributed import RankLostError, Ranks
from genomix.errors import PreemptedError
from genomix.nn.build import build_classifier
from genomix.stopping import AbandonedError, Stopping
from genomix.train.checkpoints import Checkpoints
from genomix.train.fit import Fit

NUM_RECORDS = 22
MAX_EPOCHS = 4
STEPS_AN_EPOCH = 3
SMALL = {
    "model.max_length": 24,
    "model.embedding.dim": 8,
    "model.embedding.dropout": 0.1,
    "model.encoder.dim": 8,
    "model.encoder.hidden_dim": 8,
    "model.stem.base_dim": 4,
    "model.head.dropout": 0.3,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("resume")
    rng = np.random.default_rng(0)
    shares = ([0.4, 0.1, 0.1, 0.4], [0.1, 0.4, 0.4, 0.1])
    text = "".join(
        f">r{i}\n{''.join(rng.choice(list('ACGT'), 20 + 3 * i, p=shares[i % 2]))}\n" for i in range(NUM_RECORDS)
    )
    (directory / "data.fa").write_text(text)
    return build_store([str(directory / "data.fa")], cache_dir=directory / "cache")


class Run:
    """One training, in as many processes as it takes: here each is a `Fit` that knows nothing of those before."""

    def __init__(self, store, directory=None, **changes):
        self.store = store
        self.checkpoints = None if directory is None else Checkpoints(directory, 0)
        self.changes = {"ema_decay": 0.8, "max_epochs": MAX_EPOCHS, "patience": MAX_EPOCHS} | changes
        self.saved = None
        self.epochs = []

    def fit(self, stop_after=None, stop_in_validation=None, lose_after=None, ranks=None):
        """Train on from what was saved, until it ends or is stopped; return the final weights or None.

        With `lose_after`, what is saved is that of this step, as if a kill came any time before the next checkpoint.
        """
        torch.manual_seed(0)
        targets = (np.arange(NUM_RECORDS) % 2).astype(np.int64)
        stop = Stopping()
        steps, validations = [], []

        def validate(module):
            validations.append(1)
            if len(validations) == stop_in_validation:
                stop.ask("SIGTERM")
                stop.check()
            return self.score(module)

        def on_step(_):
            steps.append(1)
            if stop_after is not None and len(steps) >= stop_after:
                stop.ask("SIGTERM")

        def on_checkpoint(state, must):
            if lose_after is None and not must and self.checkpoints is None:
                return
            if lose_after is None or len(steps) <= lose_after:
                self.save(state())

        training = TrainingConfig(
            learning_rate=0.01, warmup_fraction=0.2, batch_records=8, batch_bases=100, **self.changes
        )
        fit = Fit(
            classifier=build_classifier(make_config(overrides=SMALL).model, 2),
            training_set=TrainingSet(
                store=self.store,
                rows=np.arange(NUM_RECORDS),
                targets=targets,
                max_length=24,
                batch_records=8,
                batch_bases=100,
                reverse_complement=True,
                balanced=True,
                seed=training.seed,
            ),
            config=training,
            device="cpu",
            validate=validate,
            val_targets=targets,
            num_classes=2,
            on_step=on_step,
            on_epoch=lambda row: self.epochs.append((row.epoch, row.step, row.train_loss, row.validation, row.best)),
            on_checkpoint=on_checkpoint,
            stop=stop,
            ranks=ranks or Ranks(),
        )
        if (state := self.read()) is not None:
            fit.load(state)
        try:
            fit.run()
        except PreemptedError:
            return None
        return {name: value.clone() for name, value in fit.classifier.state_dict().items()}

    def save(self, state):
        if self.checkpoints is None:
            self.saved = state
        else:
            self.checkpoints.write(state)

    def read(self):
        return self.saved if self.checkpoints is None else self.checkpoints.read()

    def score(self, module):
        scored = []
        with torch.no_grad():
            for row in range(NUM_RECORDS):
                tokens = torch.from_numpy(np.array(self.store.tokens(row)[:24]))[None]
                scored.append(module(tokens, torch.tensor([tokens.shape[1]])).softmax(1)[0].numpy())
        return np.stack(scored)


@pytest.fixture(scope="module")
def whole(store):
    run = Run(store)
    return run.fit(), run.epochs


def same(ours, expected):
    return all(torch.equal(ours[name], expected[name]) for name in expected)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, STEPS_AN_EPOCH * MAX_EPOCHS), max_size=3))
def test_stopped_after_any_steps(store, whole, tmp_path_factory, stops):
    run = Run(store, tmp_path_factory.mktemp("run"))
    weights = None
    for stop in [*stops, None]:
        weights = run.fit(stop_after=stop)
        if weights is not None:
            break
    expected, epochs = whole
    assert same(weights, expected)
    assert run.epochs == epochs


@pytest.mark.parametrize("validation", range(1, MAX_EPOCHS + 1))
def test_stopped_while_validating(store, whole, validation):
    run = Run(store)
    assert run.fit(stop_in_validation=validation) is None
    assert same(run.fit(), whole[0])
    assert run.epochs == whole[1]


@pytest.mark.parametrize("step", [1, 4, 9, 12])
def test_killed_after_a_checkpoint(store, whole, step):
    run = Run(store)
    assert run.fit(stop_after=STEPS_AN_EPOCH * MAX_EPOCHS, lose_after=step) is not None or run.saved is not None
    run.epochs.clear()
    assert same(run.fit(), whole[0])
    assert run.epochs == whole[1][len(whole[1]) - len(run.epochs) :]


def test_who_does_not_want_to_wait_leaves_the_last_checkpoint(store, whole, monkeypatch, tmp_path):
    def impatient(self):
        if self._progress.step == 5:  # in the middle: the weights have moved
            raise AbandonedError
        return plain(self)

    plain = Fit._agree
    run = Run(store, tmp_path)
    assert run.fit(stop_after=4) is None
    before = (tmp_path / "checkpoint.pt").read_bytes()
    monkeypatch.setattr(Fit, "_agree", impatient)
    with pytest.raises(AbandonedError):
        run.fit()
    monkeypatch.undo()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert same(run.fit(), whole[0])


class Losing(Ranks):
    """Two processes, of which the other is lost in a step: alone it sums nothing."""

    lost_in = None

    def add_up(self, tensors):
        if Losing.lost_in == 0:
            raise RankLostError("gone")
        if Losing.lost_in is not None:
            Losing.lost_in -= 1

    def sum_with_gradient(self, tensor):
        return tensor

    def most(self, *values):
        return list(values)

    def gather(self, value):
        return [value]

    def barrier(self):
        pass


def test_a_step_in_which_another_process_is_lost_leaves_nothing_behind(store, monkeypatch):
    ranks = Losing(0, 2)
    monkeypatch.setattr(Losing, "lost_in", None)
    expected = Run(store).fit(ranks=ranks)
    run = Run(store)
    monkeypatch.setattr(Losing, "lost_in", 5)
    with pytest.raises(RankLostError):
        run.fit(ranks=ranks)
    assert run.saved["progress"]["step"] == 5
    monkeypatch.setattr(Losing, "lost_in", None)
    assert same(run.fit(ranks=ranks), expected)


def test_one_that_had_ended_gives_its_weights_again(store, whole):
    run = Run(store)
    first = run.fit()
    run.epochs.clear()
    assert same(run.fit(), first)
    assert run.epochs == []


def test_the_random_numbers_of_a_step_are_a_function_of_seed_and_step(store, whole):
    other = Run(store, seed=1).fit()
    assert not same(other, whole[0])


def test_halved_batches_stay_halved(store, monkeypatch):
    from genomix.train.step import Stepper

    def short_of_memory(self, batches, num_records, learning_rate):
        batches = list(batches)
        if any(len(batch.targets) > 3 for batch in batches):
            raise torch.OutOfMemoryError("out of memory")
        return plain(self, batches, num_records, learning_rate)

    plain = Stepper.run
    monkeypatch.setattr(Stepper, "run", short_of_memory)
    expected = Run(store).fit()
    run = Run(store)
    assert run.fit(stop_after=5) is None
    assert run.saved["progress"]["halved"]
    assert run.saved["progress"]["batch_bases"] == 50
    assert same(run.fit(), expected)
