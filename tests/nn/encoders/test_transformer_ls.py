"""Long-short attention equals its formula, computed query by query; and the window ends where it should."""

import hypothesis.strategies as st
import torch
from checks import assert_mixes, make_batch, randomise
from dense import attend, find_pairs, linear, normalise
from hypothesis import given, settings

from genomix.nn.encoders.transformer_ls import LongShortAttention

DIM, HEADS = 6, 3


def make(window, rank):
    return randomise(LongShortAttention(DIM, HEADS, window, rank))


def summarise(mixer, x, part):
    """Keys or values (n, D) of a record x (n, D), as (R, D)."""
    heads = zip(mixer.summaries.weight.chunk(HEADS), part.chunk(HEADS, 1), strict=True)
    exponentials = [(torch.exp(x @ weight.T), head) for weight, head in heads]
    return normalise(mixer.summary_norm, torch.cat([(e / e.sum(0)).T @ head for e, head in exponentials], 1))


def attend_long_and_short(mixer, x, window, rank):
    """One record (n, D)."""

    def sees(i, j):
        start = i // window * window
        return start - window / 2 <= j < start + window + window / 2

    queries, *parts = linear(mixer.projections.inward, x).chunk(3, 1)
    near = [normalise(mixer.window_norm, part) for part in parts]
    keys, values = (torch.cat([summarise(mixer, x, part), part]) for part in near)
    seen = torch.cat([torch.ones(len(x), rank), find_pairs(len(x), sees)], 1)
    return linear(mixer.projections.outward, attend(HEADS, queries, keys, values, seen))


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 21), min_size=1, max_size=4),
    padding=st.integers(0, 9),
    window=st.sampled_from([2, 4, 6, 22]),
    rank=st.integers(1, 5),
)
def test_equals_the_formula(lengths, padding, window, rank):
    mixer = make(window, rank)
    assert_mixes(mixer, lambda x: attend_long_and_short(mixer, x, window, rank), lengths, DIM, padding=padding)


def test_a_query_sees_its_block_and_half_a_window_on_either_side():
    """With summaries that cannot be told apart from one record to the next, only the window carries a change."""
    window, length = 4, 16
    mixer = make(window, 1)
    mixer.summary_norm.weight.data.zero_()
    x, lengths = make_batch([length], DIM, padding=0)
    before = mixer(x, lengths)
    for changed in range(length):
        moved = x.clone()
        moved[0, changed] += 1
        felt = (mixer(moved, lengths) != before).any(-1)[0].nonzero().flatten().tolist()
        starts = [start for start in range(0, length, window) if start - 2 <= changed < start + 6]
        assert felt == [i for start in starts for i in range(start, start + window)]
