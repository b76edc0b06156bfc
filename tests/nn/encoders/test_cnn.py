"""The convolutional baseline equals its formula, position by position; its statistics know real positions only."""

import numpy as np
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
    assert network.output_dim == expected[0].shape[1]
    assert_same(network(x, lengths), pad_sequence(expected, batch_first=True), [x, *network.parameters()])


def test_running_statistics_are_those_of_real_positions_alone():
    """As torch's own batch normalisation keeps them, of the same positions without padding."""
    torch.manual_seed(0)
    ours, torchs = RealBatchNorm(3).double(), torch.nn.BatchNorm1d(3).double()
    real = torch.rand(4, 1, 9) < 0.6
    for _ in range(3):
        x = torch.randn(4, 3, 9, dtype=torch.float64) * 2 + 5
        flat = torchs(x.transpose(1, 2)[real[:, 0]])
        torch.testing.assert_close(ours(x, real).transpose(1, 2)[real[:, 0]], flat)
    for name, expected in torchs.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), expected, msg=name)


def test_a_group_moves_the_running_statistics_by_its_share_of_the_largest():
    """31 records of mean 0 in one group, one short record of mean 1 in the next, over and over."""
    norm, count = RealBatchNorm(1).double(), 31 * 8
    with torch.no_grad():
        for _ in range(100):
            norm(torch.zeros(31, 1, 8, dtype=torch.float64), torch.ones(31, 1, 8, dtype=torch.bool))
            before = norm.running_mean.item()
            norm(torch.ones(1, 1, 8, dtype=torch.float64), torch.arange(8).view(1, 1, 8) < 4)
    rate = 1 - 0.9 ** (4 / count)
    assert norm.running_mean.item() == pytest.approx(before + rate * (1 - before))
    assert norm.running_mean.item() == pytest.approx(rate / (1 - 0.9 * (1 - rate)), rel=1e-3)


def test_the_largest_group_is_saved_with_the_running_statistics():
    norm, again = RealBatchNorm(1), RealBatchNorm(1)
    norm(torch.randn(9, 1, 8), torch.ones(9, 1, 8, dtype=torch.bool))
    again.load_state_dict(norm.state_dict())
    for one in (norm, again):
        one(torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(0)), torch.ones(1, 1, 8, dtype=torch.bool))
    torch.testing.assert_close(again.state_dict(), norm.state_dict())
    assert norm.num_batches_tracked == 2


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


@pytest.mark.parametrize("target", [0, 1])
def test_the_loss_is_the_cross_entropy_of_logits(target):
    """The published code applies a sigmoid twice, so that no loss falls below 0.313 (class 1) or 0.693 (class 0)."""
    from genomix.train.loss import make_loss

    config = make_config("cnn", overrides={"model.max_length": 40})
    network = build_classifier(config.model, 2).eval()
    loss_of = make_loss(config.training, np.array([10, 10]))
    tokens, lengths, targets = (
        torch.randint(0, 4, (1, 40), dtype=torch.uint8),
        torch.tensor([40]),
        torch.tensor([target]),
    )
    logits = network(tokens, lengths)
    expected = (logits.exp().sum() / logits[0, target].exp()).log()
    torch.testing.assert_close(loss_of(logits, targets), expected)
    with torch.no_grad():
        bias = network.head[-1].bias
        bias[target] += 100
    logits = network(tokens, lengths)
    assert logits.abs().max() > 50
    assert loss_of(logits, targets) < 1e-6
    assert loss_of(logits, 1 - targets) > 50


def test_preset_has_the_published_layers():
    network = build_classifier(make_config("cnn", overrides={"model.max_length": 500}).model, 2)
    convolutions = (100 * 8 + 1) * 16 + (16 * 8 + 1) * 8 + (8 * 8 + 1) * 4
    assert sum(parameter.numel() for parameter in network.encoder.parameters()) == convolutions + 2 * (16 + 8 + 4)
    assert network.head[-1].in_features == 63 * 4
    assert len(network.head) == 1
