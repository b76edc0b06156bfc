"""The chunked scan equals the recurrence, step by step, values and gradients."""

import math

import numpy as np
import pytest
import torch
from checks import draw
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.nn.encoders.selective_scan import LOWEST, _Decays, scan, scan_one_by_one

BATCH, HEADS, HEAD_DIM, STATE_DIM = 2, 3, 4, 5


def make_inputs(num_positions, forgetting=1.0, seed=0):
    """Random values, log decays, keys, queries and a first state, in float64."""
    keys, queries = draw(2, BATCH, num_positions, STATE_DIM, seed=seed)
    return [
        draw(BATCH, num_positions, HEADS, HEAD_DIM, seed=seed + 1),
        -forgetting * draw(BATCH, num_positions, HEADS, seed=seed + 2).abs(),
        keys,
        queries,
        draw(BATCH, STATE_DIM, HEADS, HEAD_DIM, seed=seed + 3),
    ]


def step_by_step(values, log_decays, keys, queries, state):
    """One record, head by head, in numpy."""
    state, outputs = state.copy(), np.zeros_like(values)
    for i in range(len(values)):
        for head in range(values.shape[1]):
            state[:, head] = math.exp(log_decays[i, head]) * state[:, head] + np.outer(keys[i], values[i, head])
            outputs[i, head] = queries[i] @ state[:, head]
    return outputs, state


@pytest.mark.parametrize("num_positions", [1, 2, 7, 8, 9, 61])
def test_reference_and_scan_equal_the_recurrence(num_positions):
    inputs = make_inputs(num_positions)
    expected = [step_by_step(*(tensor[row].numpy() for tensor in inputs)) for row in range(BATCH)]
    for found in (scan_one_by_one(*inputs), scan(*inputs, chunk=8)):
        np.testing.assert_allclose(found.outputs, np.stack([outputs for outputs, _ in expected]), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.state, np.stack([state for _, state in expected]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("num_positions", [1, 5, 16, 61])
@pytest.mark.parametrize("chunk", [1, 3, 16, 100])
@pytest.mark.parametrize("forgetting", [0.0, 0.01, 1.0, 30.0])
def test_chunks_change_nothing(num_positions, chunk, forgetting):
    inputs = [tensor.requires_grad_() for tensor in make_inputs(num_positions, forgetting)]
    outcomes = []
    for found in (scan(*inputs, chunk), scan_one_by_one(*inputs)):
        loss = found.outputs.sin().sum() + found.state.cos().sum()
        outcomes.append((*found, *torch.autograd.grad(loss, inputs)))
    torch.testing.assert_close(*outcomes)


@settings(deadline=None, max_examples=25)
@given(num_positions=st.integers(2, 40), share=st.floats(0, 1), chunk=st.integers(1, 20), seed=st.integers(0, 1 << 30))
def test_a_scan_goes_on_from_where_another_stopped(num_positions, share, chunk, seed):
    *sequence, state = make_inputs(num_positions, seed=seed)
    cut = 1 + int(share * (num_positions - 2))
    first = scan(*(tensor[:, :cut] for tensor in sequence), state, chunk)
    second = scan(*(tensor[:, cut:] for tensor in sequence), first.state, chunk)
    whole = scan(*sequence, state, chunk)
    torch.testing.assert_close(torch.cat([first.outputs, second.outputs], 1), whole.outputs)
    torch.testing.assert_close(second.state, whole.state)


@pytest.mark.parametrize("pattern", ["never", "at once", "both"])
def test_extreme_decays_in_float32(pattern):
    """A state that lasts a thousand positions, one that lasts none, and stretches of either, by turns."""
    values, log_decays, keys, queries, state = make_inputs(1000)
    log_decays = {"never": 1e-6 * log_decays, "at once": log_decays - 500, "both": log_decays * 1e-4}[pattern]
    if pattern == "both":
        log_decays[:, ::37] -= 1e5
    inputs = [values, log_decays, keys, queries, state]
    expected = scan_one_by_one(*inputs).outputs
    single = [tensor.float().requires_grad_() for tensor in inputs]
    found = scan(*single, chunk=64).outputs
    assert (found - expected).abs().max() < 2e-5 * expected.abs().max()
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(found.sum(), single))


def test_decays_hold_no_subnormal_numbers_and_look_at_nothing_later():
    decays = _Decays.apply(torch.linspace(0, -1e4, 50))
    assert torch.equal(decays, decays.tril())
    assert decays[torch.ones(50, 50).tril().bool()].min() >= 0.99 * math.exp(LOWEST)
    assert torch.equal(decays.diagonal(), torch.ones(50))
