"""Attention to projected keys and values equals equation 7, computed densely in numpy; and what follows from it."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from genomix.nn.encoders.linformer import Linformer, ProjectedAttention

DIM, HEADS, MOST = 6, 3, 13


def make(projected_length, seed=0):
    """A mixer in float64 whose weights are anything."""
    mixer = ProjectedAttention(DIM, HEADS, projected_length, MOST).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in mixer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5
    return mixer


def make_batch(lengths, num_positions):
    x = torch.randn(len(lengths), num_positions, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inside = torch.arange(num_positions) < torch.tensor(lengths)[:, None]
    return x * inside.unsqueeze(2), torch.tensor(lengths)


def dense(mixer, x):
    """One record (n, D), one head at a time: E_n is (S, n)."""
    weights = {name: parameter.detach().numpy() for name, parameter in mixer.named_parameters()}
    key_weight, value_weight = np.split(weights["keys_and_values.weight"], 2)
    key_bias, value_bias = np.split(weights["keys_and_values.bias"], 2)
    projection = weights["projection"][:, : len(x)]
    queries = x @ weights["queries.weight"].T + weights["queries.bias"]
    keys = projection @ (x @ key_weight.T) + key_bias
    values = projection @ (x @ value_weight.T) + value_bias
    out = np.zeros_like(x)
    for head in np.split(np.arange(DIM), HEADS):
        scores = np.exp(queries[:, head] @ keys[:, head].T / np.sqrt(DIM / HEADS))
        out[:, head] = scores / scores.sum(1, keepdims=True) @ values[:, head]
    return out @ weights["outward.weight"].T + weights["outward.bias"]


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, MOST), min_size=1, max_size=4),
    padding=st.integers(0, 3),
    projected_length=st.integers(1, MOST + 3),
)
def test_equals_the_formula(lengths, padding, projected_length):
    mixer = make(projected_length)
    x, lengths = make_batch(lengths, min(max(lengths) + padding, MOST))
    with torch.inference_mode():
        found = mixer(x, lengths).numpy()
    for row, record, length in zip(found, x.numpy(), lengths, strict=True):
        np.testing.assert_allclose(row[:length], dense(mixer, record[:length]), rtol=1e-9, atol=1e-9)


def test_gradients_are_the_slopes_of_the_formula():
    mixer = make(5)
    x, lengths = make_batch([1, 7, 12], 12)
    generator = torch.Generator().manual_seed(2)
    upstream = torch.randn(x.shape, generator=generator, dtype=torch.float64) * (x != 0)

    def total():
        records = zip(x.detach().numpy(), upstream.numpy(), lengths, strict=True)
        return sum((dense(mixer, record[:length]) * weight[:length]).sum() for record, weight, length in records)

    x.requires_grad_()
    (mixer(x, lengths) * upstream).sum().backward()
    step = 1e-5
    for tensor in (x, *mixer.parameters()):
        direction = torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * (tensor.detach() != 0)
        start = tensor.detach().clone()
        ends = []
        for sign in (1, -1):
            tensor.data.copy_(start + sign * step * direction)
            ends.append(total())
        tensor.data.copy_(start)
        slope = (ends[0] - ends[1]) / (2 * step)
        assert (tensor.grad * direction).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-8)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(MOST)))
def test_columns_belong_to_positions(order):
    """Positions moved together with their columns of E give the same, moved."""
    mixer, moved = make(4), make(4)
    moved.projection.data = mixer.projection.data[:, order]
    x, lengths = make_batch([MOST], MOST)
    with torch.inference_mode():
        torch.testing.assert_close(moved(x[:, order], lengths), mixer(x, lengths)[:, order])


def test_an_unused_column_gets_no_gradient_and_the_used_ones_do():
    mixer = make(4)
    mixer(*make_batch([5, 2], 5)).square().sum().backward()
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
