"""Pretraining learns what can be learnt, goes on with the same bits, and its weights are where a training starts."""

import json

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from genomix.checkpoint import CHECKPOINT, is_of_features, load_features, load_model, load_pretrained
from genomix.config import ENCODER_SECTIONS, KmerConfig, MaskingConfig, make_config
from genomix.data.store import build_store
from genomix.errors import DataError, PreemptedError, UsageError
from genomix.nn.build import FEATURES, build_classifier
from genomix.pretrain.masking import IGNORED
from genomix.pretrain.network import build_masked_base_model
from genomix.pretrain.plan import plan
from genomix.pretrain.run import Pretraining
from genomix.stopping import Stopping
from genomix.train.adoption import adopt
from genomix.train.init import read_source
from genomix.train.plan import MOST_PASSES
from genomix.train.run import Training

SMALL = {
    "model.max_length": 48,
    "model.embedding.dim": 8,
    "model.embedding.dropout": 0.1,
    "model.encoder.dim": 16,
    "model.encoder.hidden_dim": 16,
    "model.stem.base_dim": 8,
    "training.batch_records": 8,
    "training.ema_decay": 0.5,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Records of period three, each in a phase of its own: no base is likelier than another, and each is sure."""
    directory = tmp_path_factory.mktemp("period")
    rng = np.random.default_rng(0)
    lines = []
    for i in range(64):
        letters = "".join(rng.permutation(list("ACGT"))[:3])
        lines.append(f">r{i}\n{(letters * 40)[: 60 + i]}\n")
    (directory / "data.fa").write_text("".join(lines))
    return build_store([str(directory / "data.fa")], cache_dir=directory / "cache")


def pretraining(store, path, stop_after=None, overrides=None, **changes):
    stop = Stopping()
    steps = []

    def on_step(_):
        steps.append(1)
        if len(steps) == stop_after:
            stop.ask("SIGTERM")

    config = make_config(overrides=SMALL | {"training.max_epochs": 3} | (overrides or {}))
    return Pretraining(config, store, path, on_step=on_step, stop=stop, checkpoint_every_s=0, **changes)


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    return pretraining(store, path).run()


@pytest.mark.parametrize("stops", [(1,), (10,), (8, 3, 5)])
def test_a_stopped_pretraining_ends_with_the_same_bits(store, whole, tmp_path, stops):
    path = tmp_path / "run"
    for number, stop_after in enumerate(stops):
        with pytest.raises(PreemptedError):
            pretraining(store, path, stop_after=stop_after, resume=number > 0).run()
    done = pretraining(store, path, resume=True).run()
    expected = whole.model.classifier.state_dict()
    for name, tensor in done.model.classifier.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert (path / "metrics.json").read_text() == (whole.model.path / "metrics.json").read_text()
    assert not (path / CHECKPOINT).exists()
    histories = ((one / "history.csv").read_text().splitlines() for one in (path, whole.model.path))
    ours, theirs = ([line.split(",")[:6] for line in lines] for lines in histories)
    assert ours == theirs


def test_it_learns_a_rule_that_no_composition_shows(store, tmp_path):
    overrides = {"training.max_epochs": 30, "training.learning_rate": 0.03, "training.ema_decay": 0.0}
    overrides |= {"model.embedding.dropout": 0.0, "masking.span": 1}
    done = pretraining(store, tmp_path / "run", overrides=overrides).run()
    network, neighbours, composition = done.said.values()
    assert composition.accuracy < 0.45
    assert network.accuracy > 0.95
    assert network.bits_per_base < 0.3 < composition.bits_per_base
    assert neighbours.accuracy > 0.9
    stated = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert stated["metrics"]["bits_per_base"] == pytest.approx(network.bits_per_base)
    assert stated["baselines"]["composition"]["accuracy"] == pytest.approx(composition.accuracy)


def test_the_loss_of_a_step_is_the_mean_over_what_is_to_be_said(store, tmp_path):
    """Not over other positions, nor over padding: computed piece by piece, without batches."""
    overrides = {"model.embedding.dropout": 0.0, "training.batch_records": 1000, "training.max_epochs": 1}
    losses = []
    run = pretraining(store, tmp_path / "run", overrides=overrides)
    run.on_step = lambda step: losses.append(step.loss)
    decided = plan(run.config, store, "cpu")
    torch.manual_seed(run.config.training.seed)
    network = build_masked_base_model(decided.network)
    run.run()
    nats = num = 0
    [step] = decided.training_set.plan(1)
    for entry in (entry for batch in step for entry in batch):
        [group], targets = decided.training_set.load([entry])
        with torch.no_grad():
            logits = network(*group)[0]
        for place in (targets != IGNORED).nonzero().flatten().tolist():
            nats += float(cross_entropy(logits[place], targets[place]))
            num += 1
    assert losses == [pytest.approx(nats / num, rel=1e-4)]


@pytest.mark.parametrize("encoder", ENCODER_SECTIONS)
@pytest.mark.parametrize("padding", ["mask", "token"])
def test_every_encoder_says_every_base_and_ignores_what_lies_behind(encoder, padding):
    """Only where the published network sees its padding, that is a part of the record."""
    torch.manual_seed(0)
    config = make_config(encoder if encoder != "paramixer" else None, overrides={"model.max_length": 64}).model
    config = config.model_copy(update={"padding": padding})
    network = build_masked_base_model(config).eval()
    tokens = torch.randint(0, 4, (2, 50), dtype=torch.uint8)
    lengths = torch.tensor([50, 37])
    with torch.no_grad():
        logits = network(tokens, lengths)
        tokens[1, 37:] = 5
        again = network(tokens, lengths)
    assert logits.shape == (2, 50, 4)
    torch.testing.assert_close(logits[1, :37], again[1, :37])
    classifier = build_classifier(config, 2)
    named = {name: tensor.shape for name, tensor in network.state_dict().items() if is_of_features(name)}
    assert named == {n: tensor.shape for n, tensor in classifier.state_dict().items() if is_of_features(n)}


def test_kmer_models_are_refused(store, tmp_path):
    with pytest.raises(UsageError, match="no layers to pretrain"):
        Pretraining(make_config("kmer"), store, tmp_path / "run").run()


class TestStarting:
    def train(self, whole, records, path, overrides=None, **changes):
        source = read_source(str(whole.model.path))
        given = {"training.max_epochs": 2, "training.baselines": False, "training.calibrate": False}
        config = adopt(source, None, None, given | (overrides or {}))
        return Training(config, records, path, checks=False, init_from=source.init_from, **changes)

    def features(self, state):
        return {name: tensor for name, tensor in state.items() if is_of_features(name)}

    def test_features_are_those_of_the_run_and_the_head_is_new(self, whole):
        network = build_classifier(whole.model.config.model, 2)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        load_features(network, whole.model.path / "model.safetensors")
        theirs, ours = whole.model.classifier.state_dict(), network.state_dict()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in self.features(ours).items())
        others = ours.keys() - self.features(ours).keys()
        assert all(torch.equal(ours[name], before[name]) for name in others)
        assert {name.partition(".")[0] for name in ours} - {*FEATURES} == {"head"}

    @pytest.mark.parametrize(("freeze_epochs", "stays"), [(None, True), (1, False)])
    def test_what_is_frozen_stays_as_it_was(self, whole, records, tmp_path, freeze_epochs, stays):
        overrides = {"training.freeze": "features", "training.freeze_epochs": freeze_epochs}
        trained = self.train(whole, records, tmp_path / "run", overrides).run().model
        theirs, ours = whole.model.classifier.state_dict(), trained.classifier.state_dict()
        same = [torch.equal(tensor, theirs[name]) for name, tensor in self.features(ours).items()]
        torch.manual_seed(trained.config.training.seed)
        untrained = build_classifier(trained.config.model, 2).state_dict()
        assert not torch.equal(ours["head.1.weight"], untrained["head.1.weight"])
        assert all(same) if stays else not all(same)
        assert trained.meta.training["init_from"]["sha256"] == read_source(str(whole.model.path)).init_from.sha256
        if not stays:
            assert all(row.requires_grad for row in trained.classifier.parameters())

    def test_the_kmers_of_a_classifier_are_searched_anew(self, whole, records, tmp_path):
        """Those of other labels say nothing of these; and only a search tells which strands to read."""
        first = self.train(whole, records, tmp_path / "first").run().model
        assert first.config.model.composition.is_settled
        source = read_source(str(first.path))
        assert adopt(source, None, None, {}).model.composition == KmerConfig()
        stated = adopt(source, None, None, {"model.composition.k": 3}).model.composition
        assert stated == KmerConfig(k=3)
        both = {"model.composition.k": 3, "model.composition.inverse_regularisation": 1.0}
        assert adopt(source, None, None, both).model.composition == make_config(None, None, both).model.composition

    def test_what_speaks_beside_the_network_is_of_this_training(self, whole, records, tmp_path):
        source = read_source(str(whole.model.path))
        assert adopt(source, None, None, {}).model.composition == KmerConfig()
        alone = self.train(whole, records, tmp_path / "alone", {"model.composition": None}).run().model
        assert alone.config.model.composition is None
        again = adopt(read_source(str(alone.path)), None, None, {"model.composition": {"k": 4}})
        assert again.model.composition == KmerConfig(k=4)
        assert adopt(read_source(str(alone.path)), None, None, {}).model.composition is None
        opened = adopt(read_source(str(alone.path)), None, None, {"model.composition": {}}).model.composition
        assert opened == KmerConfig()

    def test_frozen_parts_drop_nothing_out(self, whole, records, tmp_path):
        """With all but the head frozen, what it reads is the same in each epoch: so is what a dropout would change."""
        seen = []
        training = self.train(whole, records, tmp_path / "run", {"training.freeze": "features"})
        modes = lambda network: {part.training for name in FEATURES for part in getattr(network, name).modules()}  # noqa: E731

        from genomix.train.step import Stepper

        run = Stepper.run

        def spy(self, *arguments):
            seen.append((modes(self.classifier), self.classifier.head.training))
            return run(self, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Stepper, "run", spy)
            training.run()
        assert seen
        assert all(one == ({False}, True) for one in seen)

    def test_a_start_that_was_stopped_ends_with_the_same_bits_without_its_source(self, whole, records, tmp_path):
        import shutil

        source = tmp_path / "source"
        shutil.copytree(whole.model.path, source)
        moved = type(whole)(type(whole.model)(**{**whole.model.__dict__, "path": source}), whole.said, 0.0)
        overrides = {"training.freeze": "features", "training.freeze_epochs": 1, "training.batch_records": 8}
        expected = self.train(moved, records, tmp_path / "one", overrides).run().model.classifier.state_dict()
        stop = Stopping()
        training = self.train(moved, records, tmp_path / "two", overrides, stop=stop, checkpoint_every_s=0)
        training.on_step = lambda _: stop.ask("SIGTERM")
        with pytest.raises(PreemptedError):
            training.run()
        again = self.train(moved, records, tmp_path / "two", overrides, resume=True)
        shutil.rmtree(source)
        ours = again.run().model.classifier.state_dict()
        assert all(torch.equal(ours[name], expected[name]) for name in expected)

    def test_other_weights_than_it_was_begun_with_are_an_error(self, whole, records, tmp_path):
        training = self.train(whole, records, tmp_path / "run")
        training.init_from = training.init_from.model_copy(update={"sha256": "0" * 64})
        with pytest.raises(DataError, match="not the weights any more"):
            training.run()

    def test_freezing_random_weights_is_an_error(self, records, tmp_path):
        with pytest.raises(UsageError, match="would keep random weights"):
            Training(make_config(overrides={"training.freeze": "features"}), records, tmp_path / "run")
        with pytest.raises(UsageError, match="freeze_epochs: needs training"):
            make_config(overrides={"training.freeze_epochs": 2})

    def test_a_trained_classifier_may_be_started_from_too(self, whole, records, tmp_path):
        first = self.train(whole, records, tmp_path / "one").run().model
        second = type(whole)(first, {}, 0.0)
        training = self.train(second, records, tmp_path / "two", {"training.freeze": "features"})
        ours = self.features(training.run().model.classifier.state_dict())
        assert all(torch.equal(tensor, first.classifier.state_dict()[name]) for name, tensor in ours.items())


def test_vectors_are_those_of_the_pretrained_encoder(whole):
    model = load_pretrained(whole.model.path)
    tokens, lengths = torch.randint(0, 4, (2, 40), dtype=torch.uint8), torch.tensor([40, 40])
    with torch.no_grad():
        pooled = model.classifier.head[:-1](model.classifier.pool(tokens, lengths))
        encoded = whole.model.classifier.pool(tokens, lengths)
    torch.testing.assert_close(pooled, encoded.mean(1))
    with pytest.raises(UsageError, match="has no classes yet"):
        load_model(whole.model.path)


def test_shares_that_are_none_are_an_error():
    with pytest.raises(ValueError, match="together they must be 1 at most"):
        MaskingConfig(unknown=0.8, random=0.3)


@pytest.mark.parametrize("few", [1, 10_000])
def test_many_windows_and_few_are_read_as_often(store, monkeypatch, few):
    monkeypatch.setattr("genomix.train.plan.FEW_RECORDS", few)
    decided = plan(make_config(overrides={"model.max_length": 32}), store, "cpu")
    assert decided.config.training.max_epochs == MOST_PASSES
    assert not any("mask_fraction" in sentence for sentence in decided.said)
