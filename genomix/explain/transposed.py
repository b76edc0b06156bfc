"""The transposed factors: what the product of all factors of a Paramixer layer gives from the left.

N positions, D columns, K links, M factors. Everything is of one record, without padding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genomix.nn.encoders.paramixer import ParamixerLayer


def transpose_mix(link_weights: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Return W^T times weights (N, D) for one factor W of link weights (N, K): O(N K D), no N x N.

    Row i of W holds link_weights[i, k] at (i + offsets[k]) mod N, so that what row i sends goes there: for every link
    the products of all rows are turned round by its offset and added up.
    """
    sent = torch.zeros_like(weights)
    for k, offset in enumerate(offsets.tolist()):
        sent += torch.roll(link_weights[:, k, None] * weights, offset % len(weights), 0)
    return sent


@torch.no_grad()
def transpose_layer(layer: ParamixerLayer, inputs: Tensor, weights: Tensor) -> Tensor:
    """Return P^T times weights (N, D), where P (N, N) is what a layer multiplies its value vectors by.

    P = (W_M + I) ... (W_1 + I) where each factor adds its own input; with `residual: input`, where each adds the value
    vectors, P = W_M ... W_1 + W_M ... W_2 + ... + W_M + I. A factor's link weights are made when they are needed, the
    last factor's first, so that those of one factor are in memory at once.

    Args:
        layer: The layer.
        inputs: What its link MLPs read (N, D').
        weights: Of the N positions that come out, in D columns that do not mix.
    """
    passed, received = weights, torch.zeros_like(weights)
    for mlp, offsets in zip(reversed(layer.link_mlps), layer.offsets.flip(0), strict=True):
        sent = transpose_mix(layer.link_scale * mlp(inputs), offsets, passed)
        if layer.residual == "input":
            received = received + passed
            passed = sent
        else:
            passed = passed + sent
    return received + passed
