"""A stack of attention equals its formula, computed densely, record by record and head by head, with its gradients."""

import math

import numpy as np
import pytest
import torch

from genomix.nn.encoders.transformer import Transformer

LENGTHS = [1, 2, 7, 12, 5]
WIDTH = 14
"""Positions of a batch, more than its longest record has."""


def randomise(module, seed=0, scale=0.4):
    """Give every parameter any value, in float64; buffers, which hold what was drawn, keep theirs."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.double().parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * scale
    return module


def linear(module, x):
    return x @ module.weight.T + module.bias


def two_layers(module, x):
    hidden = linear(module[0], x)
    return linear(module[2], hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2)


def normalise(module, x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + module.eps).sqrt() * module.weight + module.bias


def position_table(num_positions, dim):
    """Vaswani et al. 2017, section 3.5."""
    table = np.zeros((num_positions, dim))
    for i in range(num_positions):
        for channel in range(dim):
            angle = i / 10000 ** ((channel - channel % 2) / dim)
            table[i, channel] = math.cos(angle) if channel % 2 else math.sin(angle)
    return torch.from_numpy(table)


def mix(mixer, x, weigh):
    """One record (n, D); weigh(mixer, head, q, k) gives the (n, n) weights of the values."""
    queries, keys, values = linear(mixer.projections.inward, x).chunk(3, 1)
    num_heads = mixer.projections.num_heads
    heads = zip(*(part.chunk(num_heads, 1) for part in (queries, keys, values)), strict=True)
    attended = [weigh(mixer, head, q, k) @ v for head, (q, k, v) in enumerate(heads)]
    return linear(mixer.projections.outward, torch.cat(attended, 1))


def encode(network, x, weigh):
    """One record (n, D) through the pre-norm layers."""
    if network.position == "sinusoidal":
        x = x + position_table(*x.shape)
    for layer in network.layers:
        x = x + mix(layer.mixer, normalise(layer.mixer_norm, x), weigh)
        x = x + two_layers(layer.mlp, normalise(layer.mlp_norm, x))
    return normalise(network.norm, x)


def assert_equals_dense(network, weigh, lengths=LENGTHS, tolerance=1e-9):
    """Compare a batch, garbage behind the lengths, with one record after another; values and all gradients."""
    dim = network.norm.weight.shape[0]
    generator = torch.Generator().manual_seed(1)
    embedded, goal = torch.randn(2, len(lengths), WIDTH, dim, generator=generator, dtype=torch.float64)
    found_leaf, dense_leaf = (embedded.clone().requires_grad_() for _ in range(2))
    found = network(found_leaf, torch.tensor(lengths))
    wanted = torch.zeros_like(found)
    for row, length in enumerate(lengths):
        wanted[row, :length] = encode(network, dense_leaf[row, :length], weigh)
    torch.testing.assert_close(found, wanted, rtol=100 * tolerance, atol=tolerance)
    names = [name for name, _ in network.named_parameters()]
    leaves = list(network.parameters())
    gradients = [
        torch.autograd.grad((encoded * goal).sum(), [leaf, *leaves])
        for encoded, leaf in ((found, found_leaf), (wanted, dense_leaf))
    ]
    for name, one, other in zip(["embedded", *names], *gradients, strict=True):
        assert other.abs().max() > 0, name
        close = {"rtol": 1000 * tolerance, "atol": 10 * tolerance * float(other.abs().max())}
        torch.testing.assert_close(one, other, **close, msg=lambda text, name=name: f"{name}: {text}")


def softmax_weights(mixer, head, queries, keys):
    scores = (queries @ keys.T / math.sqrt(queries.shape[1])).exp()
    return scores / scores.sum(1, keepdim=True)


@pytest.mark.parametrize(("dim", "num_heads"), [(8, 2), (9, 3), (5, 1)])
def test_stack_equals_the_dense_formulas(dim, num_heads):
    assert_equals_dense(randomise(Transformer(dim, 6, 2, num_heads, position="none")), softmax_weights)


def test_positions_are_added_to_the_input():
    """The table is made in float32."""
    assert_equals_dense(randomise(Transformer(9, 6, 2, 3)), softmax_weights, tolerance=1e-6)


def test_large_scores_do_not_overflow():
    network = randomise(Transformer(8, 6, 1, 2), scale=50.0)
    encoded = network(torch.randn(2, WIDTH, 8, dtype=torch.float64), torch.tensor([WIDTH, 3]))
    encoded.square().sum().backward()
    assert encoded.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_without_positions_the_order_of_a_record_does_not_matter():
    network = randomise(Transformer(8, 6, 2, 2, position="none"))
    x, order = torch.randn(1, WIDTH, 8, dtype=torch.float64), torch.randperm(WIDTH)
    lengths = torch.tensor([WIDTH])
    torch.testing.assert_close(network(x[:, order], lengths), network(x, lengths)[:, order])


def test_dropout_is_on_what_is_added():
    """With all of it dropped, the layers pass their input on."""
    network = randomise(Transformer(8, 6, 2, 2, dropout=1.0))
    x = torch.randn(1, WIDTH, 8, dtype=torch.float64)
    passed = normalise(network.norm, x[0] + position_table(WIDTH, 8))
    torch.testing.assert_close(network.train()(x, torch.tensor([WIDTH]))[0], passed, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(network.eval()(x, torch.tensor([WIDTH]))[0], passed, rtol=0.01, atol=0.01)
