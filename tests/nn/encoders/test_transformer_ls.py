"""Long-short attention equals its formula, computed query by query in numpy; and the window ends where it should."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from genomix.nn.encoders.transformer_ls import LongShortAttention

DIM, HEADS = 6, 3


def make(window, rank, seed=0):
    """A mixer in float64 whose weights are anything."""
    mixer = LongShortAttention(DIM, HEADS, window, rank).double()
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


def softmax(scores, axis):
    weights = np.exp(scores)
    return weights / weights.sum(axis, keepdims=True)


def dense(mixer, x, window, rank):
    """One record (n, D), one query and one head at a time."""
    queries, keys, values = np.split(linear(mixer.projections.inward, x), 3, axis=1)
    keys, values = normalise(mixer.window_norm, keys), normalise(mixer.window_norm, values)
    long_keys, long_values = np.zeros((rank, DIM)), np.zeros((rank, DIM))
    heads = np.split(np.arange(DIM), HEADS)
    for head, weight in zip(heads, np.split(mixer.summaries.weight.detach().numpy(), HEADS), strict=True):
        share = softmax(x @ weight.T, axis=0)
        long_keys[:, head], long_values[:, head] = share.T @ keys[:, head], share.T @ values[:, head]
    long_keys, long_values = normalise(mixer.summary_norm, long_keys), normalise(mixer.summary_norm, long_values)
    out = np.zeros_like(x)
    for i, query in enumerate(queries):
        start = i // window * window
        near = [j for j in range(len(x)) if start - window / 2 <= j < start + window + window / 2]
        seen_keys, seen_values = np.vstack([long_keys, keys[near]]), np.vstack([long_values, values[near]])
        for head in heads:
            weights = softmax(seen_keys[:, head] @ query[head] / np.sqrt(DIM / HEADS), axis=0)
            out[i, head] = weights @ seen_values[:, head]
    return linear(mixer.projections.outward, out)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 21), min_size=1, max_size=4),
    padding=st.integers(0, 9),
    window=st.sampled_from([2, 4, 6, 22]),
    rank=st.integers(1, 5),
)
def test_equals_the_formula(lengths, padding, window, rank):
    mixer = make(window, rank)
    x, lengths = make_batch(lengths, max(lengths) + padding)
    with torch.inference_mode():
        found = mixer(x, lengths).numpy()
    for row, record, length in zip(found, x.numpy(), lengths, strict=True):
        np.testing.assert_allclose(row[:length], dense(mixer, record[:length], window, rank), rtol=1e-9, atol=1e-9)


def test_gradients_are_the_slopes_of_the_formula():
    window, rank = 4, 2
    mixer = make(window, rank)
    x, lengths = make_batch([1, 7, 12], 12)
    generator = torch.Generator().manual_seed(2)
    upstream = torch.randn(x.shape, generator=generator, dtype=torch.float64) * (x != 0)

    def total():
        records = zip(x.detach().numpy(), upstream.numpy(), lengths, strict=True)
        return sum((dense(mixer, record[:n], window, rank) * weight[:n]).sum() for record, weight, n in records)

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


def test_a_query_sees_its_block_and_half_a_window_on_either_side():
    """With summaries that cannot be told apart from one record to the next, only the window carries a change."""
    window, length = 4, 16
    mixer = make(window, 1)
    mixer.summary_norm.weight.data.zero_()
    x, lengths = make_batch([length], length)
    before = mixer(x, lengths)
    for changed in range(length):
        moved = x.clone()
        moved[0, changed] += 1
        felt = (mixer(moved, lengths) != before).any(-1)[0].nonzero().flatten().tolist()
        starts = [start for start in range(0, length, window) if start - 2 <= changed < start + 6]
        assert felt == [i for start in starts for i in range(start, start + window)]
