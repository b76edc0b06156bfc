"""Sparse attention equals dense attention over the pattern of the paper, pair by pair."""

import pytest
import torch
from checks import assert_mixes, randomise, watch_kept
from dense import assert_is_softmax_attention, find_pairs, mix, softmax_weights

from genomix.nn.encoders import joint
from genomix.nn.encoders.sparse_transformer import SparseAttention, SparseTransformer

DIM, NUM_HEADS = 4, 2
LENGTHS = [1, 2, 3, 7, 12, 19]


def make(pattern, stride, num_summaries=1):
    return SparseAttention(DIM, NUM_HEADS, pattern=pattern, stride=stride, num_summaries=num_summaries)


def sees_strided(stride):
    return lambda i, j: abs(i - j) < stride or (i - j) % stride == 0


def sees_fixed(stride, num_summaries):
    return lambda i, j: i // stride == j // stride or j % stride >= stride - num_summaries or j % stride == 0


def assert_follows(mixer, sees):
    def weigh(_, __, queries, keys):
        return softmax_weights(queries, keys, find_pairs(len(keys), sees))

    randomise(mixer)
    assert_mixes(mixer, lambda record: mix(mixer, record, weigh), LENGTHS, DIM)


@pytest.mark.parametrize("stride", [1, 2, 4, 7, 18, 1000])
def test_strided_equals_dense_attention_over_its_pattern(stride):
    assert_follows(make("strided", stride), sees_strided(stride))


@pytest.mark.parametrize(("stride", "num_summaries"), [(1, 1), (2, 1), (5, 1), (5, 3), (4, 3), (4, 4), (30, 7)])
def test_fixed_equals_dense_attention_over_its_pattern(stride, num_summaries):
    assert_follows(make("fixed", stride, num_summaries), sees_fixed(stride, num_summaries))


@pytest.mark.parametrize("pattern", ["strided", "fixed"])
def test_equals_it_where_no_kernel_tells_the_totals(pattern, monkeypatch):
    monkeypatch.setattr(joint, "attend_by_kernel", joint.attend_plainly)
    monkeypatch.setattr(joint, "return_by_kernel", joint.return_plainly)
    assert_follows(make(pattern, 4, 2), sees_strided(4) if pattern == "strided" else sees_fixed(4, 2))


@pytest.mark.parametrize("pattern", ["strided", "fixed"])
@pytest.mark.parametrize("length", [1, 6, 50])
def test_a_long_stride_is_full_attention(pattern, length):
    assert_is_softmax_attention(randomise(make(pattern, 50, 9)), [length], DIM)


@pytest.mark.parametrize("pattern", ["strided", "fixed"])
def test_keeps_memory_in_proportion_to_the_length(pattern):
    mixer = make(pattern, 32, 4)
    with watch_kept() as sizes:
        mixer(torch.randn(1, 1024, DIM), torch.tensor([1024]))
    assert max(sizes) <= 3 * 1024 * NUM_HEADS * 8 * 1.1  # three blocks of keys, eight features with the mark


def test_every_layer_has_the_pattern_of_the_configuration():
    network = SparseTransformer(DIM, 8, 3, NUM_HEADS, pattern="fixed", stride=9, num_summaries=2)
    mixers = [layer.mixer for layer in network.layers]
    assert [(mixer.pattern, mixer.stride, mixer.num_summaries) for mixer in mixers] == [("fixed", 9, 2)] * 3
