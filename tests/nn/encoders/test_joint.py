"""Two sets of keys under one softmax equal their union, on the way forth and back, by the kernel and in plain torch."""

import pytest
import torch
from checks import WatchMade, assert_same, draw
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.nn.encoders import joint
from genomix.nn.encoders.attention import Heads
from genomix.nn.encoders.joint import Attended, attend_jointly, attend_partly

SHAPE = (2, 3, 2)
"""Records, blocks, heads."""


@pytest.fixture(params=["kernel", "plain", "plain, in pieces", "plain, two queries at once"])
def _way(request, monkeypatch):
    if request.param != "kernel":
        monkeypatch.setattr(joint, "attend_by_kernel", joint.attend_plainly)
        monkeypatch.setattr(joint, "return_by_kernel", joint.return_plainly)
    if request.param == "plain, in pieces":
        monkeypatch.setattr(joint, "LOGITS_AT_ONCE", 150)  # two rows of two heads, five queries and seven keys
    if request.param == "plain, two queries at once":
        monkeypatch.setattr(joint, "LOGITS_AT_ONCE", 30)


def make_heads(seed):
    queries, (keys, values) = draw(*SHAPE, 5, 4, seed=seed), draw(2, *SHAPE, 7, 4, seed=seed + 1)
    return Heads(*(part.requires_grad_() for part in (queries, keys, values)))


def union(heads, first, second):
    """Softmax attention over the keys allowed in either of two sets that share their keys and no pair."""
    logits = (heads.queries @ heads.keys.mT * 0.5).masked_fill(~(first | second), -torch.inf)
    return logits.softmax(-1) @ heads.values


def assert_equals_union(first, second, seed=0):
    heads = make_heads(seed)
    found = attend_jointly(attend_partly(heads, first, 0.5), attend_partly(heads, second, 0.5))
    assert_same(found, union(heads, first, second), heads)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("shape", [(2, 3, 2, 5, 7), (1, 1, 1, 5, 7), (2, 3, 1, 1, 7)])
def test_two_sets_of_keys_equal_their_union(shape):
    generator = torch.Generator().manual_seed(2)
    first = torch.rand(shape, generator=generator) < 0.5
    second = ~first & (torch.rand(shape, generator=generator) < 0.7)
    second |= ~(first | second).any(-1, keepdim=True)  # every query sees something
    assert_equals_union(first, second)


@pytest.mark.usefixtures("_way")
def test_an_empty_set_counts_for_nothing():
    everything, nothing = torch.ones(1, 1, 1, 1, 7, dtype=torch.bool), torch.zeros(1, 1, 1, 1, 7, dtype=torch.bool)
    assert_equals_union(everything, nothing)
    assert_equals_union(nothing, everything)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2]), min_size=35, max_size=35), st.integers(0, 1000))
def test_any_division_of_the_keys_gives_the_same(owner, seed):
    owner = torch.tensor(owner).view(1, 1, 1, 5, 7)
    owner[..., 0] %= 2  # every query sees something
    assert_equals_union(owner == 0, owner == 1, seed)


@pytest.mark.usefixtures("_way")
def test_gradients_of_values_and_totals_are_those_of_finite_differences():
    allowed = torch.rand(*SHAPE, 5, 7, generator=torch.Generator().manual_seed(3)) < 0.7
    torch.autograd.gradcheck(
        lambda *heads: attend_partly(Heads(*heads), allowed, 0.5), tuple(make_heads(4)), fast_mode=True
    )


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_large_logits_and_half_precision_stay_finite_and_close(dtype):
    heads = make_heads(5)
    near, far = (torch.arange(7) < 4)[None, None, None, None], (torch.arange(7) >= 4)[None, None, None, None]
    exact = union(heads, near, far)
    rough = Heads(*(part.detach().to(dtype).requires_grad_() for part in heads))
    found = attend_jointly(attend_partly(rough, near, 0.5), attend_partly(rough, far, 0.5))
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), exact, rtol=0.05, atol=0.05 if dtype == torch.bfloat16 else 1e-5)
    found = attend_jointly(attend_partly(rough, near, 1e4), attend_partly(rough, far, 1e4))
    gradients = torch.autograd.grad(found.float().square().sum(), rough)
    assert all(part.isfinite().all() for part in (found, *gradients))


@pytest.mark.parametrize("num_biases", [1, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_more_logits_are_made_at_once_than_allowed(monkeypatch, num_biases, dtype):
    monkeypatch.setattr(joint, "LOGITS_AT_ONCE", 1024)
    heads, gradients = draw(3, 2, 2, 64, 4).to(dtype), draw(2, 2, 64, 5).to(torch.float32)
    arguments = joint.Arguments(*heads, torch.zeros(2, 1, num_biases, 64, dtype=dtype))
    most = max(1024, arguments.bias.numel())
    with WatchMade() as watch:
        attended = joint.attend_plainly(arguments, 0.5)
        joint.return_plainly(arguments, attended, Attended(gradients[..., :4].to(dtype), gradients[..., 4]), 0.5)
    assert 512 < watch.largest <= most


def test_shares_follow_the_totals():
    values = torch.tensor([[1.0]]), torch.tensor([[5.0]])
    totals = torch.tensor([0.0]), torch.tensor([3.0]).log()
    together = attend_jointly(*(Attended(value, total) for value, total in zip(values, totals, strict=True)))
    torch.testing.assert_close(together, torch.tensor([[4.0]]))
