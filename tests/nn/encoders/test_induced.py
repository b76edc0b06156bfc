"""Attention through inducing points equals its formula, computed densely, and sees a record as a set."""

import hypothesis.strategies as st
import torch
from checks import assert_mixes, make_batch, randomise
from dense import attend, linear, normalise, two_layers
from hypothesis import given, settings

from genomix.nn.encoders.induced import Induced, InducedAttention

DIM, HIDDEN, HEADS = 6, 5, 3


def make(num_inducing):
    return randomise(InducedAttention(DIM, HIDDEN, HEADS, num_inducing))


def multihead(module, asking, seen):
    keys, values = linear(module.keys_and_values, seen).chunk(2, 1)
    return linear(module.outward, attend(HEADS, linear(module.queries, asking), keys, values))


def attend_through_points(mixer, x):
    """One record (n, D): Multihead(X, H, H) with H = MAB(I, X)."""
    attended = normalise(mixer.gather_norm, mixer.inducing + multihead(mixer.gather, mixer.inducing, x))
    met = normalise(mixer.mlp_norm, attended + two_layers(mixer.mlp, attended))
    return multihead(mixer.spread, x, met)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    padding=st.integers(0, 9),
    num_inducing=st.integers(1, 7),
)
def test_equals_the_formula(lengths, padding, num_inducing):
    mixer = make(num_inducing)
    assert_mixes(mixer, lambda x: attend_through_points(mixer, x), lengths, DIM, padding=padding)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(11)))
def test_a_record_in_another_order_gives_the_same_in_that_order(order):
    mixer = make(4)
    x, lengths = make_batch([11], DIM, padding=0)
    with torch.inference_mode():
        torch.testing.assert_close(mixer(x[:, order], lengths), mixer(x, lengths)[:, order])


def test_a_stack_has_its_sizes_in_every_layer():
    network = Induced(DIM, HIDDEN, 3, HEADS, num_inducing=4)
    assert [layer.mixer.inducing.shape for layer in network.layers] == [(4, DIM)] * 3
    for layer in network.layers:
        assert layer.mixer.mlp[0].weight.shape == layer.mlp[0].weight.shape == (HIDDEN, DIM)
