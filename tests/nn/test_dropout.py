"""Dropout zeroes the share of entries it is told to, each by a chance of its own, and does the same to gradients."""

import numpy as np
import pytest
import torch

from genomix.nn.dropout import Dropout

SIZE = 400_000
RATES = [0.05, 1 / 3, 0.5, 0.8]


def losses(p, seed=0, size=SIZE):
    """Which of many entries are lost (size,), as 0 and 1."""
    torch.manual_seed(seed)
    return (Dropout(p)(torch.ones(size)) == 0).double().numpy()


def assert_share(lost, p):
    """Hold a share to p within five standard errors, and the 1 / 131072 that p is rounded by."""
    assert abs(lost.mean() - p) < 5 * np.sqrt(p * (1 - p) / lost.size) + 2**-17


@pytest.mark.parametrize("p", RATES)
def test_the_share_that_is_lost(p):
    assert_share(losses(p), p)


@pytest.mark.parametrize("p", RATES)
def test_no_place_among_those_that_share_a_draw_is_favoured(p):
    for place in range(4):
        assert_share(losses(p, seed=place)[place::4], p)


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("distance", [1, 2, 3, 4, 8])
def test_neighbours_are_lost_independently(p, distance):
    lost = losses(p)
    for place in range(4):
        one, other = lost[place:-distance:4], lost[place + distance :: 4]
        assert abs(np.corrcoef(one, other[: len(one)])[0, 1]) < 5 / np.sqrt(len(one))


@pytest.mark.parametrize("p", RATES)
def test_four_that_share_a_draw_are_lost_as_often_as_chance_has_it(p):
    """Among four independent entries the number of losses is binomial."""
    counts = np.bincount(losses(p).reshape(-1, 4).sum(1).astype(int), minlength=5)
    groups = SIZE // 4
    for lost, ways in enumerate((1, 4, 6, 4, 1)):
        share = ways * p**lost * (1 - p) ** (4 - lost)
        assert abs(counts[lost] / groups - share) < 5 * np.sqrt(share * (1 - share) / groups) + 4 * 2**-17


@pytest.mark.parametrize("p", RATES)
def test_the_mean_is_kept(p):
    torch.manual_seed(0)
    values = torch.rand(SIZE) + 1
    change = (Dropout(p)(values) - values).double()
    assert abs(change.mean()) < 5 * change.std() / SIZE**0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2,), (3,), (5,), (7, 3), (2, 1, 3, 11)])
def test_gradients_pass_where_values_do(shape, dtype):
    torch.manual_seed(0)
    p = 0.375
    values = (torch.rand(shape) + 1).to(dtype).requires_grad_()
    upstream = (torch.rand(shape) + 1).to(dtype)
    out = Dropout(p)(values)
    out.backward(upstream)
    assert out.shape == values.shape
    assert out.dtype == values.grad.dtype == dtype
    kept = out.detach() != 0
    torch.testing.assert_close(out.detach(), torch.where(kept, values.detach() / (1 - p), 0))
    torch.testing.assert_close(values.grad, torch.where(kept, upstream / (1 - p), 0))


def test_gradients_equal_differences():
    dropout = Dropout(0.4)

    def same_draws(values):
        torch.manual_seed(1)
        return dropout(values)

    assert torch.autograd.gradcheck(same_draws, torch.rand(3, 7, dtype=torch.float64, requires_grad=True))


def test_values_in_any_layout_and_what_was_given_stays():
    torch.manual_seed(0)
    values = torch.rand(30, 50).t()[::2] + 1
    before = values.clone()
    out = Dropout(0.5)(values)
    kept = out != 0
    assert 0.4 < kept.float().mean() < 0.6
    torch.testing.assert_close(out, torch.where(kept, 2 * values, 0))
    assert torch.equal(values, before)


def test_values_that_are_lost_are_zero_whatever_they_were():
    torch.manual_seed(0)
    out = Dropout(0.5)(torch.full((1000,), float("inf")))
    assert set(out.tolist()) == {0.0, float("inf")}


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_nothing_is_lost_outside_of_training(p):
    values = torch.randn(5, 7)
    assert torch.equal(Dropout(p).eval()(values), values)


@pytest.mark.parametrize("p", [0.0, 1e-7])
def test_nothing_is_lost_at_a_rate_of_zero(p):
    values = torch.rand(999) + 1
    torch.testing.assert_close(Dropout(p)(values), values)


@pytest.mark.parametrize("p", [1.0, 1 - 1e-7])
def test_all_is_lost_at_a_rate_of_one(p):
    values = torch.ones(999, requires_grad=True)
    out = Dropout(p)(values)
    out.sum().backward()
    assert not out.any()
    assert not values.grad.any()


def test_the_rarest_losses_and_the_rarest_survivors():
    rare = 2**-12
    assert_share(losses(rare), rare)
    assert_share(losses(1 - rare), 1 - rare)


def test_draws_follow_the_seed():
    assert np.array_equal(losses(0.5, size=100), losses(0.5, size=100))
    assert not np.array_equal(losses(0.5, size=100), losses(0.5, seed=1, size=100))
    torch.manual_seed(0)
    dropout = Dropout(0.5)
    assert not torch.equal(dropout(torch.ones(100)), dropout(torch.ones(100)))


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_rate_that_is_none_is_refused(p):
    with pytest.raises(ValueError, match="probability"):
        Dropout(p)


def test_a_byte_an_entry_is_kept_for_the_way_back():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        Dropout(0.5)(torch.ones(1000, requires_grad=True))
    assert sum(tensor.nbytes for tensor in kept) == 1000
