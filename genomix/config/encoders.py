"""The encoders a configuration can name, their values and limits, where each comes from and what it costs.

The class of `genomix.nn.encoders` that is built from a section explains each value.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from genomix.config.section import Fraction, Section

Count = Annotated[int, Field(ge=0)]


class EncoderConfig(Section):
    """What every encoder has.

    Attributes:
        SOURCE: The paper an encoder comes from.
        COST: How the computation of a layer grows with the positions N of a record.
        POSITION_BOUND: Whether its parameters belong to positions, so that records longer than `max_length` do not fit.
    """

    SOURCE: ClassVar[str]
    COST: ClassVar[str]
    POSITION_BOUND: ClassVar[bool] = False

    dim: PositiveInt = 64
    dropout: Fraction = 0.0


class ParamixerConfig(EncoderConfig):
    """Mixing by a product of sparse factors."""

    SOURCE = "Yu, Khalitov, Cheng, Yang 2022 (CVPR)"
    COST = "N log N (CDIL), N log^2 N (CHORD)"

    name: Literal["paramixer"] = "paramixer"
    hidden_dim: PositiveInt = 64
    num_layers: PositiveInt = 1
    protocol: Literal["chord", "cdil"] = "chord"
    residual: Literal["step", "input"] = "step"
    link_scale: Annotated[float, Field(ge=0)] = 0.1
    normalise: bool = True
    input_dropout: Fraction = 0.0
    recompute: bool | None = None


class LayeredConfig(EncoderConfig):
    """What encoders made of pre-norm residual layers have: a mixer of positions and a two-layer network."""

    hidden_dim: PositiveInt = 128
    num_layers: PositiveInt = 2
    position: Literal["none", "sinusoidal"] = "sinusoidal"


class AttentionConfig(LayeredConfig):
    """What encoders with heads of attention have."""

    num_heads: PositiveInt = 4

    @model_validator(mode="after")
    def _share_out(self) -> Self:
        if self.dim % self.num_heads:
            raise ValueError(f"dim ({self.dim}) must be a multiple of num_heads ({self.num_heads})")
        return self


class TransformerConfig(AttentionConfig):
    """Softmax attention, every position to every other."""

    SOURCE = "Vaswani et al. 2017 (NeurIPS)"
    COST = "N^2"

    name: Literal["transformer"] = "transformer"


class SparseTransformerConfig(AttentionConfig):
    """Softmax attention on a strided or fixed pattern."""

    SOURCE = "Child, Gray, Radford, Sutskever 2019 (arXiv 1904.10509)"
    COST = "N (s + N / s), stride s"

    name: Literal["sparse-transformer"] = "sparse-transformer"
    pattern: Literal["strided", "fixed"] = "strided"
    stride: PositiveInt = 128
    num_summaries: PositiveInt = 32

    @model_validator(mode="after")
    def _summarise_less_than_all(self) -> Self:
        if self.num_summaries > self.stride:
            raise ValueError(f"num_summaries ({self.num_summaries}) must not exceed stride ({self.stride})")
        return self


class LongformerConfig(AttentionConfig):
    """Softmax attention in a sliding window, and a few global positions."""

    SOURCE = "Beltagy, Peters, Cohan 2020 (arXiv 2004.05150)"
    COST = "N w, window w"

    name: Literal["longformer"] = "longformer"
    window: Annotated[int, Field(ge=2, multiple_of=2)] = 512
    num_global: Count = 1


class BigBirdConfig(AttentionConfig):
    """Softmax attention to neighbouring, first, last and random blocks."""

    SOURCE = "Zaheer et al. 2020 (NeurIPS)"
    COST = "N b, block b"

    name: Literal["bigbird"] = "bigbird"
    block: PositiveInt = 64
    num_random: Count = 3


class LinformerConfig(AttentionConfig):
    """Softmax attention to keys and values projected along the sequence."""

    SOURCE = "Wang, Li, Khabsa, Fang, Ma 2020 (arXiv 2006.04768)"
    COST = "N k, projected length k"
    POSITION_BOUND = True

    name: Literal["linformer"] = "linformer"
    projected_length: PositiveInt = 256


class ReformerConfig(AttentionConfig):
    """Softmax attention among positions whose keys hash alike."""

    SOURCE = "Kitaev, Kaiser, Levskaya 2020 (ICLR)"
    COST = "N c, chunk c, and N^2 / c to hash"

    name: Literal["reformer"] = "reformer"
    chunk: PositiveInt = 64
    num_hashes: PositiveInt = 2


class PerformerConfig(AttentionConfig):
    """Softmax attention approximated by positive orthogonal random features."""

    SOURCE = "Choromanski et al. 2021 (ICLR)"
    COST = "N m, features m"

    name: Literal["performer"] = "performer"
    num_features: PositiveInt = 64


class LinearTransformerConfig(AttentionConfig):
    """Linear attention with the feature map elu + 1."""

    SOURCE = "Katharopoulos, Vyas, Pappas, Fleuret 2020 (ICML)"
    COST = "N"

    name: Literal["linear-transformer"] = "linear-transformer"


class RfaConfig(AttentionConfig):
    """Softmax attention approximated by random Fourier features of a Gaussian kernel."""

    SOURCE = "Peng et al. 2021 (ICLR)"
    COST = "N m, features m"

    name: Literal["rfa"] = "rfa"
    num_features: PositiveInt = 64


class NystromformerConfig(AttentionConfig):
    """Softmax attention approximated from landmarks."""

    SOURCE = "Xiong et al. 2021 (AAAI)"
    COST = "N m, landmarks m"

    name: Literal["nystromformer"] = "nystromformer"
    num_landmarks: PositiveInt = 64
    num_iterations: Annotated[int, Field(ge=1, le=12)] = 6
    width: Count = 33

    @model_validator(mode="after")
    def _centre_the_convolution(self) -> Self:
        if self.width and self.width % 2 == 0:
            raise ValueError(f"width must be odd, or 0 for no convolution, not {self.width}")
        return self


class TransformerLsConfig(AttentionConfig):
    """Softmax attention to a window and to a few learned summaries of the record."""

    SOURCE = "Zhu et al. 2021 (NeurIPS)"
    COST = "N (w + r), window w, rank r"

    name: Literal["transformer-ls"] = "transformer-ls"
    window: Annotated[int, Field(ge=2, multiple_of=2)] = 128
    rank: PositiveInt = 32


class TfkConfig(AttentionConfig):
    """Linear attention whose feature map is a trainable feedforward kernel."""

    SOURCE = "Yorsh, Kovalenko 2022 (ICANN, arXiv 2211.04076)"
    COST = "N"

    name: Literal["tfk"] = "tfk"
    feature_map: Literal["ffn", "linear", "oglu", "a-oglu", "elu", "relu", "hedgehog"] = "oglu"
    feature_layers: Annotated[int, Field(ge=1, le=4)] = 1
    feature_dropout: Fraction = 0.1
    orthogonality: Annotated[float, Field(ge=0)] = 0.01

    @model_validator(mode="after")
    def _stack_what_has_layers(self) -> Self:
        if self.feature_map == "elu" and self.feature_layers > 1:
            raise ValueError(f"feature_map elu has no layers: feature_layers must be 1, not {self.feature_layers}")
        return self


class MemoryCompressedConfig(AttentionConfig):
    """Softmax attention to keys and values shortened by a strided convolution."""

    SOURCE = "Liu et al. 2018 (ICLR)"
    COST = "N^2 / c, compression c"

    name: Literal["memory-compressed"] = "memory-compressed"
    compression: PositiveInt = 3


class InducedConfig(AttentionConfig):
    """Softmax attention through a few learned inducing points."""

    SOURCE = "Lee et al. 2019 (ICML)"
    COST = "N m, inducing points m"

    name: Literal["induced"] = "induced"
    num_inducing: PositiveInt = 32


class ConvTransformerConfig(AttentionConfig):
    """Strided convolutions, softmax attention over the shorter sequence, and back to the full length."""

    SOURCE = "Avsec et al. 2021 (Nature Methods), in small"
    COST = "N^2 / 4^c, convolutions c"

    name: Literal["conv-transformer"] = "conv-transformer"
    num_convolutions: PositiveInt = 3
    width: Annotated[int, Field(ge=3)] = 5

    @model_validator(mode="after")
    def _centre_the_convolutions(self) -> Self:
        if self.width % 2 == 0:
            raise ValueError(f"width must be odd, not {self.width}")
        return self


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
    """Selective state spaces, in the scalar form that chunks compute by matrix products, in both directions."""

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
            raise ValueError(
                f"expand * dim ({self.expand * self.dim}) must be a multiple of head_dim ({self.head_dim})"
            )
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
