"""The encoders a configuration can name: those without attention here, and the union of all.

The class of `genomix.nn.encoders` that is built from a section explains each value.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from genomix.config.attention import (
    BigBirdConfig,
    ConvTransformerConfig,
    InducedConfig,
    LinearTransformerConfig,
    LinformerConfig,
    LongformerConfig,
    MemoryCompressedConfig,
    NystromformerConfig,
    PerformerConfig,
    ReformerConfig,
    RfaConfig,
    SparseTransformerConfig,
    TfkConfig,
    TransformerConfig,
    TransformerLsConfig,
)
from genomix.config.section import EncoderConfig, Fraction, LayeredConfig, divisors


class ParamixerConfig(EncoderConfig):
    """Mixing by a product of sparse factors.

    `channel_dim` is the width of a two-layer network over the channels behind each layer; 0 for none, as published.
    """

    SOURCE = "Yu, Khalitov, Cheng, Yang 2022 (CVPR)"
    COST = "N log N (CDIL), N log^2 N (CHORD)"

    name: Literal["paramixer"] = "paramixer"
    hidden_dim: PositiveInt = 64
    channel_dim: Annotated[int, Field(ge=0)] = 0
    num_layers: PositiveInt = 1
    protocol: Literal["chord", "cdil"] = "chord"
    residual: Literal["step", "input"] = "step"
    link_scale: Annotated[float, Field(ge=0)] = 0.1
    normalise: bool = True
    input_dropout: Fraction = 0.0
    recompute: bool | None = None


class ChordmixerConfig(EncoderConfig):
    """Channels rotated along the record by powers of two, and a two-layer network over them."""

    SOURCE = "Khalitov, Yu, Cheng, Yang 2023 (ICLR)"
    COST = "N log N"

    name: Literal["chordmixer"] = "chordmixer"
    hidden_dim: PositiveInt = 128


class CdilCnnConfig(EncoderConfig):
    """Circular dilated convolutions."""

    SOURCE = "Cheng, Khalitov, Yu, Zhang, Yang 2022 (Neurocomputing)"
    COST = "N log N"

    name: Literal["cdil-cnn"] = "cdil-cnn"
    num_layers: PositiveInt | None = None


class CnnConfig(EncoderConfig):
    """Convolutions, batch normalisation and pooling: the baseline of the Genomic Benchmarks."""

    SOURCE = "Gresova et al. 2023 (BMC Genomic Data)"
    COST = "N"

    name: Literal["cnn"] = "cnn"
    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (16, 8, 4)
    width: PositiveInt = 8


class HyenaConfig(LayeredConfig):
    """Long implicit convolutions, computed by FFT, with gates."""

    SOURCE = "Poli et al. 2023 (ICML), both directions"
    COST = "N log N"

    name: Literal["hyena"] = "hyena"
    position: Literal["none", "sinusoidal"] = "none"
    order: Annotated[int, Field(ge=1)] = 2
    filter_dim: PositiveInt = 64


class MambaConfig(EncoderConfig):
    """Selective state spaces, in the scalar form that chunks compute by matrix products, in both directions.

    `chunk` counts positions behind the stem, not bp.
    """

    SOURCE = "Dao, Gu 2024 (ICML, Mamba-2), both directions"
    COST = "N"

    name: Literal["mamba"] = "mamba"
    num_layers: PositiveInt = 2
    state_dim: PositiveInt = 32
    expand: PositiveInt = 2
    head_dim: PositiveInt = 32
    chunk: PositiveInt = 64

    @model_validator(mode="after")
    def _share_out(self) -> Self:
        if self.expand * self.dim % self.head_dim:
            wide = self.expand * self.dim
            raise ValueError(f"head_dim: {self.head_dim} does not divide expand * dim ({wide}); use {divisors(wide)}")
        return self


AnyEncoderConfig = (
    ParamixerConfig
    | TransformerConfig
    | SparseTransformerConfig
    | LongformerConfig
    | BigBirdConfig
    | LinformerConfig
    | ReformerConfig
    | PerformerConfig
    | LinearTransformerConfig
    | RfaConfig
    | NystromformerConfig
    | TransformerLsConfig
    | TfkConfig
    | MemoryCompressedConfig
    | InducedConfig
    | ConvTransformerConfig
    | ChordmixerConfig
    | CdilCnnConfig
    | CnnConfig
    | HyenaConfig
    | MambaConfig
)

ENCODER_SECTIONS: dict[str, type[EncoderConfig]] = {
    section.model_fields["name"].default: section for section in AnyEncoderConfig.__args__
}
"""The section of each encoder, by the name that a configuration calls it."""
