"""Block attention equals dense attention over the blocks that the definition gives, pair by pair."""

import pytest
import torch
from checks import assert_mixes, randomise
from dense import assert_is_softmax_attention, find_pairs, mix, softmax_weights

from genomix.nn.encoders.bigbird import BigBird, BlockAttention

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

    def weigh(_, head, queries, keys):
        num_blocks = -(-len(keys) // block)
        seen = [seen_blocks(draws, head, query_block, num_blocks) for query_block in range(num_blocks)]
        return softmax_weights(queries, keys, find_pairs(len(keys), lambda i, j: j // block in seen[i // block]))

    assert_mixes(mixer, lambda record: mix(mixer, record, weigh), LENGTHS, DIM, padding=3)


@pytest.mark.parametrize(("block", "length"), [(64, 1), (64, 50), (5, 50), (7, 50)])
def test_few_blocks_are_full_attention(block, length):
    num_blocks = -(-length // block)
    assert_is_softmax_attention(randomise(make(block, max(0, num_blocks - 4), 50)), [length], DIM)


def test_random_blocks_are_drawn_once_for_each_layer_head_and_block_and_kept():
    network = BigBird(DIM, 8, 2, NUM_HEADS, block=4, num_random=3, max_length=30)
    draws = [value for name, value in network.state_dict().items() if name.endswith("draws")]
    assert [tuple(value.shape) for value in draws] == [(8, NUM_HEADS, 3)] * 2
    assert len(torch.cat(draws).unique()) == 2 * 8 * NUM_HEADS * 3
    assert all(value.dtype == torch.int64 for value in draws)
    hidden, before = torch.randn(1, 30, DIM), torch.get_rng_state()
    network(hidden, torch.tensor([30]))
    assert torch.equal(torch.get_rng_state(), before)
