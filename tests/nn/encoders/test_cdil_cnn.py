"""CDIL-CNN equals its formula, computed with plain loops in numpy, and sees as far as it should."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.nn.encoders.cdil_cnn import CdilCnn

DIM = 5
LENGTHS = [1, 2, 3, 7, 16, 20, 33]


def array(tensor):
    return tensor.detach().double().numpy()


def encode(network, x):
    """One record (N, D): y_i = x_i + relu(b + sum over k = -1, 0, 1 of W_k x_{i + k d}), d = 2^layer."""
    length = len(x)
    for level, layer in enumerate(network.layers):
        lengths_of_rows = array(layer.linear.parametrizations.weight.original0)
        directions = array(layer.linear.parametrizations.weight.original1)
        weight = np.empty_like(directions)
        for row, direction in enumerate(directions):
            weight[row] = lengths_of_rows[row, 0] * direction / np.sqrt((direction**2).sum())
        before, at, behind = np.split(weight, 3, 1)
        y = np.empty_like(x)
        for i in range(length):
            left, right = x[(i - 2**level) % length], x[(i + 2**level) % length]
            y[i] = x[i] + np.maximum(array(layer.linear.bias) + before @ left + at @ x[i] + behind @ right, 0)
        x = y
    return x


def make(**more):
    """A small network in float64 with no weight at a special value."""
    network = CdilCnn(DIM, **({"max_length": 20} | more)).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return network


def make_inputs(lengths):
    """A batch, with something behind every record's length, that must not matter."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(lengths), max(lengths) + 2, DIM, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("num_layers", [None, 1, 6])
def test_equals_the_formula(num_layers):
    network, x = make(num_layers=num_layers), make_inputs(LENGTHS)
    assert len(network.layers) == (num_layers or 4)
    found = array(network(x, torch.tensor(LENGTHS)))
    for row, record, length in zip(found, x.numpy(), LENGTHS, strict=True):
        np.testing.assert_allclose(row[:length], encode(network, record[:length]), rtol=1e-9, atol=1e-9)
        assert not row[length:].any()


def test_slopes_equal_those_of_the_formula():
    network, x, lengths = make(), make_inputs([3, 7, 20]).requires_grad_(), [3, 7, 20]
    towards = np.random.default_rng(2).standard_normal(x.shape)
    loss = (network(x, torch.tensor(lengths)) * torch.from_numpy(towards)).sum()
    tensors = [x, *network.parameters()]
    gradients = torch.autograd.grad(loss, tensors)
    steps = [torch.from_numpy(np.random.default_rng(3).standard_normal(tensor.shape)) for tensor in tensors]

    def dense(size):
        with torch.no_grad():
            for tensor, step in zip(tensors, steps, strict=True):
                tensor.add_(step, alpha=size)
            records = [encode(network, array(row[:length])) for row, length in zip(x, lengths, strict=True)]
            for tensor, step in zip(tensors, steps, strict=True):
                tensor.sub_(step, alpha=size)
        return sum((record * row[: len(record)]).sum() for record, row in zip(records, towards, strict=True))

    slope = sum((gradient * step).sum().item() for gradient, step in zip(gradients, steps, strict=True))
    assert slope == pytest.approx((dense(1e-7) - dense(-1e-7)) / 2e-7, rel=1e-5)


@pytest.mark.parametrize(
    ("max_length", "num_layers"),
    [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (1023, 9), (1024, 9), (1025, 10), (4000, 11)],
)
def test_layers_follow_from_the_longest_length(max_length, num_layers):
    assert len(CdilCnn(2, max_length=max_length).layers) == num_layers


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 40), shift=st.integers(0, 40))
def test_a_record_is_a_circle(length, shift):
    network, lengths = make(), torch.tensor([length])
    x = make_inputs([length])[:, :length]
    torch.testing.assert_close(network(x.roll(shift, 1), lengths), network(x, lengths).roll(shift, 1))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_how_far_a_position_sees(num_layers):
    network, x = make(num_layers=num_layers), make_inputs([33])[:, :33].requires_grad_()
    with torch.no_grad():
        for layer in network.layers:
            layer.linear.bias.fill_(9.0)  # so that no relu closes
    (felt,) = torch.autograd.grad(network(x, torch.tensor([33]))[0, 5].sum(), x)
    reach = 2**num_layers - 1
    seen = {(5 + step) % 33 for step in range(-reach, reach + 1)}
    assert set(felt[0].abs().amax(-1).nonzero().flatten().tolist()) == seen


def test_starts_as_the_published_code_does_in_effect():
    torch.manual_seed(0)
    (layer,) = CdilCnn(64, num_layers=1, max_length=4).layers
    bound = 1 / np.sqrt(3 * 64)
    assert 0.95 * bound < layer.linear.weight.abs().max() <= bound * (1 + 1e-5)
    assert layer.linear.bias.std().item() == pytest.approx(0.01, rel=0.3)


def test_dropout_acts_in_training_only():
    network, x, lengths = make(dropout=0.5), make_inputs([20]), torch.tensor([20])
    assert not torch.equal(network(x, lengths), network(x, lengths))
    network.eval()
    assert torch.equal(network(x, lengths), make()(x, lengths))
