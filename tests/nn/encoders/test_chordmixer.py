"""ChordMixer equals its formula, computed with plain loops in numpy; how far a record is seen, and what it may cost."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from genomix.config import make_config
from genomix.errors import UsageError
from genomix.nn.build import build_classifier
from genomix.nn.encoders.chordmixer import ChordMixer

MAX_LENGTH = 20
NUM_BLOCKS = 5
LENGTHS = [1, 2, 3, 7, 16, 17, 20, 33, 40]


def array(tensor):
    return tensor.detach().double().numpy()


def normalise(module, x):
    centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + module.eps)
    return centred * array(module.weight) + array(module.bias)


def two_layers(module, x):
    hidden = x @ array(module[0].weight).T + array(module[0].bias)
    hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
    return hidden @ array(module[2].weight).T + array(module[2].bias)


def encode(network, x):
    """One record (N, D), a track and a position after the other."""
    length, dim = x.shape
    tracks = np.array_split(np.arange(dim), NUM_BLOCKS + 1)
    passed = max(1, math.ceil(math.log2(length)))
    for block in list(network.blocks)[:passed]:
        mixed = two_layers(block.mlp, normalise(block.norm, x))
        rotated = np.zeros_like(x)
        for t, channels in enumerate(tracks):
            distance = 2 ** (t - 1) if t else 0
            for i in range(length):
                rotated[i, channels] = mixed[(i + distance) % length, channels]
        x = normalise(block.output_norm, x + rotated)
    return x


def make(dim, **more):
    """A small network in float64 with no weight at a special value."""
    network = ChordMixer(dim, 5, max_length=MAX_LENGTH, **more).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return network


def make_inputs(dim, lengths):
    """A batch, with something behind every record's length, that must not matter."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(lengths), max(lengths) + 2, dim, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("dim", [6, 8, 11, 12])
def test_equals_the_formula(dim):
    network, x = make(dim), make_inputs(dim, LENGTHS)
    assert len(network.blocks) == NUM_BLOCKS
    found = array(network(x, torch.tensor(LENGTHS)))
    for row, record, length in zip(found, x.numpy(), LENGTHS, strict=True):
        np.testing.assert_allclose(row[:length], encode(network, record[:length]), rtol=1e-9, atol=1e-9)
        assert not row[length:].any()


def test_slopes_equal_those_of_the_formula():
    network, x, lengths = make(8), make_inputs(8, [3, 7, 20]).requires_grad_(), [3, 7, 20]
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
    assert slope == pytest.approx((dense(1e-6) - dense(-1e-6)) / 2e-6, rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 40), shift=st.integers(0, 40))
def test_a_record_is_a_circle(length, shift):
    network, lengths = make(8), torch.tensor([length])
    x = make_inputs(8, [length])[:, :length]
    torch.testing.assert_close(network(x.roll(shift, 1), lengths), network(x, lengths).roll(shift, 1))


@pytest.mark.parametrize("length", [2, 3, 7, 16, 20])
def test_every_position_sees_the_whole_record(length):
    network, x = make(6), make_inputs(6, [length])[:, :length].requires_grad_()
    for i in (0, length - 1):
        (felt,) = torch.autograd.grad(network(x, torch.tensor([length]))[0, i, 0], x)
        assert (felt.abs().amax(-1) > 0).all()


def test_blocks_that_no_record_passes_get_a_gradient_of_zero():
    network = make(6)
    network(make_inputs(6, [4, 3]), torch.tensor([4, 3])).sin().sum().backward()
    used = [all(parameter.grad.any() for parameter in block.parameters()) for block in network.blocks]
    untouched = [not any(parameter.grad.any() for parameter in block.parameters()) for block in network.blocks]
    assert used == [True, True, False, False, False]
    assert untouched == [False, False, True, True, True]


def test_dropout_acts_in_training_only():
    network, x, lengths = make(6, dropout=0.5), make_inputs(6, [20]), torch.tensor([20])
    assert not torch.equal(network(x, lengths), network(x, lengths))
    network.eval()
    assert torch.equal(network(x, lengths), make(6)(x, lengths))


@pytest.mark.parametrize(("max_length", "least"), [(1, 2), (2, 2), (3, 3), (1000, 11), (1024, 11), (1025, 12)])
def test_a_track_needs_a_channel(max_length, least):
    def build(dim):
        overrides = {"model.max_length": 4 * max_length, "model.encoder.dim": dim}
        return build_classifier(make_config("chordmixer", overrides=overrides).model, 2)

    assert len(build(least).encoder.blocks) == least - 1
    with pytest.raises(UsageError, match=rf"model\.encoder\.dim is {least - 1}: .* use at least {least}$"):
        build(least - 1)
