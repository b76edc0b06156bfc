"""Attention to projected keys and values equals equation 7, computed densely; and what follows from it."""

import hypothesis.strategies as st
import pytest
import torch
from checks import assert_mixes, make_batch, randomise
from dense import attend, linear
from hypothesis import given, settings

from genomix.nn.encoders.linformer import Linformer, ProjectedAttention

DIM, HEADS, MOST = 6, 3, 13


def make(projected_length):
    return randomise(ProjectedAttention(DIM, HEADS, projected_length, MOST))


def project_and_attend(mixer, x):
    """One record (n, D): E_n is (S, n)."""
    projection = mixer.projection[:, : len(x)]
    weights, biases = mixer.keys_and_values.weight.chunk(2), mixer.keys_and_values.bias.chunk(2)
    keys, values = (projection @ (x @ weight.T) + bias for weight, bias in zip(weights, biases, strict=True))
    return linear(mixer.outward, attend(HEADS, linear(mixer.queries, x), keys, values))


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, MOST), min_size=1, max_size=4),
    padding=st.integers(0, 3),
    projected_length=st.integers(1, MOST + 3),
)
def test_equals_the_formula(lengths, padding, projected_length):
    mixer, padding = make(projected_length), min(padding, MOST - max(lengths))
    assert_mixes(mixer, lambda x: project_and_attend(mixer, x), lengths, DIM, padding=padding, counts_zeros=True)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(MOST)))
def test_columns_belong_to_positions(order):
    """Positions moved together with their columns of E give the same, moved."""
    mixer, moved = make(4), make(4)
    moved.projection.data = mixer.projection.data[:, order]
    x, lengths = make_batch([MOST], DIM, padding=0)
    with torch.inference_mode():
        torch.testing.assert_close(moved(x[:, order], lengths), mixer(x, lengths)[:, order])


def test_an_unused_column_gets_no_gradient_and_the_used_ones_do():
    mixer = make(4)
    mixer(*make_batch([5, 2], DIM, padding=0)).square().sum().backward()
    assert mixer.projection.grad[:, :5].ne(0).all()
    assert mixer.projection.grad[:, 5:].eq(0).all()


@pytest.mark.parametrize(("projected_length", "expected"), [(4, 4), (MOST, MOST), (50, MOST)])
def test_projects_to_no_more_than_there_are_positions(projected_length, expected):
    encoder = Linformer(DIM, 8, 2, HEADS, projected_length, MOST)
    assert [layer.mixer.projection.shape for layer in encoder.layers] == [(expected, MOST)] * 2


def test_starts_with_projected_entries_of_the_size_of_the_entries():
    torch.manual_seed(0)
    projection = ProjectedAttention(8, 1, 64, 4032).projection
    assert projection.std().item() == pytest.approx(1 / 64, rel=0.01)


def test_refuses_more_positions_than_it_has_columns():
    encoder = Linformer(DIM, 8, 1, HEADS, 4, MOST)
    with pytest.raises(ValueError, match=f"reaches to {MOST}, not to {MOST + 1}: cut the records into windows"):
        encoder(torch.zeros(1, MOST + 1, DIM), torch.tensor([MOST + 1]))
