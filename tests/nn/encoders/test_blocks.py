"""Blocks with their neighbours hold the right positions, and marked keys are as good as absent."""

import math

import pytest
import torch
from checks import assert_same, draw

from genomix.nn.encoders.attention import Heads
from genomix.nn.encoders.blocks import cut, distances, fill_up, join, marked_keys, marked_neighbourhoods


@pytest.mark.parametrize(("length", "size", "filled"), [(1, 4, 4), (4, 4, 4), (5, 4, 8), (5, 1, 5)])
def test_filled_up_to_whole_blocks_with_zeros(length, size, filled):
    out = fill_up(torch.ones(2, length, 3), size)
    assert out.shape == (2, filled, 3)
    assert torch.equal(out[:, :length], torch.ones(2, length, 3))
    assert not out[:, length:].any()


def test_joined_blocks_are_what_was_cut():
    heads = torch.randn(2, 3, 12, 5)
    assert torch.equal(cut(heads, 4)[1, 2, 0], heads[1, 0, 8:12])
    assert torch.equal(join(cut(heads, 4)), heads)


@pytest.mark.parametrize("num_shared", [0, 1, 3])
def test_neighbourhoods_hold_the_positions_that_distances_tell(num_shared):
    size, num_positions = 2, 8
    where = torch.arange(num_positions, dtype=torch.float32).expand(1, 1, -1)[..., None] + 100
    real = torch.ones(1, num_positions, dtype=torch.bool)
    queries, keys, values = marked_neighbourhoods(Heads(where, where, where), real, size, num_shared)
    assert queries.shape == (1, 4, 1, size, 8)
    assert keys.shape == values.shape == (1, 4, 1, 3 * size + num_shared, 8)
    for block in range(4):
        for query in range(size):
            position = block * size + query
            assert queries[0, block, 0, query, 0] == 100 + position
            for column, distance in enumerate(distances(size, real.device)[query].tolist()):
                found, mark = keys[0, block, 0, column, :2]
                other = position + distance
                is_open = num_shared <= other < num_positions
                assert (mark == 0) == is_open
                if is_open:
                    assert found == values[0, block, 0, column, 0] == 100 + other
        assert keys[0, block, 0, 3 * size :, 0].tolist() == [100 + shared for shared in range(num_shared)]
        assert not keys[0, block, 0, 3 * size :, 1].any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("num_features", [4, 7, 8])
def test_what_is_in_a_closed_key_changes_nothing(dtype, num_features):
    generator = torch.Generator().manual_seed(0)
    heads = Heads(*(torch.randn(2, 2, 12, num_features, generator=generator).to(dtype) for _ in range(3)))
    real = torch.arange(12) < torch.tensor([[5], [9]])

    def attend(heads):
        queries, keys, values = (part.flatten(0, 1) for part in marked_neighbourhoods(heads, real, 3))
        return torch.nn.functional.scaled_dot_product_attention(queries, keys, values)[..., :num_features]

    def garble(part):
        return torch.where(real[:, None, :, None], part, torch.randn(part.shape, generator=generator).to(dtype) * 9)

    assert marked_keys(heads.keys, real).shape[-1] % 8 == 0
    inside = cut(real[:, None], 3).flatten(0, 1).any(2)[:, 0]  # blocks that have a real query
    found = attend(heads)
    assert found[inside].isfinite().all()
    assert torch.equal(attend(Heads(heads.queries, garble(heads.keys), garble(heads.values)))[inside], found[inside])


@pytest.mark.parametrize("num_features", [4, 20, 64])
def test_equals_softmax_over_the_keys_that_count(num_features):
    heads = Heads(*draw(3, 1, 2, 12, num_features).requires_grad_())
    real = torch.arange(12)[None] < 8
    scale = num_features**-0.5
    queries, keys, values = (part.flatten(0, 1) for part in marked_neighbourhoods(heads, real, 4))
    found = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, scale=scale)
    found = join(found[None, ..., :num_features])[:, :, :8]
    logits = (heads.queries @ heads.keys.mT * scale)[:, :, :8, :8]
    assert_same(found, logits.softmax(-1) @ heads.values[:, :, :8], heads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_computed_again_add_up_to_one_where_nothing_real_is_seen(dtype):
    """On the way back, kernels of GPUs compute them from the logits and the logarithm of their sum, in float32."""
    heads = Heads(*(draw(3, 1, 2, 40, 20) * 3).to(dtype).requires_grad_())
    queries, keys, values = marked_neighbourhoods(heads, torch.arange(40)[None] < 3, 4)
    logits, scale = queries.float() @ keys.float().mT, 20**-0.5
    total = (logits * scale).logsumexp(-1, keepdim=True)
    weights = torch.exp2(logits * (scale / math.log(2)) - total / math.log(2))
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]), rtol=0.01, atol=0.01)
    assert not weights[0, 0, ..., 7:].any()
    found = torch.nn.functional.scaled_dot_product_attention(queries[0], keys[0], values[0], scale=scale)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(found.float().square().sum(), heads))
