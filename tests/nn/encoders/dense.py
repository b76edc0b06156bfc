"""The parts that formulas of encoders share, for one record (n, D), in plain torch; and a whole stack of layers."""

import math

import torch
from checks import assert_encodes, make_batch


def linear(module, x):
    return x @ module.weight.T + (0 if module.bias is None else module.bias)


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def two_layers(module, x):
    return linear(module[2], gelu(linear(module[0], x)))


def normalise(module, x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + module.eps).sqrt() * module.weight + module.bias


def shift(x, offset):
    """Rows x_(i + offset), zeros beyond the ends."""
    zeros = x.new_zeros(abs(offset), x.shape[1])
    return torch.cat([zeros, x])[: len(x)] if offset < 0 else torch.cat([x, zeros])[offset:]


def find_pairs(length, sees):
    """Which positions see which, (n, n), where sees(i, j) says so of each pair."""
    return torch.tensor([[sees(i, j) for j in range(length)] for i in range(length)])


def softmax_weights(queries, keys, seen=True):
    """Weights (n, m) of the keys (m, P) for queries (n, P), of those keys that are seen, (n, m)."""
    weights = torch.exp(queries @ keys.T / math.sqrt(queries.shape[1])) * seen
    return weights / weights.sum(1, keepdim=True)


def split(num_heads, *parts):
    """The heads of parts (n, D): the columns (n, P) of each part, head by head."""
    return list(zip(*(part.chunk(num_heads, 1) for part in parts), strict=True))


def attend(num_heads, queries, keys, values, seen=True):
    """Softmax attention in every head, of queries (n, D) to keys and values (m, D)."""
    return torch.cat([softmax_weights(q, k, seen) @ v for q, k, v in split(num_heads, queries, keys, values)], 1)


def weigh_by_softmax(_mixer, _head, queries, keys):
    return softmax_weights(queries, keys)


def mix(mixer, x, weigh=weigh_by_softmax, inward=None):
    """Multi-head attention, where weigh(mixer, head, queries, keys) gives the weights (n, n) of the values."""
    parts = linear(inward or mixer.projections.inward, x).chunk(3, 1)
    heads = enumerate(split(mixer.projections.num_heads, *parts))
    return linear(mixer.projections.outward, torch.cat([weigh(mixer, head, q, k) @ v for head, (q, k, v) in heads], 1))


def assert_is_softmax_attention(mixer, lengths, dim, scale=1.0, tolerance=1e-9):
    x, counts = make_batch(lengths, dim)
    for row, record, length in zip(mixer(x * scale, counts), x * scale, lengths, strict=True):
        torch.testing.assert_close(row[:length], mix(mixer, record[:length]), rtol=tolerance, atol=tolerance)


def position_table(num_positions, dim):
    """Vaswani et al. 2017, section 3.5."""
    table = torch.zeros(num_positions, dim, dtype=torch.float64)
    for i in range(num_positions):
        for channel in range(dim):
            angle = i / 10000 ** ((channel - channel % 2) / dim)
            table[i, channel] = math.cos(angle) if channel % 2 else math.sin(angle)
    return table


def encode_stack(network, x, weigh=weigh_by_softmax):
    """The pre-norm layers of a stack."""
    if network.position == "sinusoidal":
        x = x + position_table(*x.shape)
    for layer in network.layers:
        x = x + mix(layer.mixer, normalise(layer.mixer_norm, x), weigh)
        x = x + two_layers(layer.mlp, normalise(layer.mlp_norm, x))
    return normalise(network.norm, x)


def assert_stack_equals(network, weigh=weigh_by_softmax, tolerance=1e-9):
    dim = len(network.norm.weight)
    gradients = assert_encodes(
        network, lambda x: encode_stack(network, x, weigh), [1, 2, 7, 12, 5], dim, tolerance=tolerance
    )
    assert all(gradient.any() for gradient in gradients)
