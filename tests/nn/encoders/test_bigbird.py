"""Block attention equals dense attention over the blocks that the definition gives, pair by pair."""

import pytest
import torch
from dense import assert_equal_values_and_gradients, attend, randomise

from genomix.nn.encoders.bigbird import BigBird, BlockAttention
from genomix.nn.encoders.transformer import SoftmaxAttention

DIM, NUM_HEADS = 4, 2
LENGTHS = [1, 2, 3, 8, 15, 22]


def make(block, num_random, max_length=24):
    torch.manual_seed(block)
    return BlockAttention(DIM, NUM_HEADS, block=block, num_random=num_random, max_length=max_length)


def seen_blocks(draws, head, query_block, num_blocks):
    """The definition: first, last, own, neighbours, and the draws counted over what is left, or all."""
    if query_block in (0, num_blocks - 1):
        return set(range(num_blocks))
    seen = {0, num_blocks - 1, query_block - 1, query_block, query_block + 1}
    left = [block for block in range(num_blocks) if block not in seen]
    for draw in draws[query_block % len(draws)][head]:
        if left:
            seen.add(left.pop(draw % len(left)))
    return seen


@pytest.mark.parametrize("num_random", [0, 1, 3])
@pytest.mark.parametrize(("block", "max_length"), [(1, 24), (1, 5), (2, 24), (3, 9), (4, 24), (7, 24), (100, 24)])
def test_equals_dense_attention_over_its_blocks(block, max_length, num_random):
    mixer = randomise(make(block, num_random, max_length))
    draws = mixer.draws.tolist()

    def expect(record):
        num_blocks = -(-len(record) // block)
        seen = [[seen_blocks(draws, h, b, num_blocks) for b in range(num_blocks)] for h in range(NUM_HEADS)]
        projections = mixer.projections
        return attend(
            record,
            projections.inward,
            projections.outward,
            NUM_HEADS,
            lambda h, i, j: j // block in seen[h][i // block],
        )

    assert_equal_values_and_gradients(mixer, LENGTHS, 25, expect)


@pytest.mark.parametrize(("block", "length"), [(64, 1), (64, 50), (5, 50), (7, 50)])
def test_few_blocks_are_full_attention(block, length):
    num_blocks = -(-length // block)
    mixer, full = randomise(make(block, max(0, num_blocks - 4), 50)), SoftmaxAttention(DIM, NUM_HEADS).double()
    full.projections.load_state_dict(mixer.projections.state_dict())
    hidden, lengths = torch.randn(1, length, DIM, dtype=torch.float64), torch.tensor([length])
    torch.testing.assert_close(mixer(hidden, lengths), full(hidden, lengths))


def test_random_blocks_are_drawn_once_for_each_layer_head_and_block_and_kept():
    network = BigBird(DIM, 8, 2, NUM_HEADS, block=4, num_random=3, max_length=30)
    draws = [value for name, value in network.state_dict().items() if name.endswith("draws")]
    assert [tuple(value.shape) for value in draws] == [(8, NUM_HEADS, 3)] * 2
    assert len(torch.cat(draws).unique()) == 2 * 8 * NUM_HEADS * 3
    assert all(value.dtype == torch.int64 for value in draws)
    hidden, before = torch.randn(1, 30, DIM), torch.get_rng_state()
    network(hidden, torch.tensor([30]))
    assert torch.equal(torch.get_rng_state(), before)
