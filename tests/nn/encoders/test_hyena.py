"""Long convolutions, filters and the whole operator equal their formulas, computed position by position."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genomix.nn.encoders import hyena
from genomix.nn.encoders.hyena import BothWays, Hyena, HyenaOperator, ImplicitFilters, fast_size

LENGTHS = [1, 2, 3, 7, 16, 20, 23]


def array(tensor):
    return tensor.detach().double().numpy()


def linear(module, x):
    return x @ array(module.weight).T + (0 if module.bias is None else array(module.bias))


def randomise(module, seed=0, scale=0.4):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * scale)
    return module


def filter_value(filters, max_length, lag):
    """All filters at one lag, (num_filters, D), from the equations."""
    t = lag / max_length
    hidden = np.array(
        [t, *(math.cos(2 * math.pi * k * t) for k in (1, 2)), *(-math.sin(2 * math.pi * k * t) for k in (1, 2))]
    )
    layers = list(filters.network)
    for layer, sine in zip(layers[::2], layers[1::2], strict=True):
        hidden = np.sin(array(sine.frequencies) * linear(layer, hidden))
    values = linear(filters.outward, hidden).reshape(-1, filters.dim)
    decays = np.linspace(math.log(100) / 1.5, math.log(100) / 0.3, filters.dim)
    return values * np.exp(-decays * t) * np.sqrt(2 * decays / max_length)


def convolve(values, ahead, back, skip):
    """(D, N) by (D, N): every pair of positions."""
    mixed = values * skip[:, None]
    for i, j in itertools.product(range(values.shape[1]), repeat=2):
        mixed[:, i] += (ahead[:, i - j] if j <= i else back[:, j - i]) * values[:, j]
    return mixed


def operate(operator, x, max_length):
    """One record (N, D), by the paper's recurrence."""
    length, dim = x.shape
    projected = np.zeros((length + 2, (operator.order + 1) * dim))
    projected[1:-1] = linear(operator.inward, x)
    taps = array(operator.short.weight)[:, 0, 0]
    short = array(operator.short.bias) + sum(taps[:, k] * projected[k : k + length] for k in range(3))
    mixed, *gates = short.T.reshape(operator.order + 1, dim, length)
    filters = np.stack([filter_value(operator.filters, max_length, lag) for lag in range(length)], 2)
    skips = array(operator.skip).reshape(operator.order, dim)
    for n, gate in enumerate(gates):
        mixed = gate * convolve(mixed, filters[n], filters[operator.order + n], skips[n])
    return linear(operator.outward, mixed.T)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_operator_equals_the_formulas(order):
    max_length = 20
    operator = randomise(HyenaOperator(3, order, 5, max_length).double())
    x = torch.randn(len(LENGTHS), 25, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    hidden = x * (torch.arange(25) < torch.tensor(LENGTHS)[:, None]).unsqueeze(2)
    found = array(operator(hidden, torch.tensor(LENGTHS)))
    for row, record, length in zip(found, array(x), LENGTHS, strict=True):
        np.testing.assert_allclose(row[:length], operate(operator, record[:length], max_length), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("num_positions", [1, 2, 5, 16, 33])
@pytest.mark.parametrize("at_once", [1, 70, 1 << 19], ids=["one channel", "two channels", "all channels"])
def test_both_ways_equal_the_sum_over_pairs_and_so_do_gradients(num_positions, at_once, monkeypatch):
    monkeypatch.setattr(hyena, "CACHED_VALUES", at_once)
    generator = torch.Generator().manual_seed(num_positions)
    shapes = [(2, 3, num_positions), (3, num_positions), (3, num_positions), (3,)]
    inputs = [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]
    found = BothWays.apply(*inputs)

    values, ahead, back, skip = inputs
    lags = torch.arange(num_positions)[:, None] - torch.arange(num_positions)
    matrix = torch.where(lags >= 0, ahead[:, lags.clamp(min=0)], back[:, (-lags).clamp(min=0)])
    expected = (matrix @ values.unsqueeze(-1)).squeeze(-1) + skip[:, None] * values
    torch.testing.assert_close(found, expected)
    weights = torch.cos(expected.detach())
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, weights), torch.autograd.grad(expected, inputs, weights)
    )
    for row, record in zip(array(found), array(values), strict=True):
        np.testing.assert_allclose(row, convolve(record, array(ahead), array(back), array(skip)), atol=1e-12)


@pytest.mark.parametrize("place", [0, 5, 12])
def test_nothing_comes_round_the_ends(place):
    values = torch.zeros(1, 1, 13).index_fill_(2, torch.tensor([place]), 1)
    ahead, back = torch.arange(1.0, 14).unsqueeze(0), -torch.arange(1.0, 14).unsqueeze(0)
    found = BothWays.apply(values, ahead, back, torch.zeros(1))[0, 0]
    expected = torch.cat([back[0, 1 : place + 1].flip(0), ahead[0, : 13 - place]])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_filters_depend_on_the_lag_only_and_equal_the_formula_beyond_max_length():
    filters = randomise(ImplicitFilters(4, 3, 5, 10).double())
    found = filters(27)
    torch.testing.assert_close(filters(6), found[..., :6])
    expected = np.stack([filter_value(filters, 10, lag) for lag in range(27)], 2)
    np.testing.assert_allclose(array(found), expected, rtol=1e-9, atol=1e-12)


def test_far_beyond_max_length_filters_hold_no_subnormal_numbers():
    filters = ImplicitFilters(2, 3, 5, 10)(200)
    assert (filters.abs() > torch.finfo(torch.float32).smallest_normal).all()


def test_energy_of_untrained_filters_does_not_grow_with_max_length():
    torch.manual_seed(0)
    energies = [ImplicitFilters(4, 32, 64, most)(most).square().sum(-1).mean().item() for most in (100, 10_000)]
    assert energies[1] == pytest.approx(energies[0], rel=0.3)


@given(least=st.integers(1, 1 << 40))
def test_fast_sizes_are_even_small_in_factors_and_little_above(least):
    size = fast_size(least)
    assert least <= size <= max(2, 1.25 * least)
    rest = size // 2
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    assert size % 2 == 0
    assert rest == 1


def test_convolutions_are_in_float32_under_autocast(monkeypatch):
    operator = randomise(HyenaOperator(4, 2, 8, 16))
    hidden, lengths = torch.randn(2, 16, 4), torch.tensor([16, 9])
    seen = []
    whole = operator.filters(16)
    operator.filters.register_forward_hook(lambda _, __, output: seen.append(output))
    monkeypatch.setattr(BothWays, "apply", lambda *tensors: seen.extend(tensors) or tensors[0])
    with torch.autocast("cpu", torch.bfloat16):
        operator(hidden, lengths)
    assert {tensor.dtype for tensor in seen} == {torch.float32}
    assert torch.equal(seen[0], whole)


def test_a_stack_holds_an_operator_a_layer():
    network = Hyena(4, 6, 3, 2, 8, 50)
    assert [type(layer.mixer) for layer in network.layers] == [HyenaOperator] * 3
    assert [layer.mixer.filters.max_length for layer in network.layers] == [50] * 3
    assert network.position == "none"
