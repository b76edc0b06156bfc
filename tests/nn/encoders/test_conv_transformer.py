"""The convolutions, the attention between them and the way back equal their formulas."""

import pytest
import torch
from checks import assert_dropout_acts_in_training_only, assert_encodes, find_felt, randomise
from dense import encode_stack, gelu, linear, normalise, shift

from genomix.config import make_config
from genomix.errors import GenomixError
from genomix.nn.encoders.conv_transformer import ConvTransformer

DIM, HEADS = 6, 2
LENGTHS = [1, 2, 3, 7, 8, 9, 16, 21]


def halve(module, x):
    """Every second position, with `width` of them weighed together and zeros beyond the ends."""
    taps = module.convolution.weight.unbind(2)
    weighed = sum(shift(x, offset - len(taps) // 2) @ tap.T for offset, tap in enumerate(taps))
    return normalise(module.norm, gelu(weighed[::2] + module.convolution.bias))


def encode(network, x):
    """One record (n, D)."""
    short = x
    for module in network.tower:
        short = halve(module, short)
    back = linear(network.outward, encode_stack(network.transformer, short))
    return normalise(network.norm, x + back[torch.arange(len(x)) // 2 ** len(network.tower)])


def make(num_convolutions=2, width=5, position="none", **more):
    return randomise(ConvTransformer(DIM, 5, 2, HEADS, num_convolutions, width, position=position, **more))


@pytest.mark.parametrize(("num_convolutions", "width"), [(1, 3), (2, 5), (3, 9)])
@pytest.mark.parametrize(("position", "tolerance"), [("none", 1e-9), ("sinusoidal", 1e-5)])
def test_equals_the_formula(num_convolutions, width, position, tolerance):
    """The table of sinusoids is made in float32, hence the tolerance."""
    network = make(num_convolutions, width, position)
    assert_encodes(network, lambda x: encode(network, x), LENGTHS, DIM, tolerance=tolerance)


def test_every_position_sees_the_whole_record():
    for place in (0, 20):
        assert find_felt(make(3, 3), 21, DIM, place) == set(range(21))


def test_dropout_acts_in_training_only():
    assert_dropout_acts_in_training_only(make, DIM)


@pytest.mark.parametrize(("width", "message"), [(4, "must be odd, not 4"), (1, "greater than or equal to 3")])
def test_widths_that_pass_positions_over_are_refused(width, message):
    with pytest.raises(GenomixError, match=message):
        make_config("conv-transformer", overrides={"model.encoder.width": width})


def test_an_even_width_is_refused_by_the_module_too():
    with pytest.raises(ValueError, match="must be odd, not 4"):
        make(width=4)
