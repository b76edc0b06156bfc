"""Whole layers equal their formulas, position by position, whatever the parts they are computed in."""

import copy

import numpy as np
import pytest
import torch

from genomix.nn.encoders import mamba
from genomix.nn.encoders.mamba import Mamba

LENGTHS = [1, 2, 3, 4, 9, 16, 23]
DIM, STATE_DIM, EXPAND, HEAD_DIM, CHUNK = 6, 3, 2, 4, 4
INNER, HEADS = EXPAND * DIM, EXPAND * DIM // HEAD_DIM


@pytest.fixture(autouse=True)
def _many_parts(monkeypatch):
    monkeypatch.setattr(mamba, "CACHED_ROWS", 8)


def array(tensor):
    return tensor.detach().double().numpy()


def randomise(module, seed=0, scale=0.5):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * scale)
    return module


def make(num_layers=2, **more):
    return randomise(Mamba(DIM, num_layers, STATE_DIM, EXPAND, HEAD_DIM, CHUNK, **more))


def make_batch(num_positions=25):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(LENGTHS), num_positions, DIM, generator=generator, dtype=torch.float64), torch.tensor(
        LENGTHS
    )


def normalise(module, x):
    centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + module.eps)
    return centred * array(module.weight) + array(module.bias)


def silu(x):
    return x / (1 + np.exp(-x))


def run(direction, projected):
    """One record, from the first position to the last, by the paper's recurrence, (N, E)."""
    gate, inputs, steps = np.split(projected, [INNER, 2 * INNER + 2 * STATE_DIM], 1)
    taps, bias = array(direction.short.weight)[:, 0, 0], array(direction.short.bias)
    skip, rates = array(direction.skip), np.exp(array(direction.log_rate))
    steps = np.log1p(np.exp(steps + array(direction.step_bias)))
    state = np.zeros((HEADS, STATE_DIM, HEAD_DIM))
    outputs = []
    for i in range(len(projected)):
        short = silu(bias + sum(taps[:, 3 - back] * inputs[i - back] for back in range(4) if back <= i))
        x, k, q = np.split(short, [INNER, INNER + STATE_DIM])
        x = x.reshape(HEADS, HEAD_DIM)
        for head in range(HEADS):
            step = steps[i, head]
            state[head] = np.exp(-rates[head] * step) * state[head] + step * np.outer(k, x[head])
        y = (np.einsum("s,hsp->hp", q, state) + skip[:, None] * x).reshape(-1) * silu(gate[i])
        outputs.append(y / np.sqrt((y**2).mean() + 1e-5) * array(direction.norm.weight))
    return np.stack(outputs)


def encode(network, x):
    """One record (N, D)."""
    for layer in network.layers:
        projected = normalise(layer.norm, x) @ array(layer.inward.weight).T
        mixed = run(layer.ahead, projected) + run(layer.back, projected[::-1])[::-1]
        x = x + mixed @ array(layer.outward.weight).T
    return normalise(network.norm, x)


def test_stack_equals_the_formulas():
    network = make().double()
    x, lengths = make_batch()
    found = array(network(x, lengths))
    for row, record, length in zip(found, array(x), LENGTHS, strict=True):
        np.testing.assert_allclose(row[:length], encode(network, record[:length]), rtol=1e-9, atol=1e-9)
        assert not row[length:].any()


@pytest.mark.parametrize("num_positions", [1, 2, 4, 5, 27])
def test_parts_change_neither_values_nor_gradients(num_positions):
    direction = make(1).layers[0].ahead.double()
    generator = torch.Generator().manual_seed(0)
    projected = torch.randn(2, num_positions, sum(direction.projected_dims), generator=generator, dtype=torch.float64)
    projected.requires_grad_()
    inside = (torch.arange(num_positions) < torch.tensor([[num_positions], [num_positions // 2]])).unsqueeze(2)
    whole = direction.advance(projected, *direction.start(projected), inside).outputs
    found = direction(projected, inside)
    torch.testing.assert_close(found, whole)
    needed, weights = [projected, *direction.parameters()], torch.cos(whole.detach())
    torch.testing.assert_close(torch.autograd.grad(found, needed, weights), torch.autograd.grad(whole, needed, weights))


def test_frozen_parameters_get_no_gradient_and_the_others_do():
    network = make()
    frozen = network.layers[0].ahead.log_rate.requires_grad_(False)
    network(make_batch()[0].float(), torch.tensor(LENGTHS)).sin().sum().backward()
    assert frozen.grad is None
    assert all(parameter.grad is not None for parameter in network.parameters() if parameter is not frozen)


def reverse(x):
    return torch.stack([torch.cat([row[:n].flip(0), row[n:]]) for row, n in zip(x, LENGTHS, strict=True)])


def test_exchanging_the_directions_reverses_records_within_their_own_length():
    network = make().double()
    exchanged = copy.deepcopy(network)
    for layer in exchanged.layers:
        layer.ahead, layer.back = layer.back, layer.ahead
    x, lengths = make_batch()
    torch.testing.assert_close(exchanged(reverse(x), lengths), reverse(network(x, lengths)))


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_the_chunk_changes_nothing(chunk):
    network = make().double()
    other = Mamba(DIM, 2, STATE_DIM, EXPAND, HEAD_DIM, chunk).double()
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other(*make_batch()), network(*make_batch()))


def test_starts_as_published():
    torch.manual_seed(0)
    direction = Mamba(64, 1, 16, 2, 1, 64).layers[0].back
    steps, rates = torch.nn.functional.softplus(direction.step_bias), direction.log_rate.exp()
    assert 1e-3 <= steps.min() < 2e-3
    assert 5e-2 < steps.max() <= 1e-1
    assert 5e-3 < steps.median() < 2e-2  # even in the logarithm
    assert 1 <= rates.min() < 2
    assert 15 < rates.max() <= 16
    assert torch.equal(direction.skip, torch.ones(128))


def test_keeps_its_input_and_the_starts_of_parts_only():
    direction = make(1).layers[0].ahead
    projected = torch.randn(1, 32, sum(direction.projected_dims), requires_grad=True)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: sizes.append(tensor.numel()), lambda _: None):
        direction(projected, torch.ones(1, 32, 1, dtype=torch.bool))
    parts, start = 32 // 8, 3 * (INNER + 2 * STATE_DIM) + STATE_DIM * INNER
    assert sum(sizes) == projected.numel() + 32 + parts * start


def test_scans_in_float32_under_autocast():
    """There and back, where a caller leaves autocast on for both."""
    direction = make(1).layers[0].ahead
    narrow = torch.randn(1, 32, sum(direction.projected_dims), dtype=torch.bfloat16)
    inside = torch.ones(1, 32, 1, dtype=torch.bool)
    whole = direction(narrow.float(), inside)
    parameters = list(direction.parameters())
    expected = torch.autograd.grad(whole.sin().sum(), parameters)
    with torch.autocast("cpu", torch.bfloat16):
        found = direction(narrow, inside)
        gradients = torch.autograd.grad(found.sin().sum(), parameters)
    for one, other in zip([found, *gradients], [whole, *expected], strict=True):
        assert torch.equal(one, other)


def test_dropout_acts_in_training_only():
    network, batch = make(dropout=0.5), (make_batch()[0].float(), torch.tensor(LENGTHS))
    assert not torch.equal(network(*batch), network(*batch))
    network.eval()
    assert torch.equal(network(*batch), network(*batch))
