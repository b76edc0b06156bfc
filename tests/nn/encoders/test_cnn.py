"""The convolutional baseline equals its formula, position by position; its statistics know real positions only."""

import pytest
import torch
from checks import assert_dropout_acts_in_training_only, assert_same, draw, randomise
from dense import shift
from torch.nn.utils.rnn import pad_sequence

from genomix.config import make_config
from genomix.nn.build import build_classifier
from genomix.nn.encoders.cnn import Cnn, RealBatchNorm

DIM, CHANNELS = 5, (4, 3, 2)
LENGTHS = [1, 2, 3, 7, 8, 16, 21]


def convolve(module, x, left):
    """One record (n, inputs): a convolution over `width` positions, `left` of them before the one it stands for."""
    taps = enumerate(module.weight.unbind(2))
    return sum(shift(x, offset - left) @ tap.T for offset, tap in taps) + module.bias


def encode(network, records, left):
    """Records (n, D) of a batch; statistics over all their positions in training, the running ones otherwise."""
    for index, stage in enumerate(network.stages):
        records = [convolve(stage.convolution, x, left) for x in records]
        mean, variance = stage.norm.running_mean, stage.norm.running_var
        if network.training:
            rows = torch.cat(records)
            mean, variance = rows.mean(0), rows.var(0, correction=0)
        scale = stage.norm.weight / (variance + stage.norm.eps).sqrt()
        records = [(x - mean) * scale + stage.norm.bias for x in records]
        if index == 0:
            records = [x.relu() for x in records]
        records = [torch.stack([pair.amax(0) for pair in x.split(2)]) for x in records]
    return records


def make(width=8, **more):
    """A small network in float64 with no weight or statistic at a special value."""
    network = randomise(Cnn(DIM, CHANNELS, width, **more))
    for stage in network.stages:
        stage.norm.running_mean.copy_(draw(stage.norm.num_features, seed=1))
        stage.norm.running_var.copy_(draw(stage.norm.num_features, seed=2).abs() + 0.5)
    return network


def make_inputs(lengths, padding=2):
    """A batch, with something behind every record's length, that must not matter."""
    x = draw(len(lengths), max(lengths) + 2, DIM)
    return torch.nn.functional.pad(x, (0, 0, 0, padding - 2))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("width", "left"), [(8, 3), (7, 3), (2, 0), (1, 0)])
def test_equals_the_formula(training, width, left):
    network, x, lengths = make(width).train(training), make_inputs(LENGTHS).requires_grad_(), torch.tensor(LENGTHS)
    expected = encode(network, [row[:length] for row, length in zip(x, LENGTHS, strict=True)], left)
    assert network.output_lengths(lengths).tolist() == [len(record) for record in expected]
    found = network(x, lengths)
    assert found.shape == (len(LENGTHS), 3, network.output_dim)
    assert_same(found, pad_sequence(expected, batch_first=True), [x, *network.parameters()])


def test_running_statistics_are_those_of_real_positions_alone():
    """As torch's own batch normalisation keeps them, of the same positions without padding."""
    torch.manual_seed(0)
    ours, torchs = RealBatchNorm(3).double(), torch.nn.BatchNorm1d(3).double()
    real = torch.rand(4, 1, 9) < 0.6
    for _ in range(3):
        x = torch.randn(4, 3, 9, dtype=torch.float64) * 2 + 5
        flat = torchs(x.transpose(1, 2)[real[:, 0]])
        torch.testing.assert_close(ours(x, real).transpose(1, 2)[real[:, 0]], flat)
    for (name, buffer), expected in zip(ours.named_buffers(), torchs.buffers(), strict=True):
        torch.testing.assert_close(buffer, expected, msg=name)


def test_padding_changes_nothing_in_training():
    outcomes = []
    for padding in (2, 9):
        network = make().train()
        found = network(make_inputs(LENGTHS, padding), torch.tensor(LENGTHS))[:, :3]
        outcomes.append((found, *network.buffers()))
    torch.testing.assert_close(outcomes[0], outcomes[1])


def test_a_batch_of_one_position_is_its_bias():
    network = make().train()
    found = network(make_inputs([1]), torch.tensor([1]))
    assert found.isfinite().all()
    torch.testing.assert_close(found[0, 0], network.stages[-1].norm.bias)
    found.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    assert all(buffer.isfinite().all() for buffer in network.buffers())


def test_dropout_acts_in_training_only():
    assert_dropout_acts_in_training_only(make, DIM)


def test_preset_has_the_published_layers():
    network = build_classifier(make_config("cnn", overrides={"model.max_length": 500}).model, 2)
    convolutions = (100 * 8 + 1) * 16 + (16 * 8 + 1) * 8 + (8 * 8 + 1) * 4
    assert sum(parameter.numel() for parameter in network.encoder.parameters()) == convolutions + 2 * (16 + 8 + 4)
    assert network.head[-1].in_features == 63 * 4
    assert len(network.head) == 1
