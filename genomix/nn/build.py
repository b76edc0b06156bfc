"""From configuration to network: the only place in `nn` that reads a configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import nn

from genomix.config import EncoderConfig, KmerConfig, NetworkConfig
from genomix.errors import UsageError
from genomix.nn.classifier import Classifier, Network, Regressor, Shortening
from genomix.nn.dropout import Dropout
from genomix.nn.embedding import Embedding, ValueEmbedding
from genomix.nn.encoders.bigbird import BigBird
from genomix.nn.encoders.cdil_cnn import CdilCnn
from genomix.nn.encoders.chordmixer import ChordMixer
from genomix.nn.encoders.cnn import Cnn
from genomix.nn.encoders.conv_transformer import ConvTransformer
from genomix.nn.encoders.hyena import Hyena
from genomix.nn.encoders.induced import Induced
from genomix.nn.encoders.linear_attention import LinearTransformer
from genomix.nn.encoders.linformer import Linformer
from genomix.nn.encoders.longformer import Longformer
from genomix.nn.encoders.mamba import Mamba
from genomix.nn.encoders.memory_compressed import MemoryCompressed
from genomix.nn.encoders.nystromformer import Nystromformer
from genomix.nn.encoders.paramixer import Paramixer
from genomix.nn.encoders.performer import Performer
from genomix.nn.encoders.reformer import Reformer
from genomix.nn.encoders.rfa import Rfa
from genomix.nn.encoders.sparse_transformer import SparseTransformer
from genomix.nn.encoders.tfk import Tfk
from genomix.nn.encoders.transformer import Transformer
from genomix.nn.encoders.transformer_ls import TransformerLs
from genomix.nn.kmer import KmerClassifier
from genomix.nn.pooling import (
    AttentionPooling,
    ClsPooling,
    FlattenPooling,
    MaxPooling,
    MeanMaxPooling,
    MeanPooling,
    PooledNorm,
    RegionPooling,
    pooled_dim,
)
from genomix.nn.stem import ConvStem

VOCABULARY_SIZE = 6
AnyNetwork = TypeVar("AnyNetwork", bound=Network)


class Inputs(NamedTuple):
    """What a record is made of.

    Attributes:
        kind: `"tokens"`, integers (B, N); or `"values"`, real numbers (B, N, F).
        size: Tokens in the vocabulary, padding as the last; or F.
    """

    kind: Literal["tokens", "values"]
    size: int


DNA = Inputs("tokens", VOCABULARY_SIZE)


class Features(NamedTuple):
    """The parts of a network that read a record, which a classifier and a pretraining have in common.

    Attributes:
        embedding: See `Network`, also for stem and encoder.
        stem: See there.
        encoder: See there.
        dim: Channels that the encoder gives.
        num_positions: Positions that it gives of a record of `max_length` bases.
    """

    embedding: Embedding | ValueEmbedding
    stem: ConvStem | None
    encoder: nn.Module
    dim: int
    num_positions: int


FEATURES = ("embedding", "stem", "encoder")
"""What these parts are called in every network."""


def build_classifier(config: NetworkConfig | KmerConfig, num_classes: int, inputs: Inputs = DNA) -> nn.Module:
    """Return the untrained network: a module from inputs, DNA if not said otherwise, and lengths (B,) to logits (B, C).

    Raises:
        UsageError: If parts of the configuration do not fit together.
    """
    if isinstance(config, KmerConfig):
        return build_kmer(config, num_classes)
    return _build(Classifier, config, num_classes, inputs)


def build_kmer(config: KmerConfig, num_classes: int) -> KmerClassifier:
    """Return the k-mer classifier of a configuration before it is fitted; what is open is `settled`."""
    config = config.settled()
    if config.k is None:
        raise AssertionError("a settled configuration has a k")
    return KmerClassifier(
        config.k, num_classes, canonical=config.strands == "canonical", roots=config.features == "roots"
    )


def build_regressor(config: NetworkConfig, inputs: Inputs) -> Regressor:
    """Return the untrained network from inputs of some kind and lengths (B,) to one real number a record (B,).

    Raises:
        UsageError: If parts of the configuration do not fit together.
    """
    return _build(Regressor, config, 1, inputs)


def build_features(config: NetworkConfig, inputs: Inputs = DNA) -> Features:
    """Return what reads a record, without what makes something of it, untrained.

    Raises:
        UsageError: If parts of the configuration do not fit together.
    """
    _check(config, inputs)
    max_length = _resolved_length(config)
    dim = config.encoder.dim
    stem, num_positions = None, max_length
    if config.stem is not None:
        stem = ConvStem(config.embedding.dim, dim=dim, **config.stem.model_dump())
        num_positions = -(-max_length // config.stem.stride)
    embed = Embedding if inputs.kind == "tokens" else ValueEmbedding
    embedding = embed(
        inputs.size, config.embedding.dim, config.embedding.position, max_length, config.embedding.dropout
    )
    encoder = ENCODERS[config.encoder.name](config.encoder, num_positions + (config.pooling == "cls"))
    if isinstance(encoder, Shortening):
        dim = encoder.output_dim
        num_positions = int(encoder.output_lengths(torch.tensor([num_positions])))
    return Features(embedding, stem, encoder, dim, num_positions)


def _build(make: type[AnyNetwork], config: NetworkConfig, num_outputs: int, inputs: Inputs) -> AnyNetwork:
    embedding, stem, encoder, dim, num_positions = build_features(config, inputs)
    pooling = config.pooling or "mean"
    features = pooled_dim(pooling, dim, num_positions)
    head = _head_norm(config.head.norm, features)
    head += [Dropout(config.head.dropout)] if config.head.dropout else []
    return make(
        embedding,
        stem,
        encoder,
        _pooling(pooling, config.encoder.dim if pooling == "cls" else dim, num_positions),
        nn.Sequential(*head, nn.Linear(features, num_outputs)),
        padded_length=padded_length(config),
        both_strands=config.both_strands,
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
    "sparse-transformer": _free(SparseTransformer),
    "longformer": _free(Longformer),
    "bigbird": _sized(BigBird),
    "linformer": _sized(Linformer),
    "reformer": _sized(Reformer),
    "performer": _free(Performer),
    "linear-transformer": _free(LinearTransformer),
    "rfa": _free(Rfa),
    "nystromformer": _free(Nystromformer),
    "transformer-ls": _free(TransformerLs),
    "tfk": _free(Tfk),
    "memory-compressed": _free(MemoryCompressed),
    "induced": _free(Induced),
    "conv-transformer": _free(ConvTransformer),
    "chordmixer": _sized(ChordMixer),
    "cdil-cnn": _sized(CdilCnn),
    "cnn": _free(Cnn),
    "hyena": _sized(Hyena),
    "mamba": _free(Mamba),
}
"""How each encoder is built, of its section and the most positions it will see in training."""


def padded_length(config: NetworkConfig | KmerConfig) -> int | None:
    """Return the length that every record is filled up to before it is computed, if the network does that."""
    return config.max_length if isinstance(config, NetworkConfig) and config.padding == "token" else None


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
        case "mean-max":
            return MeanMaxPooling()
        case "regions":
            return RegionPooling()
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


def _check(config: NetworkConfig, inputs: Inputs) -> None:
    if config.padding == "token" and inputs != DNA:
        raise UsageError("model.padding: token is for DNA; other inputs have no token that stands for padding")
    if config.both_strands and inputs != DNA:
        raise UsageError("model.both_strands: is for DNA; other inputs have no other strand")
    if config.stem is None and config.embedding.dim != config.encoder.dim:
        raise UsageError(
            f"model.embedding.dim is {config.embedding.dim} and model.encoder.dim {config.encoder.dim}: "
            "without a stem they must be equal"
        )
