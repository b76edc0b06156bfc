"""Window attention equals dense attention over a window and the global positions, pair by pair."""

import pytest
import torch
from checks import assert_mixes, randomise, watch_kept
from dense import assert_is_softmax_attention, find_pairs, mix, softmax_weights

from genomix.nn.encoders.longformer import Longformer, WindowAttention

DIM, NUM_HEADS = 4, 2
LENGTHS = [1, 2, 3, 7, 12, 19]


def make(window, num_global):
    return WindowAttention(DIM, NUM_HEADS, window=window, num_global=num_global)


@pytest.mark.parametrize("num_global", [0, 1, 3, 40])
@pytest.mark.parametrize("window", [2, 4, 10, 1000])
def test_equals_dense_attention_over_its_pattern(window, num_global):
    mixer = randomise(make(window, num_global))

    def weigh(_, __, queries, keys):
        sees = find_pairs(len(keys), lambda i, j: abs(i - j) <= window // 2 or j < num_global)
        return softmax_weights(queries, keys, sees)

    def expect(record):
        near = mix(mixer, record, weigh)
        if not num_global:
            return near
        everywhere = mix(mixer, record, inward=mixer.global_inward)
        return torch.cat([everywhere[:num_global], near[num_global:]])

    assert_mixes(mixer, expect, LENGTHS, DIM)


@pytest.mark.parametrize("length", [1, 6, 50])
@pytest.mark.parametrize("num_global", [0, 2])
def test_a_wide_window_is_full_attention(length, num_global):
    mixer = randomise(make(100, num_global))
    if num_global:
        mixer.global_inward.load_state_dict(mixer.projections.inward.state_dict())
    assert_is_softmax_attention(mixer, [length], DIM)


def test_without_global_positions_there_are_no_projections_for_them():
    with_some, without = (sum(p.numel() for p in make(8, number).parameters()) for number in (1, 0))
    assert with_some - without == DIM * 3 * DIM + 3 * DIM


def test_global_projections_start_equal_to_the_others_and_are_trained_apart():
    mixer = make(8, 1)
    own, others = mixer.global_inward.weight, mixer.projections.inward.weight
    assert torch.equal(own, others)
    assert own.data_ptr() != others.data_ptr()


def test_keeps_memory_in_proportion_to_the_length_not_to_the_window():
    mixer = make(256, 1)
    with watch_kept() as sizes:
        mixer(torch.randn(1, 1024, DIM), torch.tensor([1024]))
    assert max(sizes) <= 3 * 1024 * NUM_HEADS * 8 * 1.1  # three blocks of keys, eight features with the mark


def test_every_layer_has_the_window_of_the_configuration():
    network = Longformer(DIM, 8, 3, NUM_HEADS, window=10, num_global=2)
    assert [(layer.mixer.window, layer.mixer.num_global) for layer in network.layers] == [(10, 2)] * 3
