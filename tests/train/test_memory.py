"""What a training step is said to need is what a larger one is then seen to allocate, and asking changes nothing."""

import copy

import pytest
import torch
from torch import nn

from genomix.config import TrainingConfig, make_config
from genomix.nn.build import build_classifier
from genomix.train import memory
from genomix.train.memory import HEAP_OVERHEAD, TRIED_LENGTH, StepMemory, measure_step_memory

CONFIG = TrainingConfig(ema_decay=0)
SMALL = {"model.encoder.dim": 16, "model.encoder.hidden_dim": 16}
LENGTH = 1024
NETWORKS = {
    "stem": SMALL,
    "no stem": SMALL | {"model.stem": None, "model.embedding.dim": 16},
    "recompute": SMALL | {"model.encoder.recompute": True},
    "dropout": SMALL | {"model.encoder.dropout": 0.2},
    "two layers, plain": {"model.encoder.dim": 5, "model.encoder.hidden_dim": 8, "model.encoder.num_layers": 2},
}


class Pairs(nn.Module):
    """A network that compares every base with every other: what it needs grows with the square of the length."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(6, 2)

    def forward(self, tokens, lengths):
        embedded = self.embedding(tokens.long())
        return (embedded @ embedded.transpose(1, 2)).square().mean(2)[:, :2]


class Heavy(nn.Module):
    """A network of many weights and little else."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(LENGTH, 2000)

    def forward(self, tokens, lengths):
        return self.head(tokens.float())


def make(overrides=SMALL, preset=None, length=LENGTH):
    config = make_config(preset, overrides=overrides | {"model.max_length": length})
    return build_classifier(config.model, 3)


def measured(classifier, records, length):
    return memory._peak_of_a_step(classifier, CONFIG, records, length, "cpu") * HEAP_OVERHEAD


def assert_foretold(classifier, records, length):
    need = measure_step_memory(classifier, CONFIG, length, "cpu")
    assert need.total(records * length) == pytest.approx(measured(classifier, records, length), rel=0.15)
    return need


@pytest.mark.parametrize("name", NETWORKS)
def test_a_larger_step_needs_what_was_foretold(name):
    assert_foretold(make(NETWORKS[name]), 12, LENGTH)


def test_a_network_that_fills_records_up_needs_what_was_foretold():
    network = make({}, "paramixer-paper")
    need = assert_foretold(network, 12, LENGTH)
    assert need.total(LENGTH) == measure_step_memory(network, CONFIG, LENGTH, "cpu").total(LENGTH)
    assert measured(network, 4, 10) > 0.85 * need.total(4 * LENGTH)


@pytest.mark.parametrize("overrides", [NETWORKS["stem"], NETWORKS["no stem"]], ids=["stem", "no stem"])
def test_longer_records_than_are_tried_need_what_was_foretold(overrides):
    length = 4 * TRIED_LENGTH
    assert_foretold(make(overrides, length=length), 3, length)


def test_a_need_that_grows_faster_than_the_length_is_foretold(monkeypatch):
    monkeypatch.setattr(memory, "TRIED_LENGTH", 256)
    assert_foretold(Pairs(), 3, LENGTH)


def test_long_records_are_not_tried(monkeypatch):
    tried = []
    peak = memory._peak_of_a_step

    def note(classifier, config, records, length, device):
        tried.append(length)
        return peak(classifier, config, records, length, device)

    monkeypatch.setattr(memory, "_peak_of_a_step", note)
    measure_step_memory(make(length=10**6), CONFIG, 10**6, "cpu")
    assert max(tried) == TRIED_LENGTH


def test_every_base_is_kept_in_some_form():
    need = measure_step_memory(make(), CONFIG, LENGTH, "cpu")
    floats_of_the_embedding = 4 * 8
    assert need.bytes_per_base > floats_of_the_embedding


def test_the_optimiser_is_counted():
    """Gradients and two moments of Adam at least, of a network whose weights outweigh all else."""
    need = measure_step_memory(Heavy(), CONFIG, LENGTH, "cpu")
    weights = 4 * sum(parameter.numel() for parameter in Heavy().parameters())
    assert 3 * weights <= need.fixed_bytes / HEAP_OVERHEAD < 6 * weights


def test_the_need_is_a_line():
    need = StepMemory(1000, 3)
    assert [need.total(bases) for bases in (0, 1, 100)] == [1000, 1003, 1300]


def test_link_weights_made_again_save_memory():
    alone = {"model.stem": None, "model.embedding.dim": 16, "model.encoder.dim": 16}
    networks = (make(alone | {"model.encoder.recompute": recompute}) for recompute in (False, True))
    kept, made = (measure_step_memory(network, CONFIG, LENGTH, "cpu") for network in networks)
    assert made.bytes_per_base < kept.bytes_per_base


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_asking_leaves_the_network_as_it_was(norm):
    network = make(SMALL | {"model.head.norm": norm, "model.encoder.dropout": 0.5}).eval()
    before = copy.deepcopy(network.state_dict())
    measure_step_memory(network, CONFIG, 64, "cpu")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_asking_says_nothing(capfd):
    measure_step_memory(make(), CONFIG, 64, "cpu")
    assert capfd.readouterr() == ("", "")


def test_asking_twice_gives_the_same():
    network = make()
    measure_step_memory(network, CONFIG, LENGTH, "cpu")  # what is imported or made once is there now
    one, other = (measure_step_memory(network, CONFIG, LENGTH, "cpu") for _ in range(2))
    assert one == other


@pytest.mark.parametrize("length", [64, 150])
def test_many_short_records_need_what_was_foretold(length):
    assert_foretold(make({}, length=length), 400, length)


def test_asking_does_not_draw_from_the_random_numbers_of_the_training():
    network = make(NETWORKS["dropout"])
    before = torch.random.get_rng_state()
    measure_step_memory(network, CONFIG, 64, "cpu")
    assert torch.equal(torch.random.get_rng_state(), before)
