"""Memory-compressed attention equals its formula, computed densely in numpy, and softmax attention where it must."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from genomix.nn.encoders.memory_compressed import CompressedAttention
from genomix.nn.encoders.transformer import SoftmaxAttention

DIM, HEADS = 6, 3


def make(compression, seed=0):
    """A mixer in float64 whose weights are anything."""
    mixer = CompressedAttention(DIM, HEADS, compression).double()
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


def convolve(module, x, compression):
    """A convolution with kernel and stride `compression`, tap by tap; what lies behind the record adds nothing."""
    taps = np.split(module.weight.detach().numpy(), compression, axis=1)
    short = []
    for start in range(0, len(x), compression):
        piece = x[start : start + compression]
        short.append(sum(tap @ row for tap, row in zip(taps, piece, strict=False)) + module.bias.detach().numpy())
    return np.array(short)


def dense(mixer, x, compression):
    """One record (n, D), one head at a time."""
    queries, keys, values = np.split(linear(mixer.projections.inward, x), 3, axis=1)
    keys = convolve(mixer.shorten_keys, keys, compression)
    values = convolve(mixer.shorten_values, values, compression)
    out = np.zeros_like(x)
    for head in np.split(np.arange(DIM), HEADS):
        scores = np.exp(queries[:, head] @ keys[:, head].T / np.sqrt(DIM / HEADS))
        out[:, head] = scores / scores.sum(1, keepdims=True) @ values[:, head]
    return linear(mixer.projections.outward, out)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    padding=st.integers(0, 9),
    compression=st.integers(1, 6),
)
def test_equals_the_formula(lengths, padding, compression):
    mixer = make(compression)
    x, lengths = make_batch(lengths, max(lengths) + padding)
    with torch.inference_mode():
        found = mixer(x, lengths).numpy()
    for row, record, length in zip(found, x.numpy(), lengths, strict=True):
        np.testing.assert_allclose(row[:length], dense(mixer, record[:length], compression), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("compression", [1, 3, 5])
def test_gradients_are_the_slopes_of_the_formula(compression):
    mixer = make(compression)
    x, lengths = make_batch([1, 7, 12], 12)
    generator = torch.Generator().manual_seed(2)
    upstream = torch.randn(x.shape, generator=generator, dtype=torch.float64) * (x != 0)

    def total():
        records = zip(x.detach().numpy(), upstream.numpy(), lengths, strict=True)
        return sum((dense(mixer, record[:n], compression) * weight[:n]).sum() for record, weight, n in records)

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
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_is_softmax_attention_where_nothing_is_compressed(lengths):
    mixer, attention = make(1), SoftmaxAttention(DIM, HEADS).double()
    for shorten in (mixer.shorten_keys, mixer.shorten_values):
        shorten.weight.data, shorten.bias.data = torch.eye(DIM).double(), torch.zeros(DIM).double()
    attention.projections.load_state_dict(mixer.projections.state_dict())
    batch = make_batch(lengths, max(lengths))
    with torch.inference_mode():
        for found, expected, length in zip(mixer(*batch), attention(*batch), lengths, strict=True):
            torch.testing.assert_close(found[:length], expected[:length])
