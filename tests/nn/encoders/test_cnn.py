"""The convolutional baseline equals its formula, in plain loops; its statistics know real positions only."""

import numpy as np
import pytest
import torch

from genomix.config import make_config
from genomix.nn.build import build_classifier
from genomix.nn.encoders.cnn import Cnn, RealBatchNorm

DIM, CHANNELS = 5, (4, 3, 2)
LENGTHS = [1, 2, 3, 7, 8, 16, 21]


def array(tensor):
    return tensor.detach().double().numpy()


def convolve(module, x, left):
    """One record (n, inputs): a convolution over `width` positions, `left` of them before the one it stands for."""
    weight, bias = array(module.weight), array(module.bias)
    y = np.empty((len(x), len(bias)))
    for i in range(len(x)):
        y[i] = bias
        for k in range(weight.shape[2]):
            if 0 <= i + k - left < len(x):
                y[i] += weight[:, :, k] @ x[i + k - left]
    return y


def encode(network, records, left):
    """Records (n, D) of a batch; statistics over all their positions in training, the running ones otherwise."""
    for index, stage in enumerate(network.stages):
        records = [convolve(stage.convolution, x, left) for x in records]
        mean, variance = array(stage.norm.running_mean), array(stage.norm.running_var)
        if network.training:
            rows = np.concatenate(records)
            mean, variance = rows.mean(0), rows.var(0)
        scale = array(stage.norm.weight) / np.sqrt(variance + stage.norm.eps)
        records = [(x - mean) * scale + array(stage.norm.bias) for x in records]
        if index == 0:
            records = [np.maximum(x, 0) for x in records]
        records = [np.array([x[i : i + 2].max(0) for i in range(0, len(x), 2)]) for x in records]
    return records


def make(width=8, **more):
    """A small network in float64 with no weight or statistic at a special value."""
    network = Cnn(DIM, CHANNELS, width, **more).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * 0.5
                tensor.copy_(noise.abs() + 0.5 if name.endswith("running_var") else noise)
    return network


def make_inputs(lengths, padding=2):
    """A batch, with something behind every record's length, that must not matter."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(len(lengths), max(lengths) + 2, DIM, generator=generator, dtype=torch.float64)
    return torch.nn.functional.pad(x, (0, 0, 0, padding - 2))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("width", "left"), [(8, 3), (7, 3), (2, 0), (1, 0)])
def test_equals_the_formula(training, width, left):
    network, x, lengths = make(width).train(training), make_inputs(LENGTHS), torch.tensor(LENGTHS)
    expected = encode(network, [array(row[:length]) for row, length in zip(x, LENGTHS, strict=True)], left)
    found = array(network(x, lengths))
    assert found.shape == (len(LENGTHS), 3, network.output_dim)
    assert network.output_lengths(lengths).tolist() == [len(record) for record in expected]
    for row, record in zip(found, expected, strict=True):
        np.testing.assert_allclose(row[: len(record)], record, rtol=1e-9, atol=1e-9)
        assert not row[len(record) :].any()


@pytest.mark.parametrize("training", [False, True])
def test_slopes_equal_those_of_the_formula(training):
    network, x, lengths = make().train(training), make_inputs([3, 7, 20]).requires_grad_(), [3, 7, 20]
    out = network(x, torch.tensor(lengths))
    towards = np.random.default_rng(2).standard_normal(out.shape)
    tensors = [x, *network.parameters()]
    gradients = torch.autograd.grad((out * torch.from_numpy(towards)).sum(), tensors)
    steps = [torch.from_numpy(np.random.default_rng(3).standard_normal(tensor.shape)) for tensor in tensors]

    def dense(size):
        with torch.no_grad():
            for tensor, step in zip(tensors, steps, strict=True):
                tensor.add_(step, alpha=size)
            records = encode(network, [array(row[:length]) for row, length in zip(x, lengths, strict=True)], 3)
            for tensor, step in zip(tensors, steps, strict=True):
                tensor.sub_(step, alpha=size)
        return sum((record * row[: len(record)]).sum() for record, row in zip(records, towards, strict=True))

    slope = sum((gradient * step).sum().item() for gradient, step in zip(gradients, steps, strict=True))
    assert slope == pytest.approx((dense(1e-7) - dense(-1e-7)) / 2e-7, rel=1e-5)


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
    network, x, lengths = make(dropout=0.5), make_inputs([20]), torch.tensor([20])
    assert not torch.equal(network(x, lengths), network(x, lengths))
    network.load_state_dict(make().state_dict())
    assert torch.equal(network.eval()(x, lengths), make().eval()(x, lengths))


def test_preset_has_the_published_layers():
    network = build_classifier(make_config("cnn", overrides={"model.max_length": 500}).model, 2)
    convolutions = (100 * 8 + 1) * 16 + (16 * 8 + 1) * 8 + (8 * 8 + 1) * 4
    assert sum(parameter.numel() for parameter in network.encoder.parameters()) == convolutions + 2 * (16 + 8 + 4)
    assert network.head[-1].in_features == 63 * 4
    assert len(network.head) == 1
