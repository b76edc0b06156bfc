"""Tokens and positions become vectors; padding stays zero."""

import math

import numpy as np
import pytest
import torch

from genomix.nn.embedding import Embedding, sinusoids
from genomix.nn.encoders.stack import Stack

PAD = 5
POSITIONS = pytest.mark.parametrize("position", ["none", "learned", "sinusoidal"])


def whole(tokens):
    return torch.ones(tokens.shape, dtype=torch.bool)


@POSITIONS
def test_rows_behind_the_length_are_zero(position):
    embedding = Embedding(6, 8, position, 10, 0.0)
    tokens = torch.randint(0, 6, (2, 7))
    mask = torch.arange(7) < torch.tensor([[3], [7]])
    embedded = embedding(tokens, mask)
    assert not embedded[0, 3:].any()
    assert embedded[0, :3].any()


def test_padding_token_is_zero_and_stays_so():
    embedding = Embedding(6, 8, "none", 10, 0.0)
    tokens = torch.tensor([[0, 1, PAD]])
    embedded = embedding(tokens, whole(tokens))
    assert not embedded[0, 2].any()
    embedded.sum().backward()
    assert not embedding.tokens.weight.grad[PAD].any()
    assert embedding.tokens.weight.grad[:2].all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_tokens_of_any_integer_type_are_looked_up(dtype):
    embedding = Embedding(6, 8, "none", 10, 0.0)
    tokens = torch.tensor([[3, 0, 4]], dtype=dtype)
    torch.testing.assert_close(embedding(tokens, whole(tokens))[0], embedding.tokens.weight[[3, 0, 4]])


def test_learned_positions_are_added():
    embedding = Embedding(6, 8, "learned", 10, 0.0)
    tokens = torch.tensor([[3, 3]])
    expected = embedding.tokens.weight[3] + embedding.positions.weight[:2]
    torch.testing.assert_close(embedding(tokens, whole(tokens))[0], expected)


def test_longer_than_the_learned_positions_is_an_error():
    embedding = Embedding(6, 8, "learned", 10, 0.0)
    tokens = torch.zeros(1, 11, dtype=torch.int64)
    with pytest.raises(ValueError, match="reach to 10, not to 11"):
        embedding(tokens, whole(tokens))


@pytest.mark.parametrize("position", ["none", "sinusoidal"])
def test_other_positions_have_no_longest_length(position):
    tokens = torch.zeros(1, 50, dtype=torch.int64)
    assert Embedding(6, 8, position, 10, 0.0)(tokens, whole(tokens)).shape == (1, 50, 8)


@pytest.mark.parametrize("dim", [1, 2, 7, 16])
def test_sinusoids_are_those_of_the_formula(dim):
    table = sinusoids(40, dim).numpy()
    for i in range(dim):
        wave = math.cos if i % 2 else math.sin
        column = [wave(position / 10000 ** (2 * (i // 2) / dim)) for position in range(40)]
        np.testing.assert_allclose(table[:, i], column, atol=1e-5)


def test_sinusoids_are_added():
    embedding = Embedding(6, 8, "sinusoidal", 10, 0.0)
    tokens = torch.tensor([[2, 2, 2]])
    torch.testing.assert_close(
        embedding(tokens, whole(tokens))[0], embedding.tokens.weight[2].expand(3, 8) + sinusoids(3, 8)
    )


def test_sinusoids_are_made_where_what_they_are_added_to_lies():
    """And not where tensors come to be for which no device is named."""
    embedding, stack = Embedding(6, 8, "sinusoidal", 10, 0.0), Stack(8, 8, 0, position="sinusoidal")
    tokens, lengths = torch.tensor([[2, 2, 2]]), torch.tensor([3])
    mask = whole(tokens)
    with torch.device("meta"):
        embedded = embedding(tokens, mask)
        assert not embedded.is_meta
        assert not stack(embedded, lengths).is_meta


def test_dropout_acts_in_training_only():
    embedding = Embedding(6, 64, "none", 10, 0.5)
    tokens = torch.zeros(1, 10, dtype=torch.int64)
    share = (embedding(tokens, whole(tokens)) == 0).float().mean().item()
    assert 0.3 < share < 0.7
    assert (embedding.eval()(tokens, whole(tokens)) != 0).all()
