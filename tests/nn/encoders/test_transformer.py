"""A stack of attention equals its formula, computed densely, record by record and head by head, with its gradients."""

import pytest
import torch
from checks import draw, randomise
from dense import assert_stack_equals, normalise, position_table

from genomix.nn.encoders.transformer import Transformer

LENGTH = 14


@pytest.mark.parametrize(("dim", "num_heads"), [(8, 2), (9, 3), (5, 1)])
def test_stack_equals_the_dense_formulas(dim, num_heads):
    assert_stack_equals(randomise(Transformer(dim, 6, 2, num_heads, position="none")))


def test_positions_are_added_to_the_input():
    """The table is made in float32."""
    assert_stack_equals(randomise(Transformer(9, 6, 2, 3)), tolerance=1e-6)


def test_large_scores_do_not_overflow():
    network = randomise(Transformer(8, 6, 1, 2), scale=50.0)
    encoded = network(draw(2, LENGTH, 8), torch.tensor([LENGTH, 3]))
    encoded.square().sum().backward()
    assert encoded.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_without_positions_the_order_of_a_record_does_not_matter():
    network = randomise(Transformer(8, 6, 2, 2, position="none"))
    x, order = draw(1, LENGTH, 8), torch.randperm(LENGTH)
    lengths = torch.tensor([LENGTH])
    torch.testing.assert_close(network(x[:, order], lengths), network(x, lengths)[:, order])


def test_dropout_is_on_what_is_added():
    """With all of it dropped, the layers pass their input on."""
    network = randomise(Transformer(8, 6, 2, 2, dropout=1.0))
    x, lengths = draw(1, LENGTH, 8), torch.tensor([LENGTH])
    passed = normalise(network.norm, x[0] + position_table(LENGTH, 8))
    torch.testing.assert_close(network.train()(x, lengths)[0], passed, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(network.eval()(x, lengths)[0], passed, rtol=0.01, atol=0.01)


@pytest.mark.parametrize(("named", "message"), [({"num_heads": 2, "window": 4}, "window"), ({}, "num_heads")])
def test_values_that_the_mixer_does_not_know_or_misses_are_refused(named, message):
    with pytest.raises(TypeError, match=rf"^SoftmaxAttention\.__init__\(\) .*'{message}'"):
        Transformer(8, 6, 1, **named)
