"""Long convolutions, filters and the whole operator equal their formulas, computed position by position."""

import math

import pytest
import torch
from checks import assert_mixes, assert_same, draw, randomise
from dense import linear, shift
from hypothesis import given
from hypothesis import strategies as st

from genomix.nn.encoders import hyena
from genomix.nn.encoders.hyena import BothWays, Hyena, HyenaOperator, ImplicitFilters, fast_size

LENGTHS = [1, 2, 3, 7, 16, 20, 23]


def make_filters(filters, max_length, num_lags):
    """All filters at lags from 0 on, (num_filters, D, num_lags), from the equations."""
    t = torch.arange(num_lags, dtype=torch.float64)[:, None] / max_length
    angles = 2 * math.pi * t * torch.tensor([1, 2])
    hidden = torch.cat([t, torch.cos(angles), -torch.sin(angles)], 1)
    layers = list(filters.network)
    for layer, sine in zip(layers[::2], layers[1::2], strict=True):
        hidden = torch.sin(sine.frequencies * linear(layer, hidden))
    values = linear(filters.outward, hidden).reshape(num_lags, -1, filters.dim)
    decays = torch.linspace(math.log(100) / 1.5, math.log(100) / 0.3, filters.dim, dtype=torch.float64)
    return (values * torch.exp(-decays * t)[:, None] * torch.sqrt(2 * decays / max_length)).permute(1, 2, 0)


def convolve(values, ahead, back, skip):
    """(D, N) by (D, N): every pair of positions."""
    lags = torch.arange(values.shape[1])[:, None] - torch.arange(values.shape[1])
    matrix = torch.where(lags >= 0, ahead[:, lags.clamp(min=0)], back[:, (-lags).clamp(min=0)])
    return (matrix @ values.unsqueeze(2)).squeeze(2) + skip[:, None] * values


def operate(operator, x, max_length):
    """One record (n, D), by the paper's recurrence."""
    projected = linear(operator.inward, x)
    taps = operator.short.weight[:, 0, 0].unbind(1)
    short = operator.short.bias + sum(tap * shift(projected, offset - 1) for offset, tap in enumerate(taps))
    mixed, *gates = short.T.chunk(operator.order + 1)
    ahead, back = make_filters(operator.filters, max_length, len(x)).chunk(2)
    for gate, *filters in zip(gates, ahead, back, operator.skip.chunk(operator.order), strict=True):
        mixed = gate * convolve(mixed, *filters)
    return linear(operator.outward, mixed.T)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_operator_equals_the_formulas(order):
    operator = randomise(HyenaOperator(3, order, 5, 20))
    assert_mixes(operator, lambda x: operate(operator, x, 20), LENGTHS, 3)


@pytest.mark.parametrize("num_positions", [1, 2, 5, 16, 33])
@pytest.mark.parametrize("at_once", [1, 70, 1 << 19], ids=["one channel", "two channels", "all channels"])
def test_both_ways_equal_the_sum_over_pairs_and_so_do_gradients(num_positions, at_once, monkeypatch):
    monkeypatch.setattr(hyena, "CACHED_VALUES", at_once)
    shapes = [(2, 3, num_positions), (3, num_positions), (3, num_positions), (3,)]
    inputs = [draw(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes)]
    values, *filters = inputs
    expected = torch.stack([convolve(record, *filters) for record in values])
    assert_same(BothWays.apply(*inputs), expected, inputs)


@pytest.mark.parametrize("place", [0, 5, 12])
def test_nothing_comes_round_the_ends(place):
    values = torch.zeros(1, 1, 13).index_fill_(2, torch.tensor([place]), 1)
    ahead, back = torch.arange(1.0, 14).unsqueeze(0), -torch.arange(1.0, 14).unsqueeze(0)
    found = BothWays.apply(values, ahead, back, torch.zeros(1))[0, 0]
    expected = torch.cat([back[0, 1 : place + 1].flip(0), ahead[0, : 13 - place]])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_filters_depend_on_the_lag_only_and_equal_the_formula_beyond_max_length():
    filters = randomise(ImplicitFilters(4, 3, 5, 10))
    found = filters(27)
    torch.testing.assert_close(filters(6), found[..., :6])
    torch.testing.assert_close(found, make_filters(filters, 10, 27), rtol=1e-9, atol=1e-12)


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
    assert least <= size <= max(least + 1, 1.25 * least)
    rest = size // 2
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    assert size % 2 == 0
    assert rest == 1


def test_convolutions_are_in_float32_under_autocast(monkeypatch):
    operator = randomise(HyenaOperator(4, 2, 8, 16)).float()
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
    network = Hyena(4, 6, 3, 2, 8, 50, position="none")
    assert [type(layer.mixer) for layer in network.layers] == [HyenaOperator] * 3
    assert [layer.mixer.filters.max_length for layer in network.layers] == [50] * 3
    assert network.position == "none"
