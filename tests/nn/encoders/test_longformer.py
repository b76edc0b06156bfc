"""Window attention equals dense attention over a window and the global positions, pair by pair."""

import pytest
import torch
from dense import assert_equal_values_and_gradients, attend, attend_one, randomise, split

from genomix.nn.encoders.longformer import Longformer, WindowAttention
from genomix.nn.encoders.transformer import SoftmaxAttention

DIM, NUM_HEADS = 4, 2
LENGTHS = [1, 2, 3, 7, 12, 19]


def make(window, num_global):
    return WindowAttention(DIM, NUM_HEADS, window=window, num_global=num_global)


@pytest.mark.parametrize("num_global", [0, 1, 3, 40])
@pytest.mark.parametrize("window", [2, 4, 10, 1000])
def test_equals_dense_attention_over_its_pattern(window, num_global):
    mixer = randomise(make(window, num_global))
    outward = mixer.projections.outward

    def expect(record):
        length = len(record)
        local = attend(
            record,
            mixer.projections.inward,
            outward,
            NUM_HEADS,
            lambda _, i, j: abs(i - j) <= window // 2 or j < num_global,
        )
        if not num_global:
            return local
        queries, keys, values = split(mixer.global_inward, record, NUM_HEADS)
        first = [
            torch.cat([attend_one(queries[h][i], keys[h], values[h], list(range(length))) for h in range(NUM_HEADS)])
            for i in range(min(num_global, length))
        ]
        return torch.cat([torch.stack(first) @ outward.weight.T + outward.bias, local[num_global:]])

    assert_equal_values_and_gradients(mixer, LENGTHS, 21, expect)


@pytest.mark.parametrize("length", [1, 6, 50])
@pytest.mark.parametrize("num_global", [0, 2])
def test_a_wide_window_is_full_attention(length, num_global):
    windowed, full = randomise(make(100, num_global)), SoftmaxAttention(DIM, NUM_HEADS).double()
    if num_global:
        windowed.global_inward.load_state_dict(windowed.projections.inward.state_dict())
    full.projections.load_state_dict(windowed.projections.state_dict())
    hidden, lengths = torch.randn(1, length, DIM, dtype=torch.float64), torch.tensor([length])
    torch.testing.assert_close(windowed(hidden, lengths), full(hidden, lengths))


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
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        mixer(torch.randn(1, 1024, DIM), torch.tensor([1024]))
    assert max(sizes) <= 3 * 1024 * NUM_HEADS * 8 * 1.1  # three blocks of keys, eight features with the mark


def test_every_layer_has_the_window_of_the_configuration():
    network = Longformer(DIM, 8, 3, NUM_HEADS, window=10, num_global=2)
    assert [(layer.mixer.window, layer.mixer.num_global) for layer in network.layers] == [(10, 2)] * 3
