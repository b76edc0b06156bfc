"""Linear attention equals its formula, computed densely; and what follows from a ratio of sums."""

import hypothesis.strategies as st
import pytest
import torch
from checks import draw, randomise
from dense import assert_stack_equals
from hypothesis import given, settings

from genomix.nn.encoders.linear_attention import LinearTransformer, attend_linearly, elu_features

SMALLEST = 1e-6
SHAPES = {"num_keys": st.integers(1, 9), "num_heads": st.integers(1, 3), "seed": st.integers(0, 2**20)}


def elu_weights(mixer, head, queries, keys):
    """(elu(q) + 1)^T (elu(k) + 1) over its sum, elu written out."""
    query_features, key_features = (torch.where(x > 0, x + 1, x.exp()) for x in (queries, keys))
    products = query_features @ key_features.T
    return products / (products.sum(1, keepdim=True) + SMALLEST)


def make(num_keys, num_heads, seed, num_features=4):
    """Features, none negative, and values."""
    queries, keys, values = draw(3, 2, num_heads, num_keys, num_features, seed=seed)
    return queries.exp(), keys.exp(), values


@pytest.mark.parametrize(("dim", "num_heads"), [(8, 2), (9, 3), (5, 1)])
def test_stack_equals_the_dense_formulas(dim, num_heads):
    assert_stack_equals(randomise(LinearTransformer(dim, 6, 2, num_heads, position="none")), elu_weights)


@settings(max_examples=25, deadline=None)
@given(**SHAPES)
def test_weights_add_up_to_one(num_keys, num_heads, seed):
    """So adding to all values adds to the outcome, and the outcome lies among the values."""
    queries, keys, values = make(num_keys, num_heads, seed)
    inside = torch.ones(1, 1, num_keys, 1, dtype=torch.bool)
    attended = attend_linearly(queries, keys, values, inside, smallest=0.0)
    torch.testing.assert_close(attend_linearly(queries, keys, values + 3, inside, smallest=0.0), attended + 3)
    assert (attended <= values.amax(2, keepdim=True) + 1e-9).all()
    assert (attended >= values.amin(2, keepdim=True) - 1e-9).all()


@settings(max_examples=25, deadline=None)
@given(**SHAPES)
def test_keys_that_do_not_count_are_as_good_as_not_there(num_keys, num_heads, seed):
    queries, keys, values = make(num_keys, num_heads, seed)
    inside = torch.rand(2, 1, num_keys, 1, generator=torch.Generator().manual_seed(seed)) < 0.5
    inside[:, :, 0] = True
    attended = attend_linearly(queries, keys, values, inside)
    for row in range(2):
        counted = inside[row, 0, :, 0]
        rest = (keys[row : row + 1, :, counted], values[row : row + 1, :, counted])
        alone = attend_linearly(queries[row : row + 1], *rest, inside[row : row + 1, :, counted])
        torch.testing.assert_close(attended[row : row + 1], alone)


def test_a_low_denominator_is_raised_to_the_floor_and_no_other():
    queries, keys = torch.tensor([[1.0], [-2.0], [5.0]])[None, None], torch.tensor([[1.0], [2.0]])[None, None]
    values = torch.tensor([[1.0], [4.0]])[None, None]
    inside = torch.ones(1, 1, 2, 1, dtype=torch.bool)
    attended = attend_linearly(queries, keys, values, inside, smallest=0.0, floor=torch.tensor(6.0))
    torch.testing.assert_close(attended.flatten(), torch.tensor([9 / 6, -18 / 6, 45 / 15]))


def test_features_of_half_precision_do_not_cancel():
    """In bfloat16, elu(x) + 1 is 0 from x = -6 on."""
    vectors = torch.arange(-9.0, 4.0)
    expected = torch.where(vectors > 0, vectors + 1, vectors.exp())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(elu_features(vectors.bfloat16()), expected, rtol=1e-3, atol=0)


def test_features_of_zero_give_zero():
    zeros, inside = torch.zeros(1, 1, 3, 2), torch.ones(1, 1, 3, 1, dtype=torch.bool)
    assert attend_linearly(zeros, zeros, torch.ones(1, 1, 3, 4), inside).tolist() == [[[[0.0] * 4] * 3]]


@pytest.mark.parametrize(("dtype", "precision"), [(torch.float32, 1e-5), (torch.bfloat16, 2**-8)])
def test_sums_and_ratio_are_taken_in_float32_under_autocast(dtype, precision):
    """What bfloat16, of 8 bits, loses is the last rounding of the outcome to the type of the values."""
    queries, keys, values = make(4096, 2, 0)
    values = values.to(dtype)
    inside = torch.ones(1, 1, 4096, 1, dtype=torch.bool)
    exact = attend_linearly(queries, keys, values.double(), inside)
    with torch.autocast("cpu", torch.bfloat16):
        found = attend_linearly(queries.float(), keys.float(), values, inside)
    assert found.dtype is dtype
    torch.testing.assert_close(found.double(), exact, rtol=precision, atol=1e-6)
