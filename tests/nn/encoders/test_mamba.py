"""Whole layers equal their formulas, position by position, whatever the parts they are computed in."""

import copy
import itertools

import pytest
import torch
from checks import (
    assert_dropout_acts_in_training_only,
    assert_encodes,
    assert_same,
    draw,
    make_batch,
    randomise,
    watch_kept,
)
from dense import linear, normalise, shift

from genomix.nn.encoders import mamba
from genomix.nn.encoders.mamba import Mamba

LENGTHS = [1, 2, 3, 4, 9, 16, 23]
DIM, STATE_DIM, EXPAND, HEAD_DIM, CHUNK = 6, 3, 2, 4, 4
INNER, HEADS = EXPAND * DIM, EXPAND * DIM // HEAD_DIM


@pytest.fixture(autouse=True)
def _many_parts(monkeypatch):
    monkeypatch.setattr(mamba, "CACHED_ROWS", 8)


def make(num_layers=2, chunk=CHUNK, **more):
    return randomise(Mamba(DIM, num_layers, STATE_DIM, EXPAND, HEAD_DIM, chunk, **more))


def silu(x):
    return x / (1 + torch.exp(-x))


def run(direction, projected):
    """One record, from the first position to the last, by the paper's recurrence, (n, E)."""
    gate, inputs, steps = projected.split([INNER, INNER + 2 * STATE_DIM, HEADS], 1)
    taps = direction.short.weight[:, 0, 0].unbind(1)
    short = silu(direction.short.bias + sum(tap * shift(inputs, offset - 3) for offset, tap in enumerate(taps)))
    x, keys, queries = short.split([INNER, STATE_DIM, STATE_DIM], 1)
    x = x.unflatten(1, (HEADS, HEAD_DIM))
    steps = torch.log1p(torch.exp(steps + direction.step_bias))
    decays = torch.exp(-direction.log_rate.exp() * steps)
    state = [x.new_zeros(STATE_DIM, HEAD_DIM)] * HEADS
    outputs = []
    for i, head in itertools.product(range(len(x)), range(HEADS)):
        state[head] = decays[i, head] * state[head] + steps[i, head] * torch.outer(keys[i], x[i, head])
        outputs.append(queries[i] @ state[head] + direction.skip[head] * x[i, head])
    y = torch.stack(outputs).view(-1, INNER) * silu(gate)
    return y / (y.square().mean(1, keepdim=True) + 1e-5).sqrt() * direction.norm.weight


def encode(network, x):
    """One record (n, D)."""
    for layer in network.layers:
        projected = linear(layer.inward, normalise(layer.norm, x))
        x = x + linear(layer.outward, run(layer.ahead, projected) + run(layer.back, projected.flip(0)).flip(0))
    return normalise(network.norm, x)


def test_stack_equals_the_formulas():
    network = make()
    assert_encodes(network, lambda x: encode(network, x), LENGTHS, DIM)


@pytest.mark.parametrize("num_positions", [1, 2, 4, 5, 27])
def test_parts_change_neither_values_nor_gradients(num_positions):
    direction = make(1).layers[0].ahead
    projected = draw(2, num_positions, sum(direction.projected_dims)).requires_grad_()
    inside = (torch.arange(num_positions) < torch.tensor([[num_positions], [num_positions // 2]])).unsqueeze(2)
    whole = direction.advance(projected, *direction.start(projected), inside).outputs
    assert_same(direction(projected, inside), whole, [projected, *direction.parameters()])


def test_frozen_parameters_get_no_gradient_and_the_others_do():
    network = make()
    frozen = network.layers[0].ahead.log_rate.requires_grad_(False)
    network(*make_batch(LENGTHS, DIM)).sin().sum().backward()
    assert frozen.grad is None
    assert all(parameter.grad is not None for parameter in network.parameters() if parameter is not frozen)


def reverse(x):
    return torch.stack([torch.cat([row[:n].flip(0), row[n:]]) for row, n in zip(x, LENGTHS, strict=True)])


def test_exchanging_the_directions_reverses_records_within_their_own_length():
    network = make()
    exchanged = copy.deepcopy(network)
    for layer in exchanged.layers:
        layer.ahead, layer.back = layer.back, layer.ahead
    x, lengths = make_batch(LENGTHS, DIM)
    torch.testing.assert_close(exchanged(reverse(x), lengths), reverse(network(x, lengths)))


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_the_chunk_changes_nothing(chunk):
    batch = make_batch(LENGTHS, DIM)
    torch.testing.assert_close(make(chunk=chunk)(*batch), make()(*batch))


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
    direction = make(1).layers[0].ahead.float()
    projected = torch.randn(1, 32, sum(direction.projected_dims), requires_grad=True)
    with watch_kept() as sizes:
        direction(projected, torch.ones(1, 32, 1, dtype=torch.bool))
    parts, start = 32 // 8, 3 * (INNER + 2 * STATE_DIM) + STATE_DIM * INNER
    assert sum(sizes) == projected.numel() + 32 + parts * start


def test_scans_in_float32_under_autocast():
    """There and back, where a caller leaves autocast on for both."""
    direction = make(1).layers[0].ahead.float()
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
    assert_dropout_acts_in_training_only(make, DIM)
