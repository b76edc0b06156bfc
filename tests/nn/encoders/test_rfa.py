"""Attention by Fourier features equals its formula, given the draw, and a Gaussian kernel's as features grow."""

import math

import hypothesis.strategies as st
import pytest
import torch
from checks import draw, randomise
from dense import assert_stack_equals
from hypothesis import given, settings

from genomix.nn.encoders.rfa import Rfa, attend_by_fourier_features


def made_one_long(x):
    return x / (x.square().sum(1, keepdim=True) + 1e-6).sqrt()


def fourier_weights(directions, widths, queries, keys):
    """phi(q)^T phi(k) over its sum, phi(x) = [sin(W x), cos(W x)] / sqrt(F), and how much of the sums was raised."""
    num_features = len(directions)

    def features(x):
        angles = made_one_long(x) @ (directions / widths).T
        return torch.cat([angles.sin(), angles.cos()], 1) / math.sqrt(num_features)

    products = features(queries) @ features(keys).T
    sums = products.sum(1, keepdim=True)
    least_kernel, noise = torch.exp(-2 / widths.min() ** 2), 1 / math.sqrt(2 * num_features)
    floor = len(keys) * (least_kernel if least_kernel > noise else torch.full_like(least_kernel, noise))
    return products / torch.where(sums > floor, sums, floor), (sums < floor).double().mean().item()


def module_weights(mixer, head, queries, keys):
    widths = mixer.log_widths.exp().chunk(mixer.projections.num_heads)
    return fourier_weights(mixer.directions[head], widths[head], queries, keys)[0]


def gaussian_weights(widths, queries, keys):
    differences = made_one_long(queries)[:, None] - made_one_long(keys)[None]
    kernel = torch.exp(-(differences.square() / (2 * widths**2)).sum(2))
    return kernel / kernel.sum(1, keepdim=True)


@pytest.mark.parametrize(("dim", "num_heads", "num_features"), [(8, 2, 10), (9, 3, 3), (5, 1, 1), (4, 4, 7)])
def test_stack_equals_the_dense_formulas(dim, num_heads, num_features):
    torch.manual_seed(0)
    network = randomise(Rfa(dim, 6, 2, num_heads, num_features, position="none"))
    assert_stack_equals(network, module_weights)


@pytest.mark.parametrize(("num_features", "width", "stretch"), [(2, 2.0, 5.0), (8, 1.5, 1.7), (8, 0.4, 0.5)])
def test_sums_that_are_too_low_are_raised_to_the_larger_bound_and_no_other(num_features, width, stretch):
    """The directions are stretched so that some sums are too low and some are not."""
    lengths = torch.tensor([9, 4])
    queries, keys, values = draw(3, 2, 1, 9, 3)
    directions, widths = draw(1, num_features, 3, seed=1) * stretch, torch.full((1, 3), width, dtype=torch.float64)
    kernel_bound, noise_bound = math.exp(-2 / width**2), 1 / math.sqrt(2 * num_features)
    assert (kernel_bound > noise_bound) == (width > 1)
    found = attend_by_fourier_features(queries, keys, values, directions, widths, lengths)
    shares = []
    for row, length in enumerate(lengths.tolist()):
        weights, raised = fourier_weights(directions[0], widths[0], queries[row, 0], keys[row, 0, :length])
        torch.testing.assert_close(found[row, 0], weights @ values[row, 0, :length])
        shares.append(raised)
    assert 0 < sum(shares) < 2


def test_the_bound_is_not_above_the_lowest_sum_there_can_be():
    """Query and key point opposite ways along the narrowest dimension: the kernel is at its least, and counts fully."""
    torch.manual_seed(0)
    query = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    widths = torch.tensor([[1.2, 3.0]])
    value = torch.ones(1, 1, 1, 1)
    directions = torch.randn(1, 300_000, 2)
    found = attend_by_fourier_features(query, -query, value, directions, widths, torch.tensor([1]))
    assert 0.97 < found.item() <= 1


