"""Attention among positions that hash alike equals softmax attention under a mask made by plain loops."""

import hypothesis.strategies as st
import pytest
import torch
from checks import WatchMade, assert_mixes, assert_padding_changes_nothing, draw
from dense import linear, split
from hypothesis import given, settings

from genomix.nn.encoders import reformer
from genomix.nn.encoders.reformer import HashedAttention, Reformer, hash_order

LENGTHS = [1, 2, 3, 7, 16, 33, 40]


def make(chunk, num_hashes, max_length, dim=6, num_heads=2, seed=0):
    torch.manual_seed(seed)
    return HashedAttention(dim, num_heads, chunk, num_hashes, max_length).double()


def order_of(queries, rotation, chunk):
    """Positions of one record (n, P) in the order of one round in one head."""
    half = min(-(-len(queries) // (2 * chunk)), rotation.shape[1])
    rotated = queries @ rotation[:, :half]
    buckets = torch.cat([rotated, -rotated], 1).argmax(1).tolist()
    return sorted(range(len(queries)), key=lambda i: (buckets[i], i))


def seen_by(queries, rotations, chunk):
    """Which of the positions (n, P) each sees in any of the rounds (R, P, half), (n, n)."""
    seen = torch.zeros(len(queries), len(queries), dtype=torch.bool)
    for rotation in rotations:
        order = order_of(queries, rotation, chunk)
        for rank, i in enumerate(order):
            for other_rank, j in enumerate(order):
                if other_rank // chunk in (rank // chunk, rank // chunk - 1):
                    seen[i, j] = True
    return seen


def attend(queries, values, seen):
    """Softmax attention of one head of one record to unit keys; to itself only where there is nothing else."""
    scores = queries @ (queries / queries.norm(dim=1, keepdim=True)).T
    itself = torch.eye(len(queries), dtype=torch.bool)
    alone = (seen & ~itself).sum(1, keepdim=True) == 0
    return scores.masked_fill(~seen | (itself & ~alone), -torch.inf).softmax(1) @ values


def mix(mixer, record, everything=False):
    """One record (n, D), head by head."""
    heads = []
    for h, (q, v) in enumerate(split(mixer.num_heads, *linear(mixer.inward, record).chunk(2, 1))):
        seen = torch.ones(len(record), len(record), dtype=torch.bool)
        heads.append(attend(q, v, seen if everything else seen_by(q.detach(), mixer.rotations[:, h], mixer.chunk)))
    return linear(mixer.outward, torch.cat(heads, 1))


def assert_equal_to_loops(mixer, lengths, padding=5, **more):
    assert_mixes(mixer, lambda x: mix(mixer, x, **more), lengths, mixer.inward.in_features, padding=padding)


@pytest.mark.parametrize("num_hashes", [1, 2, 3])
@pytest.mark.parametrize("max_length", [24, 64], ids=["longer than drawn for", "shorter"])
def test_equals_softmax_over_the_union_of_what_any_round_sees(num_hashes, max_length):
    assert_equal_to_loops(make(4, num_hashes, max_length), LENGTHS)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 21), min_size=1, max_size=3), st.integers(1, 9), st.integers(1, 4), st.integers(0, 99))
def test_equals_the_union_for_any_chunk(lengths, chunk, num_hashes, seed):
    assert_equal_to_loops(make(chunk, num_hashes, 21, dim=4, seed=seed), lengths, padding=seed % 3)


def test_sees_some_and_not_all():
    """The tests above are of masks that leave something out, and of rounds that differ and overlap."""
    mixer = make(4, 2, 64)
    queries = draw(40, 3)
    first, second = (seen_by(queries, mixer.rotations[r : r + 1, 0], 4) for r in range(2))
    assert (first & second).any()
    assert (first ^ second).any()
    assert not (first | second).all()


@pytest.mark.parametrize("num_hashes", [1, 3])
def test_one_chunk_is_attention_to_everything(num_hashes):
    assert_equal_to_loops(make(64, num_hashes, 128), LENGTHS, padding=0, everything=True)


def test_a_round_told_twice_counts_once():
    once, twice = make(4, 1, 64), make(4, 2, 64)
    twice.load_state_dict(once.state_dict() | {"rotations": once.rotations.repeat(2, 1, 1, 1)})
    x, lengths = draw(2, 50, 6), torch.tensor([50, 31])
    torch.testing.assert_close(twice(x, lengths), once(x, lengths))


def test_the_length_of_the_batch_changes_nothing():
    torch.manual_seed(0)
    network = Reformer(8, 8, 2, 2, chunk=4, num_hashes=2, max_length=300)
    assert_padding_changes_nothing(network, 8)


def test_positions_are_hashed_some_at_a_time(monkeypatch):
    """The last piece is a smaller one."""
    queries, rotations, lengths = draw(2, 2, 500, 4), draw(2, 2, 4, 63, seed=1), torch.tensor([500, 333])
    at_once = hash_order(queries, rotations, lengths, 4)
    monkeypatch.setattr(reformer, "ROTATED_AT_ONCE", 2**13)
    with WatchMade() as watch:
        assert torch.equal(hash_order(queries, rotations, lengths, 4), at_once)
    assert watch.largest <= 2**13


def test_large_scores_stay_finite():
    mixer = make(4, 2, 64).float()
    x = (1000 * torch.randn(1, 50, 6)).requires_grad_()
    mixed = mixer(x, torch.tensor([43]))
    mixed.sum().backward()
    assert mixed.isfinite().all()
    assert x.grad.isfinite().all()


def test_rotations_belong_to_the_model():
    network = Reformer(8, 8, 1, 2, chunk=4, num_hashes=3, max_length=50)
    assert network.state_dict()["layers.0.mixer.rotations"].shape == (3, 2, 4, 7)
