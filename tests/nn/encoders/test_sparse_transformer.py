"""Sparse attention equals dense attention over the pattern of the paper, pair by pair."""

import pytest
import torch
from dense import assert_equal_values_and_gradients, attend, randomise

from genomix.nn.encoders import joint
from genomix.nn.encoders.sparse_transformer import SparseAttention, SparseTransformer
from genomix.nn.encoders.transformer import SoftmaxAttention

DIM, NUM_HEADS = 4, 2
LENGTHS = [1, 2, 3, 7, 12, 19]


def make(pattern, stride, num_summaries=1):
    return SparseAttention(DIM, NUM_HEADS, pattern=pattern, stride=stride, num_summaries=num_summaries)


def sees_strided(stride):
    return lambda _, i, j: abs(i - j) < stride or (i - j) % stride == 0


def sees_fixed(stride, num_summaries):
    return lambda _, i, j: i // stride == j // stride or j % stride >= stride - num_summaries or j % stride == 0


def assert_follows(mixer, sees, most=21):
    randomise(mixer)
    projections = mixer.projections

    def expect(record):
        return attend(record, projections.inward, projections.outward, NUM_HEADS, sees)

    assert_equal_values_and_gradients(mixer, LENGTHS, most, expect)


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
    sparse, full = randomise(make(pattern, 50, 9)), SoftmaxAttention(DIM, NUM_HEADS).double()
    full.load_state_dict(sparse.state_dict())
    hidden, lengths = torch.randn(1, length, DIM, dtype=torch.float64), torch.tensor([length])
    torch.testing.assert_close(sparse(hidden, lengths), full(hidden, lengths))


@pytest.mark.parametrize("pattern", ["strided", "fixed"])
def test_keeps_memory_in_proportion_to_the_length(pattern):
    mixer = make(pattern, 32, 4)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        mixer(torch.randn(1, 1024, DIM), torch.tensor([1024]))
    assert max(sizes) <= 3 * 1024 * NUM_HEADS * 8 * 1.1  # three blocks of keys, eight features with the mark


def test_every_layer_has_the_pattern_of_the_configuration():
    network = SparseTransformer(DIM, 8, 3, NUM_HEADS, pattern="fixed", stride=9, num_summaries=2)
    mixers = [layer.mixer for layer in network.layers]
    assert [(mixer.pattern, mixer.stride, mixer.num_summaries) for mixer in mixers] == [("fixed", 9, 2)] * 3
