"""The convolutions, the attention between them and the way back equal their formulas, in plain numpy."""

import numpy as np
import pytest
import torch
from scipy.special import erf, softmax

from genomix.config import make_config
from genomix.errors import GenomixError
from genomix.nn.encoders.conv_transformer import ConvTransformer

DIM, HEADS = 6, 2
LENGTHS = [1, 2, 3, 7, 8, 9, 16, 21]


def array(tensor):
    return tensor.detach().double().numpy()


def linear(module, x):
    return x @ array(module.weight).T + array(module.bias)


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def normalise(module, x):
    centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + module.eps)
    return centred * array(module.weight) + array(module.bias)


def halve(module, x):
    """Every second position, with `width` of them weighed together and zeros beyond the ends."""
    weight, bias = array(module.convolution.weight), array(module.convolution.bias)
    short = np.empty(((len(x) + 1) // 2, DIM))
    for j in range(len(short)):
        total = bias.copy()
        for k in range(weight.shape[2]):
            i = 2 * j + k - weight.shape[2] // 2
            if 0 <= i < len(x):
                total += weight[:, :, k] @ x[i]
        short[j] = normalise(module.norm, gelu(total))
    return short


def attend(projections, x):
    queries, keys, values = np.split(linear(projections.inward, x), 3, 1)
    heads = []
    for head in np.split(np.arange(DIM), HEADS):
        scores = queries[:, head] @ keys[:, head].T / np.sqrt(DIM / HEADS)
        heads.append(softmax(scores, 1) @ values[:, head])
    return linear(projections.outward, np.concatenate(heads, 1))


def positions(length):
    frequency = 10000.0 ** (-np.arange(0, DIM, 2) / DIM)
    angles = np.arange(length)[:, None] * frequency
    return np.stack([np.sin(angles), np.cos(angles)], 2).reshape(length, DIM)


def encode(network, x):
    """One record (N, D)."""
    short = x
    for module in network.tower:
        short = halve(module, short)
    stack = network.transformer
    if stack.position == "sinusoidal":
        short = short + positions(len(short))
    for layer in stack.layers:
        short = short + attend(layer.mixer.projections, normalise(layer.mixer_norm, short))
        short = short + linear(layer.mlp[2], gelu(linear(layer.mlp[0], normalise(layer.mlp_norm, short))))
    back = linear(network.outward, normalise(stack.norm, short))
    return normalise(network.norm, np.array([row + back[i // 2 ** len(network.tower)] for i, row in enumerate(x)]))


def make(num_convolutions=2, width=5, position="none", **more):
    """A small network in float64 with no weight at a special value."""
    network = ConvTransformer(DIM, 5, 2, HEADS, num_convolutions, width, position=position, **more).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return network


def make_inputs(lengths):
    """A batch, with something behind every record's length, that must not matter."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(lengths), max(lengths) + 2, DIM, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("num_convolutions", "width"), [(1, 3), (2, 5), (3, 9)])
@pytest.mark.parametrize(("position", "tolerance"), [("none", 1e-9), ("sinusoidal", 1e-5)])
def test_equals_the_formula(num_convolutions, width, position, tolerance):
    """The table of sinusoids is made in float32, hence the tolerance."""
    network, x = make(num_convolutions, width, position), make_inputs(LENGTHS)
    found = array(network(x, torch.tensor(LENGTHS)))
    for row, record, length in zip(found, x.numpy(), LENGTHS, strict=True):
        np.testing.assert_allclose(row[:length], encode(network, record[:length]), rtol=tolerance, atol=tolerance)
        assert not row[length:].any()


def test_slopes_equal_those_of_the_formula():
    network, x, lengths = make(), make_inputs([3, 7, 20]).requires_grad_(), [3, 7, 20]
    towards = np.random.default_rng(2).standard_normal(x.shape)
    loss = (network(x, torch.tensor(lengths)) * torch.from_numpy(towards)).sum()
    tensors = [x, *network.parameters()]
    gradients = torch.autograd.grad(loss, tensors)
    steps = [torch.from_numpy(np.random.default_rng(3).standard_normal(tensor.shape)) for tensor in tensors]

    def dense(size):
        with torch.no_grad():
            for tensor, step in zip(tensors, steps, strict=True):
                tensor.add_(step, alpha=size)
            records = [encode(network, array(row[:length])) for row, length in zip(x, lengths, strict=True)]
            for tensor, step in zip(tensors, steps, strict=True):
                tensor.sub_(step, alpha=size)
        return sum((record * row[: len(record)]).sum() for record, row in zip(records, towards, strict=True))

    slope = sum((gradient * step).sum().item() for gradient, step in zip(gradients, steps, strict=True))
    assert slope == pytest.approx((dense(1e-6) - dense(-1e-6)) / 2e-6, rel=1e-5)


def test_every_position_sees_the_whole_record():
    network, x = make(3, 3), make_inputs([21])[:, :21].requires_grad_()
    for i in (0, 20):
        (felt,) = torch.autograd.grad(network(x, torch.tensor([21]))[0, i, 0], x)
        assert (felt.abs().amax(-1) > 0).all()


def test_dropout_acts_in_training_only():
    network, x, lengths = make(dropout=0.5), make_inputs([20]), torch.tensor([20])
    assert not torch.equal(network(x, lengths), network(x, lengths))
    network.eval()
    assert torch.equal(network(x, lengths), make()(x, lengths))


@pytest.mark.parametrize(("width", "message"), [(4, "must be odd, not 4"), (1, "greater than or equal to 3")])
def test_widths_that_pass_positions_over_are_refused(width, message):
    with pytest.raises(GenomixError, match=message):
        make_config("conv-transformer", overrides={"model.encoder.width": width})


def test_an_even_width_is_refused_by_the_module_too():
    with pytest.raises(ValueError, match="must be odd, not 4"):
        make(width=4)
