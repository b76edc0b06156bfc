"""Memory-compressed attention equals its formula, computed densely, and softmax attention where it must."""

import hypothesis.strategies as st
import torch
from checks import assert_mixes, randomise
from dense import assert_is_softmax_attention, attend, linear, shift
from hypothesis import given, settings

from genomix.nn.encoders.memory_compressed import CompressedAttention

DIM, HEADS = 6, 3


def make(compression):
    return randomise(CompressedAttention(DIM, HEADS, compression))


def convolve(module, x, compression):
    """A convolution with kernel and stride `compression`; what lies behind the record adds nothing."""
    taps = enumerate(module.weight.chunk(compression, 1))
    return sum(shift(x, offset) @ tap.T for offset, tap in taps)[::compression] + module.bias


def compress_and_attend(mixer, x, compression):
    """One record (n, D)."""
    queries, keys, values = linear(mixer.projections.inward, x).chunk(3, 1)
    keys = convolve(mixer.shorten_keys, keys, compression)
    values = convolve(mixer.shorten_values, values, compression)
    return linear(mixer.projections.outward, attend(HEADS, queries, keys, values))


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    padding=st.integers(0, 9),
    compression=st.integers(1, 6),
)
def test_equals_the_formula(lengths, padding, compression):
    mixer = make(compression)
    assert_mixes(mixer, lambda x: compress_and_attend(mixer, x, compression), lengths, DIM, padding=padding)


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_is_softmax_attention_where_nothing_is_compressed(lengths):
    mixer = make(1)
    for shorten in (mixer.shorten_keys, mixer.shorten_values):
        shorten.weight.data, shorten.bias.data = torch.eye(DIM).double(), torch.zeros(DIM).double()
    assert_is_softmax_attention(mixer, lengths, DIM)
