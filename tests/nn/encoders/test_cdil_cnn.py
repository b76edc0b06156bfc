"""CDIL-CNN equals its formula, position by position, and sees as far as it should."""

import math

import pytest
import torch
from checks import assert_dropout_acts_in_training_only, assert_encodes, draw, find_felt, randomise
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.nn.encoders.cdil_cnn import CdilCnn

DIM = 5
LENGTHS = [1, 2, 3, 7, 16, 20, 33]


def encode(network, x):
    """One record (n, D): y_i = x_i + relu(b + sum over k = -1, 0, 1 of W_k x_{i + k d}), d = 2^layer."""
    for level, layer in enumerate(network.layers):
        sizes = layer.linear.parametrizations.weight.original0
        directions = layer.linear.parametrizations.weight.original1
        weight = sizes * directions / directions.square().sum(1, keepdim=True).sqrt()
        neighbours = torch.cat([x.roll(2**level, 0), x, x.roll(-(2**level), 0)], 1)
        x = x + (neighbours @ weight.T + layer.linear.bias).relu()
    return x


def make(**more):
    return randomise(CdilCnn(DIM, **({"max_length": 20} | more)))


@pytest.mark.parametrize("num_layers", [None, 1, 6])
def test_equals_the_formula(num_layers):
    network = make(num_layers=num_layers)
    assert len(network.layers) == (num_layers or 4)
    assert_encodes(network, lambda x: encode(network, x), LENGTHS, DIM)


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
    x = draw(1, length, DIM)
    torch.testing.assert_close(network(x.roll(shift, 1), lengths), network(x, lengths).roll(shift, 1))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_how_far_a_position_sees(num_layers):
    network = make(num_layers=num_layers)
    with torch.no_grad():
        for layer in network.layers:
            layer.linear.bias.fill_(9.0)  # so that no relu closes
    reach = 2**num_layers - 1
    assert find_felt(network, 33, DIM, 5) == {(5 + step) % 33 for step in range(-reach, reach + 1)}


def test_starts_as_the_published_code_does_in_effect():
    torch.manual_seed(0)
    (layer,) = CdilCnn(64, num_layers=1, max_length=4).layers
    bound = 1 / math.sqrt(3 * 64)
    assert 0.95 * bound < layer.linear.weight.abs().max() <= bound * (1 + 1e-5)
    assert layer.linear.bias.std().item() == pytest.approx(0.01, rel=0.3)


def test_dropout_acts_in_training_only():
    assert_dropout_acts_in_training_only(make, DIM)
