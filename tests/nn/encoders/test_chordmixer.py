"""ChordMixer equals its formula, track by track; how far a record is seen, and what it may cost."""

import math

import pytest
import torch
from checks import assert_dropout_acts_in_training_only, assert_encodes, draw, find_felt, randomise
from dense import normalise, two_layers
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.config import make_config
from genomix.errors import UsageError
from genomix.nn.build import build_classifier
from genomix.nn.encoders.chordmixer import ChordMixer

MAX_LENGTH = 20
NUM_BLOCKS = 5
LENGTHS = [1, 2, 3, 7, 16, 17, 20, 33, 40]


def encode(network, x):
    """One record (n, D)."""
    passed = max(1, math.ceil(math.log2(len(x))))
    for block in list(network.blocks)[:passed]:
        tracks = two_layers(block.mlp, normalise(block.norm, x)).tensor_split(NUM_BLOCKS + 1, 1)
        distances = [0, *(2**t for t in range(NUM_BLOCKS))]
        rotated = [track.roll(-distance, 0) for track, distance in zip(tracks, distances, strict=True)]
        x = normalise(block.output_norm, x + torch.cat(rotated, 1))
    return x


def make(dim, **more):
    return randomise(ChordMixer(dim, 5, max_length=MAX_LENGTH, **more))


@pytest.mark.parametrize("dim", [6, 8, 11, 12])
def test_equals_the_formula(dim):
    network = make(dim)
    assert len(network.blocks) == NUM_BLOCKS
    assert_encodes(network, lambda x: encode(network, x), LENGTHS, dim)


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 40), shift=st.integers(0, 40))
def test_a_record_is_a_circle(length, shift):
    network, lengths = make(8), torch.tensor([length])
    x = draw(1, length, 8)
    torch.testing.assert_close(network(x.roll(shift, 1), lengths), network(x, lengths).roll(shift, 1))


@pytest.mark.parametrize("length", [2, 3, 7, 16, 20])
def test_every_position_sees_the_whole_record(length):
    for place in (0, length - 1):
        assert find_felt(make(6), length, 6, place) == set(range(length))


def test_blocks_that_no_record_passes_get_a_gradient_of_zero():
    network = make(6)
    network(draw(2, 6, 6), torch.tensor([4, 3])).sin().sum().backward()
    used = [all(parameter.grad.any() for parameter in block.parameters()) for block in network.blocks]
    untouched = [not any(parameter.grad.any() for parameter in block.parameters()) for block in network.blocks]
    assert used == [True, True, False, False, False]
    assert untouched == [False, False, True, True, True]


def test_dropout_acts_in_training_only():
    assert_dropout_acts_in_training_only(lambda **more: make(6, **more), 6)


@pytest.mark.parametrize(("max_length", "least"), [(1, 2), (2, 2), (3, 3), (1000, 11), (1024, 11), (1025, 12)])
def test_a_track_needs_a_channel(max_length, least):
    def build(dim):
        overrides = {"model.max_length": 4 * max_length, "model.encoder.dim": dim}
        return build_classifier(make_config("chordmixer", overrides=overrides).model, 2)

    assert len(build(least).encoder.blocks) == least - 1
    with pytest.raises(UsageError, match=rf"model\.encoder\.dim is {least - 1}: .* use at least {least}$"):
        build(least - 1)