@pytest.mark.parametrize("widths", [[0.9, 0.9, 0.9], [0.8, 1.0, 2.0]], ids=["one width", "widths"])
def test_equals_gaussian_attention_where_features_are_many(widths):
    torch.manual_seed(0)
    widths = torch.tensor(widths, dtype=torch.float64)
    queries, keys, values = draw(3, 1, 1, 20, 3)
    exact = gaussian_weights(widths, queries[0, 0], keys[0, 0]) @ values[0, 0]
    if widths.unique().numel() == 1:
        scores = made_one_long(queries[0, 0]) @ made_one_long(keys[0, 0]).T / widths[0] ** 2
        torch.testing.assert_close(scores.softmax(1) @ values[0, 0], exact, rtol=1e-4, atol=1e-5)
    errors = []
    for num_features in (8, 100_000):
        directions = torch.randn(1, num_features, 3)
        found = attend_by_fourier_features(queries, keys, values, directions, widths[None], torch.tensor([20]))
        errors.append((found[0, 0] - exact).norm() / exact.norm())
    assert errors[1] < 0.03 < 0.1 < errors[0]


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(0.0, 300),
    log_width=st.floats(-30, 30),
    num_keys=st.integers(1, 9),
    num_features=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_the_outcome_is_bounded_by_the_values(scale, log_width, num_keys, num_features, seed):
    """|phi(q)^T phi(k)| <= 1 and no sum is below n / sqrt(2 F); in float32, gradients finite, zero vectors included."""
    queries, keys, values = draw(3, 1, 2, num_keys, 3, seed=seed).float()
    leaves = [queries * scale, keys * scale, values, torch.full((2, 3), log_width)]
    leaves = [leaf.detach().requires_grad_() for leaf in leaves]
    directions = draw(2, num_features, 3, seed=seed + 100).float()
    attended = attend_by_fourier_features(
        *leaves[:3], directions, leaves[3].clamp(-4, 4).exp(), torch.tensor([num_keys])
    )
    assert (attended.abs() <= values.abs().amax(2, keepdim=True) * math.sqrt(2 * num_features) * 1.0001).all()
    for gradient in torch.autograd.grad(attended.square().sum(), leaves):
        assert gradient.isfinite().all()


def test_angles_are_taken_in_float32_under_autocast():
    queries, keys, values = draw(3, 1, 2, 20, 4).float()
    rest = (values, draw(2, 16, 4, seed=1).float(), torch.full((2, 4), 0.3), torch.tensor([20]))
    exact = attend_by_fourier_features(queries, keys, *rest)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(attend_by_fourier_features(queries, keys, *rest), exact)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.1, 100), seed=st.integers(0, 99))
def test_only_the_direction_of_queries_and_keys_counts(scale, seed):
    queries, keys, values = draw(3, 1, 2, 7, 3, seed=seed) * 10
    rest = (values, draw(2, 12, 3, seed=seed + 100), torch.ones(2, 3), torch.tensor([7]))
    torch.testing.assert_close(
        attend_by_fourier_features(queries * scale, keys * scale, *rest),
        attend_by_fourier_features(queries, keys, *rest),
        rtol=1e-3,
        atol=1e-3,
    )


def test_widths_start_at_one_and_are_learned_and_the_draw_stays():
    torch.manual_seed(0)
    network = Rfa(8, 6, 2, 2, 50)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    drawn = [tensor for name, tensor in state.items() if name.endswith("directions")]
    assert len(drawn) == 2
    assert not torch.equal(*drawn)
    assert abs(torch.cat(drawn).std() - 1) < 0.1
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    goal = torch.randn(2, 6, 8)
    (network(torch.randn(2, 6, 8), torch.tensor([6, 3])) - goal).square().sum().backward()
    optimizer.step()
    for name, tensor in network.state_dict().items():
        if name.endswith("directions"):
            assert torch.equal(tensor, state[name])
        if name.endswith("log_widths"):
            assert not state[name].any()
            assert tensor.all()
            assert tensor.shape == (8,)  # a vector, so that it is not decayed
