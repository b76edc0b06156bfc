"""Attention by positive features equals its formula, given the draw, and softmax attention as features grow."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from checks import draw, randomise
from dense import assert_stack_equals, softmax_weights
from hypothesis import given, settings
from scipy import stats

from genomix.nn.encoders.performer import Performer, attend_by_positive_features, draw_directions


def positive_weights(mixer, head, queries, keys):
    """phi(q)^T phi(k) over its sum, phi(x) = exp(w^T x / p^(1/4) - |x|^2 / (2 sqrt(p))) / sqrt(F) as it stands."""
    rows = mixer.directions[head]
    num_features, dim = rows.shape

    def features(x):
        exponent = x @ rows.T / dim**0.25 - x.square().sum(1, keepdim=True) / (2 * math.sqrt(dim))
        return exponent.exp() / math.sqrt(num_features)

    products = features(queries) @ features(keys).T
    return products / products.sum(1, keepdim=True)


def attend(queries, keys, values, directions, length=None):
    inside = torch.arange(keys.shape[2]) < (length or keys.shape[2])
    return attend_by_positive_features(queries, keys, values, directions, inside[None, None, :, None])


def draw_heads(*shape, seed=0, scale=1.0):
    queries, keys, values = draw(3, *shape, seed=seed)
    return queries * scale, keys * scale, values


@pytest.mark.parametrize(("dim", "num_heads", "num_features"), [(8, 2, 10), (9, 3, 3), (5, 1, 1), (4, 4, 7)])
def test_stack_equals_the_dense_formulas(dim, num_heads, num_features):
    torch.manual_seed(0)
    network = randomise(Performer(dim, 6, 2, num_heads, num_features, position="none"))
    assert_stack_equals(network, positive_weights)


def test_equals_softmax_attention_where_features_are_many():
    torch.manual_seed(0)
    heads = draw_heads(1, 2, 20, 4, scale=0.5)
    exact = torch.stack([softmax_weights(q, k) @ v for q, k, v in zip(*(x[0] for x in heads), strict=True)])
    errors = [
        (attend(*heads, draw_directions(2, num_features, 4))[0] - exact).norm() / exact.norm()
        for num_features in (8, 20_000)
    ]
    assert errors[1] < 0.03 < 0.1 < errors[0]


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(0.01, 300), num_keys=st.integers(1, 9), num_features=st.integers(1, 9), seed=st.integers(0, 99))
def test_the_outcome_lies_among_the_values_however_long_queries_and_keys(scale, num_keys, num_features, seed):
    """In float32, where the exponentials of the plain formula overflow or vanish."""
    torch.manual_seed(seed)
    heads = [x.float().requires_grad_() for x in draw_heads(1, 2, num_keys, 3, seed=seed, scale=scale)]
    directions = draw_directions(2, num_features, 3)
    attended = attend(*heads, directions)
    values = heads[2]
    assert (attended <= values.amax(2, keepdim=True) + 1e-5).all()
    assert (attended >= values.amin(2, keepdim=True) - 1e-5).all()
    for gradient in torch.autograd.grad(attended.square().sum(), heads):
        assert gradient.isfinite().all()


def test_the_largest_key_is_looked_for_among_real_positions_only():
    """A padded key that would tower over all others leaves the outcome as it is, to the last bit."""
    torch.manual_seed(0)
    queries, keys, values = (x.float() for x in draw_heads(1, 2, 9, 4))
    directions = draw_directions(2, 16, 4)
    towering = keys.clone()
    towering[:, :, 6:] = directions[:, :3]
    assert torch.equal(
        attend(queries, towering, values, directions, length=6), attend(queries, keys, values, directions, length=6)
    )
    assert not torch.allclose(attend(queries, towering, values, directions), attend(queries, keys, values, directions))


def test_exponents_are_taken_in_float32_under_autocast():
    """In bfloat16, of 8 bits, an exponent of 10 would be wrong by 2 per cent of its exponential."""
    torch.manual_seed(0)
    heads = [x.float() for x in draw_heads(1, 2, 20, 4, scale=3.0)]
    directions = draw_directions(2, 16, 4)
    exact = attend(*heads, directions)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(attend(*heads, directions), exact)


@pytest.mark.parametrize("num_features", [1, 4, 5, 11])
def test_directions_of_a_block_are_orthogonal(num_features):
    torch.manual_seed(0)
    directions = draw_directions(3, num_features, 5)
    assert directions.shape == (3, num_features, 5)
    for block in directions.split(5, 1):
        products = block @ block.mT
        off_diagonal = products - torch.diag_embed(products.diagonal(dim1=1, dim2=2))
        torch.testing.assert_close(off_diagonal, torch.zeros_like(off_diagonal), atol=1e-5, rtol=0)
    assert not torch.equal(directions[0], directions[1])


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_each_direction_is_gaussian(dim):
    """Its squared length is chi-squared with p degrees of freedom, and every entry of every row is N(0, 1)."""
    torch.manual_seed(0)
    directions = draw_directions(2000, 2 * dim, dim).numpy()
    for row in range(2 * dim):
        assert stats.kstest((directions[:, row] ** 2).sum(1), stats.chi2(dim).cdf).pvalue > 1e-4
        for entry in range(dim):
            assert stats.kstest(directions[:, row, entry], stats.norm.cdf).pvalue > 1e-4
    lengths = np.linalg.norm(directions, axis=2)
    assert np.abs(np.corrcoef(lengths.T) - np.eye(2 * dim)).max() < 0.1


def test_layers_and_heads_have_draws_of_their_own_which_are_saved_and_stay():
    torch.manual_seed(0)
    network = Performer(8, 6, 2, 2, 5)
    drawn = {name: tensor.clone() for name, tensor in network.state_dict().items() if name.endswith("directions")}
    assert len(drawn) == 2
    first, second = drawn.values()
    assert not torch.equal(first, second)
    lengths = torch.tensor([6, 3])
    x = torch.randn(2, 6, 8)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    network.train()(x, lengths).square().sum().backward()
    optimizer.step()
    assert torch.equal(network(x, lengths), network(x, lengths))
    for name, tensor in drawn.items():
        assert torch.equal(network.state_dict()[name], tensor)


@pytest.mark.usefixtures("_benchmark_scripts")
def test_errors_fall_with_the_root_of_the_number_of_features(tmp_path):
    """The table of benchmarks/feature_error.py, in small, and its picture."""
    from feature_error import Sizes, measure, write_plot

    torch.manual_seed(0)
    sizes = Sizes(num_draws=16, length=64, scales=(0.25,))
    results = measure(sizes, [16, 64, 256])
    assert [errors.name for errors in results] == ["performer at 0.25", "rfa"]
    for errors in results:
        assert -0.65 < errors.slope < -0.35
        assert errors.means == sorted(errors.means, reverse=True)
    write_plot(results, sizes, tmp_path / "error.svg")
    assert (tmp_path / "error.svg").read_text().startswith("<?xml")
