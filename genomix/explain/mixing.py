"""The mixing influence: how much the value vector of each position weighs in what a Paramixer network pools. Exact.

A layer mixes the value vectors g_j by P, the product of its factors (Yu et al. 2022, equations 5 to 7), and the pooling
takes a sum over positions, with weights p: sum_i p_i (P g)_i = sum_j (P^T p)_j g_j. So P^T p, made in O(N log N) by the
transposed factors, is the weight of every position, exactly and with all that lies between.

What is not linear is held at its value for this record, which changes nothing in the sums: the deviation by which a
normalisation divides, the weights of an attention pooling, and where each channel has its maximum. The value vectors
themselves are g of one position of the network; behind a stem that is several bases and their neighbours.

N positions, D embedding, P pooled numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genomix.checkpoint import Model
from genomix.errors import UsageError
from genomix.explain.saliency import Saliency
from genomix.explain.score import Score
from genomix.explain.transposed import transpose_layer
from genomix.nn.classifier import PAD, Classifier
from genomix.nn.encoders.paramixer import ChannelLayer, Paramixer, ParamixerLayer
from genomix.nn.pooling import (
    AttentionPooling,
    ClsPooling,
    FlattenPooling,
    MaxPooling,
    MeanMaxPooling,
    MeanPooling,
    PooledNorm,
    RegionPooling,
)
from genomix.nn.positions import real_positions


class Mixed(NamedTuple):
    """What a network of one Paramixer layer makes of one record.

    Attributes:
        entered: What enters the layer (N, D), added to its outcome where it normalises; else zeros.
        inputs: What the link MLPs read (N, D).
        values: The value vectors (N, D).
        encoded: What the encoder gives (N, D).
        deviations: What the last normalisation divides by (N, 1); ones where there is none.
        scales: What it multiplies the channels by (D,); ones where there is none.
    """

    entered: Tensor
    inputs: Tensor
    values: Tensor
    encoded: Tensor
    deviations: Tensor
    scales: Tensor


def mixing(model: Model, tokens: np.ndarray, score: Score, *, device: str = "cpu") -> Saliency:
    """Take the pooled output, and the score, apart by the positions of the network.

    `influence` is P^T p with the weights p of the pooling, by the deviation of the last normalisation where there is
    one: the weight of a position's value vector in the pooled vector, the same for all bases of a position. Of a max
    pooling p is the mean over channels, of a flattened output the mean over positions, of one that pools in several
    ways the mean over them.

    `attribution` is what the value vector adds to the score, influence and value together, with what passes by the
    layer, above what the median position of the record adds (`typical`), and shared equally among the bases of a
    position. What the positions add, the typical included, is in `sum` the score less a constant.

    Args:
        model: A network of one Paramixer layer.
        tokens: What it reads (N',) uint8.
        score: What is explained.
        device: Where the model is.

    Raises:
        UsageError: If the model is another one.
    """
    network, layer = check_mixing(model)
    inputs = torch.from_numpy(tokens.astype(np.int64)).to(device)
    with torch.no_grad():
        mixed = mix(network, layer, inputs)
        pooled_weights = pooling_weights(network.pooling, mixed.encoded)
        direction = head_direction(network, mixed.encoded, score)
        rows = through_norm(network, mixed, pooled_weights, direction)
        influence = transpose_layer(layer, mixed.inputs, (pooled_weights.mean((0, 2))[:, None] / mixed.deviations))
        received = transpose_layer(layer, mixed.inputs, rows)
        added = (received * mixed.values).sum(1) + (rows * mixed.entered).sum(1)
    first = int(isinstance(network.pooling, ClsPooling))
    width = 1 if network.stem is None else network.stem.stride
    place = first + np.arange(len(tokens)) // width
    sizes = np.bincount(place - first)
    found = added.double().cpu().numpy()
    own = found[first : first + len(sizes)]
    typical = float(np.median(own))
    tracks = {
        "attribution": (found[place] - typical) / sizes[place - first],
        "influence": influence[:, 0].double().cpu().numpy()[place],
    }
    facts = {
        "typical": typical,
        "positions": len(sizes),
        "bases_a_position": width,
        "sum": float(found.sum()),
        "sum_elsewhere": float(found.sum() - own.sum()),
    }
    return Saliency(tracks, facts=facts)


def check_mixing(model: Model) -> tuple[Classifier, ParamixerLayer]:
    """Return the network of a model and its one layer.

    Raises:
        UsageError: If the model is no network of one Paramixer layer.
    """
    network = model.classifier
    if not isinstance(network, Classifier):
        raise UsageError(f"--method mixing: {model.path} counts k-mers and mixes nothing; use --method mutagenesis")
    if network.both_strands:
        raise UsageError(
            f"--method mixing: {model.path} reads both strands at once, of which each has factors of its own; use "
            "--method gradient or mutagenesis"
        )
    if not isinstance(network.encoder, Paramixer):
        name = type(network.encoder).__name__
        raise UsageError(
            f"--method mixing: the encoder of {model.path} is {name}, not a Paramixer, whose factors it takes; "
            "use --method gradient or mutagenesis"
        )
    if any(isinstance(layer, ChannelLayer) for layer in network.encoder.layers):
        raise UsageError(
            f"--method mixing: {model.path} has a network over the channels behind its mixing "
            "(model.encoder.channel_dim), so that what it pools is no weighted sum of positions; "
            "use --method gradient or mutagenesis"
        )
    layers = [layer for layer in network.encoder.layers if isinstance(layer, ParamixerLayer)]
    if len(layers) != 1:
        raise UsageError(
            f"--method mixing: {model.path} has {len(layers)} layers, and what the second one mixes is mixed already, "
            "so that no position has a weight of its own; use --method gradient or mutagenesis"
        )
    return network, layers[0]


def mix(network: Classifier, layer: ParamixerLayer, tokens: Tensor) -> Mixed:
    """Run a network of one Paramixer layer on one record, tokens (N',), up to the pooling; keep what is on the way."""
    encoder = network.encoder
    if not isinstance(encoder, Paramixer):
        raise TypeError("the encoder is no Paramixer")
    lengths = torch.tensor([len(tokens)], device=tokens.device)
    batch = tokens[None]
    if network.padded_length is not None:
        batch = nn.functional.pad(batch, (0, network.padded_length - len(tokens)), value=PAD)
        lengths = torch.full_like(lengths, network.padded_length)
    hidden = network.embedding(batch, real_positions(lengths, batch.shape[1]))
    if network.stem is not None:
        hidden = network.stem(hidden, lengths)
        lengths = network.stem.output_lengths(lengths)
    if isinstance(network.pooling, ClsPooling):
        hidden = network.pooling.prepend(hidden)
        lengths = lengths + 1
    inputs = hidden if encoder.norm is None else encoder.norm(hidden)
    values = layer.value_mlp(hidden if layer.norm is None else layer.norm(hidden))[0]
    passed_by = torch.zeros_like(hidden) if layer.norm is None else hidden
    encoded = encoder(hidden, lengths)[0]
    deviations, scales = torch.ones_like(encoded[:, :1]), torch.ones_like(encoded[0])
    if encoder.output_norm is not None:
        before = layer(hidden, inputs, lengths)[0]
        variance = before.var(1, unbiased=False, keepdim=True)
        deviations, scales = (variance + encoder.output_norm.eps).sqrt(), encoder.output_norm.weight
    return Mixed(passed_by[0], inputs[0], values, encoded, deviations, scales)


def pooling_weights(pooling: nn.Module, encoded: Tensor) -> Tensor:
    """Return what each position weighs in the pooled vector, by channel, for each way of pooling, (W, N, D).

    The pooled vector is pooled_wd = sum_i weights_wid encoded_id, one way after the other. A flattened output keeps all
    positions; there they weigh the same, as in its mean.

    Raises:
        UsageError: If the pooling is not known.
    """
    weights = torch.zeros_like(encoded)
    if isinstance(pooling, MeanPooling | FlattenPooling):
        return (weights + 1 / len(encoded))[None]
    if isinstance(pooling, MaxPooling):
        return weights.scatter(0, encoded.argmax(0, keepdim=True), 1.0)[None]
    if isinstance(pooling, MeanMaxPooling):
        return torch.cat([pooling_weights(one, encoded) for one in (pooling.mean, pooling.max)])
    if isinstance(pooling, RegionPooling):
        shares = pooling.shares(torch.ones(1, len(encoded), dtype=torch.bool, device=encoded.device))[0]
        return torch.cat([pooling_weights(pooling.whole, encoded), shares[..., None].to(encoded) + weights])
    if isinstance(pooling, AttentionPooling):
        return (weights + pooling.score(encoded).softmax(0))[None]
    if isinstance(pooling, ClsPooling):
        weights[0] = 1
        return weights[None]
    raise UsageError(f"--method mixing: {type(pooling).__name__} is not known to it; use --method gradient")


def head_direction(network: Classifier, encoded: Tensor, score: Score) -> Tensor:
    """Return what each pooled number weighs in the score (P,), normalisations held at what they divide by."""
    *norms, linear = [module for module in network.head if not isinstance(module, nn.Dropout)]  # pyright: ignore[reportGeneralTypeIssues]
    direction = torch.from_numpy(score.weights).to(encoded) @ linear.weight
    for norm in norms:
        if isinstance(norm, PooledNorm):
            direction = direction * norm.weight / (norm.running_var + norm.eps).sqrt()  # pyright: ignore[reportOptionalOperand]
        elif isinstance(norm, nn.LayerNorm):
            pooled = network.pooling(encoded[None], encoded.new_ones(1, len(encoded), dtype=torch.bool))
            direction = direction * norm.weight
            direction = (direction - direction.mean()) / (pooled.var(unbiased=False) + norm.eps).sqrt()
        else:
            raise UsageError(f"--method mixing: {type(norm).__name__} in the head is not known to it")
    return direction


def through_norm(network: Classifier, mixed: Mixed, pooled_weights: Tensor, direction: Tensor) -> Tensor:
    """Return what each number of the layer's outcome weighs in the score (N, D), from what the pooled ones weigh."""
    if isinstance(network.pooling, FlattenPooling):
        rows = direction.view(-1, mixed.encoded.shape[1])[: len(mixed.encoded)]
    else:
        rows = (direction.view(len(pooled_weights), 1, -1) * pooled_weights).sum(0)
    if isinstance(network.encoder, Paramixer) and network.encoder.output_norm is not None:
        rows = rows * mixed.scales
        rows = (rows - rows.mean(1, keepdim=True)) / mixed.deviations
    return rows
