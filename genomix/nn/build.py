"""From configuration to network: the only place in `nn` that reads a configuration."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from genomix.config import EncoderConfig, KmerConfig, NetworkConfig
from genomix.errors import UsageError
from genomix.nn.classifier import Classifier, Shortening
from genomix.nn.dropout import Dropout
from genomix.nn.embedding import Embedding
from genomix.nn.encoders.linear_attention import LinearTransformer
from genomix.nn.encoders.paramixer import Paramixer
from genomix.nn.encoders.transformer import Transformer
from genomix.nn.kmer import KmerClassifier
from genomix.nn.pooling import (
    AttentionPooling,
    ClsPooling,
    FlattenPooling,
    MaxPooling,
    MeanPooling,
    PooledNorm,
    pooled_dim,
)
from genomix.nn.stem import ConvStem

VOCABULARY_SIZE = 6


def build_classifier(config: NetworkConfig | KmerConfig, num_classes: int) -> nn.Module:
    """Return the untrained network: a module from tokens (B, N) and lengths (B,) to logits (B, C).

    Raises:
        UsageError: If parts of the configuration do not fit together.
    """
    if isinstance(config, KmerConfig):
        return KmerClassifier(config.k, num_classes)
    _check(config)
    max_length = _resolved_length(config)
    dim = config.encoder.dim
    stem, num_positions = None, max_length
    if config.stem is not None:
        stem = ConvStem(config.embedding.dim, config.stem.base_dim, dim, config.stem.widths, config.stem.stride)
        num_positions = -(-max_length // config.stem.stride)
    encoder = ENCODERS[config.encoder.name](config.encoder, num_positions + (config.pooling == "cls"))
    if isinstance(encoder, Shortening):
        dim = encoder.output_dim
        num_positions = int(encoder.output_lengths(torch.tensor([num_positions])))
    features = pooled_dim(config.pooling, dim, num_positions)
    head = _head_norm(config.head.norm, features)
    head += [Dropout(config.head.dropout)] if config.head.dropout else []
    return Classifier(
        Embedding(
            VOCABULARY_SIZE, config.embedding.dim, config.embedding.position, max_length, config.embedding.dropout
        ),
        stem,
        encoder,
        _pooling(config.pooling, dim, num_positions),
        nn.Sequential(*head, nn.Linear(features, num_classes)),
        padded_length=padded_length(config),
    )


def _free(make: Callable[..., nn.Module]) -> Callable[[EncoderConfig, int], nn.Module]:
    """Build an encoder from the numbers of its section."""
    return lambda config, _: make(**config.model_dump(exclude={"name"}))


def _sized(make: Callable[..., nn.Module]) -> Callable[[EncoderConfig, int], nn.Module]:
    """Build an encoder from the numbers of its section and the positions it has to reach across."""
    return lambda config, max_length: make(**config.model_dump(exclude={"name"}), max_length=max_length)


ENCODERS: dict[str, Callable[[EncoderConfig, int], nn.Module]] = {
    "paramixer": _sized(Paramixer),
    "transformer": _free(Transformer),
    "linear-transformer": _free(LinearTransformer),
}
"""How each encoder is built, of its section and the most positions it will see in training."""


def padded_length(config: NetworkConfig | KmerConfig) -> int | None:
    """Return the length that every record is filled up to before it is computed, if the network does that."""
    return config.max_length if isinstance(config, NetworkConfig) and config.padding == "token" else None


def is_position_bound(config: NetworkConfig | KmerConfig) -> bool:
    """Say whether the positions, the head or the padding have room for `max_length` bases and no more."""
    return isinstance(config, NetworkConfig) and (
        config.embedding.position == "learned"
        or config.encoder.POSITION_BOUND
        or config.pooling == "flatten"
        or config.padding == "token"
    )


def _head_norm(name: str, features: int) -> list[nn.Module]:
    match name:
        case "layer":
            return [nn.LayerNorm(features)]
        case "batch":
            return [PooledNorm(features)]
        case _:
            return []


def _pooling(name: str, dim: int, max_length: int) -> nn.Module:
    match name:
        case "mean":
            return MeanPooling()
        case "max":
            return MaxPooling()
        case "attention":
            return AttentionPooling(dim)
        case "cls":
            return ClsPooling(dim)
        case _:
            return FlattenPooling(max_length)


def _resolved_length(config: NetworkConfig) -> int:
    if config.max_length is None:
        raise UsageError("model.max_length: not decided yet; state it to build a network without data")
    return config.max_length


def _check(config: NetworkConfig) -> None:
    if config.stem is None and config.embedding.dim != config.encoder.dim:
        raise UsageError(
            f"model.embedding.dim is {config.embedding.dim} and model.encoder.dim {config.encoder.dim}: "
            "without a stem they must be equal"
        )
