"""Attention through inducing points equals its formula, computed densely in numpy, and sees a record as a set."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy.special import erf

from genomix.nn.encoders.induced import InducedAttention

DIM, HIDDEN, HEADS = 6, 5, 3


def make(num_inducing, seed=0):
    """A mixer in float64 whose weights are anything."""
    mixer = InducedAttention(DIM, HIDDEN, HEADS, num_inducing).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in mixer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5
    return mixer


def make_batch(lengths, num_positions):
    x = torch.randn(len(lengths), num_positions, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inside = torch.arange(num_positions) < torch.tensor(lengths)[:, None]
    return x * inside.unsqueeze(2), torch.tensor(lengths)


def linear(module, x):
    return x @ module.weight.detach().numpy().T + module.bias.detach().numpy()


def normalise(module, x):
    centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + module.eps)
    return centred * module.weight.detach().numpy() + module.bias.detach().numpy()


def multihead(module, asking, seen):
    queries = linear(module.queries, asking)
    keys, values = np.split(linear(module.keys_and_values, seen), 2, axis=1)
    out = np.zeros_like(queries)
    for head in np.split(np.arange(DIM), HEADS):
        scores = np.exp(queries[:, head] @ keys[:, head].T / np.sqrt(DIM / HEADS))
        out[:, head] = scores / scores.sum(1, keepdims=True) @ values[:, head]
    return linear(module.outward, out)


def feedforward(module, x):
    hidden = linear(module[0], x)
    return linear(module[2], hidden * (1 + erf(hidden / np.sqrt(2))) / 2)


def dense(mixer, x):
    """One record (n, D): Multihead(X, H, H) with H = MAB(I, X)."""
    inducing = mixer.inducing.detach().numpy()
    attended = normalise(mixer.gather_norm, inducing + multihead(mixer.gather, inducing, x))
    met = normalise(mixer.mlp_norm, attended + feedforward(mixer.mlp, attended))
    return multihead(mixer.spread, x, met)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    padding=st.integers(0, 9),
    num_inducing=st.integers(1, 7),
)
def test_equals_the_formula(lengths, padding, num_inducing):
    mixer = make(num_inducing)
    x, lengths = make_batch(lengths, max(lengths) + padding)
    with torch.inference_mode():
        found = mixer(x, lengths).numpy()
    for row, record, length in zip(found, x.numpy(), lengths, strict=True):
        np.testing.assert_allclose(row[:length], dense(mixer, record[:length]), rtol=1e-9, atol=1e-9)


def test_gradients_are_the_slopes_of_the_formula():
    mixer = make(3)
    x, lengths = make_batch([1, 7, 12], 12)
    generator = torch.Generator().manual_seed(2)
    upstream = torch.randn(x.shape, generator=generator, dtype=torch.float64) * (x != 0)

    def total():
        records = zip(x.detach().numpy(), upstream.numpy(), lengths, strict=True)
        return sum((dense(mixer, record[:n]) * weight[:n]).sum() for record, weight, n in records)

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
@given(order=st.permutations(range(11)))
def test_a_record_in_another_order_gives_the_same_in_that_order(order):
    mixer = make(4)
    x, lengths = make_batch([11], 11)
    with torch.inference_mode():
        torch.testing.assert_close(mixer(x[:, order], lengths), mixer(x, lengths)[:, order])
